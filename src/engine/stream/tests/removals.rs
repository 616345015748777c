//! What a server has removed by itself.

use super::*;
use crate::engine::conflict::departed::Why;

/// A link whose source tells what it removes, from the place on where the bench begins.
fn watching() -> Bench {
    let bench = Bench::new(WIDE);
    bench.departed().watch(history(), 1000);
    bench
}

fn history() -> ReplicationId {
    "a".repeat(40).parse().expect("40 digits")
}

impl Bench {
    fn departed(&self) -> std::sync::MutexGuard<'_, crate::engine::conflict::departed::Departed> {
        self.stream.flow.rules.departed.lock().expect("nobody panics with it")
    }

    /// A fence behind everything is answered.
    fn fence(&mut self) -> &mut Self {
        self.departed().fenced(history(), 1_000_000);
        assert!(self.stream.may_go_on());
        self.give(&[])
    }
}

#[test]
fn nothing_behind_a_removal_is_read_before_it_is_known_who_made_it() {
    let mut bench = watching();
    bench.give(&["SET a 1", "DEL k", "DEL c", "SET b 1"]);
    assert!(bench.events.iter().any(|event| matches!(event, Event::FenceWanted)));
    assert!(bench.stream.is_waiting() && !bench.stream.wants_source() && !bench.stream.may_go_on());
    assert_eq!(bench.transactions().concat(), ["SET a 1"]);
    bench.departed().note(Why::Expired, 0, b"k");
    bench.fence();
    assert!(bench.input.is_empty(), "one fence decides all that is there");
    assert_eq!(bench.transactions().concat(), ["del c", "SET b 1"]);
}

#[test]
fn what_expired_is_not_sent_and_what_was_evicted_is() {
    let mut bench = watching();
    bench.departed().note(Why::Expired, 0, b"k");
    bench.departed().note(Why::Evicted, 0, b"e");
    bench.give(&["MULTI", "SET a 1", "UNLINK k", "DEL e", "EXEC"]).fence();
    assert_eq!(bench.transactions().concat(), ["SET a 1", "del e"]);
}

#[test]
fn a_write_that_builds_on_what_expired_finds_nothing_there_either() {
    let mut bench = watching();
    for key in [b"n".as_slice(), b"s", b"late"] {
        bench.departed().note(Why::Expired, 0, key);
    }
    bench.give(&["DEL n", "DEL s", "INCR n", "INCR n", "SET s 1", "APPEND s 2"]).fence();
    assert_eq!(bench.transactions().concat(), ["del n", "INCR n", "INCR n", "SET s 1", "APPEND s 2"]);
}

#[test]
fn when_events_are_lost_nobody_waits() {
    let mut bench = watching();
    bench.give(&["DEL k", "SET b 1"]);
    bench.departed().lose();
    assert!(bench.stream.may_go_on());
    bench.give(&[]);
    assert_eq!(bench.transactions().concat(), ["del k", "SET b 1"]);
}

#[test]
fn small_letters_several_keys_and_our_own_keys_are_never_waited_for() {
    let mut bench = watching();
    bench.give(&["del k", "DEL a b", "DEL duet:p:heartbeat:a", "HDEL h f"]);
    assert!(!bench.stream.is_waiting());
    assert_eq!(bench.transactions().concat(), ["del k", "del a b", "HDEL h f"]);
}
