//! The simulation can fail: without any one of these mechanisms a promise breaks within a few hundred seeds.

use crate::crossing::CLASSES;
use crate::daemon::{Flaws, Unresolved};
use crate::hunt::broken_variants;
use crate::run::{Broken, run};
use crate::server::Defects;
use crate::variant::{Mix, Variant};

/// Seeds in which a missing mechanism has to be noticed.
const SEEDS: u64 = 6000;

/// The mechanism is missed by each of these promises alone.
fn is_missed(flaws: Flaws, defects: Defects, promises: &[&'static str]) {
    missed_in(&Variant::new(Mix::Apart, 0), flaws, defects, promises);
}

/// The mechanism is missed where both regions write the same keys.
fn is_missed_in_conflicts(unresolved: Unresolved, promises: &[&'static str]) {
    missed_from(0, unresolved, promises);
}

/// The same, where a run that breaks is rare: the search begins not far from one.
fn missed_from(first: u64, unresolved: Unresolved, promises: &[&'static str]) {
    let flaws = Flaws { unresolved, ..Flaws::default() };
    missed_in(&Variant::new(Mix::Crossing, first), flaws, Defects::default(), promises);
}

fn missed_in(of: &Variant, flaws: Flaws, defects: Defects, promises: &[&'static str]) {
    for promise in promises {
        let only = Some(*promise);
        let (variant, what) = broken_by(of, Broken { flaws, defects, only });
        println!("{what}: {} (switched off: {:?})", variant.command(), flaws.unresolved.names());
    }
}

/// A run that breaks a promise because of what is switched off: with nothing switched off it keeps it. The search begins at
/// the seed of the variant.
fn broken_by(of: &Variant, broken: Broken) -> (Variant, String) {
    let mut seeds = of.seed..of.seed + SEEDS;
    loop {
        let found = broken_variants(of, seeds.clone(), broken, 1).into_iter().next();
        let (variant, what) = found.expect("without the mechanism the promise has to break");
        if run(&variant, Broken { only: broken.only, ..Broken::default() }).broken.is_none() {
            return (variant, what);
        }
        seeds.start = variant.seed + 1;
    }
}

/// A pair whose copies don't end with deletions.
pub fn without_sweep() -> Broken {
    Broken { flaws: Flaws { no_sweep: true, ..Flaws::default() }, ..Broken::default() }
}

#[test]
fn the_fence_is_missed() {
    let flaws = Flaws { no_fence: true, ..Flaws::default() };
    is_missed(flaws, Defects::default(), &["exactly once", "checkpoint"]);
}

#[test]
fn the_marker_as_checkpoint_is_missed() {
    let flaws = Flaws { own_memory: true, ..Flaws::default() };
    is_missed(flaws, Defects::default(), &["exactly once"]);
}

#[test]
fn deletions_after_a_copy_are_missed() {
    let flaws = Flaws { no_sweep: true, ..Flaws::default() };
    is_missed(flaws, Defects::default(), &["regions equal"]);
}

#[test]
fn waiting_for_the_other_link_before_a_copy_is_missed() {
    let flaws = Flaws { no_drain: true, ..Flaws::default() };
    // A run that breaks is rare: the search begins not far from one.
    missed_in(&Variant::new(Mix::Apart, 8_000), flaws, Defects::default(), &["regions equal"]);
}

#[test]
fn the_gate_is_missed() {
    let defects = Defects { watch_ignored: true, ..Defects::default() };
    is_missed(Flaws::default(), defects, &["checkpoint", "gate"]);
}

#[test]
fn the_marker_as_loop_guard_is_missed() {
    let defects = Defects { marker_renamed: true, ..Defects::default() };
    is_missed(Flaws::default(), defects, &["no echo", "exactly once"]);
}

#[test]
fn telling_reserved_keys_from_data_is_missed() {
    let flaws = Flaws { reserved_copied: true, ..Flaws::default() };
    is_missed(flaws, Defects::default(), &["reserved"]);
}

#[test]
fn the_bound_on_what_is_in_flight_is_missed() {
    let flaws = Flaws { unbounded: true, ..Flaws::default() };
    is_missed(flaws, Defects::default(), &["bounded"]);
}

#[test]
fn what_both_regions_add_to_misses_the_marker_as_checkpoint_too() {
    let flaws = Flaws { own_memory: true, ..Flaws::default() };
    missed_in(&Variant::new(Mix::Crossing, 0), flaws, Defects::default(), &["sums"]);
}

#[test]
fn elements_of_lists_miss_the_gate_too() {
    let defects = Defects { watch_ignored: true, ..Defects::default() };
    // A run that breaks is rare: the search begins not far from one.
    broken_in_lists(&Variant::new(Mix::Crossing, 4_700), &[], Broken { defects, ..Broken::default() });
}

/// The kinds of keys that are not this one.
pub fn all_but(class: &str) -> impl Iterator<Item = &'static str> {
    CLASSES.into_iter().map(|(class, _)| class).filter(move |other| *other != class)
}

/// What is rare among the rest: only lists are written to which elements are put once.
fn broken_in_lists(of: &Variant, without: &[&'static str], broken: Broken) {
    let without = all_but("queue").chain(without.iter().copied()).map(str::to_owned).collect();
    let of = Variant { without, ..of.clone() };
    let (variant, what) = broken_by(&of, Broken { only: Some("items"), ..broken });
    println!("{what}: {}", variant.command());
}

/// In what other ways positions are lost than by a stream that lags until its backlog is overrun.
pub const OTHER_LOSSES: [&str; 5] = ["lose_position", "failover", "kill", "restart", "second_daemon"];

/// A run that breaks is rare: the search begins not far from one.
fn missed_where_streams_are_overtaken(unresolved: Unresolved, first: u64) {
    let flaws = Flaws { unresolved, ..Flaws::default() };
    broken_in_lists(&Variant::new(Mix::Lossy, first), &OTHER_LOSSES, Broken { flaws, ..Broken::default() });
}

#[test]
fn putting_values_only_where_the_stream_was_read_up_to_a_fence_is_missed() {
    missed_where_streams_are_overtaken(Unresolved { fencing: true, ..Unresolved::default() }, 0);
}

#[test]
fn executing_again_before_a_copy_what_unseen_values_lack_is_missed() {
    missed_where_streams_are_overtaken(Unresolved { making_good: true, ..Unresolved::default() }, 10_600);
}

#[test]
fn executing_the_winner_again_is_missed() {
    let unresolved = Unresolved { replay: true, ..Unresolved::default() };
    is_missed_in_conflicts(unresolved, &["regions equal"]);
    missed_from(400, unresolved, &["last update wins"]);
}

#[test]
fn holding_the_restart_position_for_what_is_unfinished_is_missed() {
    let unresolved = Unresolved { pins: true, ..Unresolved::default() };
    is_missed_in_conflicts(unresolved, &["regions equal"]);
}

#[test]
fn judging_again_after_a_restart_is_missed() {
    let unresolved = Unresolved { recovery: true, ..Unresolved::default() };
    is_missed_in_conflicts(unresolved, &["regions equal"]);
}

#[test]
fn looking_for_a_lost_marker_in_the_stream_is_missed() {
    let unresolved = Unresolved { searching: true, ..Unresolved::default() };
    is_missed_in_conflicts(unresolved, &["regions equal"]);
}

#[test]
fn settling_by_value_is_missed() {
    let unresolved = Unresolved { settling: true, ..Unresolved::default() };
    is_missed_in_conflicts(unresolved, &["regions equal"]);
}

#[test]
fn judging_in_one_step_with_reading_is_missed() {
    let unresolved = Unresolved { judging: true, ..Unresolved::default() };
    is_missed_in_conflicts(unresolved, &["regions equal"]);
}

#[test]
fn telling_a_later_daemon_which_keys_are_held_is_missed() {
    let unresolved = Unresolved { holding: true, ..Unresolved::default() };
    missed_in(&Variant::new(Mix::Hold, 0), Flaws { unresolved, ..Flaws::default() }, Defects::default(), &["held"]);
}

/// What changes nothing in one region and something in the other.
#[test]
fn looking_at_what_a_transaction_changed_is_missed() {
    let defects = Defects { unchanged_shown: true, ..Defects::default() };
    broken_in_lists(&Variant::new(Mix::Crossing, 0), &[], Broken { defects, ..Broken::default() });
}

#[test]
fn stamps_that_are_later_than_what_was_seen_are_missed() {
    let unresolved = Unresolved { pushing: true, ..Unresolved::default() };
    is_missed_in_conflicts(unresolved, &["last update wins"]);
}
