use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::config::{self, Alone};
use crate::observe::{Board, Duty, Reason, State, tests::board};

/// The source of the forward link, and its target: the region that most tests look at.
const WEST: &str = "eu-west";
const EAST: &str = "us-east";

/// A pair whose links stream with 12 ms of lag, whose servers answer at `now`, and its health.
fn in_step(now: Instant) -> (Arc<Board>, Health) {
    in_step_with(now, Alone::Serve)
}

fn in_step_with(now: Instant, alone: Alone) -> (Arc<Board>, Health) {
    let board = Arc::new(board(now));
    for link in &board.links {
        link.enter_at(State::Streaming, None, now);
    }
    alive(&board, now, 12);
    let mut config = config::tests::minimal();
    config.health.alone = alone;
    let health = Health::new(&config, Arc::clone(&board));
    (board, health)
}

fn alive(board: &Board, now: Instant, lag_ms: u64) {
    for (link, region) in board.links.iter().zip(&board.regions) {
        link.heartbeat_seen(Duration::from_millis(lag_ms), now);
        region.answered(now);
    }
}

fn reason(code: &'static str) -> Option<Reason> {
    Some(Reason { code, text: "the reason".into(), remedy: "the remedy".into() })
}

/// So many looks, one each heartbeat, with the links and regions doing what `go_on` does before each.
fn looks(health: &Health, from: Instant, count: u32, mut go_on: impl FnMut(Instant)) -> Instant {
    let mut now = from;
    for _ in 0..count {
        now += health.interval();
        go_on(now);
        health.look(now);
    }
    now
}

fn told(health: &Health, region: &str, now: Instant) -> Answer {
    health.answer(region, Some(500), now).unwrap()
}

#[test]
fn a_region_in_step_serves_and_says_how_far_it_is_behind() {
    let now = Instant::now();
    let (_board, health) = in_step(now);
    let answer = told(&health, EAST, now);
    assert_eq!((answer.serve, &*answer.state, answer.lag_ms), (true, "in_step", Some(12)));
    assert_eq!((answer.max_lag_ms, answer.reason, answer.error_code), (500, None, None));
    assert_eq!(health.answer(EAST, None, now).unwrap().max_lag_ms, 1000, "health.max_lag");
}

#[test]
fn an_unknown_region_is_named_with_those_that_there_are() {
    let now = Instant::now();
    let (_board, health) = in_step(now);
    let error = health.answer("mars", None, now).unwrap_err().to_string();
    assert_eq!(error, "\"mars\" is no region of this pair: it has eu-west and us-east");
}

#[test]
fn a_lag_above_what_is_borne_takes_a_region_out_after_four_looks_and_back_after_eight() {
    let now = Instant::now();
    let (board, health) = in_step(now);
    assert!(told(&health, EAST, now).serve);
    let slow = |now| {
        alive(&board, now, 12);
        board.forward().heartbeat_seen(Duration::from_millis(812), now);
    };
    let now = looks(&health, now, 3, slow);
    let answer = told(&health, EAST, now);
    assert!(answer.serve, "{answer:?}");
    let text = "us-east is 812 ms behind eu-west: more than 500 ms; 3 of 4 bad looks until the answer changes";
    assert_eq!(answer.reason.as_deref(), Some(text));
    let now = looks(&health, now, 1, slow);
    let answer = told(&health, EAST, now);
    assert_eq!((answer.serve, &*answer.state, answer.error_code.as_deref()), (false, "lagging", Some("lagging")));
    assert!(told(&health, WEST, now).serve, "the other region is not behind");
    assert!(health.answer(EAST, Some(1000), now).unwrap().serve, "somebody else bears more");

    let now = looks(&health, now, 7, |now| alive(&board, now, 12));
    assert!(!told(&health, EAST, now).serve);
    let now = looks(&health, now, 1, |now| alive(&board, now, 12));
    assert!(told(&health, EAST, now).serve);
}

#[test]
fn a_region_that_is_copied_onto_is_out_at_once() {
    let now = Instant::now();
    let (board, health) = in_step(now);
    assert!(told(&health, EAST, now).serve);
    board.forward().enter_at(State::FullSync, None, now);
    health.look(now);
    assert_eq!((told(&health, EAST, now).serve, &*told(&health, EAST, now).state), (false, "full_sync"));
}

