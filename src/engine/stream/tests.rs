//! What a link promises about every command of a stream.

use bytes::{Bytes, BytesMut};

use std::sync::Arc;

use super::*;
use crate::command::Version;
use crate::engine::apply::{Bounds, Identity};
use crate::engine::checkpoint::Checkpoint;
use crate::engine::conflict::departed::Deletes;
use crate::engine::position::ReplicationId;
use crate::wire::rdb::Dialect;
use crate::wire::resp::push_command;

mod removals;

const NOW: Now = Now { source_ms: 1_000_000, beating: true };

/// A link from region `a` to region `b`, and what it puts out.
struct Bench {
    stream: Stream,
    input: BytesMut,
    events: Vec<Event>,
}

impl Bench {
    fn new(bounds: Bounds) -> Self {
        let mut bench = Self::seeking(bounds, None);
        bench.stream.applier().gate_is_held();
        bench
    }

    fn seeking(bounds: Bounds, probe: Option<&[u8]>) -> Self {
        let reserved = ReservedKeys::new("duet:", "p");
        let identity = Identity { marker: reserved.marker("a"), gate: reserved.gate("a"), epoch: 3, first_id: 1 };
        let rules = Rules {
            publish: false,
            flush: true,
            swapdb: true,
            target: Capabilities::all(),
            databases: 16,
            heartbeat_expire_ms: 60_000,
            reserved,
            exchange: Arc::default(),
            departed: Arc::default(),
            deletes: DeletePolicy { expiry: Deletes::Events, eviction: Deletes::Events },
            fields_expire: false,
            linger_ms: 1_000,
            region: 0,
            seed: 1,
            causal: true,
            source_onto: Arc::default(),
            target_onto: Arc::default(),
            origin: "a".to_owned(),
            peer: "b".to_owned(),
        };
        let replication_id: ReplicationId = "a".repeat(40).parse().expect("40 digits");
        let position = Position { replication_id, offset: 1000, database: 0 };
        let clock = StreamClock::new((1000, 999_000), (1000, 999_000), 250);
        let applier = Applier::new(identity, bounds);
        let stream = Stream::new(rules, applier, clock, Beginning::fresh(position), probe.map(<[u8]>::to_vec));
        Self { stream, input: BytesMut::new(), events: Vec::new() }
    }

    /// Gives commands, written as words, to the link.
    fn give(&mut self, commands: &[&str]) -> &mut Self {
        for words in commands {
            let mut out = Vec::new();
            push_command(&mut out, &words.split(' ').collect::<Vec<_>>());
            self.input.extend_from_slice(&out);
        }
        self.stream.on_source(&mut self.input, NOW).expect("a stream");
        self.events.extend(self.stream.events());
        self
    }

    /// What the link has put out since the last call: a line a command, without the gate.
    fn put_out(&mut self) -> Vec<String> {
        let bytes: Vec<u8> = self.stream.applier().out().drain(..).flat_map(Bytes::into_iter).collect();
        let (mut at, mut lines, mut reader) = (0, Vec::new(), FrameReader::new());
        while let Some(length) = reader.next(&bytes[at..]).expect("requests") {
            let command = Command::new(&bytes[at..], reader.arguments());
            let words: Vec<String> = command.args().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            if !words.iter().any(|word| word.starts_with("duet:p:gate")) {
                lines.push(words.join(" "));
            }
            at += length;
        }
        assert_eq!(at, bytes.len(), "whole requests");
        lines
    }

    /// What the link has put out, as the commands between marker and EXEC of each transaction.
    fn transactions(&mut self) -> Vec<Vec<String>> {
        let lines = self.put_out();
        let bodies = lines.split(|line| line == "EXEC").filter(|part| !part.is_empty());
        bodies
            .map(|part| {
                let start = part.iter().position(|line| line == "MULTI").expect("a transaction");
                assert!(part[start + 1].starts_with("SET duet:p:marker:a duet1 streaming 3 "), "{part:?}");
                part[start + 2..].to_vec()
            })
            .collect()
    }

