//! What a person sets. Takes a TOML file and the environment, gives a [`Config`] that is valid ever after, or one
//! [`ConfigError`] that names file (or variable), key and remedy. No secret can be printed.
//!
//! In the order in which a setting flows: `environment` and the file become one tree, `schema` compares the tree
//! with the keys that exist, `raw` is its plain form and holds the defaults, `validate` makes the types below of
//! it, and `resolve` asks the name service.

mod admin;
mod certificate;
mod change;
mod conflicts;
mod endpoint;
mod environment;
mod error;
mod health;
mod load;
mod name;
mod raw;
mod resolve;
mod schema;
mod secret;
mod state;
mod telemetry;
mod tls;
mod validate;
mod verify;

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::SecretString;

pub use admin::{Admin, Listen};
pub use certificate::{Certificate, certificates};
pub use change::{Change, Takes, changes};
pub use conflicts::{Beyond, Clock, Conflicts, Deletes, Policy, PrefixPolicy, ServerDeletes};
pub use error::{ConfigError, EXIT_CONFIG};
pub use health::{Alone, Health};
pub use load::{admin, http, load, parse};
pub use name::{PairName, RegionName, ReservedPrefix};
pub use secret::token;
pub use state::state_folder;
pub use telemetry::Telemetry;
pub use tls::{Served, Tls, client_builder, roots};
pub use verify::{AutoRepair, Verify};

/// Every setting of one pair, checked once.
#[derive(Debug, Clone)]
pub struct Config {
    /// What the pair is called, and which keys are ours.
    pub pair: Pair,
    /// How the forward link behaves.
    pub forward: Forward,
    /// The source of the forward link, then its target.
    pub regions: [Region; 2],
    /// Where HTTP is answered.
    pub http: Http,
    /// Where orders are taken.
    pub admin: Admin,
    /// What load balancers are told.
    pub health: Health,
    /// What a collector gets.
    pub telemetry: Telemetry,
    /// The keys that prove that a link flows.
    pub heartbeat: Heartbeat,
    /// What of the increments is copied.
    pub increments: Increments,
    /// Which of two concurrent writes stays, and where that is recorded.
    pub conflicts: Conflicts,
    /// How far the regions' clocks may be apart.
    pub clock: Clock,
    /// How deletions by a server are known.
    pub deletes: Deletes,
    /// What the precheck passes over.
    pub check: Check,
    /// From where on a link asks before it spreads a disaster.
    pub guards: Guards,
    /// How much is written at once.
    pub apply: Apply,
    /// How the full sync cuts its work.
    pub full_sync: FullSync,
    /// Whether the daemon verifies the pair by itself.
    pub verify: Verify,
    /// How long a link waits before it tries again.
    pub retry: Retry,
    /// What is logged, and how.
    pub log: Log,
    /// How a stop ends.
    pub shutdown: Shutdown,
}

impl Config {
    /// The region that the forward link reads.
    pub fn source(&self) -> &Region {
        &self.regions[0]
    }

    /// The region that the forward link writes.
    pub fn target(&self) -> &Region {
        &self.regions[1]
    }
}

/// `[pair]`
#[derive(Debug, Clone)]
pub struct Pair {
    /// The name of the pair; part of every marker.
    pub name: PairName,
    /// Keys that begin with it are ours: never copied, counted or shown as data.
    pub reserved_prefix: ReservedPrefix,
}

/// `[forward]`, without the names of its regions: these are the order of [`Config::regions`].
#[derive(Debug, Clone)]
pub struct Forward {
    /// What happens at the first start when the target already holds keys of the same name.
    pub existing_keys: ExistingKeys,
    /// What happens when the source no longer has the position to go on from.
    pub position_lost: PositionLost,
}

/// `forward.existing_keys`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExistingKeys {
    /// Stop the start, and name how many and examples.
    Fail,
    /// The source's value replaces the target's.
    Overwrite,
    /// The target's value stays.
    Keep,
}

