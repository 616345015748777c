//! Many seeds on all processors; of one that breaks a promise, the smallest variant that still does.

use std::num::NonZero;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::crossing::CLASSES;
use crate::run::{Broken, Outcome, run};
use crate::variant::{Mix, Variant};

/// By how much the threads that play are nicer than the tests with real servers that run beside them.
const NICE: i32 = 10;
/// How many runs the search for a smaller variant may take.
const MOST_TRIES: u32 = 600;
/// Of so many runs one may end with a question to the operator; and where clients empty whole databases all the time, and
/// swap them, so that everything is to be copied from a region that is empty.
const SELDOM: u64 = 500;
const SELDOM_EMPTIED: u64 = 100;
/// With how many other dice a variant with something left out is tried.
const SALTS: u64 = 12;

/// Runs these seeds; gives those that broke a promise, up to `most`.
pub fn broken_seeds(mix: Mix, seeds: Range<u64>, broken: Broken, most: usize) -> Vec<(Variant, String)> {
    broken_variants(&Variant::new(mix, 0), seeds, broken, most)
}

/// The same for other seeds of a variant.
pub fn broken_variants(of: &Variant, seeds: Range<u64>, broken: Broken, most: usize) -> Vec<(Variant, String)> {
    let next = AtomicU64::new(seeds.start);
    let found = Mutex::new(Vec::new());
    let total = Mutex::new(Outcome::default());
    let play = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds.end || found.lock().expect("nobody panics with it").len() >= most {
            return;
        }
        let variant = Variant { seed, ..of.clone() };
        let outcome = run(&variant, broken);
        total.lock().expect("nobody panics with it").add(&outcome);
        if let Some(what) = outcome.broken {
            found.lock().expect("nobody panics with it").push((variant, what));
        }
    };
    let yields = || {
        rustix::process::nice(NICE).expect("anybody may have less of a processor");
        play();
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(yields);
        }
    });
    let total = total.into_inner().expect("all threads have ended");
    let played = next.into_inner().min(seeds.end) - seeds.start;
    println!("{played} seeds ({:?}): {total}", of.mix);
    let found = found.into_inner().expect("all threads have ended");
    // What broke a promise is to be told first.
    let seldom = if of.mix == Mix::Swap { SELDOM_EMPTIED } else { SELDOM };
    let rare = total.asked <= 1 + played / seldom || !found.is_empty();
    assert!(rare, "questions to the operator must be rare: {}", total.asked);
    found
}

/// A search for a smaller variant.
struct Search {
    broken: Broken,
    /// The promise that has to break.
    promise: String,
    smallest: Variant,
    what: String,
    tries: u32,
}

/// The smallest variant that was found to break the same promise, and how it does.
pub fn shrunk(variant: &Variant, what: &str, broken: Broken) -> (Variant, String) {
    let promise = what.split(':').next().unwrap_or_default().to_owned();
    let mut search = Search { broken, promise, smallest: variant.clone(), what: what.to_owned(), tries: 0 };
    search.write_less();
    for part in Variant::parts() {
        search.leave_out(part);
    }
    search.write_less();
    (search.smallest, search.what)
}

impl Search {
    /// Whether this variant breaks the promise; then it is the smallest so far.
    fn takes(&mut self, variant: Variant) -> bool {
        self.tries += 1;
        let told = (self.tries <= MOST_TRIES).then(|| run(&variant, self.broken).broken).flatten();
        let Some(what) = told.filter(|what| what.starts_with(&self.promise)) else { return false };
        self.what = what;
        self.smallest = variant;
        true
    }

    /// Stops the clients earlier: up to there nothing changes, so this finds the same fault.
    fn write_less(&mut self) {
        let mut writes = self.smallest.writes.unwrap_or_else(|| run(&self.smallest, self.broken).writes);
        let mut less = writes / 2;
        while less > 0 {
            let fewer = Variant { writes: Some(writes - less), ..self.smallest.clone() };
            if self.takes(fewer) {
                writes -= less;
            }
            less = less.min(writes) / 2;
        }
    }

    fn leave_out(&mut self, part: &str) {
        let mut without = self.smallest.without.clone();
        if without.iter().any(|name| name == part) {
            return;
        }
        without.push(part.to_owned());
        if CLASSES.iter().all(|(class, _)| without.iter().any(|name| name == class)) {
            return; // clients have to write something
        }
        for salt in 0..SALTS {
            let salt = if salt == 0 { self.smallest.salt } else { salt };
            if self.takes(Variant { salt, without: without.clone(), ..self.smallest.clone() }) {
                return;
            }
        }
    }
}