    /// The target executes everything.
    fn execute(&mut self, transactions: usize, requests: usize) -> Vec<Applied> {
        self.execute_guarded(transactions, 0, requests)
    }

    /// The same, where so many requests of the guard stand before each transaction.
    fn execute_guarded(&mut self, transactions: usize, guards: usize, requests: usize) -> Vec<Applied> {
        let mut replies = BytesMut::new();
        for _ in 0..transactions {
            replies.extend_from_slice(&b"+OK\r\n".repeat(guards));
            replies.extend_from_slice(b"+OK\r\n");
            replies.extend_from_slice(&b"+QUEUED\r\n".repeat(requests));
            replies.extend_from_slice(format!("*{requests}\r\n").as_bytes());
            replies.extend_from_slice(&b"+OK\r\n".repeat(requests));
        }
        let mut applied = Vec::new();
        self.stream.on_target(&mut replies, NOW, &mut applied).expect("replies");
        applied
    }
}

const WIDE: Bounds = Bounds { batch_commands: 512, batch_bytes: 1 << 20, in_flight: 64 };

fn marker(id: u64) -> String {
    let high = Position { replication_id: ReplicationId::NONE, offset: 7, database: 0 };
    Checkpoint::streaming(high, 5).marker(9, id).to_string()
}

/// Spaces in a marker would be taken for the ends of words: it is put in afterwards.
fn echo(bench: &mut Bench, id: u64, body: &[&str], wrapped: bool) {
    let mut out = Vec::new();
    if wrapped {
        push_command(&mut out, &["MULTI"]);
    }
    push_command(&mut out, &["SET", "duet:p:marker:b", &marker(id)]);
    for words in body {
        push_command(&mut out, &words.split(' ').collect::<Vec<_>>());
    }
    if wrapped {
        push_command(&mut out, &["EXEC"]);
    }
    bench.input.extend_from_slice(&out);
    bench.give(&[]);
}

#[test]
fn a_clients_writes_go_out_in_one_marked_transaction() {
    let mut bench = Bench::new(WIDE);
    bench.give(&["SELECT 0", "SET k v", "INCR n"]);
    assert_eq!(bench.transactions(), [vec!["SET k v", "INCR n"]]);
}

#[test]
fn an_echo_is_dropped_whole_and_what_follows_is_not() {
    let mut bench = Bench::new(WIDE);
    bench.give(&[]).put_out();
    echo(&mut bench, 4, &["SET k v", "SELECT 3", "DEL x"], true);
    assert!(bench.put_out().is_empty());
    bench.give(&["SET after 1"]);
    assert_eq!(bench.transactions(), [vec!["SELECT 3", "SET after 1"]]);
    assert!(matches!(bench.events[..], [Event::Echo { id: 4 }]));
    assert_eq!(bench.stream.echoes(), 1);
}

#[test]
fn a_lone_marker_is_a_complete_echo() {
    let mut bench = Bench::new(WIDE);
    bench.give(&[]).put_out();
    echo(&mut bench, 5, &[], false);
    bench.give(&["SET after 1"]);
    assert_eq!(bench.transactions(), [vec!["SET after 1"]]);
}

#[test]
fn a_forged_marker_hides_nothing() {
    let mut bench = Bench::new(WIDE);
    bench.give(&[]).put_out();
    bench.give(&["MULTI", "SET duet:p:marker:b nonsense", "SET k v", "EXEC"]);
    assert_eq!(bench.transactions(), [vec!["SET k v"]]);
    assert!(bench.events.iter().any(|event| matches!(event, Event::MarkerLost { .. })), "the true one was overwritten");
}

#[test]
fn a_clients_transaction_stays_whole() {
    let small = Bounds { batch_commands: 2, ..WIDE };
    let mut bench = Bench::new(small);
    bench.give(&[]).put_out();
    bench.give(&["RPUSH a 1", "MULTI", "RPUSH b 1", "RPUSH c 1"]);
    bench.give(&["RPUSH d 1", "EXEC", "RPUSH e 1"]);
    let whole: Vec<_> = bench.transactions();
    let of = |key: &str| whole.iter().position(|body| body.contains(&format!("RPUSH {key} 1"))).expect("applied");
    assert!(of("b") == of("c") && of("c") == of("d"), "{whole:?}");
}

