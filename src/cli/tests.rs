use crate::engine::conflict::departed::{DeletePolicy, Deletes};
use std::time::{Duration, Instant};

use clap::CommandFactory;

use super::ask::Address;
use super::{Duet, render};
use crate::engine::source::Measured;
use crate::observe::{Reason, SetAside, State, tests::board};

#[test]
fn the_command_line_is_well_formed() {
    Duet::command().debug_assert();
}

#[test]
fn no_secret_can_be_typed_as_an_argument() {
    for command in Duet::command().get_subcommands() {
        for argument in command.get_arguments() {
            assert!(!argument.get_id().as_str().contains("password"), "{argument}");
        }
    }
}

#[test]
fn the_table_tells_states_lag_progress_reasons_and_remedies() {
    let now = Instant::now();
    let board = board(now);
    board.forward().enter_at(State::FullSync, None, now);
    let progress = board.forward().begin_full_sync(now);
    progress.keys_total.set(2_000_000);
    progress.keys_done.add(500_000);
    let reason = Reason {
        code: "wrong_password",
        text: "us-east says WRONGPASS\x1b[2J".into(),
        remedy: "Correct region.us-east.password_file".into(),
    };
    board.reverse().enter_at(State::Halted, Some(reason), now);
    board.reverse().heartbeat_seen(Duration::from_millis(82), now);
    board.reverse().writes_applied.add(1_234_567);
    board.reverse().set_aside(SetAside::new(2, b"cuckoo", "module value", "MBbloom-- is not there"));
    board.conflicts.dropped.add(3);
    board.reverse().unresolved.set(1_500);

    let text = render::table(&board.status(now + Duration::from_secs(10)));

    for part in [
        "pair orders: NOT READY",
        "forward: full sync, 500,000 keys of 2,000,000 (25 %), 50,000 keys/s, 30s left",
        "halted",
        "1,234,567",
        "reverse: us-east says WRONGPASS\\u{1b}[2J",
        "what to do: Correct region.us-east.password_file",
        "reverse: 1 set aside: module value",
        "database 2, key \"cuckoo\": module value, MBbloom-- is not there",
        "conflicts: 0 replayed, 3 dropped, 0 reconciled, 1,500 unresolved",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains('\x1b'), "control characters reach the terminal");
}

#[test]
fn a_pair_that_does_well_takes_no_words_but_a_line_about_its_clocks() {
    let now = Instant::now();
    let board = board(now);
    for link in &board.links {
        link.enter_at(State::Streaming, None, now);
        link.heartbeat_seen(Duration::from_millis(12), now);
        link.set_deletes(DeletePolicy { expiry: Deletes::Events, eviction: Deletes::Events });
    }
    board.clocks.look(Some(Measured { offset_us: -3_000, bound_us: 400 }), false);
    let text = render::table(&board.status(now));
    let (text, clocks) = text.rsplit_once('\n').unwrap();
    let expected =
        "clocks: eu-west is 3 ms (± 1 ms) ahead of us-east, limit 500 ms; a write's time is right within 504 ms";
    assert_eq!(clocks, expected);
    assert!(text.starts_with("pair orders: ready"), "{text}");
    assert!(text.contains("12 ms"), "{text}");
    assert!(text.ends_with('┘') || text.ends_with('╯'), "{text}");
}

#[test]
fn the_daemon_is_asked_where_it_listens() {
    let listening = |listen: &str| Address::of(listen.parse().unwrap(), None).to_string();
    assert_eq!(listening("0.0.0.0:8780"), "127.0.0.1:8780");
    assert_eq!(listening("[::]:8780"), "[::1]:8780");
    assert_eq!(listening("10.0.0.5:80"), "10.0.0.5:80");
    assert_eq!(Address::parse("http://duet.example").unwrap().to_string(), "duet.example:80");
    assert_eq!(Address::parse("https://duet.example").unwrap().to_string(), "duet.example:443");
    assert!(Address::parse("ftp://duet.example").is_err());
    assert!(Address::parse("127.0.0.1:8780").is_err());
}