#[test]
fn a_duty_counts_at_once_in_both_directions() {
    let now = Instant::now();
    let (board, health) = in_step(now);
    for (duty, name) in [(Duty::Drained, "drained"), (Duty::Fenced, "fenced")] {
        board.regions[1].set_duty(duty, "drill", "rehearsal");
        let answer = told(&health, EAST, now);
        assert_eq!((answer.serve, &*answer.state, answer.error_code.as_deref()), (false, name, Some(name)));
        assert_eq!(answer.reason, Some(format!("{name} by drill: rehearsal")));
        assert!(told(&health, WEST, now).serve);
        board.regions[1].set_duty(Duty::Serving, "drill", "over");
        assert!(told(&health, EAST, now).serve);
    }
}

#[test]
fn the_region_that_is_left_serves_alone_without_a_break_until_one_is_in_step_again() {
    let now = Instant::now();
    let (board, health) = in_step(now);
    assert!(told(&health, EAST, now).serve && told(&health, WEST, now).serve);
    // The west is gone: the link from it ends, and only the east answers.
    board.forward().enter_at(State::Connecting, reason("disconnected"), now);
    board.reverse().enter_at(State::Connecting, reason("disconnected"), now);
    let mut without_break = true;
    let now = looks(&health, now, 20, |now| {
        board.regions[1].answered(now);
        without_break &= told(&health, EAST, now).serve;
    });
    assert!(without_break);
    let (east, west) = (told(&health, EAST, now), told(&health, WEST, now));
    assert_eq!((east.serve, &*east.state, west.serve, &*west.state), (true, "alone", false, "unreachable"));
    // It is back, and both links are being mended.
    let now = looks(&health, now, 20, |now| board.regions.iter().for_each(|region| region.answered(now)));
    let (east, west) = (told(&health, EAST, now), told(&health, WEST, now));
    assert_eq!((east.serve, &*east.state, west.serve, &*west.state), (true, "alone", false, "connecting"));
    assert_eq!(east.reason.as_deref(), Some("eu-west is back, and neither region is in step yet"));
    // The west has caught up: the east, which has not, is out.
    board.reverse().enter_at(State::Streaming, None, now);
    let now = looks(&health, now, 20, |now| {
        board.regions.iter().for_each(|region| region.answered(now));
        board.reverse().heartbeat_seen(Duration::from_millis(12), now);
    });
    let (east, west) = (told(&health, EAST, now), told(&health, WEST, now));
    assert_eq!((east.serve, &*east.state, west.serve, &*west.state), (false, "connecting", true, "in_step"));
}

#[test]
fn a_region_does_not_serve_alone_where_that_is_refused() {
    let now = Instant::now();
    let (board, health) = in_step_with(now, Alone::Refuse);
    board.forward().enter_at(State::Connecting, reason("disconnected"), now);
    let now = looks(&health, now, 20, |now| board.regions[1].answered(now));
    let answer = told(&health, EAST, now);
    assert_eq!(
        (answer.serve, &*answer.state, answer.error_code.as_deref()),
        (false, "connecting", Some("disconnected"))
    );
}

#[test]
fn many_different_lags_are_forgotten_one_by_one() {
    let now = Instant::now();
    let (board, health) = in_step(now);
    assert!(
        (1..=1000).all(|max_lag_ms| health.answer(EAST, Some(max_lag_ms), now).unwrap().serve == (max_lag_ms >= 12))
    );
    let now = looks(&health, now, 4, |now| {
        alive(&board, now, 990);
    });
    assert!(!health.answer(EAST, Some(980), now).unwrap().serve, "it was kept");
}

#[test]
fn the_words_of_an_agent_check() {
    let now = Instant::now();
    let (board, health) = in_step(now);
    let word = |just_returned| agent_word(&told(&health, EAST, now), just_returned);
    assert_eq!(word(false), "up\n");
    assert_eq!(word(true), "ready up\n");
    board.regions[1].set_duty(Duty::Drained, "ops", "patch\nday");
    assert_eq!(word(false), "drain #drained by ops: patch day\n");
    board.regions[1].set_duty(Duty::Fenced, "drill", "rehearsal");
    assert_eq!(word(false), "down #fenced by drill: rehearsal\n");
}

