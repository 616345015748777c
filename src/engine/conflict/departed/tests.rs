use proptest::prelude::*;

use super::*;

fn history(digit: char) -> ReplicationId {
    digit.to_string().repeat(40).parse().unwrap()
}

fn at(offset: u64) -> Position {
    Position { replication_id: history('a'), offset, database: 0 }
}

fn watching(offset: u64) -> Departed {
    let mut departed = Departed::default();
    departed.watch(history('a'), offset);
    departed
}

#[test]
fn a_removal_is_decided_when_a_fence_behind_it_is_answered() {
    let mut departed = watching(100);
    assert!(departed.ask(150) && !departed.is_decided(150));
    departed.note(Why::Expired, 0, b"k");
    assert_eq!(departed.take(at(150), b"k", Removed::Key), Verdict::Pending);
    departed.fenced(history('a'), 150);
    assert!(departed.is_decided(150) && !departed.wants_fence());
    assert_eq!(departed.take(at(150), b"k", Removed::Key), Verdict::Server(Why::Expired));
    assert_eq!(departed.take(at(150), b"k", Removed::Key), Verdict::Client, "each event stands for one removal");
}

#[test]
fn where_both_have_removed_a_key_nobody_can_tell_which_is_which() {
    let mut departed = watching(0);
    departed.note_client(0, b"k");
    departed.note(Why::Expired, 0, b"k");
    departed.note_client(0, b"c");
    departed.fenced(history('a'), 100);
    departed.note(Why::Expired, 0, b"k");
    departed.fenced(history('a'), 200);
    assert_eq!([10, 20].map(|offset| departed.take(at(offset), b"k", Removed::Key)), [Verdict::Unknown; 2]);
    assert_eq!(departed.take(at(30), b"c", Removed::Key), Verdict::Client);
    assert_eq!(departed.take(at(110), b"k", Removed::Key), Verdict::Server(Why::Expired), "in a window of its own");
    departed.passed(200);
    assert_eq!(departed.bytes, 0);
}

#[test]
fn what_is_read_again_is_not_answered_twice() {
    let mut departed = watching(100);
    departed.note(Why::Expired, 0, b"k");
    departed.fenced(history('a'), 200);
    assert_eq!(departed.take(at(150), b"k", Removed::Key), Verdict::Server(Why::Expired));
    departed.read_again();
    assert_eq!(departed.take(at(150), b"k", Removed::Key), Verdict::Unknown);
    assert_eq!(departed.take(at(151), b"k", Removed::Key), Verdict::Client);
}

#[test]
fn what_a_removal_is_follows_from_who_made_it_and_from_what_was_configured() {
    use Deletes::{Compare, Events, Propagate};
    let claims = |expiry, eviction| {
        let expired = Verdict::Server(Why::Expired);
        let of = [expired, Verdict::Server(Why::Evicted), Verdict::Unknown, Verdict::Client];
        of.map(|verdict| DeletePolicy { expiry, eviction }.claim(verdict))
    };
    assert_eq!(claims(Events, Events), [Removal::Silent, Removal::Weak, Removal::Unknown, Removal::Full]);
    assert_eq!(claims(Compare, Compare), [Removal::Weak, Removal::Weak, Removal::Unknown, Removal::Full]);
    assert_eq!(claims(Propagate, Propagate), [Removal::Full; 4]);
    assert_eq!(claims(Events, Propagate), [Removal::Silent, Removal::Full, Removal::Unknown, Removal::Full]);
}

#[test]
fn database_key_and_kind_are_told_apart() {
    let mut departed = watching(0);
    departed.note(Why::Evicted, 3, b"k");
    departed.note(Why::FieldsExpired, 0, b"h");
    departed.fenced(history('a'), 10);
    assert_eq!(departed.take(at(10), b"k", Removed::Key), Verdict::Client);
    assert_eq!(departed.take(at(10), b"h", Removed::Key), Verdict::Client);
    assert_eq!(departed.take(at(10), b"h", Removed::Fields), Verdict::Server(Why::FieldsExpired));
    let in_three = Position { database: 3, ..at(10) };
    assert_eq!(departed.take(in_three, b"k", Removed::Key), Verdict::Server(Why::Evicted));
}

#[test]
fn an_event_belongs_to_its_window_however_late_the_stream_is_read() {
    let mut departed = watching(0);
    departed.fenced(history('a'), 100);
    departed.note(Why::Expired, 0, b"k");
    departed.fenced(history('a'), 200);
    assert_eq!(departed.take(at(100), b"k", Removed::Key), Verdict::Client, "deleted before it expired");
    assert_eq!(departed.take(at(101), b"k", Removed::Key), Verdict::Server(Why::Expired));
}

#[test]
fn nothing_is_told_of_what_came_before_the_events_or_of_another_history() {
    let mut departed = watching(100);
    departed.note(Why::Expired, 0, b"k");
    departed.fenced(history('a'), 200);
    assert_eq!(departed.take(at(100), b"k", Removed::Key), Verdict::Unknown);
    let other = Position { replication_id: history('b'), ..at(150) };
    assert_eq!(departed.take(other, b"k", Removed::Key), Verdict::Unknown);
    departed.note(Why::Expired, 0, b"k");
    departed.fenced(history('b'), 300);
    assert_eq!(departed.take(Position { offset: 200, ..other }, b"k", Removed::Key), Verdict::Unknown);
    let expired = departed.take(Position { offset: 300, ..other }, b"k", Removed::Key);
    assert_eq!(expired, Verdict::Server(Why::Expired), "another history goes on where the first one ended");
    departed.fenced(history('c'), 250);
    let back = Position { replication_id: history('c'), offset: 250, database: 0 };
    assert_eq!(departed.take(back, b"k", Removed::Key), Verdict::Unknown);
    departed.fenced(history('b'), 300);
    assert_eq!(departed.take(Position { offset: 301, ..other }, b"k", Removed::Key), Verdict::Pending);
}