/// `forward.position_lost`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionLost {
    /// Copy everything again.
    FullSync,
    /// Wait for the operator's word.
    Hold,
}

/// `[region.NAME]`
#[derive(Debug, Clone)]
pub struct Region {
    /// The name of the region.
    pub name: RegionName,
    /// Its servers; this version takes exactly one.
    pub shards: Vec<Shard>,
    /// The ACL user; the server's `default` user when absent.
    pub username: Option<String>,
    /// From `password`, `password_file` or the user part of the url, as it was at the start.
    pub password: Option<SecretString>,
    /// Where the password comes from, when it is a file: it may change while Duet runs.
    pub password_file: Option<String>,
    /// How it is reached by TLS, where the url says so.
    pub tls: Option<Tls>,
}

impl Region {
    /// The server that is attached to: this version takes regions of one.
    pub fn primary(&self) -> &Shard {
        self.shards.first().expect("a region without a server is refused when the configuration is read")
    }

    /// The password as it is now: a file is read again.
    ///
    /// # Errors
    /// What is wrong with the file, with its path and never its content.
    pub fn password_now(&self) -> Result<Option<SecretString>, String> {
        match &self.password_file {
            None => Ok(self.password.clone()),
            Some(path) => secret::password_from(path).map(Some).map_err(|problem| format!("the file {path} {problem}")),
        }
    }
}

/// One server of a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Name or address, an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// `[http]`
#[derive(Debug, Clone)]
pub struct Http {
    /// Nothing is served when absent.
    pub listen: Option<SocketAddr>,
    /// Whether what listens at an address, here and for orders, speaks TLS, and with which certificate.
    pub tls: Option<Served>,
}

/// `[heartbeat]`
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// Time between two writes of the key.
    pub interval: Duration,
    /// When the key goes by itself after the last write.
    pub expire: Duration,
}

/// `[increments]`
#[derive(Debug, Clone)]
pub struct Increments {
    /// Whether PUBLISH and SPUBLISH go to the other region.
    pub publish: bool,
    /// FLUSHDB and FLUSHALL.
    pub flush: WholeDatabase,
    /// SWAPDB.
    pub swapdb: WholeDatabase,
}

/// What to do with a command that changes a whole database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WholeDatabase {
    /// Execute it at the other region too.
    Copy,
    /// Leave the other region as it is, and report it.
    Refuse,
}

/// `[check]`
#[derive(Debug, Clone)]
pub struct Check {
    /// Items that are shown and do not count.
    pub ignored: Vec<crate::check::Item>,
}

/// `[guards]`
#[derive(Debug, Clone)]
pub struct Guards {
    /// What is looked at in the stream.
    pub limits: crate::engine::guard::Limits,
    /// How far a target's marker may go back; zero for any distance.
    pub marker_back: Duration,
}

/// `[apply]`
#[derive(Debug, Clone)]
pub struct Apply {
    /// Most commands in one transaction; a client's longer transaction still stays whole.
    pub batch_commands: usize,
    /// Most bytes in one transaction; a single longer command still goes.
    pub batch_bytes: usize,
    /// Most transactions on their way at once.
    pub in_flight: usize,
}

/// `[full_sync]`
#[derive(Debug, Clone)]
pub struct FullSync {
    /// A value above this many bytes is written in pieces of about that size.
    pub value_bytes: usize,
}

/// `[retry]`
#[derive(Debug, Clone)]
pub struct Retry {
    /// The longest wait before the first new try.
    pub first: Duration,
    /// The longest wait before any new try; the wait doubles up to here.
    pub most: Duration,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct Log {
    /// The least important line that is written.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// `log.level`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Someone must act.
    Error,
    /// Unusual, but working.
    Warn,
    /// A phase changed.
    Info,
    /// What is done, step by step.
    Debug,
    /// Everything.
    Trace,
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// `[shutdown]`
#[derive(Debug, Clone)]
pub struct Shutdown {
    /// How long a stop waits for what is on its way.
    pub timeout: Duration,
}

#[cfg(test)]
pub(crate) mod tests;
