//! A whole pair from a seed: the real engine in both directions, two modelled servers, a network that delays and cuts,
//! a virtual clock, a daemon that is killed anywhere. No sockets, no real time.
//!
//! * `DUET_SEED=n cargo test --test simulation -- replay` runs one seed again; `DUET_TRACE=1` tells what happens in it.
//! * `DUET_SEEDS=100000 cargo test --test simulation` runs so many; `DUET_MIX=crossing`, `region`, `hold` or `apart` says of which kind,
//!   `DUET_ONLY="regions equal"` looks at no other promise.
//!
//! [`run`] plays one seed with the clients of [`workload`] (each region its own keys) or [`crossing`] (the same keys in
//! both) and the misfortunes of [`faults`]; [`server`], [`network`], [`clock`] and [`daemon`] are what it plays with;
//! [`oracle`] and [`ledger`] know what should be, and [`promises`] has a file for each promise. [`hunt`] runs many, and
//! makes a failing [`variant`] smaller.

#[cfg(test)]
mod broken;
mod clock;
mod crossing;
mod daemon;
mod faults;
mod hunt;
mod ledger;
mod network;
mod oracle;
mod promises;
mod run;
mod server;
mod variant;
mod workload;

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use daemon::Flaws;
use hunt::{broken_seeds, broken_variants, shrunk};
use run::{Broken, run};
use variant::{Mix, Variant};

/// Runs are many small pieces of memory.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the seeds below play: each kind with the seeds that run every time, and those that run once. `DUET_MIX` names
/// another kind, `DUET_SEEDS` another number.
const MIXES: &[(Mix, u64, u64)] = &[(Mix::Apart, 6_000, 1000)];

/// What both regions write is looked at for these promises alone; the others are not kept yet in every run, see
/// `docs/conflicts.md`.
const OF_CONCURRENT_WRITES: &str = "rest,regions equal,sums,items,exactly once,no echo,reserved,gate";

/// Seeds of runs in which both regions write the same keys: those that run every time, and those that run once. Of each as
/// many with what servers delete by themselves counting as their clients', and told from it.
const CROSSING: (u64, u64) = (2_600, 400);

/// The most that clocks are off where they are seconds apart, milliseconds.
const FAR_CLOCKS_MS: i64 = 2_000;
/// Seeds of runs with short lives and clocks so far apart.
const FAR_CLOCKS: u64 = 500;

/// Of these, those that broke a promise once. 1,399: a client had written to a key in part that had expired in the other region
/// by then. 9,535: a key was over when its copy arrived, and a client there built on nothing.
const FOUND_FAR: [u64; 2] = [1_399, 9_535];

/// Seeds of runs in which servers delete nothing by themselves, for every promise.
const UNDELETED: u64 = 1_000;
/// Of these, those that lost the last update once, in both regions: a region gave a value that an earlier write of the whole key
/// had come on top of, or one that was in doubt gave it before it was in order itself.
const FOUND_UNDELETED: [u64; 2] = [2_181, 4_799];

/// Other seeds that broke a promise once, each with what is left out of it.
const FOUND: [(Mix, u64, &[&str]); 9] = [
    // A write was sent after it had been executed again.
    (Mix::Crossing, 6_218, &[]),
    // A value was put behind writes that had been sent already.
    (Mix::Apart, 1_796_017_565_771_558, &[]),
    // A position was lost while databases in another order were about to be copied, by the other link, and by this one.
    (Mix::Apart, 12_961, &[]),
    (Mix::Apart, 3_871, &[]),
    // After a restart, deletions that had been left to the other region were taken for sent.
    (Mix::Events, 1_796_044_848_719_407, &[]),
    (Mix::Events, 9_931, LONG_LIVES),
    // A key had been moved on to a third database; another one was being made equal where it had come from.
    (Mix::Swap, 4_143, &[]),
    (Mix::Swap, 8_283, &[]),
    // What clients added to a value that a copy was putting there in pieces was to come back from the other region; but that
    // was copied onto itself before it did.
    (Mix::Lossy, 2_194, &[]),
];

