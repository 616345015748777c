//! Keys, and the elements that their values are made of.

use bytes::Bytes;
use std::fmt;

/// What kind of value a key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A string.
    String,
    /// A list.
    List,
    /// A set.
    Set,
    /// A sorted set.
    SortedSet,
    /// A hash.
    Hash,
    /// A stream.
    Stream,
    /// A module's value.
    Module,
    /// An array (Redis 8.8). It can be restored as a whole but not taken apart.
    Array,
    /// Something of a type that is not known.
    Unknown,
}

/// A key, with all that a dump says of it but its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The number of its database.
    pub database: u32,
    /// Its name.
    pub name: Bytes,
    /// When it expires, in milliseconds since 1970, where it does.
    pub expires_at_ms: Option<i64>,
    /// What kind of value it has.
    pub kind: Kind,
}

/// The id of a stream's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamId {
    /// Milliseconds since 1970, or whatever the writer chose.
    pub ms: u64,
    /// The number within the millisecond.
    pub seq: u64,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// One element of a value, in the order in which they rebuild it.
///
/// Of a stream come first its entries, then its state, then each group followed by its consumers, each followed by what
/// is pending at it. Left out, because no command sets it: when a consumer was last seen and active, what was pending at
/// no consumer (XNACK, Redis 8.8), and the memory of idempotent producers (Redis 8.6).
#[derive(Debug, Clone, PartialEq)]
pub enum Element {
    /// A part of a string.
    Text(Bytes),
    /// An item of a list.
    Item(Bytes),
    /// A member of a set.
    Member(Bytes),
    /// A member of a sorted set.
    Scored {
        /// The member.
        member: Bytes,
        /// Its score, never NaN.
        score: f64,
    },
    /// A field of a hash.
    Field {
        /// The field's name.
        name: Bytes,
        /// Its value.
        value: Bytes,
        /// When it expires, in milliseconds since 1970, where it does.
        expires_at_ms: Option<i64>,
    },
    /// An entry of a stream.
    Entry {
        /// Its id.
        id: StreamId,
        /// Its fields and their values.
        fields: Vec<(Bytes, Bytes)>,
    },
    /// What a stream knows besides its entries.
    StreamState {
        /// The number of its entries.
        length: u64,
        /// The id of the last entry ever added.
        last: StreamId,
        /// What is only known since Redis 7.0.
        counters: Option<StreamCounters>,
    },
    /// A group of a stream.
    Group {
        /// Its name.
        name: Bytes,
        /// The id of the last entry that was delivered to it.
        last: StreamId,
        /// How many entries it has read, where that is known (since Redis 7.0).
        entries_read: Option<u64>,
    },
    /// A consumer of a group.
    Consumer {
        /// The group's name.
        group: Bytes,
        /// Its own name.
        name: Bytes,
        /// How many entries are pending at it, which follow.
        pending: u64,
    },
    /// An entry that was delivered to a consumer, which has not acknowledged it.
    Pending {
        /// The group's name.
        group: Bytes,
        /// The consumer's name.
        consumer: Bytes,
        /// The entry's id.
        id: StreamId,
        /// When it was last delivered, in milliseconds since 1970.
        delivered_at_ms: i64,
        /// How often it was delivered.
        deliveries: u64,
    },
}

/// The counters of a stream, kept since Redis 7.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamCounters {
    /// The id of its first entry, 0-0 when it is empty.
    pub first: StreamId,
    /// The largest id that was deleted.
    pub max_deleted: StreamId,
    /// How many entries were ever added.
    pub entries_added: u64,
}

impl Element {
    /// About how many bytes of memory the element takes.
    pub fn weight(&self) -> usize {
        let data = match self {
            Self::Text(data) | Self::Item(data) | Self::Member(data) | Self::Scored { member: data, .. } => data.len(),
            Self::Field { name, value, .. } => name.len() + value.len(),
            Self::Entry { fields, .. } => {
                fields.iter().map(|(field, value)| 2 * size_of::<Bytes>() + field.len() + value.len()).sum()
            }
            Self::StreamState { .. } | Self::Pending { .. } => 0,
            Self::Group { name, .. } | Self::Consumer { name, .. } => name.len(),
        };
        size_of::<Self>() + data
    }
}
