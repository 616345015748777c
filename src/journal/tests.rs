use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::config;
use crate::engine::conflict::{Side, Stamp};
use crate::observe::JournalStatus;
use crate::wire::resp::command;

const DEADLINE: Duration = Duration::from_secs(20);

/// A conflict about `key`: a `SET` of the first region lost against one of the second.
pub(crate) fn record(id: u64, key: &str) -> Record {
    let side = |region, time_us| Side { region, stamp: Stamp { time_us, rank: 0 } };
    let write = command(&["SET", key, "lost"]);
    Record {
        id,
        found_at: 1,
        database: 0,
        key: key.into(),
        unit: Unit::Whole,
        winner: side(1, 1_800_000_000_000_002),
        loser: side(0, 1_800_000_000_000_001),
        length: write.len(),
        write,
        done: Done::Replayed,
        against: Vec::new(),
        against_length: 0,
    }
}

struct Started {
    journal: Journal,
    board: Arc<Board>,
}

fn started(place: Option<&Path>, journal_bytes: u64) -> Started {
    let mut config = config::tests::minimal();
    config.conflicts.journal_bytes = journal_bytes;
    let board = Arc::new(Board::new(&config, Instant::now()));
    let journal = Journal::start(&config, place.map(Path::to_owned), Arc::clone(&board)).unwrap();
    Started { journal, board }
}

impl Started {
    /// Ends it, everything written, and gives its last status.
    fn ended(self) -> JournalStatus {
        finish(&self.journal);
        self.board.journal.status()
    }

    fn ids(&self) -> Vec<u64> {
        self.found().conflicts.iter().map(|entry| entry.id.0).collect()
    }

    fn found(&self) -> Found {
        self.journal.find(&Query { limit: usize::MAX, ..Query::default() })
    }
}

/// Ends a journal, however long that takes.
pub(crate) fn finish(journal: &Journal) {
    assert!(journal.0.inbox.stop(DEADLINE), "the journal does not end");
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < DEADLINE, "not in time: {what}");
        std::thread::yield_now();
    }
}

/// The files of the record, oldest first.
fn files(place: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(place).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = names.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl")).collect();
    files.sort();
    files
}

#[test]
fn a_record_is_a_line_of_json_with_everything_that_is_promised() {
    let place = tempfile::tempdir().unwrap();
    let started = started(Some(place.path()), 1 << 20);
    let write = command(&[b"HSET".as_slice(), b"h", b"f\xff", b"v"]);
    started.journal.record(Record {
        key: b"h\n".to_vec(),
        unit: Unit::Element(b"f\xff".to_vec()),
        length: write.len() + 5000,
        write,
        loser: Side { region: 0, stamp: Stamp::WEAKEST },
        ..record(0xab, "h")
    });
    assert_eq!(started.ended().state, JournalState::Files);
    let text = std::fs::read_to_string(&files(place.path())[0]).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(line["id"], "00000000000000ab");
    assert_eq!(
        (&line["found_at"], &line["database"], &line["done"]),
        (&"us-east".into(), &0.into(), &"replayed".into())
    );
    assert_eq!((&line["key"], &line["key_base64"]), (&"h\\n".into(), &"aAo=".into()));
    assert_eq!(line["unit"], serde_json::json!({"kind": "element", "name": "f\\xff", "name_base64": "Zv8="}));
    assert_eq!(line["winner"], serde_json::json!({"region": "us-east", "time": "2027-01-15T08:00:00.000002Z"}));
    assert_eq!(line["loser"], serde_json::json!({"region": "eu-west", "time": null}));
    assert_eq!(line["write"]["words"], serde_json::json!(["HSET", "h", "f\\xff", "v"]));
    assert_eq!((&line["write"]["truncated"], &line["write"]["words_base64"][2]), (&true.into(), &"Zv8=".into()));
    assert!(line["time"].as_str().unwrap().parse::<Timestamp>().is_ok());
    let mode = |path: &Path| std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o077;
    assert_eq!(mode(&files(place.path())[0]), 0, "others can read it");
}

#[test]
fn a_conflict_that_is_found_again_is_one_record_also_after_a_restart() {
    let place = tempfile::tempdir().unwrap();
    let first = started(Some(place.path()), 1 << 20);
    for id in [1, 2, 1, 3, 2] {
        first.journal.record(record(id, "k"));
    }
    assert_eq!(first.board.conflicts.counts().replayed, 3);
    first.ended();

    let second = started(Some(place.path()), 1 << 20);
    assert_eq!(second.board.conflicts.counts().total(), 3, "counts are restored");
    for id in [3, 4] {
        second.journal.record(record(id, "k"));
    }
    finish(&second.journal);
    assert_eq!(second.ids(), [1, 2, 3, 4]);
    let counts = second.board.conflicts.counts();
    assert_eq!((counts.replayed, counts.by_unit.whole), (4, 4));
}