/// The same of mix `lossy` with lists only to which elements are put once, some with fewer writes.
const FOUND_ON_LISTS: [(u64, Option<u64>, &[&str]); 4] = [
    // As 2,194.
    (2_233, None, &[]),
    (2_664, None, &[]),
    // A region was found empty, and written to before the link that reads it began.
    (13_749, None, &[]),
    // A value had been put upon a write, and the backlog of its region held neither any more when its link began again.
    (6_466, Some(55), &["marker_lost", "silence", "second_daemon", "kill", "evict", "hold", "flush", "whole"]),
];

/// All kinds of keys but those with short lives.
const LONG_LIVES: &[&str] =
    &["queue", "register", "wipe", "ranks", "sum", "list", "text", "kind", "several", "bits", "fresh", "hash", "set"];

/// Seeds of runs in which some keys are held.
const HOLD: (u64, u64) = (1_700, 300);

/// Seeds of runs in which databases are swapped. Of 9,000 none ended with a key that differs.
const SWAP: u64 = 600;
/// What these are looked at for.
const OF_SWAPS: &str = "rest,regions equal,no echo,exactly once,gate";

/// Seeds of runs with lists only: in which a backlog that is overrun while its stream lags is the only position that is lost; and
/// in which several are in a row, and primaries with what they wrote last.
const LOSSES_OF_LISTS: (u64, u64) = (1_500, 800);

/// How many seeds that broke a promise are looked for, and of how many a smaller variant is.
const ENOUGH: (usize, usize) = (8, 2);

