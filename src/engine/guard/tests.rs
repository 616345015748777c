use super::survey::survey;
use super::{Guard, Limits, went_back};
use crate::command::lookup;
use crate::engine::checkpoint::Checkpoint;
use crate::engine::origin::ReservedKeys;
use crate::engine::position::{Position, ReplicationId};
use crate::error::Kind;
use crate::wire::resp::{Command, FrameReader, command};

const LIMITS: Limits =
    Limits { flush_keys: 1000, deletes: 0, delete_percent: 50, delete_floor: 100, window_ms: 10_000, echo: true };

fn history(digit: &str) -> ReplicationId {
    digit.repeat(40).parse().expect("40 digits")
}

fn guard(limits: Limits, away_ms: i64) -> Guard {
    let mut guard = Guard::new(limits, &ReservedKeys::new("duet:", "p"), ["own", "other"], history("b"), away_ms);
    guard.set_keys(1000);
    guard
}

/// What the guard says to a command that ends at `offset`.
fn look(guard: &mut Guard, words: &[&[u8]], offset: u64) -> Option<Kind> {
    let bytes = command(words);
    let mut reader = FrameReader::new();
    reader.next(&bytes).expect("a command").expect("a whole one");
    let command = Command::new(&bytes, reader.arguments());
    let spec = lookup(command.name()).expect("known");
    guard.look(&command, spec, offset, 0, true).err().map(|fault| fault.kind)
}

fn deletes(guard: &mut Guard, count: usize) -> Option<Kind> {
    (0..count).find_map(|number| look(guard, &[b"DEL", number.to_string().as_bytes()], 10))
}

#[test]
fn a_flush_of_a_full_target_is_asked_about() {
    let mut guard = guard(LIMITS, 0);
    assert_eq!(look(&mut guard, &[b"FLUSHALL"], 10), Some(Kind::FlushSeen));
    assert_eq!(look(&mut guard, &[b"FLUSHDB"], 10), Some(Kind::FlushSeen));
    assert_eq!(look(&mut guard, &[b"SWAPDB", b"0", b"1"], 10), None);
    guard.set_keys(999);
    assert_eq!(look(&mut guard, &[b"FLUSHALL"], 10), None);
    guard.set_keys(5000);
    guard.accept(10);
    assert_eq!(look(&mut guard, &[b"FLUSHALL"], 10), None, "it was accepted");
    assert_eq!(look(&mut guard, &[b"FLUSHALL"], 11), Some(Kind::FlushSeen), "and the next one was not");
    let mut off = self::guard(Limits { flush_keys: 0, ..LIMITS }, 0);
    assert_eq!(look(&mut off, &[b"FLUSHALL"], 10), None);
}

#[test]
fn deletions_beyond_a_share_are_asked_about() {
    let mut guard = guard(LIMITS, 0);
    assert_eq!(deletes(&mut guard, 500), None);
    assert_eq!(deletes(&mut guard, 1), Some(Kind::MassDelete));
    let mut off = self::guard(Limits { delete_percent: 0, ..LIMITS }, 0);
    assert_eq!(deletes(&mut off, 5000), None);
    let mut few = self::guard(LIMITS, 0);
    few.set_keys(10);
    assert_eq!(deletes(&mut few, 100), None, "the floor");
}

#[test]
fn who_writes_as_much_as_he_deletes_is_not_asked() {
    let mut guard = guard(LIMITS, 0);
    for _ in 0..5000 {
        assert_eq!(look(&mut guard, &[b"SET", b"job", b"1"], 10), None);
        assert_eq!(look(&mut guard, &[b"DEL", b"job"], 10), None);
    }
}

#[test]
fn a_window_ends_by_the_clock_of_the_source() {
    let mut guard = guard(LIMITS, 0);
    guard.heartbeat(1_000);
    assert_eq!(deletes(&mut guard, 400), None);
    guard.heartbeat(10_999);
    assert_eq!(deletes(&mut guard, 100), None);
    guard.heartbeat(11_000);
    assert_eq!(deletes(&mut guard, 500), None);
}

#[test]
fn the_first_heartbeat_of_a_session_does_not_end_a_window() {
    let mut guard = guard(LIMITS, 0);
    assert_eq!(deletes(&mut guard, 500), None);
    guard.heartbeat(1_000);
    assert_eq!(deletes(&mut guard, 1), Some(Kind::MassDelete));
}

