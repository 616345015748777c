//! What a copy promises of values whose type is not known. All other values are compared on real servers.

use std::sync::Arc;

use super::*;
use crate::engine::apply::{Bounds, Identity};
use crate::engine::position::ReplicationId;
use crate::wire::rdb::Dialect;
use crate::wire::resp::{Command, FrameReader};

/// The source's clock, Unix milliseconds.
const NOW_MS: i64 = 1_000;

/// What the source answers to DUMP of the key `u`: type 99, `body`, version 12, a checksum that nobody looks at.
const PAYLOAD: &[u8] = b"\x63body\x0c\x0012345678";

/// Two strings and a value of type 99 between them, in database 2, without a checksum.
fn dump(name: &str) -> Vec<u8> {
    let expiry = 4_000_000_000_123i64.to_le_bytes();
    let name = [&[name.len() as u8], name.as_bytes()].concat();
    let values = [b"\xfe\x02\x00\x01a\x011\xfc", &expiry[..], b"\x63", &name, b"body\x00\x01b\x012\xff"].concat();
    let dump = [b"REDIS0012", &values[..], &[0; 8]].concat();
    [format!("${}\r\n", dump.len()).as_bytes(), &dump].concat()
}

/// A copy to a target of the family `dialect`.
fn copy_to(dialect: Dialect) -> Copy {
    let server = (9, 0, 0);
    let rules = CopyRules {
        restorable: Restorable::of_server(dialect, server),
        features: rebuild::TargetFeatures::of_server(dialect, server),
        functions: true,
        set_pxat: true,
        databases: 16,
        value_bytes: 1 << 16,
        prefix: b"duet:".to_vec(),
        onto: Arc::default(),
        covered: 0,
        building: b"duet:building".to_vec(),
        keep: Arc::default(),
        sweep_seed: Some(7),
    };
    let identity = Identity { marker: b"marker".to_vec(), gate: b"gate".to_vec(), epoch: 1, first_id: 1 };
    let bounds = Bounds { batch_commands: 512, batch_bytes: 1 << 20, in_flight: 64 };
    let position = Position { replication_id: ReplicationId::NONE, offset: 5, database: 0 };
    let mut applier = Applier::new(identity, bounds);
    applier.gate_is_held();
    Copy::new(rules, applier, position, NOW_MS, Phase::Copying)
}

/// The copy's requests since the last call but for marker, gate, and the frame of the transaction.
fn put_out(copy: &mut Copy) -> Vec<String> {
    let bytes: Vec<u8> = copy.applier().out().drain(..).flat_map(Bytes::into_iter).collect();
    let (mut rest, mut reader, mut lines) = (&bytes[..], FrameReader::new(), Vec::new());
    while let Some(length) = reader.next(rest).expect("requests") {
        let command = Command::new(rest, reader.arguments());
        let words: Vec<String> = command.args().map(|word| word.escape_ascii().to_string()).collect();
        let frame = matches!(&words[0][..], "MULTI" | "EXEC")
            || words.get(1).is_some_and(|key| key == "marker" || key == "gate");
        lines.extend((!frame).then(|| words.join(" ")));
        rest = &rest[length..];
    }
    lines
}

/// Gives the copy the dump up to the question, and checks that it is asked.
fn up_to_the_question(copy: &mut Copy, dump: &[u8]) -> BytesMut {
    let mut input = BytesMut::from(dump);
    copy.on_source(&mut input, NOW_MS).expect("a dump");
    let events: Vec<CopyEvent> = copy.events().collect();
    assert!(matches!(&events[..], [CopyEvent::Ask { database: 2, .. }]), "{events:?}");
    assert!(!copy.wants_source() && !copy.is_applied());
    assert_eq!(put_out(copy), ["SELECT 2", "SET a 1"]);
    input
}

#[test]
fn a_target_of_the_same_family_is_given_the_value_as_it_is() {
    let mut copy = copy_to(Dialect::Redis);
    let dump = dump("u");
    let mut input = up_to_the_question(&mut copy, &dump);
    let rest = input.split_off(2);
    copy.answer(Some(Bytes::from_static(PAYLOAD)));
    assert!(copy.wants_source());
    copy.on_source(&mut input, NOW_MS).expect("a part of the value");
    assert!(input.is_empty() && put_out(&mut copy).is_empty());
    input.extend_from_slice(&rest);
    copy.on_source(&mut input, NOW_MS).expect("the rest");
    let restore = format!("RESTORE u 4000000000123 {} REPLACE ABSTTL", PAYLOAD.escape_ascii());
    let lines = put_out(&mut copy);
    assert!(lines.contains(&restore) && lines.contains(&"SET b 2".to_owned()), "{lines:?}");
    assert_eq!((copy.events().count(), copy.progress().0), (0, 3));
}

