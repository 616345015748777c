//! Dumps of real servers, compared with what these servers answered.

mod broken;
mod known;
mod synthetic;
mod unknown;

use super::*;
use bytes::BytesMut;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Everything that forces pieces.
const TINY: Limits = Limits { whole_bytes: 0, piece_bytes: 64 };

/// What a dump said of one key.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    key: Key,
    elements: Vec<Element>,
    pieces: usize,
}

/// All that a dump said.
#[derive(Debug, Default, PartialEq)]
struct Content {
    keys: BTreeMap<(u32, Vec<u8>), Seen>,
    functions: Vec<Bytes>,
    set_aside: Vec<String>,
    /// What stands before the value of an unknown type, at which reading stops.
    unknown: Option<(Key, u8)>,
    aux: Vec<(Bytes, Bytes)>,
    ended: bool,
}

use bytes::Bytes;

/// Reads a dump that arrives in reads of `read` bytes.
fn read(dump: &[u8], read: usize, limits: Limits) -> Result<Content, DumpError> {
    let mut reader = DumpReader::new(limits);
    let mut buf = BytesMut::new();
    let mut content = Content::default();
    let mut open: Option<Seen> = None;
    for part in dump.chunks(read.max(1)) {
        buf.extend_from_slice(part);
        while let Some(event) = reader.next(&mut buf)? {
            content.take(event, &mut open)?;
        }
    }
    assert!(!content.ended || reader.consumed() == (dump.len() - buf.len()) as u64);
    Ok(content)
}

impl Content {
    fn take(&mut self, event: Event, open: &mut Option<Seen>) -> Result<(), DumpError> {
        match event {
            Event::Header { .. } | Event::Sizes { .. } | Event::Database(_) => {}
            Event::Aux { name, value } => self.aux.push((name, value)),
            Event::Function(code) => self.functions.push(code),
            Event::Record(record) => {
                let elements = record.elements()?;
                if let Some(text) = record.text() {
                    assert_eq!(elements, [Element::Text(text?)]);
                }
                self.insert(Seen { key: record.key, elements, pieces: 0 });
            }
            Event::Begin(key) => *open = Some(Seen { key, elements: Vec::new(), pieces: 0 }),
            Event::Piece(piece) => {
                let seen = open.as_mut().expect("begun");
                assert!(!piece.is_empty());
                seen.elements.extend(piece);
                seen.pieces += 1;
            }
            Event::Finish => {
                let seen = open.take().expect("begun");
                self.insert(seen);
            }
            Event::SetAside { what, .. } => self.set_aside.push(what),
            Event::Unknown { key, type_code } => self.unknown = Some((key, type_code)),
            Event::End => self.ended = true,
        }
        Ok(())
    }

    fn insert(&mut self, mut seen: Seen) {
        if seen.key.kind == Kind::String {
            let text: Vec<u8> = seen.elements.iter().flat_map(|element| text(element).to_vec()).collect();
            seen.elements = vec![Element::Text(text.into())];
        }
        self.keys.insert((seen.key.database, seen.key.name.to_vec()), seen);
    }

    /// The same without how it came.
    fn without_pieces(mut self) -> Self {
        self.keys.values_mut().for_each(|seen| seen.pieces = 0);
        self
    }
}

fn text(element: &Element) -> &Bytes {
    match element {
        Element::Text(text) => text,
        other => panic!("not text: {other:?}"),
    }
}

fn data(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "data", "rdb", name].iter().collect()
}

fn dump(name: &str) -> Vec<u8> {
    std::fs::read(data(&format!("{name}.rdb"))).expect("a dump")
}

/// The servers whose dumps there are.
const SERVERS: [&str; 8] = [
    "redis-5.0.14",
    "redis-6.2.16",
    "redis-7.0.15",
    "redis-7.2.6",
    "redis-7.4.1",
    "redis-8.0-m01",
    "valkey-8.0.1",
    "valkey-9.1.2",
];
