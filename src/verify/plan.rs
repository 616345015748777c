//! Which keys are compared, and how exactly.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What of a key is compared. The numbers are those of redis-full-check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Everything
    #[default]
    #[value(alias = "1")]
    Full,
    /// Type and length
    #[value(alias = "2")]
    Length,
    /// Existence and type
    #[value(alias = "3")]
    Outline,
    /// Everything, but of big keys type and length
    #[value(alias = "4")]
    SkipBig,
    /// Everything, by digests that the servers make where both can; else as full
    Digest,
}

/// Which keys are compared; an empty list leaves nothing out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Databases.
    pub databases: Vec<u32>,
    /// What names begin with.
    pub prefixes: Vec<Vec<u8>>,
    /// A pattern of `SCAN .. MATCH`.
    pub pattern: Option<Vec<u8>>,
    /// Types, as the servers name them.
    pub types: Vec<String>,
}

impl Filter {
    /// Whether keys of this database are compared.
    pub fn has_database(&self, database: u32) -> bool {
        self.databases.is_empty() || self.databases.contains(&database)
    }

    /// Whether keys of this name are compared, as far as the name decides it and the server has not.
    pub fn has_name(&self, name: &[u8]) -> bool {
        self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| name.starts_with(prefix))
    }

    /// Whether a key with these types in the two regions is compared.
    pub fn has_types(&self, kinds: [&str; 2]) -> bool {
        self.types.is_empty() || kinds.iter().any(|kind| self.types.iter().any(|wanted| wanted == kind))
    }

    /// What the servers are asked to leave out by themselves.
    pub fn server_pattern(&self) -> Option<Vec<u8>> {
        match (&self.pattern, self.prefixes.as_slice()) {
            (Some(pattern), _) => Some(pattern.clone()),
            (None, [prefix]) => {
                let special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\' | b'^');
                let mut pattern = Vec::with_capacity(prefix.len() + 1);
                for byte in prefix {
                    if special(byte) {
                        pattern.push(b'\\');
                    }
                    pattern.push(*byte);
                }
                pattern.push(b'*');
                Some(pattern)
            }
            (None, _) => None,
        }
    }
}

/// A part of all keys, chosen by their names alone: the same in both regions, and in each run with the same seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// How much of all keys, above 0 and up to 1.
    share: f64,
}

impl Sample {
    /// Every key.
    pub const ALL: Self = Self { share: 1.0 };

    /// How much of all keys, above 0 and up to 1.
    pub fn share(self) -> f64 {
        self.share
    }

    /// Whether a key is in the sample that `seed` gives.
    pub fn has(self, name: &[u8], seed: u64) -> bool {
        self.share >= 1.0 || (xxh3_64_with_seed(name, seed) as f64) < self.share * (u64::MAX as f64)
    }
}

impl FromStr for Sample {
    type Err = String;

    /// From `1%` or `0.01`.
    fn from_str(text: &str) -> Result<Self, String> {
        let rule = || "write a share, as 1% or 0.01".to_owned();
        let share = match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse::<f64>().map_err(|_| rule())? / 100.0,
            None => text.parse::<f64>().map_err(|_| rule())?,
        };
        if share > 0.0 && share <= 1.0 {
            Ok(Self { share })
        } else {
            Err("it takes more than 0%, up to 100%".to_owned())
        }
    }
}

/// All that a run is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What of a key is compared.
    pub mode: Mode,
    /// Which keys.
    pub filter: Filter,
    /// How many of them.
    pub sample: Sample,
    /// Chooses the sample.
    pub seed: u64,
    /// Whether times to live are compared.
    pub ttl: bool,
    /// By how much they may differ.
    pub ttl_tolerance: Duration,
    /// A key that takes more memory at a server is big, bytes: it is read in pieces.
    pub big_bytes: u64,
    /// How often a difference must be seen, the first time among them.
    pub rounds: u32,
    /// How long it must be there unchanged.
    pub settle: Duration,
    /// How long a key that changes all the time is looked at.
    pub patience: Duration,
    /// Requests a second at each server; 0 for as many as there can be.
    pub qps: u64,
    /// Bytes a second from each server; 0 for as many as there can be.
    pub bandwidth: u64,
    /// Batches that are compared at the same time; as many as the way is long where nothing is said.
    pub parallel: Option<usize>,
}

