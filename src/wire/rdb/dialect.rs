//! Whose dump it is, and what a server can take by `RESTORE`.

/// Which family of servers wrote a dump. Both grew from Redis 7.2 and have since used the same numbers (types 22 and 23,
/// opcode 243) for different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Redis, and forks from before Valkey.
    Redis,
    /// Valkey.
    Valkey,
}

/// What a server can take by `RESTORE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Restorable {
    /// The server's family.
    pub dialect: Dialect,
    /// The newest version of the format that the server reads, to be written into a payload for it.
    pub rdb_version: u32,
}

impl Restorable {
    /// What a server of `dialect` takes, by its version (major, minor, patch).
    ///
    /// A version that is not known counts as the newest known one before it. Source: `RDB_VERSION` in `rdb.h` of each
    /// release.
    pub fn of_server(dialect: Dialect, server_version: (u32, u32, u32)) -> Self {
        let (major, minor, _) = server_version;
        let rdb_version = match dialect {
            Dialect::Redis => match (major, minor) {
                (..5, _) => 8,
                (5 | 6, _) => 9,
                (7, ..2) => 10,
                (7, 2 | 3) => 11,
                (7, _) | (8, ..6) => 12,
                (8, 6 | 7) => 13,
                (8, 8 | 9) => 14,
                (8.., _) => 15,
            },
            Dialect::Valkey => match major {
                ..9 => 11,
                9.. => 80,
            },
        };
        Self { dialect, rdb_version }
    }

    /// Whether the server can restore a value of this type code from a dump of the dialect `source`.
    ///
    /// Conservative: what only one family writes is taken only within it, and module values are never taken, because
    /// nothing says that the server has the module.
    pub fn takes(&self, source: Dialect, type_code: u8) -> bool {
        let both = |family| source == family && self.dialect == family;
        match type_code {
            0..=5 | 9..=14 => true,
            15 => self.rdb_version >= 9,
            16..=19 => self.rdb_version >= 10,
            20 | 21 => self.rdb_version >= 11,
            22 if both(Dialect::Valkey) => self.rdb_version >= 80,
            22..=25 => both(Dialect::Redis) && self.rdb_version >= 12,
            26 => both(Dialect::Redis) && self.rdb_version >= 13,
            27 | 28 => both(Dialect::Redis) && self.rdb_version >= 14,
            6..=8 | 29.. => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_carries_the_newest_version_that_the_server_reads() {
        let version = |dialect, version| Restorable::of_server(dialect, version).rdb_version;
        let redis =
            [(5, 0, 14), (6, 2, 16), (7, 0, 15), (7, 2, 6), (7, 4, 1), (7, 9, 224), (8, 4, 0), (8, 6, 3), (8, 8, 0)];
        assert_eq!(redis.map(|v| version(Dialect::Redis, v)), [9, 9, 10, 11, 12, 12, 12, 13, 14]);
        let valkey = [(7, 2, 5), (8, 0, 1), (8, 1, 0), (9, 0, 0), (9, 1, 2)];
        assert_eq!(valkey.map(|v| version(Dialect::Valkey, v)), [11, 11, 11, 80, 80]);
    }

    #[test]
    fn what_one_family_writes_is_not_taken_by_the_other() {
        let redis = Restorable::of_server(Dialect::Redis, (8, 0, 0));
        let valkey = Restorable::of_server(Dialect::Valkey, (9, 1, 0));
        for code in 0..=255 {
            assert!(code < 22 || !redis.takes(Dialect::Valkey, code), "{code}");
            assert!(code < 22 || !valkey.takes(Dialect::Redis, code), "{code}");
        }
        assert!(redis.takes(Dialect::Redis, 24) && !redis.takes(Dialect::Redis, 26));
        assert!(valkey.takes(Dialect::Valkey, 22) && !valkey.takes(Dialect::Valkey, 24));
        assert!(!Restorable::of_server(Dialect::Redis, (6, 2, 0)).takes(Dialect::Redis, 18));
    }
}
