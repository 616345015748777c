//! What a server holds: databases, keys, values.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};

/// Databases of a server.
pub const DATABASES: usize = 4;

/// A key or an argument.
pub type Text = Vec<u8>;

/// A value of one of the types.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    Text(Text),
    List(VecDeque<Text>),
    Hash(BTreeMap<Text, Text>),
    Set(BTreeSet<Text>),
    Scores(BTreeMap<Text, i64>),
    Log(Vec<((u64, u64), Vec<Text>)>),
}

/// A value with its expiry, Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    pub value: Value,
    pub expires_at_ms: Option<i64>,
}

/// All databases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyspace(pub [BTreeMap<Text, Entry>; DATABASES]);

impl Value {
    /// Whether a key with this value is removed by servers.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text(_) | Self::Log(_) => false,
            Self::List(items) => items.is_empty(),
            Self::Hash(fields) => fields.is_empty(),
            Self::Set(members) => members.is_empty(),
            Self::Scores(members) => members.is_empty(),
        }
    }
}

impl Keyspace {
    /// The digest of nothing.
    pub const ABSENT: u64 = 0;

    /// A digest of what stands under a key.
    pub fn digest(&self, database: u32, key: &[u8]) -> u64 {
        let Some(entry) = self.0[database as usize].get(key) else { return Self::ABSENT };
        let mut hasher = DefaultHasher::new();
        entry.hash(&mut hasher);
        hasher.finish() | 1
    }

    /// The text under a key of database 0.
    pub fn text(&self, key: &[u8]) -> Option<&[u8]> {
        match self.0[0].get(key) {
            Some(Entry { value: Value::Text(text), .. }) => Some(text),
            _ => None,
        }
    }

    /// Whether there are keys that do not begin with `prefix`.
    pub fn has_beside(&self, prefix: &[u8]) -> bool {
        self.0.iter().flat_map(BTreeMap::keys).any(|key| !key.starts_with(prefix))
    }

    /// What differs from `other`, in words, among the keys that count: by database and name.
    pub fn difference(&self, other: &Self, counts: impl Fn(u32, &Text) -> bool) -> Option<String> {
        for (database, (ours, theirs)) in (0..).zip(self.0.iter().zip(&other.0)) {
            let changed = ours.iter().find(|(key, entry)| theirs.get(*key) != Some(*entry) && counts(database, key));
            let lacking = || theirs.keys().find(|key| !ours.contains_key(*key) && counts(database, key));
            if let Some(key) = changed.map(|(key, _)| key).or_else(lacking) {
                let name = String::from_utf8_lossy(key);
                let [ours, theirs] = [ours, theirs].map(|keys| shown(keys.get(key)));
                return Some(format!("'{name}' in database {database}: {ours} / {theirs}"));
            }
        }
        None
    }
}

fn shown(entry: Option<&Entry>) -> String {
    let Some(Entry { value, expires_at_ms }) = entry else { return "nothing".to_owned() };
    let text = |text: &Text| String::from_utf8_lossy(text).into_owned();
    let value = match value {
        Value::Text(value) => text(value),
        Value::List(items) => format!("list {:?}", items.iter().map(text).collect::<Vec<_>>()),
        Value::Hash(fields) => {
            format!("hash {:?}", fields.iter().map(|(f, v)| text(f) + "=" + &text(v)).collect::<Vec<_>>())
        }
        Value::Set(members) => format!("set {:?}", members.iter().map(text).collect::<Vec<_>>()),
        Value::Scores(members) => {
            format!("sorted set {:?}", members.iter().map(|(m, s)| (text(m), s)).collect::<Vec<_>>())
        }
        Value::Log(entries) => format!("stream {:?}", entries.iter().map(|(id, _)| id).collect::<Vec<_>>()),
    };
    format!("{value} (expiry {expires_at_ms:?})")
}
