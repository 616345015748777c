use super::*;
use crate::command::lookup;

fn entry(time_us: i64, replaces: bool) -> Entry {
    Entry {
        stamp: Some(Stamp { time_us, rank: 0 }),
        undated: false,
        id: 1,
        at: 1,
        first: 1,
        again: false,
        local: true,
        saw: 0,
        seen: 0,
        database: 0,
        spec: lookup(b"DEL").expect("it is known"),
        bytes: Bytes::new(),
        requests: 1,
        behind: Order::WEAKEST,
        weak: false,
        doubtful: false,
        wiped: false,
        silent: false,
        recorded: true,
        told: false,
        of_several: false,
        replaces,
    }
}

/// A `SET` of the other region at this place of its stream, and of this one's.
fn theirs(time_us: i64, place: u64) -> Entry {
    let bytes = Bytes::from(crate::wire::resp::command(&["set", "k", &time_us.to_string()]));
    let spec = lookup(b"SET").expect("it is known");
    let stamp = Some(Stamp { time_us, rank: 1 });
    Entry { stamp, id: place, at: place, first: place, local: false, recorded: false, spec, bytes, ..entry(0, true) }
}

#[test]
fn what_is_covered_is_forgotten_once_what_lost_of_it_is_on_record() {
    let place = Place { region: 0, database: 0, key: b"k" };
    let mut log = KeyLog::default();
    log.append(Some(place), entry(50, true));
    (10..=15).for_each(|time_us| _ = log.append(Some(place), theirs(time_us, time_us as u64)));
    assert_eq!(log.entries.len(), 2, "{:?}", log.entries);
    let lost: Vec<_> =
        log.take_lost().map(|record| (record.loser.stamp.time_us, record.winner.stamp.time_us)).collect();
    assert_eq!(lost, (10..15).map(|time_us| (time_us, 50)).collect::<Vec<_>>());
    // The last one is later than all: nothing else is of interest, and it did not lose.
    log.append(Some(place), theirs(60, 60));
    assert_eq!((log.entries.len(), log.take_lost().count()), (1, 1));
    assert!(matches!(log.judge(place, |finding| panic!("{finding:?}")), Remedy::None));
}

#[test]
fn what_is_told_of_writes_of_the_whole_key_is_the_same_however_it_is_found() {
    let place = Place { region: 0, database: 0, key: b"k" };
    let set = |time_us, place| Entry { local: true, recorded: true, ..theirs(time_us, place) };
    let log = KeyLog {
        entries: vec![set(50, 1), theirs(10, 2), set(20, 3), theirs(30, 4), theirs(30, 4), set(70, 5), theirs(60, 6)],
        ..KeyLog::default()
    };
    let read = log.with_steps(place, |entries, _, steps| losers(entries, steps, place));
    assert_eq!(losers_of_whole(&log.entries, log.ranking, place), read);
    assert_eq!(read.iter().filter(|(_, record)| record.is_some()).count(), 3);
}

#[test]
fn what_is_forgotten_for_want_of_memory_is_to_be_in_the_value_that_comes() {
    let mut log = KeyLog::default();
    let executed = [entry(10, false), Entry { id: 7, ..entry(11, false) }, theirs(9, 9)];
    executed.into_iter().for_each(|entry| _ = log.append(None, entry));
    log.entries.push(Entry { id: 5, wiped: true, ..entry(13, false) });
    assert_eq!(log.forget_all(0), (7, true));
    assert_eq!(log.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [5], "what the value lacks is kept");
    assert_eq!(log.forget_all(0), (7, false));
    assert!(log.lacks_forgotten(6) && log.lacks_forgotten(6) && !log.lacks_forgotten(7) && !log.lacks_forgotten(0));
}

#[test]
fn a_held_key_keeps_no_writes_and_is_let_go_by_a_later_one_of_the_whole_key() {
    let mut log = KeyLog::default();
    log.append(None, entry(10, false));
    log.hold(Order::WEAKEST);
    for (time_us, replaces) in [(11, false), (9, true), (15, false), (12, true)] {
        log.append(None, entry(time_us, replaces));
        assert!(log.held.is_some() && log.entries.is_empty(), "{time_us}");
    }
    log.append(None, entry(16, true));
    assert!(log.held.is_none() && log.entries.len() == 1);
}

