//! What is looked at.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// One item of the precheck. Its name, in snake_case, is stable: `--ignore` and `check.ignore` take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Item {
    /// The server can be reached.
    Reachable,
    /// User and password are accepted.
    Password,
    /// The user may do all that Duet does.
    Rights,
    /// The connection is encrypted.
    Tls,
    /// The server's program and version are served.
    Version,
    /// It is a primary.
    Role,
    /// It is no part of a cluster.
    Cluster,
    /// Its modules.
    Modules,
    /// Its eviction policy.
    Eviction,
    /// Its limit of memory.
    Maxmemory,
    /// A restart does not come back empty.
    Persistence,
    /// How long an outage its backlog bears.
    Backlog,
    /// How long it keeps the backlog of nobody.
    BacklogTtl,
    /// How much may wait for a slow replica.
    OutputBuffer,
    /// Whether writes depend on replicas.
    MinReplicas,
    /// Whether it tells what it deletes by itself.
    KeyspaceEvents,
    /// Whether a Sentinel may replace it.
    Sentinel,
    /// Who else uses keys with the reserved prefix.
    ReservedPrefix,
    /// The two regions are two servers.
    SameServer,
    /// Neither server copies from the other by itself.
    SameData,
    /// No other Duet is at work here.
    AnotherDuet,
    /// How far the clocks are apart.
    Clocks,
    /// Whether dumped values can be restored as they are.
    Dialect,
    /// Whether the target knows the commands in use.
    Commands,
    /// Whether the target has the databases in use.
    Databases,
    /// Whether the first copy fits.
    MemoryRoom,
    /// What the target of the first copy holds already.
    ExistingKeys,
}

impl Item {
    /// Its name, for people and programs.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}
