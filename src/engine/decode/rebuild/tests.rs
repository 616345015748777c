use super::*;
use crate::wire::rdb::Kind;
use crate::wire::resp::{Command, FrameReader};

const NEW: TargetFeatures = TargetFeatures { stream_counters: true, create_consumer: true, field_expiry: true };
const OLD: TargetFeatures = TargetFeatures { stream_counters: false, create_consumer: false, field_expiry: false };

/// The requests as lines, and what rebuilding reported.
fn lines(elements: &[Element], first: bool, features: TargetFeatures) -> (Vec<String>, Rebuilt) {
    let key = Key { database: 0, name: "k".into(), expires_at_ms: Some(5), kind: Kind::Hash };
    let mut out = Vec::new();
    let rebuilt = requests(&mut out, &key, elements, first, features);
    let (mut lines, mut rest) = (Vec::new(), &out[..]);
    let mut frames = FrameReader::new();
    while let Some(length) = frames.next(rest).expect("requests") {
        let arguments = Command::new(rest, frames.arguments()).args().map(|a| a.escape_ascii().to_string());
        lines.push(arguments.collect::<Vec<_>>().join(" "));
        rest = &rest[length..];
    }
    assert!(rest.is_empty());
    assert_eq!(rebuilt.requests, lines.len());
    (lines, rebuilt)
}

fn id(ms: u64) -> StreamId {
    StreamId { ms, seq: 1 }
}

fn pending(at: u64, consumer: &'static str, delivered_at_ms: i64) -> Element {
    Element::Pending { group: "g".into(), consumer: consumer.into(), id: id(at), delivered_at_ms, deliveries: 2 }
}

#[test]
fn the_first_piece_replaces_what_the_key_held() {
    let text = [Element::Text("a".into()), Element::Text("b".into())];
    assert_eq!(lines(&text, true, NEW).0, ["SET k a", "APPEND k b"]);
    assert_eq!(lines(&text, false, NEW).0, ["APPEND k a", "APPEND k b"]);
    let items = [Element::Item("a".into()), Element::Item("b".into())];
    assert_eq!(lines(&items, true, NEW).0, ["del k", "RPUSH k a b"]);
    assert_eq!(lines(&items, false, NEW).0, ["RPUSH k a b"]);
    assert_eq!(lines(&[], true, NEW).0, ["del k"]);
}

#[test]
fn a_request_has_a_bounded_number_of_elements_and_bytes() {
    let many: Vec<_> = (0..1200).map(|n| Element::Member(n.to_string().into())).collect();
    assert_eq!(
        lines(&many, false, NEW).0.iter().map(|line| line.split(' ').count()).collect::<Vec<_>>(),
        [514, 514, 178]
    );
    let long: Vec<_> = (0..5).map(|_| Element::Item(vec![b'x'; 30_000].into())).collect();
    assert_eq!(lines(&long, false, NEW).0.iter().map(String::len).collect::<Vec<_>>(), [60_009, 60_009, 30_008]);
}

#[test]
fn scores_are_written_exactly() {
    let scores =
        [f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.1, 3.0, 5e-324, 1e300, 9007199254740993.0, 123456789012345680.0];
    for score in scores {
        let (lines, _) = lines(&[Element::Scored { member: "m".into(), score }], false, NEW);
        let written = lines[0].split(' ').nth(2).expect("a score");
        assert_eq!(written.parse::<f64>().map(f64::to_bits), Ok(score.to_bits()), "{written}");
        assert!(written.len() < 25, "{written}");
    }
}

#[test]
fn fields_expire_where_the_target_can() {
    let field =
        |name: &'static str, expires_at_ms| Element::Field { name: name.into(), value: "v".into(), expires_at_ms };
    let fields = [field("a", Some(7)), field("b", Some(7)), field("c", None), field("d", Some(8))];
    let (written, rebuilt) = lines(&fields, false, NEW);
    assert_eq!(written, ["HSET k a v b v c v d v", "HPEXPIREAT k 7 FIELDS 2 a b", "HPEXPIREAT k 8 FIELDS 1 d"]);
    assert_eq!(rebuilt.field_expiries_lost, 0);
    let (written, rebuilt) = lines(&fields, false, OLD);
    assert_eq!(written, ["HSET k a v b v c v d v"]);
    assert_eq!(rebuilt.field_expiries_lost, 3);
}

#[test]
fn a_stream_gets_its_entries_state_groups_and_what_is_pending() {
    let counters = Some(StreamCounters { first: id(1), max_deleted: id(2), entries_added: 9 });
    let stream = [
        Element::Entry { id: id(1), fields: vec![("f".into(), "v".into())] },
        Element::StreamState { length: 1, last: id(5), counters },
        Element::Group { name: "g".into(), last: id(3), entries_read: Some(4) },
        Element::Consumer { group: "g".into(), name: "c".into(), pending: 3 },
        pending(1, "c", 50),
        pending(2, "c", 50),
        pending(3, "c", 51),
        Element::Group { name: "h".into(), last: id(3), entries_read: None },
        Element::Consumer { group: "h".into(), name: "c".into(), pending: 0 },
    ];
    let (written, _) = lines(&stream, true, NEW);
    let claims = [
        "XCLAIM k g c 0 1-1 2-1 TIME 50 RETRYCOUNT 2 FORCE JUSTID",
        "XCLAIM k g c 0 3-1 TIME 51 RETRYCOUNT 2 FORCE JUSTID",
    ];
    let mut expected = vec!["del k", "XADD k 1-1 f v", "XSETID k 5-1 ENTRIESADDED 9 MAXDELETEDID 2-1"];
    expected.extend(["XGROUP CREATE k g 3-1 ENTRIESREAD 4", "XGROUP CREATECONSUMER k g c"]);
    expected.extend(claims);
    expected.extend(["XGROUP CREATE k h 3-1", "XGROUP CREATECONSUMER k h c"]);
    assert_eq!(written, expected);
    let (written, rebuilt) = lines(&stream, true, OLD);
    let mut expected = vec!["del k", "XADD k 1-1 f v", "XSETID k 5-1", "XGROUP CREATE k g 3-1"];
    expected.extend(claims);
    expected.push("XGROUP CREATE k h 3-1");
    assert_eq!((written, rebuilt.consumers_lost), (expected.iter().map(|line| line.to_string()).collect(), 1));
}

#[test]
fn an_empty_stream_comes_into_being() {
    let state = [Element::StreamState { length: 0, last: id(9), counters: None }];
    let expected = ["del k", "XGROUP CREATE k duet 0 MKSTREAM", "XGROUP DESTROY k duet", "XSETID k 9-1"];
    assert_eq!(lines(&state, true, NEW).0, expected);
}