/// Batches that are compared at the same time where the way is short, and the most.
const FEWEST_LANES: usize = 8;
const MOST_LANES: usize = 32;

impl Default for Plan {
    fn default() -> Self {
        Self {
            mode: Mode::Full,
            filter: Filter::default(),
            sample: Sample::ALL,
            seed: 0,
            ttl: true,
            ttl_tolerance: Duration::from_secs(2),
            big_bytes: 1024 * 1024,
            rounds: 2,
            settle: Duration::from_secs(5),
            patience: Duration::from_secs(60),
            qps: 0,
            bandwidth: 0,
            parallel: None,
        }
    }
}

impl Plan {
    /// Whether a key of this name is compared; keys that begin with `reserved` are Duet's own.
    pub fn has(&self, name: &[u8], reserved: &[u8]) -> bool {
        !name.starts_with(reserved) && self.filter.has_name(name) && self.sample.has(name, self.seed)
    }

    /// Whether two times to live are the same within the tolerance.
    pub fn close(&self, left: Option<i64>, right: Option<i64>) -> bool {
        match (left, right) {
            (Some(left), Some(right)) => u128::from(left.abs_diff(right)) <= self.ttl_tolerance.as_millis(),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// How many batches are compared at the same time over a way that takes `round_trip` there and back: each is waited for
    /// two times.
    pub fn lanes(&self, round_trip: Duration) -> usize {
        let by_the_way = FEWEST_LANES + (round_trip.as_millis() / 5) as usize;
        self.parallel.unwrap_or(by_the_way.min(MOST_LANES))
    }

    /// What a run that is taken up again has to have in common with the one that was interrupted.
    pub fn fingerprint(&self) -> String {
        let Self { mode, filter, sample, seed, ttl, ttl_tolerance, big_bytes, .. } = self;
        let databases: BTreeSet<_> = filter.databases.iter().collect();
        format!(
            "{mode:?} {databases:?} {:?} {:?} {:?} {} {seed} {ttl} {} {big_bytes}",
            filter.prefixes,
            filter.pattern,
            filter.types,
            sample.share,
            ttl_tolerance.as_millis()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_the_same_for_the_same_seed_and_about_as_large_as_asked() {
        let sample: Sample = "10%".parse().unwrap();
        let names: Vec<_> = (0..10_000).map(|number| format!("key:{number}").into_bytes()).collect();
        let taken = |seed| names.iter().filter(|name| sample.has(name, seed)).collect::<Vec<_>>();
        assert_eq!(taken(1), taken(1));
        assert_ne!(taken(1), taken(2));
        assert!((800..1_200).contains(&taken(1).len()), "{}", taken(1).len());
        assert!(names.iter().all(|name| Sample::ALL.has(name, 1)));
    }

    #[test]
    fn a_share_is_read_as_percent_or_as_a_number() {
        assert_eq!("1%".parse::<Sample>().unwrap(), "0.01".parse::<Sample>().unwrap());
        for wrong in ["", "0", "0%", "101%", "2", "-1%", "x", "NaN"] {
            assert!(wrong.parse::<Sample>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn one_prefix_is_asked_of_the_servers_as_it_is() {
        let filter = Filter { prefixes: vec![b"a[*]".to_vec()], ..Filter::default() };
        assert_eq!(filter.server_pattern().unwrap(), b"a\\[\\*\\]*");
        assert!(filter.has_name(b"a[*]b") && !filter.has_name(b"ab"));
        let two = Filter { prefixes: vec![b"a".to_vec(), b"b".to_vec()], ..Filter::default() };
        assert_eq!(two.server_pattern(), None);
    }

    #[test]
    fn our_own_keys_are_never_compared() {
        let plan = Plan::default();
        assert!(!plan.has(b"duet:orders:marker:west", b"duet:") && plan.has(b"duetto", b"duet:"));
    }
}