#[test]
fn what_duet_itself_writes_does_not_outweigh_deletions() {
    let mut guard = guard(LIMITS, 0);
    assert_eq!(deletes(&mut guard, 500), None);
    assert_eq!(look(&mut guard, &[b"SET", b"duet:p:heartbeat:west", b"1000", b"PX", b"60000"], 10), None);
    assert_eq!(deletes(&mut guard, 1), Some(Kind::MassDelete));
}

#[test]
fn what_was_written_while_the_link_was_away_counts_for_as_many_windows() {
    let limits = Limits { deletes: 100, delete_percent: 0, ..LIMITS };
    let mut guard = guard(limits, 90_000);
    assert_eq!(deletes(&mut guard, 1000), None);
    assert_eq!(deletes(&mut guard, 1), Some(Kind::MassDelete));
    let mut here = self::guard(limits, 0);
    assert_eq!(deletes(&mut here, 100), None);
    assert_eq!(deletes(&mut here, 1), Some(Kind::MassDelete));
}

#[test]
fn what_comes_back_is_an_echo_that_would_grow() {
    let marker = |digit: &str| {
        let at = Position { replication_id: history(digit), offset: 5, database: 0 };
        Checkpoint::streaming(at, 1).marker(1, 1).to_string().into_bytes()
    };
    let mut guard = guard(LIMITS, 0);
    assert_eq!(look(&mut guard, &[b"SET", b"duet:p:marker:other", &marker("b")], 10), None, "the other link's");
    assert_eq!(look(&mut guard, &[b"SET", b"duet:p:marker:own", &marker("a")], 10), Some(Kind::EchoGrows));
    assert_eq!(look(&mut guard, &[b"SET", b"duet:p:marker:other", b"duet9 new form"], 10), Some(Kind::EchoGrows));
    assert_eq!(
        look(&mut guard, &[b"SET", b"third", &marker("b")], 10),
        Some(Kind::EchoGrows),
        "another pair, both servers"
    );
    assert_eq!(look(&mut guard, &[b"SET", b"third", &marker("c")], 10), None, "another pair, a third server");
    assert_eq!(look(&mut guard, &[b"SET", b"duet:p:marker:other", b"anything"], 10), None);
    let mut off = self::guard(Limits { echo: false, ..LIMITS }, 0);
    assert_eq!(look(&mut off, &[b"SET", b"duet:p:marker:own", &marker("a")], 10), None);
}

#[test]
fn a_marker_may_go_back_as_far_as_a_failover_loses() {
    assert!(went_back(100_000, 95_000, 60_000).is_ok());
    assert_eq!(went_back(100_000, 30_000, 60_000).map_err(|fault| fault.kind), Err(Kind::MarkerBack));
    assert!(went_back(0, 30_000, 60_000).is_ok(), "nothing was known");
    assert!(went_back(900_000, 0, 0).is_ok(), "switched off");
}

#[test]
fn a_survey_tells_what_clients_leave_behind() {
    let line = |text: &str| command(&text.split(' ').collect::<Vec<_>>());
    let marker = Checkpoint::streaming(Position::NONE, 1).marker(1, 1).to_string();
    let ours = [line("MULTI"), command(&["SET", "duet:m", &marker]), line("SET echo 1"), line("EXEC")].concat();
    let stream = [
        line("SET a 1"),
        ours,
        line("SELECT 2"),
        line("DEL b c"),
        line("MULTI"),
        line("SET c 1"),
        line("INCR d"),
        line("EXEC"),
        line("SET duet:x 1"),
    ];
    let told = survey(&stream.concat(), 0, b"duet:m", b"duet:").expect("a stream");
    let names = |set: &std::collections::HashSet<(u32, Vec<u8>)>| {
        let mut names: Vec<String> = set.iter().map(|(n, key)| format!("{n}{}", key.escape_ascii())).collect();
        names.sort();
        names
    };
    assert_eq!(names(&told.written), ["0a", "2c", "2d"]);
    assert_eq!(names(&told.deleted), ["2b"]);
    assert_eq!((told.commands, told.flushes, told.is_partial), (4, 0, false));
    let emptied =
        survey(&[line("SET a 1"), line("FLUSHALL"), line("SET z 1")].concat(), 0, b"", b"duet:").expect("a stream");
    assert_eq!((names(&emptied.written), emptied.flushes), (vec!["0z".to_owned()], 1));
}