#[test]
fn the_oldest_make_room_and_that_is_told_also_after_a_restart() {
    let place = tempfile::tempdir().unwrap();
    const BYTES: u64 = 1 << 20;
    let first = started(Some(place.path()), BYTES);
    let long = "k".repeat(1000);
    for id in 0..3_000 {
        first.journal.record(record(id, &long));
        // More than can wait at once would be let go.
        until("room", || first.found().matching as u64 + 10_000 > id);
    }
    let counts = first.board.conflicts.counts();
    let status = first.ended();
    let bytes: u64 = files(place.path()).iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes <= BYTES && bytes > BYTES / 2, "{bytes}");
    let lines: usize =
        files(place.path()).iter().map(|file| std::fs::read_to_string(file).unwrap().lines().count()).sum();
    let kept = (lines - files(place.path()).len()) as u64;
    assert_eq!(status.dropped + kept, 3_000);

    let second = started(Some(place.path()), BYTES);
    assert_eq!(second.board.journal.status().dropped, status.dropped);
    assert_eq!(second.board.conflicts.counts(), counts);
    assert_eq!((second.ids().last(), second.found().matching as u64), (Some(&2_999), kept));
}

#[test]
fn in_memory_the_last_ones_stay_and_the_others_are_counted() {
    let started = started(None, 1 << 20);
    for id in 0..12_000 {
        started.journal.record(record(id, "k"));
    }
    finish(&started.journal);
    let kept = started.found().matching;
    assert!(kept <= MOST_RECENT);
    assert_eq!((started.board.journal.status().dropped as usize) + kept, 12_000);
    assert_eq!(started.board.conflicts.counts().replayed, 12_000);
    assert_eq!(started.board.journal.status().state, JournalState::Memory);
}

#[test]
fn who_records_never_waits_and_what_does_not_fit_is_counted() {
    let inbox = Inbox::default();
    let report = |id| Report { record: record(id, "k"), key_length: 1, at: Timestamp::now() };
    let all = inbox::MOST_WAITING as u64 + 10;
    let full = (0..all).filter(|id| inbox.put(report(*id)) == Put::Full).count();
    assert_eq!(full, 10, "nobody takes anything out");
    assert_eq!(inbox.take(None).0.len(), inbox::MOST_WAITING);
    assert_eq!(inbox.put(report(all)), Put::Waits(1));
}

#[test]
fn lines_that_cannot_be_read_are_left_out_and_counted() {
    let place = tempfile::tempdir().unwrap();
    let first = started(Some(place.path()), 1 << 20);
    first.journal.record(record(1, "a"));
    first.journal.record(record(2, "b"));
    first.ended();
    let file = &files(place.path())[0];
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<_> = text.lines().collect();
    // A line of nonsense, and one that ends in the middle, as after a loss of power.
    std::fs::write(file, format!("{}\n{}\nnonsense\n{}", lines[0], lines[1], &lines[2][..40])).unwrap();

    let second = started(Some(place.path()), 1 << 20);
    assert_eq!(second.board.journal.status().unreadable, 2);
    assert_eq!(second.ids(), [1]);
    second.journal.record(record(3, "c"));
    second.ended();
    let third = started(Some(place.path()), 1 << 20);
    assert_eq!(third.ids(), [1, 3], "what follows a broken line can be read");
}

#[test]
fn a_directory_that_cannot_be_used_is_told_and_used_once_it_can_be() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("conflicts");
    std::fs::write(&directory, "a file in the way").unwrap();
    let started = started(Some(&directory), 1 << 20);
    started.journal.record(record(1, "k"));
    let status = started.board.journal.status();
    assert_eq!(status.state, JournalState::Failing);
    assert!(status.reason.is_some() && status.place.is_some_and(|place| place.ends_with("conflicts")));
    until("the record in memory", || started.ids() == [1]);

    std::fs::remove_file(&directory).unwrap();
    until("the next try", || started.board.journal.status().state == JournalState::Files);
    started.ended();
    assert!(std::fs::read_to_string(&files(&directory)[0]).unwrap().contains("0000000000000001"));
}

#[test]
fn two_processes_do_not_write_one_record() {
    let place = tempfile::tempdir().unwrap();
    let first = started(Some(place.path()), 1 << 20);
    let second = started(Some(place.path()), 1 << 20);
    assert!(second.board.journal.status().reason.unwrap().contains("another process"));
    second.journal.record(record(2, "k"));
    first.journal.record(record(1, "k"));
    first.ended();
    until("the other one's turn", || second.board.journal.status().state == JournalState::Files);
    assert_eq!(second.board.conflicts.counts().replayed, 2);
    finish(&second.journal);
    assert_eq!(second.ids(), [1, 2]);
}

#[test]
fn the_directory_is_that_of_the_configuration_or_of_systemd() {
    let mut config = config::tests::minimal();
    assert_eq!(place(&config, None), None);
    assert_eq!(place(&config, Some("".into())), None);
    assert_eq!(place(&config, Some("/var/lib/duet:/other".into())), Some("/var/lib/duet/conflicts".into()));
    config.conflicts.journal = Some("/srv/record".into());
    assert_eq!(place(&config, Some("/var/lib/duet".into())), Some("/srv/record".into()));
}