#[test]
fn a_long_transaction_is_passed_on_while_it_arrives_and_moves_the_checkpoint_at_its_end() {
    let small = Bounds { batch_commands: 2, ..WIDE };
    let mut bench = Bench::new(small);
    bench.give(&[]).put_out();
    bench.give(&["MULTI", "RPUSH a 1", "RPUSH b 1", "RPUSH c 1"]);
    let begun = bench.put_out();
    assert!(begun.contains(&"RPUSH a 1".to_owned()) && !begun.contains(&"EXEC".to_owned()), "{begun:?}");
    bench.give(&["RPUSH d 1", "EXEC"]);
    let ended = bench.put_out();
    let [.., marker, exec] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!(exec, "EXEC");
    let high: u64 = marker.split(' ').nth(7).and_then(|word| word.parse().ok()).expect("a marker");
    assert_eq!(high, bench.stream.read(), "{marker}");
}

#[test]
fn the_checkpoint_holds_the_database_in_force() {
    let mut bench = Bench::new(WIDE);
    bench.give(&[]).put_out();
    bench.give(&["SELECT 9", "SET k v"]);
    let lines = bench.put_out();
    let marker = lines.iter().find(|line| line.contains("marker:a")).expect("a marker");
    assert_eq!(marker.split(' ').nth(8), Some("9"), "{marker}");
}

#[test]
fn nothing_is_copied_before_the_probe() {
    let mut bench = Bench::seeking(WIDE, Some(b"nonce"));
    bench.give(&["SELECT 2", "SET old 1", "SELECT 0", "SET duet:p:probe:a other"]);
    assert!(bench.put_out().is_empty());
    bench.give(&["SET duet:p:probe:a nonce PXAT 99", "SET new 1"]);
    assert_eq!(bench.transactions(), [vec!["SET new 1"]]);
    assert!(matches!(bench.events[..], [Event::Fixed]));
}

#[test]
fn a_heartbeat_travels_on_and_moves_the_checkpoint() {
    let mut bench = Bench::new(WIDE);
    bench.give(&[]).put_out();
    bench.give(&["SET duet:p:heartbeat:a 1000 PXAT 61000"]);
    assert_eq!(bench.transactions(), [vec!["SET duet:p:heartbeat:a 1000 PX 60000"]]);
    assert!(matches!(bench.events[..], [Event::Heartbeat { id: 2, written_ms: 1000 }]));
}

/// A server that finds the heartbeat before expired deletes it in one transaction with the new one.
#[test]
fn a_heartbeat_within_a_transaction_is_read_to_its_end_while_a_batch_is_open() {
    let beat = "SET duet:p:heartbeat:a 1000500 PX 60000";
    let mut bench = Bench::new(WIDE);
    bench.give(&["SET k 1", "MULTI", "DEL duet:p:heartbeat:a", beat, "EXEC", "SET k 2"]);
    let written: Vec<_> = bench.transactions().concat().into_iter().filter(|line| line.starts_with("SET k ")).collect();
    assert_eq!(written, ["SET k 1", "SET k 2"]);
}

#[test]
fn reserved_keys_are_never_copied() {
    let mut bench = Bench::new(WIDE);
    bench.give(&[]).put_out();
    bench.give(&["DEL k duet:other", "SET duet:x 1", "INCR duet:p:epoch:b"]);
    assert_eq!(bench.transactions(), [vec!["del k"]]);
    let alarms = bench.events.iter().filter(|event| matches!(event, Event::ReservedWrite { .. })).count();
    assert_eq!(alarms, 2, "our own epoch is no alarm: {:?}", bench.events);
}

