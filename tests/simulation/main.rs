//! A whole pair from a seed: the real engine in both directions, two modelled servers, a network that delays and cuts,
//! a virtual clock, a daemon that is killed anywhere. No sockets, no real time.
//!
//! * `DUET_SEED=n cargo test --test simulation -- replay` runs one seed again; `DUET_TRACE=1` tells what happens in it.
//! * `DUET_SEEDS=100000 cargo test --test simulation` runs so many.
//!
//! [`run`] plays one seed with the clients of [`workload`] and the misfortunes of [`faults`]; [`server`], [`network`] and
//! [`daemon`] are what it plays with; [`oracle`] knows what should be, and [`promises`] has a file for each promise.

#[cfg(test)]
mod broken;
mod daemon;
mod faults;
mod network;
mod oracle;
mod promises;
mod run;
mod server;
mod workload;

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use run::{Broken, Outcome, run};

/// Runs are many small pieces of memory.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Seeds that run every time, unless `DUET_SEEDS` says otherwise.
const FIXED: u64 = 3000;
/// Seeds that run once.
const FRESH: u64 = 1000;

/// How many seeds that broke a promise are looked for.
const ENOUGH: usize = 8;

/// Runs these seeds on all processors; gives those that broke a promise, up to `most`.
fn broken_seeds(seeds: std::ops::Range<u64>, broken: Broken, most: usize) -> Vec<(u64, String)> {
    let next = AtomicU64::new(seeds.start);
    let found = Mutex::new(Vec::new());
    let total = Mutex::new(Outcome::default());
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds.end || found.lock().expect("nobody panics with it").len() >= most {
            return;
        }
        let outcome = run(seed, broken);
        let mut total = total.lock().expect("nobody panics with it");
        total.steps += outcome.steps;
        total.kills += outcome.kills;
        total.writes += outcome.writes;
        if let Some(what) = outcome.broken {
            found.lock().expect("nobody panics with it").push((seed, what));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(work);
        }
    });
    let Outcome { steps, kills, writes, .. } = total.into_inner().expect("all threads have ended");
    println!("{} seeds: {steps} steps, {writes} writes, {kills} kills", next.into_inner().min(seeds.end) - seeds.start);
    found.into_inner().expect("all threads have ended")
}

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

fn hold(seeds: std::ops::Range<u64>) {
    let broken = broken_seeds(seeds, Broken::default(), ENOUGH);
    let lines = broken.iter().map(|(seed, what)| {
        format!("{what}\n    replay it: DUET_SEED={seed} cargo test --test simulation -- replay\n")
    });
    assert!(broken.is_empty(), "promises were broken\n{}", lines.collect::<String>());
}

#[test]
fn the_fixed_seeds_keep_every_promise() {
    hold(0..number("DUET_SEEDS").unwrap_or(FIXED));
}

#[test]
fn fresh_seeds_keep_every_promise() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let first = since.as_micros() as u64;
    println!("fresh seeds from {first}");
    hold(first..first + FRESH);
}

#[test]
fn replay() {
    if let Some(seed) = number("DUET_SEED") {
        hold(seed..seed + 1);
    }
}

#[test]
fn the_same_seed_runs_the_same_way() {
    let twice = [run(5, Broken::default()), run(5, Broken::default())];
    assert_eq!(twice[0].steps, twice[1].steps);
}
