//! The simulation can fail: without any one of these mechanisms a promise breaks within a few hundred seeds.

use crate::broken_seeds;
use crate::daemon::Flaws;
use crate::run::Broken;
use crate::server::Defects;

/// Seeds in which a missing mechanism has to be noticed.
const SEEDS: u64 = 3000;

/// The mechanism is missed, and by one of these promises.
fn is_missed(broken: Broken, promises: &[&str]) {
    let found = broken_seeds(0..SEEDS, broken, 1);
    let (seed, what) = found.first().expect("without the mechanism a promise has to break");
    println!("seed {seed}: {what}");
    assert!(promises.iter().any(|promise| what.starts_with(promise)), "seed {seed} breaks another promise: {what}");
}

/// Doubled or lost writes show in any of these, whichever looks first.
const DATA: [&str; 5] = ["checkpoint", "exactly once", "nothing lost", "regions equal", "refused inside of EXEC"];

#[test]
fn the_fence_is_missed() {
    let flaws = Flaws { no_fence: true, ..Flaws::default() };
    is_missed(Broken { flaws, ..Broken::default() }, &DATA);
}

#[test]
fn the_marker_as_checkpoint_is_missed() {
    let flaws = Flaws { own_memory: true, ..Flaws::default() };
    is_missed(Broken { flaws, ..Broken::default() }, &DATA);
}

#[test]
fn deletions_after_a_copy_are_missed() {
    let flaws = Flaws { no_sweep: true, ..Flaws::default() };
    is_missed(Broken { flaws, ..Broken::default() }, &DATA);
}

#[test]
fn waiting_for_the_other_link_before_a_copy_is_missed() {
    let flaws = Flaws { no_drain: true, ..Flaws::default() };
    is_missed(Broken { flaws, ..Broken::default() }, &DATA);
}

#[test]
fn the_gate_is_missed() {
    let defects = Defects { watch_ignored: true, ..Defects::default() };
    let promises: Vec<&str> = DATA.into_iter().chain(["gate"]).collect();
    is_missed(Broken { defects, ..Broken::default() }, &promises);
}

#[test]
fn the_marker_as_loop_guard_is_missed() {
    let defects = Defects { marker_renamed: true, ..Defects::default() };
    let promises: Vec<&str> = DATA.into_iter().chain(["no echo", "rest"]).collect();
    is_missed(Broken { defects, ..Broken::default() }, &promises);
}
