//! What a server says of itself in `INFO`.

use std::collections::HashMap;
use std::str::FromStr;

use crate::command::Version;
use crate::engine::position::{Position, ReplicationId, parse_offset};
use crate::error::{Fault, Kind};
use crate::wire::rdb::Dialect;

/// The most keys of a database that are believed: those of all databases can be added up.
const MOST_KEYS: u64 = 1 << 40;

/// A reply to `INFO server replication keyspace` and its like, taken apart.
#[derive(Debug, Default)]
pub struct Info(HashMap<String, String>);

/// Which program a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// Redis or Valkey.
    pub dialect: Dialect,
    /// Its version.
    pub version: Version,
}

/// The history that a server can continue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replication {
    /// Its present history.
    pub id: ReplicationId,
    /// The history before the last failover or restart, and up to which offset it is the same.
    pub second: Option<(ReplicationId, u64)>,
    /// Bytes of history written so far.
    pub offset: u64,
    /// The backlog: the first offset that it holds, counted from 1 as `PSYNC` does, and how many bytes.
    pub backlog: Option<(u64, u64)>,
    /// Whether it is a primary.
    pub is_primary: bool,
}

impl Info {
    /// Takes a reply apart; sections and lines that are no `name:value` are passed over.
    pub fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Self(pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect())
    }

    /// The value of `name`, if it was there and is of the form.
    pub fn get<T: FromStr>(&self, name: &str) -> Option<T> {
        self.0.get(name)?.parse().ok()
    }

    /// Every name and value; a name that came more than once has its last value.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn need<T: FromStr>(&self, name: &str) -> Result<T, Fault> {
        self.get(name).ok_or_else(|| untold(name))
    }

    /// Which program the server is.
    ///
    /// # Errors
    /// A [`Fault`] when the reply does not tell, or the server is older than Redis 5.
    pub fn server(&self) -> Result<Server, Fault> {
        let (dialect, name) = match self.0.contains_key("valkey_version") {
            true => (Dialect::Valkey, "valkey_version"),
            false => (Dialect::Redis, "redis_version"),
        };
        let text: String = self.need(name)?;
        let mut numbers = text.split('.').map(|part| part.parse().unwrap_or(0u16));
        let mut next = || numbers.next().unwrap_or(0);
        let version = Version(next(), next(), next());
        if version.0 < 5 {
            return Err(Fault::new(Kind::TooOld, format!("the server is version {text}")));
        }
        Ok(Server { dialect, version })
    }

    /// The run of the server: another value after each restart, another for each server.
    ///
    /// # Errors
    /// A [`Fault`] when the reply does not tell.
    pub fn run_id(&self) -> Result<String, Fault> {
        self.need("run_id")
    }

    /// The history that the server can continue.
    ///
    /// # Errors
    /// A [`Fault`] when the reply does not tell.
    pub fn replication(&self) -> Result<Replication, Fault> {
        let second = match (self.get("master_replid2"), self.get::<i64>("second_repl_offset")) {
            (Some(id), Some(offset)) if id != ReplicationId::NONE => u64::try_from(offset).ok().map(|to| (id, to)),
            _ => None,
        };
        let active = self.get::<u8>("repl_backlog_active") == Some(1);
        let offset = |name: &str| parse_offset(self.0.get(name)?);
        let first = offset("repl_backlog_first_byte_offset");
        Ok(Replication {
            id: self.need("master_replid")?,
            second,
            offset: offset("master_repl_offset").ok_or_else(|| untold("master_repl_offset"))?,
            backlog: first.zip(offset("repl_backlog_histlen")).filter(|_| active),
            is_primary: self.need::<String>("role")? == "master",
        })
    }

    /// The keys of each database that has any.
    pub fn keyspace(&self) -> Vec<(u32, u64)> {
        let databases = self.0.iter().filter_map(|(name, value)| {
            let index = name.strip_prefix("db")?.parse().ok()?;
            let keys: u64 = value.split(',').find_map(|part| part.strip_prefix("keys="))?.parse().ok()?;
            Some((index, keys.min(MOST_KEYS)))
        });
        let mut databases: Vec<_> = databases.collect();
        databases.sort_unstable();
        databases
    }
}

impl Replication {
    /// Whether `PSYNC` from `position` will be answered by `+CONTINUE`, as Redis's `masterTryPartialResync` decides it.
    pub fn continues(&self, position: &Position) -> bool {
        let wanted = position.offset + 1;
        let same = self.id == position.replication_id
            || self.second.is_some_and(|(id, to)| id == position.replication_id && wanted <= to);
        let held = self.backlog.is_some_and(|(first, length)| wanted >= first && wanted <= first + length);
        same && held
    }
}

fn untold(name: &str) -> Fault {
    Fault::new(Kind::Protocol, format!("INFO does not tell {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: &str = "# Server\r\nredis_version:7.2.4\r\nvalkey_version:9.1.2\r\nrun_id:abc\r\n# Replication\r\nrole:master\r\n\
        master_replid:1111111111111111111111111111111111111111\r\nmaster_replid2:2222222222222222222222222222222222222222\r\n\
        master_repl_offset:500\r\nsecond_repl_offset:301\r\nrepl_backlog_active:1\r\nrepl_backlog_first_byte_offset:101\r\n\
        repl_backlog_histlen:400\r\n# Keyspace\r\ndb0:keys=12,expires=0,avg_ttl=0\r\ndb9:keys=3,expires=1\r\n";

    #[test]
    fn a_reply_is_taken_apart() {
        let info = Info::parse(REPLY);
        let server = info.server().expect("told");
        assert_eq!((server.dialect, server.version.0), (Dialect::Valkey, 9));
        assert_eq!(info.keyspace(), [(0, 12), (9, 3)]);
    }

    #[test]
    fn offsets_that_no_server_has_are_not_taken() {
        for (from, to) in [("master_repl_offset:500", "master_repl_offset:18446744073709551615"), (":101", ":-1")] {
            let lie = Info::parse(&REPLY.replace(from, to));
            let told = lie.replication();
            assert!(told.is_err() || told.is_ok_and(|told| told.backlog.is_none()), "{to}");
        }
        let many = Info::parse(
            &REPLY.replace("keys=12", "keys=18446744073709551615").replace("keys=3", "keys=18446744073709551615"),
        );
        assert_eq!(many.keyspace().iter().map(|(_, keys)| keys).sum::<u64>(), 2 * MOST_KEYS);
        let far =
            REPLY.replace("byte_offset:101", "byte_offset:9223372036854775807").replace(":400", ":9223372036854775807");
        let replication = Info::parse(&far).replication().expect("told");
        assert!(!replication.continues(&Position { replication_id: replication.id, ..Position::NONE }));
    }

    #[test]
    fn a_position_is_continued_within_backlog_and_history() {
        let replication = Info::parse(REPLY).replication().expect("told");
        let at = |digit: &str, offset| Position {
            replication_id: digit.repeat(40).parse().expect("40 digits"),
            offset,
            database: 0,
        };
        assert!(replication.continues(&at("1", 100)));
        assert!(replication.continues(&at("1", 500)));
        assert!(!replication.continues(&at("1", 99)), "the backlog begins later");
        assert!(!replication.continues(&at("1", 501)), "the history is shorter");
        assert!(replication.continues(&at("2", 300)));
        assert!(!replication.continues(&at("2", 301)), "that part of the old history was given up");
        assert!(!replication.continues(&at("3", 300)));
    }
}
