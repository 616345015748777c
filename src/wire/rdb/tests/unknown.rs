//! Values of unknown types are passed over with the help of what their server answers to `DUMP`.

use super::super::checksum::Checksum;
use super::*;

const BODY: &[u8] = b"\x00\xff\xfa bytes that could be anything";

/// A dump of two strings with a value of type 99 between them, with its checksum.
fn dump(body: &[u8]) -> Vec<u8> {
    let expiry = 4_000_000_000_123i64.to_le_bytes();
    let mut dump =
        [b"REDIS0012\xfe\x03\x00\x01a\x011\xfc", &expiry[..], b"\x63\x01u", body, b"\x00\x01b\x012\xff"].concat();
    let mut sum = Checksum::new();
    sum.update(&dump);
    dump.extend_from_slice(&sum.value().to_le_bytes());
    dump
}

/// What the dump says, with the answer `payload`, when it arrives in these parts.
fn with_answer(parts: &[&[u8]], payload: Option<Payload<'_>>) -> Result<Content, DumpError> {
    let (mut reader, mut buf) = (DumpReader::new(Limits::default()), BytesMut::new());
    let mut content = Content::default();
    for part in parts {
        buf.extend_from_slice(part);
        loop {
            if content.unknown.is_some() && !reader.skip_body(&mut buf, payload.as_ref())? {
                assert!(buf.is_empty(), "all that is there of the value is consumed");
                break;
            }
            let Some(event) = reader.next(&mut buf)? else { break };
            content.take(event, &mut None)?;
        }
    }
    assert_eq!(reader.consumed() as usize, parts.concat().len() - buf.len());
    Ok(content)
}

const PAYLOAD: Payload<'_> = Payload { type_code: 99, body: BODY, rdb_version: 12 };
const ANSWER: Option<Payload<'_>> = Some(PAYLOAD);

#[test]
fn reading_goes_on_behind_the_value_wherever_the_dump_is_cut() {
    let dump = dump(BODY);
    for cut in 0..dump.len() {
        let (first, second) = dump.split_at(cut);
        let content = with_answer(&[first, second], ANSWER).expect("valid, with the right checksum");
        let (key, type_code) = content.unknown.expect("told");
        assert_eq!(
            (key.database, &key.name[..], key.expires_at_ms, type_code),
            (3, &b"u"[..], Some(4_000_000_000_123), 99)
        );
        assert_eq!(content.keys.keys().map(|(_, name)| &name[..]).collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(content.keys[&(3, b"b".to_vec())].key.expires_at_ms, None);
        assert!(content.ended);
    }
    let bytes: Vec<&[u8]> = dump.chunks(1).collect();
    assert!(with_answer(&bytes, ANSWER).expect("valid").ended);
}

#[test]
fn nothing_behind_the_value_is_read_before_the_answer() {
    let content = read(&dump(BODY), 7, Limits::default()).expect("as far as it goes");
    assert_eq!(content.keys.len(), 1);
    assert!(content.unknown.is_some() && !content.ended);
}

#[test]
fn a_value_may_be_empty() {
    let content = with_answer(&[&dump(b"")], Some(Payload { body: b"", ..PAYLOAD })).expect("valid");
    assert!(content.ended);
}

#[test]
fn another_value_than_the_one_in_the_dump_is_an_error_that_stays() {
    let dump = dump(BODY);
    let mut changed = BODY.to_vec();
    changed[9] ^= 1;
    for other in [Some(Payload { body: &changed, ..PAYLOAD }), Some(Payload { type_code: 98, ..PAYLOAD }), None] {
        for size in [1, dump.len()] {
            let parts: Vec<&[u8]> = dump.chunks(size).collect();
            let error = with_answer(&parts, other).expect_err("changed");
            assert_eq!((error.fault, error.key.as_deref()), (Fault::Changed(99), Some(&b"u"[..])));
        }
    }
    let (mut reader, mut buf) = (DumpReader::new(Limits::default()), BytesMut::from(&dump[..]));
    while reader.next(&mut buf).expect("valid").is_some() {}
    let error = reader.skip_body(&mut buf, None).expect_err("deleted");
    assert_eq!(reader.next(&mut buf), Err(error.clone()));
    assert_eq!(reader.skip_body(&mut buf, ANSWER.as_ref()), Err(error));
}

#[test]
fn elsewhere_there_is_nothing_to_pass_over() {
    let (mut reader, mut buf) = (DumpReader::new(Limits::default()), BytesMut::from(&dump(BODY)[..]));
    let before = buf.len();
    assert_eq!(reader.skip_body(&mut buf, ANSWER.as_ref()), Ok(true));
    assert_eq!((buf.len(), reader.consumed()), (before, 0));
}
