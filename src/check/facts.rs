//! What was seen at both servers, and what is wanted of them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::Item;
use super::rights::Rights;
use crate::config::{Beyond, Config, ExistingKeys, ServerDeletes};
use crate::engine::source::{Info, Measured};
use crate::error::Fault;

/// Everything that a precheck is made from.
#[derive(Debug)]
pub struct Facts {
    /// What the configuration wants.
    pub wanted: Wanted,
    /// The source of the forward link, then its target.
    pub regions: [RegionFacts; 2],
    /// How far the clock of the second region is ahead of the first one's.
    pub apart: Option<Measured>,
    /// Of some names of the smaller region, how many were looked for in the other one, and how many it holds.
    pub shared: Option<Shared>,
}

/// One region, whether or not it was reached.
#[derive(Debug)]
pub struct RegionFacts {
    /// Its name.
    pub name: String,
    /// Its address.
    pub place: String,
    /// Whether the address is this machine's own.
    pub is_local: bool,
    /// Whether the connection is encrypted.
    pub is_encrypted: bool,
    /// What its server says, or why it says nothing.
    pub server: Result<Box<ServerFacts>, Fault>,
}

/// What one server says.
#[derive(Debug, Default)]
pub struct ServerFacts {
    /// `INFO all`.
    pub info: Info,
    /// `CONFIG GET`: empty where the user may not.
    pub settings: HashMap<String, String>,
    /// The names of its modules.
    pub modules: Vec<String>,
    /// Its commands in small letters: the least number of words, and whether each writes.
    pub commands: BTreeMap<String, CommandFacts>,
    /// How often each command was called, by `INFO commandstats`, in small letters; with its subcommand, as `xgroup|create`.
    pub calls: BTreeMap<String, u64>,
    /// What the user may not do.
    pub rights: Rights,
    /// Names of its connections that tell something: those of Duet and of Sentinel, with their addresses.
    pub connections: Vec<Connection>,
    /// Names with the reserved prefix that were found among the first keys of database 0.
    pub reserved: Vec<String>,
    /// Bytes that clients write to the replication stream in a second, if that was measured.
    pub rate: Option<u64>,
    /// Whether a marker of this pair is there: the link that writes to it has been at work before.
    pub is_known: bool,
    /// Keys of this pair's own.
    pub own_keys: u64,
}

/// One command of a server.
#[derive(Debug, Clone, Copy, Default)]
pub struct CommandFacts {
    /// The least number of words, its name counted.
    pub words: usize,
    /// Whether it writes.
    pub writes: bool,
}

/// One connection of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// What it calls itself.
    pub name: String,
    /// From where, without the port.
    pub address: String,
}

/// Names that both regions hold, as far as it was looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    /// Names that were looked for.
    pub looked: u64,
    /// Names that were found.
    pub found: u64,
    /// Whether these were all.
    pub all: bool,
}

/// What the configuration wants.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The name of the pair.
    pub pair: String,
    /// What Duet's own keys begin with.
    pub prefix: String,
    /// `forward.existing_keys`
    pub existing_keys: ExistingKeys,
    /// Whether deletions by the servers are to be told by events.
    pub events: bool,
    /// `clock.skew_limit`
    pub skew_limit: Duration,
    /// Whether clocks that are too far apart hold the links.
    pub holds_on_skew: bool,
    /// Whether `PUBLISH` goes to the other region.
    pub publish: bool,
    /// Whether a daemon looks that is about to start.
    pub is_start: bool,
    /// Items that the operator takes no notice of.
    pub ignored: Vec<Item>,
}

impl Wanted {
    /// What `config` wants; `ignored` comes on top of what it ignores itself.
    pub fn of(config: &Config, ignored: &[Item], is_start: bool) -> Self {
        let deletes = &config.deletes;
        let mut ignored = ignored.to_vec();
        ignored.extend(&config.check.ignored);
        Self {
            pair: config.pair.name.to_string(),
            prefix: config.pair.reserved_prefix.as_str().to_owned(),
            existing_keys: config.forward.existing_keys,
            events: [deletes.expiry, deletes.eviction].contains(&ServerDeletes::Events),
            skew_limit: config.clock.skew_limit,
            holds_on_skew: config.clock.beyond == Beyond::Hold,
            publish: config.increments.publish,
            is_start,
            ignored,
        }
    }
}

impl Facts {
    /// Both servers, where both were reached.
    pub fn both(&self) -> Option<[&ServerFacts; 2]> {
        match &self.regions {
            [RegionFacts { server: Ok(ours), .. }, RegionFacts { server: Ok(theirs), .. }] => Some([ours, theirs]),
            _ => None,
        }
    }
}

impl Facts {
    /// Whether the region beside this one sends scripts, as servers before Redis 7 do.
    pub fn has_scripts(&self, region: usize) -> bool {
        let other = self.regions.iter().enumerate().find(|(index, _)| *index != region);
        let server = other.and_then(|(_, other)| other.server.as_ref().ok()?.info.server().ok());
        server.is_some_and(|server| server.version.0 < 7)
    }
}

impl ServerFacts {
    /// A number of `INFO`.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.info.get(name)
    }

    /// A text of `INFO`.
    pub fn text(&self, name: &str) -> Option<String> {
        self.info.get(name)
    }

    /// A setting, as `CONFIG GET` tells it.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// Its keys, ours not counted.
    pub fn keys(&self) -> u64 {
        let all: u64 = self.info.keyspace().iter().map(|(_, keys)| keys).sum();
        all.saturating_sub(self.own_keys)
    }
}