/// A row of the table in docs/operating.md.
fn row(what: &str, alone: Alone, happen: impl Fn(&Board, Instant)) -> String {
    let now = Instant::now();
    let (board, health) = in_step_with(now, alone);
    // Long ago, so that a return from a drain does not show.
    let now = looks(&health, now, 1, |now| alive(&board, now, 12));
    let _kept = (told(&health, EAST, now), told(&health, WEST, now));
    happen(&board, now);
    let now = looks(&health, now, 20, |now| {
        for region in board.regions.iter().filter(|region| region.is_reachable(now - health.interval())) {
            region.answered(now);
        }
        for link in board.links.iter().filter(|link| !link.stalled(now - health.interval())) {
            let lag_ms = link.lag_ms(now).unwrap_or_default().min(60_000);
            link.heartbeat_seen(Duration::from_millis(lag_ms), now);
        }
    });
    let code = |ok: bool| if ok { "200" } else { "503" };
    let readyz = code(board.readiness(now).ready);
    let (east, west) = (told(&health, EAST, now), told(&health, WEST, now));
    let agent = agent_word(&east, false);
    let agent = agent.split([' ', '\n']).next().unwrap_or_default();
    let [syncz, other] = [&east, &west].map(|answer| format!("{} `{}`", code(answer.serve), answer.state));
    format!("| {what} | 200 | {readyz} | {syncz} | `{agent}` | {other} |")
}

/// The table that operators read is what the code answers.
#[test]
fn the_table_of_states_and_answers_in_the_documents_is_true() {
    let enter = |state| move |board: &Board, now| board.forward().enter_at(state, reason("waiting"), now);
    let gone = |index: usize| {
        move |board: &Board, now: Instant| {
            board.regions[index].answered(now.checked_sub(Duration::from_secs(60)).unwrap_or(now));
            board.links.iter().for_each(|link| link.enter_at(State::Connecting, reason("unreachable"), now));
        }
    };
    let duty = |duty| move |board: &Board, _| board.regions[1].set_duty(duty, "ops", "patch day");
    let stall = |board: &Board, now: Instant| {
        let long_ago = now.checked_sub(Duration::from_secs(60)).unwrap_or(now);
        board.forward().enter_at(State::Connecting, None, long_ago);
        board.forward().enter_at(State::Streaming, None, long_ago);
        board.forward().heartbeat_seen(Duration::from_millis(12), long_ago);
    };
    let lag = |board: &Board, now| board.forward().heartbeat_seen(Duration::from_millis(900), now);
    let serve = Alone::Serve;
    let rows = [
        row("`streaming`, lag within `max_lag_ms`", serve, |_, _| {}),
        row("`streaming`, lag above `max_lag_ms`", serve, lag),
        row("`streaming`, `stalled`", serve, stall),
        row("`connecting`", serve, enter(State::Connecting)),
        row("`full_sync`", serve, enter(State::FullSync)),
        row("`paused`", serve, enter(State::Paused)),
        row("`held`", serve, enter(State::Held)),
        row("`halted`", serve, enter(State::Halted)),
        row("`stopped`", serve, enter(State::Stopped)),
        row("the region's server does not answer", serve, gone(1)),
        row("the other region's server does not answer, `health.alone = \"serve\"`", serve, gone(0)),
        row("the other region's server does not answer, `health.alone = \"refuse\"`", Alone::Refuse, gone(0)),
        row("the region is `drained`", serve, duty(Duty::Drained)),
        row("the region is `fenced`", serve, duty(Duty::Fenced)),
    ];
    let document = include_str!("../../docs/operating.md");
    let missing: Vec<_> = rows.iter().filter(|row| !document.contains(row.as_str())).map(String::as_str).collect();
    assert!(missing.is_empty(), "docs/operating.md lacks these rows:\n{}", missing.join("\n"));
}
