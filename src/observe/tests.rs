use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::config;

const INTERVAL: Duration = Duration::from_millis(250);

/// The board of the smallest configuration.
pub(crate) fn board(now: Instant) -> Board {
    Board::new(&config::tests::minimal(), now)
}

fn link(now: Instant) -> LinkBoard {
    LinkBoard::new(Direction::Forward, "eu", "us", INTERVAL, now)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn reason(code: &'static str, text: &str) -> Reason {
    Reason { code, text: text.into(), remedy: "do something".into() }
}

#[test]
fn a_board_has_both_directions_between_the_same_regions() {
    let board = board(Instant::now());
    assert_eq!((&*board.forward().source, &*board.forward().target), ("eu-west", "us-east"));
    assert_eq!((&*board.reverse().source, &*board.reverse().target), ("us-east", "eu-west"));
}

#[test]
fn lag_is_unknown_until_a_heartbeat_has_come_through() {
    let now = Instant::now();
    let link = link(now);
    assert_eq!(link.lag_ms(now + ms(10_000)), None);
    link.heartbeat_seen(ms(82), now);
    assert_eq!(link.lag_ms(now + ms(600)), Some(82));
}

#[test]
fn lag_grows_while_heartbeats_are_missing() {
    let now = Instant::now();
    let link = link(now);
    link.heartbeat_seen(ms(82), now);
    assert_eq!(link.lag_ms(now + ms(601)), Some(683));
    link.heartbeat_seen(ms(5_000), now + ms(700));
    assert_eq!(link.lag_ms(now + ms(800)), Some(5_000));
}

#[test]
fn a_link_is_stalled_two_intervals_and_a_bit_after_it_last_moved() {
    let now = Instant::now();
    let link = link(now);
    assert!(!link.stalled(now + ms(60_000)), "connecting is no stall");
    link.enter_at(State::Streaming, None, now);
    assert!(!link.stalled(now + ms(600)));
    assert!(link.stalled(now + ms(601)));
    link.heartbeat_seen(ms(1), now + ms(601));
    assert!(!link.stalled(now + ms(1_201)));
    assert!(link.stalled(now + ms(1_202)));
}

#[test]
fn a_stalled_link_says_so_with_state_reason_and_remedy() {
    let now = Instant::now();
    let link = link(now);
    link.enter_at(State::Streaming, None, now);
    let status = link.status(now + ms(2_000));
    assert_eq!(status.state, State::Streaming);
    assert!(status.stalled && !status.ready());
    assert_eq!(status.reason.as_deref(), Some("stalled: no heartbeat has come through for 2.0 s"));
    assert_eq!(status.error_code.as_deref(), Some("stalled"));
    assert!(status.remedy.is_some());
}

#[test]
fn a_new_reason_of_the_same_state_keeps_its_age() {
    let now = Instant::now();
    let link = link(now);
    link.enter_at(State::Halted, Some(reason("oom", "first")), now + ms(1_000));
    link.enter_at(State::Halted, Some(reason("oom", "second")), now + ms(5_000));
    let status = link.status(now + ms(6_000));
    assert_eq!((status.reason.as_deref(), status.since_s), (Some("second"), 5));
    link.enter_at(State::Connecting, None, now + ms(6_000));
    let status = link.status(now + ms(6_000));
    assert_eq!((status.reason, status.remedy, status.since_s), (None, None, 0));
}

#[test]
fn what_is_set_aside_is_counted_by_kind_and_the_last_are_named() {
    let now = Instant::now();
    let link = link(now);
    for number in 0..150 {
        link.set_aside(SetAside::new(3, format!("key:{number}").as_bytes(), "unknown command", "not known"));
    }
    link.set_aside(SetAside::new(0, b"", "module value", "no module"));
    let status = link.status(now);
    assert_eq!(status.set_aside, 151);
    assert_eq!(status.set_aside_by_kind["unknown command"], 150);
    assert_eq!(status.set_aside_recent.len(), SET_ASIDE_RECENT);
    assert_eq!(status.set_aside_recent.last().unwrap().what, "module value");
    assert_eq!(status.set_aside_recent.first().unwrap().key, "key:51");
}

#[test]
fn kinds_beyond_the_bound_are_counted_together() {
    let now = Instant::now();
    let link = link(now);
    for kind in 0..200 {
        link.set_aside(SetAside::new(0, b"k", format!("kind {kind}"), "many"));
    }
    let kinds = link.status(now).set_aside_by_kind;
    assert_eq!((kinds.len(), kinds["other"]), (65, 136));
    assert_eq!(kinds.values().sum::<u64>(), 200);
}

/// What the log gets while `work` runs, line by line.
fn logged(work: impl FnOnce()) -> Vec<String> {
    // With one subscriber alone, a line that another thread meets first is switched on or off by that thread.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let file = tempfile::NamedTempFile::new().unwrap();
    let writer = Arc::new(file.reopen().unwrap());
    tracing::subscriber::with_default(tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish(), work);
    std::fs::read_to_string(file.path()).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_change_of_state_or_reason_is_one_line_and_nothing_else_is() {
    let now = Instant::now();
    let link = link(now);
    let lines = logged(|| {
        link.enter(State::Connecting, None);
        link.enter(State::Streaming, None);
        link.enter(State::Streaming, None);
        link.enter(State::Halted, Some(reason("oom", "first\nline")));
        link.enter(State::Halted, Some(reason("oom", "second")));
        link.enter(State::Halted, Some(reason("no_permission", "third")));
        link.enter(State::Streaming, None);
    });
    let [streaming, halted, other, again] = lines.as_slice() else { panic!("{lines:#?}") };
    assert!(streaming.contains(" INFO ") && streaming.contains("forward is streaming"), "{streaming}");
    assert!(halted.contains("ERROR ") && halted.contains("reason=\"first\\nline\""), "{halted}");
    assert!(other.contains("code=\"no_permission\"") && other.contains("remedy=\"do something\""), "{other}");
    assert!(again.contains("forward is streaming"), "{again}");
}

#[test]
fn a_flood_of_one_kind_does_not_flood_the_log() {
    let link = link(Instant::now());
    let lines = logged(|| {
        for _ in 0..2_500 {
            link.set_aside(SetAside::new(0, b"k", "unknown command", "not known"));
        }
    });
    assert_eq!(lines.len(), 22, "twenty, then one in a thousand");
}

#[test]
fn a_key_can_be_shown_anywhere() {
    assert_eq!(escaped(b"a b\x1b[31m\n\xff\""), "a b\\x1b[31m\\n\\xff\\\"");
    let long = escaped(&[b'x'; 1_000_000]);
    assert!(long.len() < 200 && long.ends_with("x..."));
}

#[test]
fn a_full_sync_tells_rate_and_time_left_and_then_goes() {
    let now = Instant::now();
    let link = link(now);
    let progress = link.begin_full_sync(now);
    assert_eq!(progress.seconds_left(now + ms(1_000)), None, "the total is not known");
    progress.keys_total.set(1_000);
    assert_eq!(progress.seconds_left(now + ms(1_000)), None, "the rate is not known");
    progress.keys_done.add(200);
    let status = link.status(now + ms(2_000)).full_sync.unwrap();
    assert_eq!((status.keys_per_s, status.seconds_left), (100, Some(8)));
    progress.keys_done.add(900);
    assert_eq!(progress.seconds_left(now + ms(2_000)), None, "more keys than were told");
    link.end_full_sync(now + ms(3_000));
    assert!(link.status(now + ms(3_000)).full_sync.is_none());
}

#[test]
fn progress_gets_a_line_every_five_seconds_at_most() {
    let now = Instant::now();
    let progress = FullSyncProgress::new(now);
    let due: Vec<u64> = (0..200).map(|tick| tick * 100).filter(|at| progress.line_is_due(now + ms(*at))).collect();
    assert_eq!(due, [5_000, 10_000, 15_000]);
}

#[test]
fn the_pair_is_ready_when_both_links_stream_and_move() {
    let now = Instant::now();
    let board = board(now);
    assert_eq!(board.readiness(now).reason.as_deref(), Some("forward is connecting; reverse is connecting"));
    for link in &board.links {
        link.enter_at(State::Streaming, None, now);
    }
    assert!(board.readiness(now).ready && board.status(now).ready);
    let later = board.readiness(now + ms(700));
    assert!(!later.ready);
    assert!(later.reason.unwrap().contains("reverse is streaming: stalled"));
}
