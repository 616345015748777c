use bytes::{Bytes, BytesMut};
use duet::engine::decode::rebuild::{TargetFeatures, requests};
use duet::wire::rdb::{Dialect, DumpReader, Element, Event, Key, Kind, Limits, Payload, Record, Restorable};
use duet::wire::resp::FrameReader;

/// One value in any encoding: the same as a whole, in pieces and from a dump; rebuilt by requests that are whole; and what stands
/// in a payload comes out of it.
pub fn packed(data: &[u8]) {
    let (code, body) = super::choice(data);
    let (valkey, type_code) = (code >= 128, code & 0x7f);
    let dialect = if valkey { Dialect::Valkey } else { Dialect::Redis };
    let key = Key { database: 0, name: Bytes::from_static(b"k"), expires_at_ms: None, kind: Kind::Unknown };
    let record = Record { key, dialect, type_code, body: Bytes::copy_from_slice(body) };
    let whole = record.elements();
    let pieces: Result<Vec<Vec<Element>>, _> = record.pieces(100).collect();
    assert_eq!(whole.is_ok(), pieces.is_ok());
    if let (Ok(whole), Ok(pieces)) = (&whole, pieces) {
        assert_eq!(joined(whole.clone()), joined(pieces.concat()));
        rebuilt(&record, whole);
    }
    let written = record.payload(11);
    let read = Payload::parse(&written).expect("a payload");
    assert!(read.body == body && read.type_code == type_code);
    for server in [(Dialect::Redis, (5, 0, 0)), (Dialect::Redis, (7, 0, 0)), (Dialect::Valkey, (9, 1, 0))] {
        let kind = Key { kind: Kind::Stream, ..record.key.clone() };
        Record { key: kind, ..record.clone() }.payload_for(&Restorable::of_server(server.0, server.1));
    }
    from_dump(valkey, type_code, body, whole.is_ok());
}

/// Strings come in parts of any size.
fn joined(elements: Vec<Element>) -> (Vec<u8>, Vec<Element>) {
    let (texts, others): (Vec<_>, Vec<_>) =
        elements.into_iter().partition(|element| matches!(element, Element::Text(_)));
    let text =
        texts.iter().flat_map(|element| if let Element::Text(text) = element { text.to_vec() } else { Vec::new() });
    (text.collect(), others)
}

fn rebuilt(record: &Record, elements: &[Element]) {
    for version in [(5, 0, 0), (9, 1, 0)] {
        let mut out = Vec::new();
        let features = TargetFeatures::of_server(record.dialect, version);
        let rebuilt = requests(&mut out, &record.key, elements, true, features);
        let (mut reader, mut at, mut found) = (FrameReader::new(), 0, 0);
        while let Some(length) = reader.next(&out[at..]).expect("requests") {
            at += length;
            found += 1;
        }
        assert!(at == out.len() && found == rebuilt.requests);
    }
}

/// The same value in a dump, byte by byte and in the smallest pieces.
fn from_dump(valkey: bool, type_code: u8, body: &[u8], valid: bool) {
    let start: &[u8] = if valkey { b"VALKEY080" } else { b"REDIS0012" };
    let dump = [start, &[type_code], b"\x01k", body, b"\xff\0\0\0\0\0\0\0\0"].concat();
    let (mut reader, mut input) = (DumpReader::new(Limits { whole_bytes: 0, piece_bytes: 1 }), BytesMut::new());
    let mut finished = false;
    for byte in dump {
        input.extend_from_slice(&[byte]);
        loop {
            match reader.next(&mut input) {
                Ok(Some(event)) => finished |= matches!(event, Event::Finish),
                Ok(None) => break,
                Err(error) => {
                    assert!(error.to_string().len() < 1000);
                    assert!(!valid || finished, "{error}");
                    return;
                }
            }
        }
    }
    assert!(!valid || finished);
}

/// A compressed string, and how long it says it becomes: nothing longer comes of it, whole or in pieces.
pub fn lzf(data: &[u8]) {
    let Some((claimed, compressed)) = data.split_first_chunk::<3>() else { return };
    let claimed = u32::from_be_bytes([0, claimed[0], claimed[1], claimed[2]]);
    let mut body = vec![0xc3, 0x80];
    body.extend_from_slice(&(compressed.len() as u32).to_be_bytes());
    body.push(0x80);
    body.extend_from_slice(&claimed.to_be_bytes());
    body.extend_from_slice(compressed);
    let key = Key { database: 0, name: Bytes::from_static(b"k"), expires_at_ms: None, kind: Kind::String };
    let record = Record { key, dialect: Dialect::Redis, type_code: 0, body: body.into() };
    let whole = record.text().expect("a string");
    let pieces: Result<Vec<Vec<Element>>, _> = record.pieces(1000).collect();
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => {
            assert_eq!(whole.len(), claimed as usize);
            assert_eq!(joined(pieces.concat()).0, whole);
        }
        (whole, pieces) => assert!(whole.is_err() && pieces.is_err()),
    }
}
