//! What `DUMP` answers and `RESTORE` takes: a type code, an encoded value, the version of the format in two bytes, a
//! checksum in eight (Redis `cluster.c`, createDumpPayload and verifyDumpPayload).

use super::checksum::Checksum;
use super::{Dialect, Key, Kind, Record, Restorable, layout};
use bytes::Bytes;

/// The size of version and checksum.
const FOOTER: usize = 10;

/// The last version before Valkey and Redis went their own ways: what carries it or an older one is the same in both.
const LAST_COMMON: u32 = 11;

/// The first version of Valkey's own. Redis is far below it (Valkey `rdb.h`, RDB_FOREIGN_VERSION_MAX).
const FIRST_OF_VALKEY: u32 = 80;

/// A payload, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload<'a> {
    /// The code of the value's type and encoding.
    pub type_code: u8,
    /// The encoded value, which stands in a dump in the same bytes.
    pub body: &'a [u8],
    /// The version of the format that it was written in.
    pub rdb_version: u32,
}

impl<'a> Payload<'a> {
    /// Takes a payload apart; `None` when it is too short to be one. The checksum is not looked at: a server has made
    /// the payload, or has taken it.
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let (value, footer) = payload.split_at_checked(payload.len().checked_sub(FOOTER)?)?;
        let (&type_code, body) = value.split_first()?;
        let version = footer.first_chunk().map(|&version| u16::from_le_bytes(version))?;
        Some(Self { type_code, body, rdb_version: u32::from(version) })
    }

    /// Whose encoding it is, which its version tells.
    pub fn dialect(&self) -> Dialect {
        if self.rdb_version >= FIRST_OF_VALKEY { Dialect::Valkey } else { Dialect::Redis }
    }

    /// Whether the server `target` takes the payload as it is, if it knows the value's type. A server refuses newer
    /// versions than its own, and those of the other family.
    pub fn is_taken_by(&self, target: &Restorable) -> bool {
        let common = self.rdb_version <= LAST_COMMON;
        (common || self.dialect() == target.dialect) && self.rdb_version <= target.rdb_version
    }

    /// The value under the name of a key, with a copy of its bytes.
    pub fn record(&self, database: u32, name: &[u8], expires_at_ms: Option<i64>) -> Record {
        let kind = layout::of_type(self.dialect(), self.type_code).map_or(Kind::Unknown, |(kind, _)| kind);
        Record {
            key: Key { database, name: Bytes::copy_from_slice(name), expires_at_ms, kind },
            dialect: self.dialect(),
            type_code: self.type_code,
            body: Bytes::copy_from_slice(self.body),
        }
    }
}

/// The payload of a value.
pub(super) fn payload(type_code: u8, body: &[u8], rdb_version: u32) -> Vec<u8> {
    let mut payload = Vec::with_capacity(1 + body.len() + FOOTER);
    payload.push(type_code);
    payload.extend_from_slice(body);
    payload.extend_from_slice(&(rdb_version as u16).to_le_bytes());
    let mut sum = Checksum::new();
    sum.update(&payload);
    payload.extend_from_slice(&sum.value().to_le_bytes());
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_taken_apart_as_it_was_put_together() {
        let written = payload(99, b"body", 80);
        let read = Payload::parse(&written).expect("a payload");
        assert_eq!(read, Payload { type_code: 99, body: b"body", rdb_version: 80 });
        let record = read.record(3, b"k", Some(7));
        assert_eq!((record.key.kind, record.dialect), (Kind::Unknown, Dialect::Valkey));
        assert_eq!(record.payload(80), written);
    }

    #[test]
    fn too_few_bytes_are_no_payload() {
        let written = payload(0, b"", 9);
        assert_eq!(written.len(), 11);
        for end in 0..written.len() {
            assert_eq!(Payload::parse(&written[..end]), None);
        }
        assert!(Payload::parse(&written).is_some());
    }

    #[test]
    fn a_server_takes_its_own_familys_versions_up_to_its_own_and_those_that_both_have() {
        let taken = |version, dialect, server| {
            let payload = Payload { type_code: 0, body: b"", rdb_version: version };
            payload.is_taken_by(&Restorable::of_server(dialect, server))
        };
        assert!(taken(9, Dialect::Redis, (6, 2, 0)) && !taken(10, Dialect::Redis, (6, 2, 0)));
        assert!(taken(10, Dialect::Valkey, (9, 1, 0)) && taken(80, Dialect::Valkey, (9, 1, 0)));
        assert!(!taken(12, Dialect::Valkey, (9, 1, 0)) && !taken(80, Dialect::Redis, (8, 0, 0)));
        assert!(taken(12, Dialect::Redis, (7, 4, 0)) && !taken(11, Dialect::Redis, (7, 0, 0)));
    }
}
