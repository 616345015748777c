//! What a dump says, in the order in which it says it.

use super::{Dialect, Element, Key, Record};
use bytes::Bytes;

/// One thing that a dump says.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The dump begins.
    Header {
        /// The version of the format.
        version: u32,
        /// The dialect by the first bytes. Valkey 7.2 and 8 write those of Redis; [`super::DumpReader::dialect`] knows better
        /// once the field `valkey-ver` has come.
        dialect: Dialect,
    },
    /// A field about the dump, such as `redis-ver` or `repl-stream-db`.
    Aux {
        /// Its name.
        name: Bytes,
        /// Its value.
        value: Bytes,
    },
    /// About how large the database is.
    Sizes {
        /// The number of its keys.
        keys: u64,
        /// The number of those that expire.
        expires: u64,
    },
    /// The keys that follow belong to the database of this number.
    Database(u32),
    /// The code of a function library.
    Function(Bytes),
    /// A key whose value comes whole.
    Record(Record),
    /// A key whose value comes in pieces; an empty collection, which no server writes, has none.
    Begin(Key),
    /// Elements of the value that was begun.
    Piece(Vec<Element>),
    /// The value that was begun is complete.
    Finish,
    /// Something was skipped: a module's value or data, or a value too long to come whole that can't be taken apart.
    SetAside {
        /// Whose value it was, where it was a value.
        key: Option<Key>,
        /// What it was.
        what: String,
    },
    /// A key whose value is of a type that is not known. What follows is read after [`super::DumpReader::skip_body`] has
    /// passed over the value; until then [`super::DumpReader::next`] gives nothing.
    Unknown {
        /// The key.
        key: Key,
        /// The code of the value's type.
        type_code: u8,
    },
    /// The dump is complete, and its checksum is right.
    End,
}
