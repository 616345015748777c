use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use duet::engine::apply::{Applier, Bounds, Identity};
use duet::engine::copy::{Copy, CopyRules};
use duet::engine::decode::rebuild::TargetFeatures;
use duet::engine::origin::Phase;
use duet::engine::position::Position;
use duet::wire::rdb::{Dialect, DumpError, DumpReader, Event, Limits, Restorable};

use super::target::Server;

/// A dump, as it comes from a primary: read the same in whole records and in pieces, and copied by requests that are whole.
pub fn dump(data: &[u8]) {
    let (step, data) = super::choice(data);
    let step = usize::from(step) + 1;
    let whole = read(data, usize::MAX, Limits::default());
    let pieces = read(data, step, Limits { whole_bytes: 0, piece_bytes: 64 });
    match (whole, pieces) {
        (Ok((whole, ended)), Ok((pieces, _))) => assert!(!ended || whole == pieces),
        // A value that is not taken apart is not looked into.
        (Ok((_, ended)), Err(_)) => assert!(!ended || data.len() > 9),
        (Err(_), _) => {}
    }
    for server in [(Dialect::Redis, (5, 0, 0)), (Dialect::Redis, (8, 0, 0)), (Dialect::Valkey, (9, 1, 0))] {
        copy(data, step, server);
    }
}

/// How many elements each key has, a string none, and whether the dump ends.
type Seen = (BTreeMap<(u32, Vec<u8>), usize>, bool);

fn read(data: &[u8], step: usize, limits: Limits) -> Result<Seen, DumpError> {
    let (mut reader, mut buffer) = (DumpReader::new(limits), BytesMut::new());
    let (mut seen, mut open, mut ended) = (BTreeMap::new(), None, false);
    for part in data.chunks(step) {
        buffer.extend_from_slice(part);
        while let Some(event) = reader.next(&mut buffer)? {
            match event {
                Event::Record(record) => {
                    let elements = record.elements()?;
                    let count = if let Some(text) = record.text() { text.map(|_| 0)? } else { elements.len() };
                    seen.insert((record.key.database, record.key.name.to_vec()), count);
                }
                Event::Begin(key) => open = Some((key, 0)),
                Event::Piece(piece) => {
                    let (key, count) = open.as_mut().expect("it was begun");
                    assert!(!piece.is_empty());
                    *count += if key.kind == duet::wire::rdb::Kind::String { 0 } else { piece.len() };
                }
                Event::Finish => {
                    let (key, count) = open.take().expect("it was begun");
                    seen.insert((key.database, key.name.to_vec()), count);
                }
                Event::End => ended = true,
                Event::Unknown { .. } => return Ok((seen, false)),
                _ => {}
            }
        }
    }
    Ok((seen, ended))
}

/// Copies it to a server of this version.
fn copy(data: &[u8], step: usize, (dialect, version): (Dialect, (u32, u32, u32))) {
    let rules = CopyRules {
        restorable: Restorable::of_server(dialect, version),
        features: TargetFeatures::of_server(dialect, version),
        functions: true,
        set_pxat: version.0 > 6,
        databases: 16,
        value_bytes: 256,
        prefix: b"duet:".to_vec(),
        onto: Arc::default(),
        covered: 0,
        building: b"duet:p:building:a".to_vec(),
        keep: Arc::default(),
        sweep_seed: Some(7),
    };
    let identity =
        Identity { marker: b"duet:p:marker:a".to_vec(), gate: b"duet:p:gate:a".to_vec(), epoch: 1, first_id: 1 };
    let applier = Applier::new(identity, Bounds { batch_commands: 64, batch_bytes: 4096, in_flight: 4 });
    let mut copy = Copy::new(rules, applier, Position::NONE, 1_000, Phase::Copying);
    let (mut input, mut target) =
        (BytesMut::from(&b"$EOF:0123456789012345678901234567890123456789\r\n"[..]), Server::default());
    for part in data.chunks(step * 16) {
        input.extend_from_slice(part);
        for _ in 0..100 {
            let before = input.len();
            if copy.on_source(&mut input, 0).is_err() {
                return;
            }
            let out = copy.applier().out().drain(..).collect::<Vec<_>>().concat();
            let mut replies = target.execute(&out);
            if copy.on_target(&mut replies, &mut Vec::new()).is_err() {
                return;
            }
            copy.events().count();
            if out.is_empty() && input.len() == before {
                break;
            }
        }
    }
}
