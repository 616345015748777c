//! Where in which history: the position of a link in the replication stream of its source.

use std::fmt;
use std::str::FromStr;

/// The name of one history of writes, as `INFO replication` and `PSYNC` give it: 40 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplicationId([u8; 40]);

impl ReplicationId {
    /// The id of no history.
    pub const NONE: Self = Self([b'0'; 40]);

    /// The 40 digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only hexadecimal digits are let in")
    }
}

/// What is not a replication id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a replication id has 40 hexadecimal digits")]
pub struct BadReplicationId;

impl FromStr for ReplicationId {
    type Err = BadReplicationId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: [u8; 40] = text.as_bytes().try_into().map_err(|_| BadReplicationId)?;
        if digits.iter().all(u8::is_ascii_hexdigit) { Ok(Self(digits)) } else { Err(BadReplicationId) }
    }
}

impl fmt::Display for ReplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ReplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place between two commands, outside of any transaction, in one history.
///
/// The database belongs to it because a primary does not repeat `SELECT` after `+CONTINUE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The history.
    pub replication_id: ReplicationId,
    /// Bytes of that history that lie before this place.
    pub offset: u64,
    /// The database in force there.
    pub database: u32,
}

impl Position {
    /// The position of a link that has none yet.
    pub const NONE: Self = Self { replication_id: ReplicationId::NONE, offset: 0, database: 0 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} in database {}", self.replication_id, self.offset, self.database)
    }
}

/// The largest offset that is taken from a server or a key, in bytes: servers count in signed numbers of 64 bits, and none comes
/// half as far.
const MAX_OFFSET: u64 = 1 << 62;

/// An offset in digits, or `None` where it is none that a server can have. So it can be counted on from there.
pub fn parse_offset(text: &str) -> Option<u64> {
    text.parse().ok().filter(|offset| *offset <= MAX_OFFSET)
}