#[test]
fn what_was_executed_again_before_it_was_sent_is_not_covered_by_what_is_later_than_that() {
    let place = Place { region: 0, database: 0, key: b"k" };
    let sent = Made { stamp: Stamp { time_us: 30, rank: 0 }, seen: 0 };
    for (made, left) in [(Some(sent), 1), (None, 0)] {
        let mut log = KeyLog::default();
        log.append(Some(place), Entry { stamp: None, ..entry(0, false) });
        log.redone(vec![Entry { again: true, at: 2, ..entry(10, false) }]);
        log.append(Some(place), theirs(20, 20));
        log.date(|entry| made.filter(|_| entry.local));
        // Only now is it known which of the two is later.
        log.append(Some(place), theirs(25, 25));
        assert_eq!(log.entries.iter().filter(|entry| entry.local).count(), left, "{:?}", log.entries);
    }
}

#[test]
fn what_follows_a_write_that_may_let_a_key_go_waits_until_it_is_known_whether_it_does() {
    for (held_at_us, is_let_go) in [(20, false), (10, true)] {
        let mut log = KeyLog { held: Some(Order(held_at_us, 0, 0)), ..KeyLog::default() };
        log.append(None, Entry { stamp: None, ..entry(0, true) });
        log.append(None, Entry { local: false, ..entry(9, false) });
        log.date(|_| Some(Made { stamp: Stamp { time_us: 15, rank: 0 }, seen: 0 }));
        log.sort_held();
        assert_eq!((log.held.is_none(), log.entries.len()), (is_let_go, if is_let_go { 2 } else { 0 }));
    }
}

/// A write of the whole key by a client of this region, or a deletion by its server, at this place.
fn ours(time_us: i64, place: u64) -> Entry {
    let stamp = Some(Stamp { time_us, rank: 0 });
    Entry { stamp, id: place, at: place, first: place, ..entry(0, true) }
}

/// A field of the other region, which had seen this one's writes up to `saw`.
fn field(time_us: i64, place: u64, saw: u64) -> Entry {
    let bytes = Bytes::from(crate::wire::resp::command(&["hset", "k", "field", "value"]));
    let spec = lookup(b"HSET").expect("it is known");
    Entry { spec, bytes, saw, replaces: false, ..theirs(time_us, place) }
}

#[test]
fn of_a_deletion_that_no_transaction_tells_of_the_other_region_knows_nothing() {
    let bytes = crate::wire::resp::command(&["del", "k"]).into();
    let expired = Entry { weak: true, doubtful: true, stamp: None, bytes, ..ours(10, 5) };
    let told = |made: Option<Made>, entry: &Entry| {
        let mut log = KeyLog { entries: vec![entry.clone(), field(20, 9, 7)], ..KeyLog::default() };
        let untold = log.date(|_| made);
        (untold, log.entries.len())
    };
    assert_eq!(told(None, &expired), (true, 1), "it was not sent");
    assert_eq!(told(Some(Made { stamp: Stamp { time_us: 10, rank: 0 }, seen: 0 }), &expired), (false, 2), "it was");
    assert_eq!(told(None, &Entry { weak: false, ..expired }), (false, 1), "a client's");
}

#[test]
fn a_deletion_by_the_server_counts_behind_a_value_that_was_put_before() {
    let place = Place { region: 0, database: 0, key: b"k" };
    // The value that was put held a write of the other region at 30, which the deletion has seen; the value that comes
    // was taken before the deletion arrived there.
    let floor = Some(Order(50, 1, 30));
    let deletion = Entry { weak: true, seen: 35, ..ours(60, 12) };
    let left = |deletion: Entry| {
        let mut log = KeyLog { entries: vec![deletion], ..KeyLog::default() };
        log.replaced(place, 15, (40, 11, floor));
        log.entries
    };
    let [kept] = &left(deletion.clone())[..] else { panic!("it is to be executed on top") };
    assert_eq!((kept.wiped, kept.behind), (true, Order(50, 1, 30)));
    assert!(left(Entry { seen: 29, ..deletion }).is_empty(), "an update that it had not seen beats it");
}
