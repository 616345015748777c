//! Dumps (RDB), as a primary sends them in a full sync: read as the bytes arrive, with bounded memory.
//!
//! [`DumpReader`] takes bytes and gives [`Event`]s. A value whose encoding is short comes whole as a [`Record`], which a
//! target can take as it is by `RESTORE` ([`Restorable`], [`Record::payload`]) or which can be decoded
//! ([`Record::elements`]). A longer one comes as [`Element`]s in pieces.
//! Where one of an unknown type ends, only its server can say ([`DumpReader::skip_body`]).
//!
//! In the order in which bytes become values: `length` and `text` (numbers and strings), `lzf`, `layout` (the parts of
//! every type, as tables), `measure` (where a value ends), `packed` (listpack, ziplist, zipmap, intset), `node` (entries
//! of a stream), `assembly` (parts to elements), `decoder` (bytes to pieces), `reader`, and beside it `opcode` and
//! `unknown`. `payload` is the form in which single values travel.
//!
//! Source of the format: `rdb.h` and `rdb.c` of Redis (2.4 to 8.10) and Valkey (7.2 to 9.1).

mod assembly;
mod checksum;
mod decoder;
mod dialect;
mod element;
mod event;
mod fault;
mod intake;
mod layout;
mod length;
mod lzf;
mod measure;
mod node;
mod older;
mod opcode;
mod packed;
mod payload;
mod reader;
mod record;
mod template;
mod text;
mod unknown;

pub use dialect::{Dialect, Restorable};
pub use element::{Element, Key, Kind, StreamCounters, StreamId};
pub use event::Event;
pub use fault::{DumpError, Fault};
pub use payload::Payload;
pub use reader::{DumpReader, Limits};
pub use record::Record;
pub use text::MAX_HELD;

#[cfg(test)]
mod tests;