/// Tells what happens, where `DUET_TRACE` is set.
fn trace(what: impl FnOnce() -> String) {
    static WANTED: OnceLock<bool> = OnceLock::new();
    if *WANTED.get_or_init(|| std::env::var_os("DUET_TRACE").is_some()) {
        eprintln!("{}", what());
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Nothing is switched off; all promises are looked at, or the one that was asked for.
fn whole() -> Broken {
    static ONLY: OnceLock<Option<String>> = OnceLock::new();
    let only = ONLY.get_or_init(|| std::env::var("DUET_ONLY").ok());
    Broken { only: only.as_deref(), ..Broken::default() }
}

/// The kinds of runs, each with its number of seeds.
fn mixes() -> Vec<(Mix, u64, u64)> {
    let wanted = std::env::var("DUET_MIX")
        .ok()
        .map(|name| Mix::named(&name).expect("apart, crossing, events, lossy, region or hold"));
    wanted.map_or(MIXES.to_vec(), |mix| vec![(mix, MIXES[0].1, MIXES[0].2)])
}

fn hold(broken: &[(Variant, String)]) {
    let lines = broken.iter().enumerate().map(|(number, (variant, what))| {
        let mut line = format!("{what}\n    replay it: {}\n", variant.command());
        if number < ENOUGH.1 {
            let (small, what) = shrunk(variant, what, whole());
            line += &format!("    the smallest that breaks it too: {what}\n    replay it: {}\n", small.command());
        }
        line
    });
    assert!(broken.is_empty(), "promises were broken\n{}", lines.collect::<String>());
}

#[test]
fn the_fixed_seeds_keep_every_promise() {
    for (mix, fixed, _) in mixes() {
        hold(&broken_variants(&Variant::all(mix), 0..number("DUET_SEEDS").unwrap_or(fixed), whole(), ENOUGH.0));
    }
}

#[test]
fn seeds_that_were_found_keep_every_promise() {
    let broken = |of: Variant| {
        let only = match of.mix {
            Mix::Apart => None,
            Mix::Swap => Some(OF_SWAPS),
            _ => Some(OF_CONCURRENT_WRITES),
        };
        broken_variants(&of, of.seed..of.seed + 1, Broken { only, ..Broken::default() }, ENOUGH.0)
    };
    let found = FOUND.into_iter().map(|(mix, seed, without)| {
        let without = without.iter().map(|part| (*part).to_owned()).collect();
        Variant { without, ..Variant::new(mix, seed) }
    });
    let on_lists =
        FOUND_ON_LISTS.into_iter().map(|(seed, writes, without)| Variant { writes, ..on_lists(seed, without) });
    hold(&found.chain(on_lists).flat_map(broken).collect::<Vec<_>>());
}

/// A run of mix `lossy` with lists only to which elements are put once, and also without the rest.
fn on_lists(seed: u64, without: &[&'static str]) -> Variant {
    let without = broken::all_but("queue").chain(without.iter().copied()).map(str::to_owned).collect();
    Variant { without, ..Variant::new(Mix::Lossy, seed) }
}

#[test]
fn writes_of_both_regions_to_the_same_keys_end_equal() {
    let broken = Broken { only: Some(OF_CONCURRENT_WRITES), ..Broken::default() };
    let (fixed, fresh) = CROSSING;
    for mix in [Mix::Crossing, Mix::Events] {
        hold(&broken_seeds(mix, 0..fixed, broken, ENOUGH.0));
        let first = fresh_seed();
        hold(&broken_seeds(mix, first..first + fresh, broken, ENOUGH.0));
    }
}

#[test]
fn keys_that_differ_are_held_until_a_later_write_of_the_whole_key_whatever_happens_to_the_daemon() {
    let broken = Broken { only: Some("rest,held,sums,items,reserved,gate"), ..Broken::default() };
    hold(&broken_seeds(Mix::Hold, 0..HOLD.0, broken, ENOUGH.0));
    let first = fresh_seed();
    hold(&broken_seeds(Mix::Hold, first..first + HOLD.1, broken, ENOUGH.0));
}

/// What a server deletes by itself is left out: of that the oracle of these promises knows too little.
#[test]
fn every_promise_is_kept_where_servers_delete_nothing_by_themselves() {
    let without = ["evict", "session", "ttl", "fading"].map(str::to_owned).to_vec();
    // Where a position is lost, or what a primary wrote last, an earlier update may stay: in most of these runs one is.
    let losses = ["lose_position", "marker_lost", "silence", "restart", "failover"].map(str::to_owned).to_vec();
    let lossless = [without.clone(), losses].concat();
    let found = FOUND_UNDELETED.into_iter().map(|seed| (Mix::Crossing, &without, seed..seed + 1));
    let all = [(Mix::Crossing, &without), (Mix::Region, &without), (Mix::Crossing, &lossless)];
    for (mix, without, seeds) in found.chain(all.map(|(mix, without)| (mix, without, 0..UNDELETED))) {
        let of = Variant { without: without.clone(), ..Variant::new(mix, 0) };
        hold(&broken_variants(&of, seeds, Broken::default(), ENOUGH.0));
    }
}

/// A key may be over for a while in one region only, and changed or prolonged in the other one meanwhile.
#[test]
fn short_lives_end_equal_where_clocks_are_seconds_apart() {
    let broken = Broken { only: Some(OF_CONCURRENT_WRITES), ..Broken::default() };
    let without = LONG_LIVES.iter().chain(&["session", "ttl"]).map(|part| (*part).to_owned()).collect();
    let of = Variant { without, clocks_ms: FAR_CLOCKS_MS, ..Variant::new(Mix::Events, 0) };
    let found = FOUND_FAR.into_iter().flat_map(|seed| broken_variants(&of, seed..seed + 1, broken, ENOUGH.0));
    hold(&found.collect::<Vec<_>>());
    hold(&broken_variants(&of, 0..FAR_CLOCKS, broken, ENOUGH.0));
}

/// Beyond the bound of what is kept of keys that met, they are made equal by their values.
#[test]
fn regions_end_equal_where_next_to_nothing_is_remembered_of_what_met() {
    let flaws = Flaws { forgetful: true, ..Flaws::default() };
    let broken = Broken { only: Some("rest,regions equal,reserved,gate"), flaws, ..Broken::default() };
    for mix in [Mix::Apart, Mix::Crossing, Mix::Events] {
        hold(&broken_seeds(mix, 0..400, broken, ENOUGH.0));
    }
}

/// In which order databases are moved and emptied decides also of keys that nobody wrote: then everything is copied.
#[test]
fn regions_end_equal_where_clients_of_both_empty_and_swap_databases() {
    let broken = Broken { only: Some(OF_SWAPS), ..Broken::default() };
    hold(&broken_seeds(Mix::Swap, 0..SWAP, broken, ENOUGH.0));
}

#[test]
fn elements_of_lists_outlive_positions_that_are_lost() {
    let broken = Broken { only: Some("items,regions equal"), ..Broken::default() };
    let (overrun, all) = LOSSES_OF_LISTS;
    hold(&broken_variants(&on_lists(0, &broken::OTHER_LOSSES), 0..overrun, broken, ENOUGH.0));
    hold(&broken_variants(&on_lists(0, &[]), 0..all, broken, ENOUGH.0));
}

/// A seed that nobody has played yet; it is told.
fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let first = since.as_micros() as u64;
    println!("fresh seeds from {first}");
    first
}

#[test]
fn fresh_seeds_keep_every_promise() {
    let first = fresh_seed();
    for (mix, _, fresh) in mixes() {
        hold(&broken_seeds(mix, first..first + fresh, whole(), ENOUGH.0));
    }
}

#[test]
fn replay() {
    if let Some(variant) = Variant::of_environment(MIXES[0].0) {
        let outcome = run(&variant, whole());
        println!("{outcome}");
        assert!(outcome.broken.is_none(), "{}", outcome.broken.unwrap_or_default());
    }
}

/// The oracle of concurrent writes complains of nothing where no two writes are concurrent. What servers delete by
/// themselves is left out: they do it at any time.
#[test]
fn writes_of_both_regions_that_never_meet_keep_every_promise() {
    let without = ["haste", "session", "ttl", "evict"].map(str::to_owned).to_vec();
    let of = Variant { without, ..Variant::new(Mix::Crossing, 0) };
    hold(&broken_variants(&of, 0..500, Broken::default(), ENOUGH.0));
}

#[test]
fn concurrent_writes_are_many_in_some_runs_and_few_in_others() {
    let unjudged = Broken { only: Some("none"), ..Broken::default() };
    let shares: Vec<u64> = (0..200)
        .map(|seed| run(&Variant::new(Mix::Crossing, seed), unjudged).met)
        .filter_map(|(all, met)| (met * 100).checked_div(all))
        .collect();
    let between = |range: std::ops::Range<u64>| shares.iter().filter(|share| range.contains(share)).count();
    assert!(between(0..15) > 10 && between(15..60) > 10 && between(60..101) > 10, "in per cent: {shares:?}");
}

#[test]
fn the_same_seed_runs_the_same_way() {
    for mix in [Mix::Apart, Mix::Crossing, Mix::Events, Mix::Lossy, Mix::Region, Mix::Hold] {
        let twice = [(); 2].map(|()| run(&Variant::new(mix, 5), Broken::default()));
        assert_eq!(twice[0].steps, twice[1].steps);
    }
}

#[test]
fn a_failing_run_shrinks_to_one_that_fails_in_the_same_way() {
    let found = broken_seeds(Mix::Apart, 0..3000, broken::without_sweep(), 1);
    let (variant, what) = found.first().expect("without deletions after a copy a promise breaks");
    let (small, what_small) = shrunk(variant, what, broken::without_sweep());
    assert_eq!(what_small.split(':').next(), what.split(':').next());
    assert_eq!(run(&small, broken::without_sweep()).broken, Some(what_small));
    assert!(!small.without.is_empty() && small.writes.is_some(), "{}", small.command());
}
