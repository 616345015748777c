//! What the server knows that a command is for.

use super::table::{COUNT, lookup};
use crate::wire::rdb::Dialect;

/// A version of a server: major, minor, patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u16, pub u16, pub u16);

/// Which commands of our table a server has, and which version it is.
#[derive(Debug, Clone)]
pub struct Capabilities {
    known: [bool; COUNT],
    dialect: Dialect,
    version: Version,
}

impl Capabilities {
    /// What a server of this version knows that answered COMMAND with these names, in any case. Names that aren't in our
    /// table don't matter.
    pub fn new<N: AsRef<[u8]>>(names: impl IntoIterator<Item = N>, dialect: Dialect, version: Version) -> Self {
        let mut known = [false; COUNT];
        for spec in names.into_iter().filter_map(|name| lookup(name.as_ref())) {
            known[usize::from(spec.id)] = true;
        }
        Self { known, dialect, version }
    }

    /// A server that knows every command and every option.
    pub fn all() -> Self {
        Self { known: [true; COUNT], dialect: Dialect::Redis, version: Version(u16::MAX, 0, 0) }
    }

    /// The server's family.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The server's version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether the server has this command; never for one that is not in our table.
    pub fn knows(&self, name: &str) -> bool {
        lookup(name.as_bytes()).is_some_and(|spec| self.has(spec.id))
    }

    pub(super) fn has(&self, id: u8) -> bool {
        self.known.get(usize::from(id)).copied().unwrap_or(false)
    }

    /// Whether the server knows what came with Redis `major.minor`. Of Redis after 7.2 Valkey took over nothing by itself.
    pub(super) fn at_least(&self, major: u16, minor: u16) -> bool {
        let redis = match self.dialect {
            Dialect::Redis => self.version,
            Dialect::Valkey => Version(7, 2, 4),
        };
        redis >= Version(major, minor, 0)
    }

    /// Whether the server knows what came with Redis `redis` and, on its own, with Valkey `valkey`.
    pub(super) fn has_since(&self, redis: (u16, u16), valkey: (u16, u16)) -> bool {
        match self.dialect {
            Dialect::Redis => self.at_least(redis.0, redis.1),
            Dialect::Valkey => self.version >= Version(valkey.0, valkey.1, 0),
        }
    }
}