#[test]
fn an_unknown_command_is_set_aside_and_the_link_goes_on() {
    let mut bench = Bench::new(WIDE);
    bench.give(&[]).put_out();
    bench.give(&["JSON.SET doc $ 1", "SET k v"]);
    assert_eq!(bench.transactions(), [vec!["SET k v"]]);
    assert!(matches!(&bench.events[..], [Event::SetAside { key, .. }] if key == b"doc"), "{:?}", bench.events);
}

#[test]
fn what_the_target_has_no_database_for_is_set_aside() {
    let mut bench = Bench::new(WIDE);
    bench.give(&[]).put_out();
    bench.give(&["SELECT 16", "SET k v", "SELECT 15", "SET k v"]);
    assert_eq!(bench.transactions(), [vec!["SELECT 15", "SET k v"]]);
    assert!(matches!(bench.events[..], [Event::SetAside { database: 16, .. }]));
}

#[test]
fn a_flush_writes_marker_and_gate_again_and_tells_the_other_link() {
    let mut bench = Bench::new(WIDE);
    bench.give(&[]).put_out();
    bench.give(&["FLUSHALL"]);
    let lines = bench.put_out();
    let flush = lines.iter().position(|line| line == "FLUSHALL").expect("copied");
    assert!(lines[flush + 1].starts_with("SET duet:p:marker:a "), "{lines:?}");
    assert!(matches!(bench.events[..], [Event::MarkerLost { moved_to: None }]));
}

#[test]
fn nothing_goes_out_behind_the_transaction_that_fills_the_gate() {
    let mut bench = Bench::seeking(WIDE, None);
    bench.give(&["SET a 1"]).give(&["SET b 1"]);
    assert_eq!(bench.transactions(), [["SET a 1"]]);
    bench.execute(1, 5);
    assert_eq!(bench.transactions(), [["SET b 1"]]);
    bench.give(&["SET c 1"]);
    assert_eq!(bench.transactions(), [["SET c 1"]], "behind the second");
}

#[test]
fn a_long_transaction_comes_to_its_end_where_only_one_may_be_on_its_way() {
    let narrow = Bounds { batch_commands: 1, batch_bytes: 1 << 20, in_flight: 1 };
    let mut bench = Bench::new(narrow);
    bench.give(&["MULTI", "SET a 1", "SET b 1", "SET c 1", "EXEC"]);
    assert_eq!(bench.put_out().last().map(String::as_str), Some("EXEC"));
    assert_eq!(bench.stream.applier().in_flight(), 1);
}

#[test]
fn a_place_is_not_known_after_a_refusal() {
    let mut bench = Bench::new(WIDE);
    assert!(bench.give(&["LPUSH k v"]).stream.settled().is_none());
    let replies = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n-NOPERM no LPUSH\r\n-EXECABORT x\r\n";
    bench.stream.on_target(&mut BytesMut::from(&replies[..]), NOW, &mut Vec::new()).expect_err("refused");
    assert!(bench.stream.settled().is_none());
}

#[test]
fn no_more_is_read_than_may_be_on_its_way() {
    let narrow = Bounds { batch_commands: 1, batch_bytes: 1 << 20, in_flight: 2 };
    let mut bench = Bench::new(narrow);
    bench.give(&["SET a 1", "SET b 1", "SET c 1", "SET d 1", "SET e 1"]);
    assert!(!bench.stream.wants_source());
    assert!(!bench.input.is_empty(), "the rest waits");
    assert_eq!(bench.stream.applier().in_flight(), 2);
}

#[test]
fn what_is_applied_may_be_acknowledged_and_no_more() {
    let mut bench = Bench::new(WIDE);
    bench.give(&["SET a 1"]);
    assert_eq!(bench.stream.acknowledged(), 1000);
    // The first transaction fills the gate: marker, DEL, ZADD, ZREM, SET.
    let applied = bench.execute(1, 5);
    assert_eq!((applied.len(), applied[0].writes), (1, 1));
    assert_eq!(bench.stream.acknowledged(), bench.stream.read());
}

