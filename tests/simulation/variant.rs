//! Which run it is, in numbers and words that a person can type.

use crate::clock::MOST_OFF_MS;
use crate::crossing::CLASSES;
use crate::faults::FAULTS;

/// What clients write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mix {
    /// Other keys in each region, or what commutes.
    Apart,
    /// The same few keys in both regions: the later update wins.
    Crossing,
    /// The same, and deletions by the servers are told from those of clients.
    Events,
    /// The same as crossing, and positions are lost, and servers are replaced by replicas that lag.
    Lossy,
    /// The same as crossing, but one region wins, whenever it writes.
    Region,
    /// The same as crossing, but keys of some kinds are held when two writes meet.
    Hold,
    /// The same as crossing, but clients of both regions empty and swap databases, too.
    Swap,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Variant {
    pub mix: Mix,
    pub seed: u64,
    /// With another salt the same run is played with other dice: the same servers, clients and misfortunes.
    pub salt: u64,
    /// Clients write no more often than this: up to there, the run is the same.
    pub writes: Option<u64>,
    /// The most that clocks are off, milliseconds.
    pub clocks_ms: i64,
    /// Faults and kinds of keys that are left out.
    pub without: Vec<String>,
}

impl Mix {
    /// The mix of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Apart, Self::Crossing, Self::Events, Self::Lossy, Self::Region, Self::Hold, Self::Swap]
            .into_iter()
            .find(|mix| mix.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Apart => "apart",
            Self::Crossing => "crossing",
            Self::Events => "events",
            Self::Lossy => "lossy",
            Self::Region => "region",
            Self::Hold => "hold",
            Self::Swap => "swap",
        }
    }
}

impl Variant {
    /// The whole run of a seed.
    pub fn new(mix: Mix, seed: u64) -> Self {
        Self { mix, seed, salt: 0, writes: None, clocks_ms: MOST_OFF_MS, without: Vec::new() }
    }

    /// The run that the environment names; `mix` where it names none.
    pub fn of_environment(mix: Mix) -> Option<Self> {
        let text = |name: &str| std::env::var(name).ok();
        let number = |name: &str| text(name).map(|text| text.parse::<u64>().expect("a number"));
        Some(Self {
            mix: text("DUET_MIX")
                .map_or(mix, |name| Mix::named(&name).expect("apart, crossing, events, lossy, region, hold or swap")),
            seed: number("DUET_SEED")?,
            salt: number("DUET_SALT").unwrap_or(0),
            writes: number("DUET_WRITES"),
            clocks_ms: clocks_ms(),
            without: without(),
        })
    }

    /// All seeds of this kind, with the clocks that the environment names, and without what it leaves out.
    pub fn all(mix: Mix) -> Self {
        Self { clocks_ms: clocks_ms(), without: without(), ..Self::new(mix, 0) }
    }

    /// Whether something is left out.
    pub fn is_without(&self, name: &str) -> bool {
        self.without.iter().any(|without| without == name)
    }

    /// What can be left out.
    pub fn parts() -> impl Iterator<Item = &'static str> {
        let classes = CLASSES.into_iter().map(|(name, _)| name);
        FAULTS.into_iter().chain(["clocks", "transactions", "flush", "whole", "haste"]).chain(classes)
    }

    /// The command that runs it again.
    pub fn command(&self) -> String {
        let Self { seed, salt, .. } = self;
        let mut line = format!("DUET_MIX={} DUET_SEED={seed}", self.mix.name());
        if *salt > 0 {
            line += &format!(" DUET_SALT={salt}");
        }
        if let Some(writes) = self.writes {
            line += &format!(" DUET_WRITES={writes}");
        }
        if self.clocks_ms != MOST_OFF_MS {
            line += &format!(" DUET_CLOCKS_MS={}", self.clocks_ms);
        }
        if !self.without.is_empty() {
            line += &format!(" DUET_WITHOUT={}", self.without.join(","));
        }
        line + " cargo test --test simulation -- replay"
    }
}

fn clocks_ms() -> i64 {
    std::env::var("DUET_CLOCKS_MS").map_or(MOST_OFF_MS, |text| text.parse().expect("milliseconds"))
}

fn without() -> Vec<String> {
    let names = std::env::var("DUET_WITHOUT").unwrap_or_default();
    names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
