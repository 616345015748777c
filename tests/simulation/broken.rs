//! The simulation can fail: without any one of these mechanisms a promise breaks within a few hundred seeds.

use crate::broken_seeds;
use crate::daemon::Flaws;
use crate::run::Broken;
use crate::server::Defects;

/// Seeds in which a missing mechanism has to be noticed.
const SEEDS: u64 = 3000;

/// The mechanism is missed by each of these promises alone.
fn is_missed(flaws: Flaws, defects: Defects, promises: &[&'static str]) {
    for promise in promises {
        let broken = Broken { flaws, defects, only: Some(promise) };
        let found = broken_seeds(0..SEEDS, broken, 1);
        let (seed, what) = found.first().expect("without the mechanism the promise has to break");
        println!("seed {seed}: {what}");
    }
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
    is_missed(flaws, Defects::default(), &["nothing lost"]);
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