#[test]
fn a_refused_transaction_ends_the_session_and_is_remembered() {
    let mut bench = Bench::new(WIDE);
    bench.give(&["LPUSH k v"]);
    let replies = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n-NOPERM no LPUSH\r\n-EXECABORT x\r\n";
    let fault = bench.stream.on_target(&mut BytesMut::from(&replies[..]), NOW, &mut Vec::new()).expect_err("refused");
    assert_eq!(fault.kind, crate::error::Kind::NoPermission);
    assert!(fault.text.contains("LPUSH on key 'k'"), "{}", fault.text);
    assert_eq!(bench.stream.applier().refused(), Some(1));
}

#[test]
fn a_payload_that_the_target_refuses_goes_in_another_form_with_an_absolute_time() {
    let mut bench = Bench::new(WIDE);
    bench.give(&[]).put_out();
    bench.stream.flow.rules.target = Capabilities::new(["RESTORE", "SET"], Dialect::Redis, Version(6, 2, 14));
    // A hash in a listpack with the field `a` of value 1, as 7.0 dumps it; and the same with an unknown type.
    let hash = b"\x10\x0c\x0c\x00\x00\x00\x02\x00\x81a\x02\x01\x01\xff\x0a\x0012345678";
    let unknown = [b"\x63", &hash[1..]].concat();
    for (key, payload) in [("k", &hash[..]), ("u", &unknown)] {
        let mut out = Vec::new();
        push_command(&mut out, &[b"RESTORE", key.as_bytes(), b"5000", payload]);
        bench.input.extend_from_slice(&out);
    }
    bench.give(&["SET after 1"]);
    let written_ms = 999_000;
    let lines = &bench.transactions()[0];
    assert_eq!(lines[..2], ["del k", "HSET k a 1"]);
    let expires_at_ms: i64 = lines[2].strip_prefix("PEXPIREAT k ").and_then(|time| time.parse().ok()).expect("a time");
    assert!((written_ms + 5000..=NOW.source_ms + 5000).contains(&expires_at_ms), "{lines:?}");
    assert_eq!(lines[3..], ["SET after 1"]);
    assert!(matches!(&bench.events[..], [Event::SetAside { key, .. }] if key == b"u"), "{:?}", bench.events);
}

#[test]
fn small_transactions_wait_for_each_other_once_half_of_those_that_may_be_are_in_flight() {
    let mut bench = Bench::new(Bounds { batch_commands: 4, ..WIDE });
    bench.give(&[]).put_out();
    let before = bench.stream.applier().in_flight();
    for _ in before..32 {
        assert_eq!(bench.stream.pace(), None);
        assert_eq!(bench.give(&["LPUSH k v"]).transactions(), [["LPUSH k v"]]);
    }
    assert_eq!(bench.give(&["LPUSH k 1"]).put_out(), [""; 0], "it waits");
    assert_eq!(bench.stream.pace(), Some(Duration::from_millis(1)));
    assert_eq!(
        bench.give(&["LPUSH k 2", "LPUSH k 3", "LPUSH k 4", "LPUSH k 5"]).transactions(),
        [["LPUSH k 1", "LPUSH k 2", "LPUSH k 3", "LPUSH k 4"]]
    );
    bench.stream.rush(NOW);
    assert_eq!(bench.transactions(), [["LPUSH k 5"]], "its time was over");
    assert_eq!(bench.stream.pace(), None, "nothing waits");
    while bench.stream.applier().in_flight() < 48 {
        bench.give(&["LPUSH k v"]).stream.rush(NOW);
    }
    bench.put_out();
    assert_eq!(bench.give(&["LPUSH k 6"]).stream.pace(), Some(Duration::from_millis(4)));
    // The first one fills the gate; those behind it have a marker, a gate and a write each.
    bench.execute(before, 4);
    bench.execute_guarded(48 - 31 - before, 3, 3);
    assert_eq!(bench.stream.pace(), None);
    assert_eq!(bench.transactions(), [["LPUSH k 6"]], "what was answered makes room");
}
