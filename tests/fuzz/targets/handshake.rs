use bytes::BytesMut;
use duet::engine::origin::Marker;
use duet::engine::plan::{End, Ordered, View, plan, reads_from};
use duet::engine::source::{Answer, DumpLength, Info, StreamClock, heartbeats};

/// What a server says before the stream begins: its answer to `PSYNC`, the announcement of a dump, `INFO`; and what a link makes
/// of what two servers say.
pub fn handshake(data: &[u8]) {
    let line = String::from_utf8_lossy(data);
    if let Err(fault) = Answer::parse(line.trim_end(), &"a".repeat(40), "eu") {
        assert!(fault.text.len() <= line.len() + 1000);
    }
    announced(data);
    let mut parts = line.split('\0');
    let mut next = || parts.next().unwrap_or_default();
    let (Some(source), Some(target)) = (end(next(), next()), end(next(), next())) else { return };
    let clock = StreamClock::new(
        (source.replication.offset, target.marker.map_or(0, |marker| marker.time_ms)),
        (source.replication.offset, 1_000),
        250,
    );
    let (first, length) = source.replication.backlog.unwrap_or_default();
    assert!(first + length >= first);
    clock.at(first, 5_000, data.len().is_multiple_of(2));
    let high = target.marker.map(|marker| marker.high);
    for number in 0..6 {
        let ordered = [None, Some(Ordered::This), Some(Ordered::Other)][number % 3];
        let view = View {
            source: source.clone(),
            target: target.clone(),
            copies_first: number < 3,
            ordered,
            copy_when_lost: true,
            marker_broken: false,
            other_broken: false,
            disordered: false,
        };
        plan(&view);
        high.map(|high| reads_from(&view, high));
    }
}

fn end(info: &str, marker: &str) -> Option<End> {
    let info = Info::parse(info);
    let (replication, server) = (info.replication().ok()?, info.server());
    assert!(server.is_ok_and(|server| server.version.0 >= 5) || info.run_id().is_ok() || info.run_id().is_err());
    let keys = info.keyspace().iter().map(|(_, keys)| keys).sum();
    let marker = Marker::believed(marker.as_bytes());
    Some(End { region: "eu".to_owned(), replication, keys, marker })
}

/// Found the same however it arrives, and nothing is kept of what is passed over.
fn announced(data: &[u8]) {
    let mut input = BytesMut::from(data);
    let whole = DumpLength::take(&mut input).ok().flatten();
    let mut slowly = BytesMut::new();
    for (at, byte) in data.iter().enumerate() {
        slowly.extend_from_slice(&[*byte]);
        match DumpLength::take(&mut slowly) {
            Ok(None) => assert!(slowly.len() <= 1024),
            Ok(Some(found)) => {
                assert_eq!((Some(found), &data[at + 1..]), (whole, &input[..]));
                return;
            }
            Err(_) => break,
        }
    }
    assert_eq!(whole, None);
    heartbeats(data, duet::engine::position::Position::NONE, b"h");
}
