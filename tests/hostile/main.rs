//! Hostile bytes, on any compiler: the kept corpus of the fuzzers in `tests/fuzz`, and mutations of it from a fixed seed. See
//! `docs/testing.md`.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[path = "../fuzz/targets/mod.rs"]
mod targets;

use targets::Target;

/// Mutations of the corpus of each target, unless `DUET_MUTATIONS` says how many.
const MUTATIONS: usize = 1500;
/// How long one input may take, on a slow machine with other tests.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most memory that the process may have taken, KiB.
const MEMORY_KIB: u64 = 512 * 1024;

macro_rules! replayed {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name), targets::$name);
        })*

        /// The names of the tests above.
        const REPLAYED: &[&str] = &[$(stringify!($name)),*];
    };
}

replayed!(frames, replies, dump, packed, lzf, marker, handshake, stream, configuration, http);

#[test]
fn every_target_has_a_fuzzer_a_corpus_and_a_test() {
    let names: BTreeSet<String> = targets::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    let entries = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(fuzz().join(folder)).expect("a folder");
        entries
            .map(|entry| entry.expect("an entry").path().file_stem().expect("a name").to_string_lossy().into_owned())
            .collect()
    };
    assert_eq!(names, entries("corpus"));
    assert_eq!(names, entries("fuzz_targets"));
    assert_eq!(names, REPLAYED.iter().map(|name| (*name).to_owned()).collect());
    assert!(names.iter().all(|name| corpus(name).len() >= 5));
}

#[test]
fn an_input_that_breaks_a_promise_is_found() {
    let breaks = |data: &[u8]| assert!(!data.ends_with(b"99999999999999999999"));
    assert!(corpus("frames").iter().all(|input| catch_unwind(|| breaks(input)).is_ok()));
    assert!(catch_unwind(|| replay("frames", breaks)).is_err(), "no mutation is one of those that it is to make");
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// The kept inputs of a target, in the order of their names.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(fuzz().join("corpus").join(name)).expect("a corpus");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("an input")).collect()
}

fn replay(name: &str, target: Target) {
    let corpus = corpus(name);
    corpus.iter().for_each(|input| give(name, target, input));
    let mutations = std::env::var("DUET_MUTATIONS").map_or(MUTATIONS, |count| count.parse().expect("a number"));
    let mut random = fastrand::Rng::with_seed(4711);
    for number in 0..mutations {
        let mut input = corpus[number % corpus.len()].clone();
        for _ in 0..random.usize(1..=4) {
            mutate(&mut input, &corpus, &mut random);
        }
        give(name, target, &input);
    }
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    assert!(peak.is_some_and(|kib: u64| kib < MEMORY_KIB), "{name} took {peak:?} KiB of memory");
}

/// Gives the input to the target, and tells which one it was where that breaks a promise.
fn give(name: &str, target: Target, input: &[u8]) {
    let began = Instant::now();
    if let Err(broken) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        eprintln!("keep this as a file in tests/fuzz/corpus/{name}: b\"{}\"", input.escape_ascii());
        resume_unwind(broken);
    }
    assert!(began.elapsed() < PATIENCE, "{name} took {:?} for b\"{}\"", began.elapsed(), input.escape_ascii());
}

/// Numbers at which something ends, as a stream writes them.
const NUMBERS: [&str; 9] = [
    "-1",
    "0",
    "4294967296",
    "536870913",
    "4503599627370497",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "99999999999999999999",
];

/// Changes one thing.
fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut fastrand::Rng) {
    let at = random.usize(0..=input.len());
    let end = (at + random.usize(0..16)).min(input.len());
    match random.u8(0..7) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..end)),
        2 => {
            let piece = input[at..end].to_vec();
            input.splice(at..at, piece);
        }
        3 => {
            let other = random.choice(corpus).map_or(&[][..], Vec::as_slice);
            let from = random.usize(0..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        4 => {
            let digits = input[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            input.splice(at..at + digits, random.choice(NUMBERS).unwrap_or_default().bytes());
        }
        5 => input.insert(at, random.choice([0, 0x7f, 0x80, 0x81, 0xc3, 0xfe, 0xff]).unwrap_or_default()),
        _ => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.u8(0..8);
            }
        }
    }
}