#[test]
fn without_events_nothing_is_decided_by_them_and_nobody_waits() {
    let mut departed = watching(100);
    departed.note(Why::Expired, 0, b"k");
    departed.lose();
    assert!(!departed.is_watching() && departed.is_decided(150) && !departed.ask(150));
    assert_eq!(departed.take(at(150), b"k", Removed::Key), Verdict::Unknown);
    departed.watch(history('a'), 120);
    assert!(departed.wants_fence(), "what was asked is asked again");
}

#[test]
fn the_removal_of_a_hash_right_behind_its_last_fields_is_the_servers_too() {
    let mut departed = watching(0);
    departed.note(Why::FieldsExpired, 0, b"h");
    departed.fenced(history('a'), 1000);
    assert_eq!(departed.take(at(100), b"h", Removed::Fields), Verdict::Server(Why::FieldsExpired));
    let end = 100 + command(&["DEL", "h"]).len() as u64;
    assert_eq!(departed.take(at(end + 1), b"h", Removed::Key), Verdict::Client);
    assert_eq!(departed.take(at(end), b"g", Removed::Key), Verdict::Client);
    assert_eq!(departed.take(at(end), b"h", Removed::Key), Verdict::Server(Why::FieldsExpired));
}

#[test]
fn events_that_nobody_claims_are_forgotten_when_the_reader_has_passed() {
    let mut departed = watching(0);
    departed.note(Why::Expired, 0, b"k");
    departed.fenced(history('a'), 100);
    departed.passed(99);
    assert_eq!((departed.windows.len(), departed.bytes), (1, PER_NOTE + 1));
    departed.passed(100);
    assert_eq!((departed.windows.len(), departed.bytes), (0, 0));
}

#[test]
fn too_many_unclaimed_events_make_their_removals_unknown_and_no_others() {
    let mut departed = watching(0);
    departed.note(Why::Expired, 0, b"first");
    departed.fenced(history('a'), 100);
    let long = vec![b'x'; MOST_BYTES / 2];
    departed.note(Why::Expired, 0, &long);
    departed.fenced(history('a'), 200);
    departed.note(Why::Expired, 0, &long);
    assert!(departed.bytes <= MOST_BYTES);
    assert_eq!(departed.take(at(50), b"first", Removed::Key), Verdict::Unknown);
    departed.fenced(history('a'), 300);
    assert_eq!(departed.take(at(300), &long, Removed::Key), Verdict::Server(Why::Expired));
    for _ in 0..3 {
        departed.note(Why::Expired, 0, &long);
    }
    departed.fenced(history('a'), 400);
    assert_eq!(departed.take(at(400), &long, Removed::Key), Verdict::Unknown, "more in one window than is kept");
    departed.note(Why::Expired, 0, b"k");
    departed.fenced(history('a'), 500);
    assert_eq!(departed.take(at(450), b"k", Removed::Key), Verdict::Server(Why::Expired));
}

/// A removal in a stream: by which event, if the server made it; and whether a fence is answered right behind it.
fn removals() -> impl Strategy<Value = Vec<(u8, Option<Why>, bool)>> {
    let why = prop_oneof![Just(None), Just(Some(Why::Expired)), Just(Some(Why::Evicted))];
    prop::collection::vec((0..4u8, why, any::<bool>()), 0..60)
}

proptest! {
    /// The reader may come at any time after the fence; a key that is removed twice in one window is left out.
    #[test]
    fn every_removal_is_told_however_far_the_reader_is_behind(removals in removals(), behind in 0..80usize) {
        let mut departed = watching(0);
        let (mut waiting, mut in_window) = (VecDeque::new(), Vec::new());
        let mut offset = 0;
        for (key, why, fence) in removals {
            if !in_window.contains(&key) {
                in_window.push(key);
                offset += 20;
                if let Some(why) = why {
                    departed.note(why, 0, &[key]);
                }
                prop_assert_eq!(departed.take(at(offset), &[key], Removed::Key), Verdict::Pending);
                waiting.push_back((offset, key, why.map_or(Verdict::Client, Verdict::Server)));
            }
            if fence {
                departed.fenced(history('a'), offset);
                in_window.clear();
            }
            while waiting.len() > behind && waiting.front().is_some_and(|(offset, ..)| departed.is_decided(*offset)) {
                let (offset, key, expected) = waiting.pop_front().unwrap();
                prop_assert_eq!(departed.take(at(offset), &[key], Removed::Key), expected);
                departed.passed(offset.saturating_sub(20));
            }
        }
        departed.fenced(history('a'), offset);
        for (offset, key, expected) in waiting {
            prop_assert_eq!(departed.take(at(offset), &[key], Removed::Key), expected);
        }
        departed.passed(offset);
        prop_assert_eq!(departed.bytes, 0);
    }
}