#[test]
fn a_target_of_another_family_goes_without_it() {
    let mut copy = copy_to(Dialect::Valkey);
    let mut input = up_to_the_question(&mut copy, &dump("u"));
    copy.answer(Some(Bytes::from_static(PAYLOAD)));
    copy.on_source(&mut input, NOW_MS).expect("the rest");
    let lines = put_out(&mut copy);
    assert!(
        lines.contains(&"SET b 2".to_owned()) && !lines.iter().any(|line| line.starts_with("RESTORE")),
        "{lines:?}"
    );
    let events: Vec<CopyEvent> = copy.events().collect();
    let [CopyEvent::SetAside { database: 2, key, what, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&key[..], &what[..]), (&b"u"[..], "value of type 99"));
}

#[test]
fn what_was_in_the_dump_counts_as_held_whatever_became_of_it() {
    let mut copy = copy_to(Dialect::Valkey);
    let mut input = up_to_the_question(&mut copy, &dump("u"));
    assert!(copy.take_dumped().is_none(), "there is more to come");
    copy.answer(Some(Bytes::from_static(PAYLOAD)));
    copy.on_source(&mut input, NOW_MS).expect("the rest");
    let dumped = copy.take_dumped().expect("the names of the dump");
    assert!([b"a", b"u", b"b"].iter().all(|name| dumped.holds(2, *name) && !dumped.holds(0, *name)));
    assert!(!dumped.holds(2, b"c") && copy.take_dumped().is_none());
}

#[test]
fn our_own_keys_are_not_copied_whatever_they_hold() {
    let mut copy = copy_to(Dialect::Redis);
    let mut input = up_to_the_question(&mut copy, &dump("duet:u"));
    copy.answer(Some(Bytes::from_static(PAYLOAD)));
    copy.on_source(&mut input, NOW_MS).expect("the rest");
    assert!(!put_out(&mut copy).iter().any(|line| line.starts_with("RESTORE")));
    assert_eq!(copy.events().count(), 0);
}

#[test]
fn a_value_that_was_changed_or_deleted_ends_the_copy() {
    for answer in
        [None, Some(&b"\x63bode\x0c\x0012345678"[..]), Some(&b"\x62body\x0c\x0012345678"[..]), Some(&b"x"[..])]
    {
        let mut copy = copy_to(Dialect::Redis);
        let mut input = up_to_the_question(&mut copy, &dump("u"));
        copy.answer(answer.map(Bytes::from_static));
        let fault = copy.on_source(&mut input, NOW_MS).expect_err("no way on");
        assert_eq!(fault.kind, Kind::Dump);
        assert!(fault.text.contains("key 'u'") && fault.text.contains("type 99"), "{}", fault.text);
    }
}

#[test]
fn the_mark_behind_a_dump_may_be_cut_at_every_byte() {
    let mark = "0123456789abcdef0123456789abcdef01234567";
    let dump = b"REDIS0012\xfe\x02\x00\x01a\x011\xff\0\0\0\0\0\0\0\0";
    let behind = b"*1\r\n$4\r\nPING\r\n";
    let all = [format!("$EOF:{mark}\r\n").as_bytes(), dump, mark.as_bytes(), behind].concat();
    for cut in 0..=mark.len() {
        let mut copy = copy_to(Dialect::Redis);
        let (first, second) = all.split_at(all.len() - behind.len() - mark.len() + cut);
        let mut input = BytesMut::from(first);
        copy.on_source(&mut input, NOW_MS).expect("a dump");
        assert_eq!(matches!(copy.stage, Stage::Done), cut == mark.len(), "{cut}");
        input.extend_from_slice(second);
        copy.on_source(&mut input, NOW_MS).expect("a dump");
        assert!(matches!(copy.stage, Stage::Done), "{cut}");
        assert_eq!(&input[..], behind, "what stands behind the mark is the stream's");
        assert_eq!(put_out(&mut copy), ["SELECT 2", "SET a 1"]);
    }
    let mut wrong = all.clone();
    let at = wrong.len() - behind.len() - 1;
    wrong[at] = b'x';
    let fault = copy_to(Dialect::Redis).on_source(&mut BytesMut::from(&wrong[..]), NOW_MS).expect_err("another mark");
    assert_eq!(fault.kind, Kind::Dump);
}

#[test]
fn a_dump_has_the_length_that_was_announced() {
    let bytes = [b"REDIS0012\x00\x01a\x011\xff".as_slice(), &[0; 8]].concat();
    for (announced, valid) in [(bytes.len(), true), (bytes.len() - 1, false), (bytes.len() + 1, false), (0, false)] {
        let mut input = BytesMut::from(&[format!("${announced}\r\n").as_bytes(), &bytes].concat()[..]);
        let read = copy_to(Dialect::Redis).on_source(&mut input, NOW_MS);
        assert_eq!(read.is_ok(), valid, "{announced}");
    }
}
