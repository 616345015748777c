//! What happens to writes of both regions to one key: `[conflicts]`, `[clock]` and `[deletes]`.

use std::path::PathBuf;
use std::time::Duration;

use crate::engine::conflict::Policies;
pub use crate::engine::conflict::Policy;

/// `[conflicts]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflicts {
    /// Of keys for which no prefix says otherwise.
    pub policy: Policy,
    /// Of those that begin with a prefix: the longest that fits counts.
    pub prefixes: Vec<PrefixPolicy>,
    /// The directory of the record; absent where none is configured.
    pub journal: Option<PathBuf>,
    /// Most bytes of the record in that directory.
    pub journal_bytes: u64,
}

/// `[[conflicts.prefix]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixPolicy {
    /// What the keys begin with; never empty.
    pub prefix: String,
    /// What holds for them.
    pub policy: Policy,
}

impl Conflicts {
    /// What holds for each key.
    pub fn policies(&self) -> Policies {
        let prefixes = self.prefixes.iter().map(|each| (each.prefix.clone().into_bytes(), each.policy));
        Policies::new(self.policy, prefixes.collect())
    }
}

/// `[clock]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    /// How far the clocks of the regions may be apart.
    pub skew_limit: Duration,
    /// What to do when they are further apart.
    pub beyond: Beyond,
}

/// `clock.beyond`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// Go on, and say so.
    Alarm,
    /// Hold both links until the clocks agree.
    Hold,
}

/// `[deletes]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletes {
    /// Of keys whose time is over.
    pub expiry: ServerDeletes,
    /// Of keys for which the server has no memory.
    pub eviction: ServerDeletes,
}

/// How a deletion that a server makes by itself is told from a client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerDeletes {
    /// By the server's keyspace events.
    Events,
    /// By comparing the key in both regions.
    Compare,
    /// Not at all: it counts as a client's.
    Propagate,
}
