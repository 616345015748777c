//! The nodes of a stream: a listpack whose first entry holds the fields that most of its entries have (`t_stream.c`).

use super::packed::{Packed, Packing};
use super::{Element, Fault, StreamId};
use bytes::Bytes;

/// The entry was deleted.
const DELETED: i64 = 1;
/// The entry has the fields of the first entry of its node, which are not repeated.
const SAME_FIELDS: i64 = 2;

/// The most fields of an entry: one takes 64 bytes of memory, and two in the dump. Servers take fewer words in a command.
const MAX_FIELDS: i64 = 4 * 1024 * 1024;

/// The entries of a node that are yet to be read.
#[derive(Debug)]
pub(super) struct Node {
    packed: Packed,
    id: StreamId,
    fields: Vec<Bytes>,
}

impl Node {
    /// The entries of a node whose ids count from `id`.
    ///
    /// # Errors
    /// [`Fault::Malformed`] when its first entry is not one of a node.
    pub(super) fn new(id: StreamId, bytes: Bytes) -> Result<Self, Fault> {
        let mut packed = Packed::new(Packing::Listpack, bytes)?;
        let (_living, _deleted) = (packed.require()?.into_integer()?, packed.require()?.into_integer()?);
        let count = bounded(packed.require()?.into_integer()?)?;
        let mut fields = Vec::new();
        for _ in 0..count {
            fields.push(packed.require()?.into_bytes());
        }
        packed.require()?;
        Ok(Self { packed, id, fields })
    }

    /// The next entry that was not deleted, or `None` at the end.
    ///
    /// # Errors
    /// [`Fault::Malformed`] when the bytes are not those of an entry.
    pub(super) fn next(&mut self) -> Result<Option<Element>, Fault> {
        while let Some(flags) = self.packed.next()? {
            let flags = flags.into_integer()?;
            let id = StreamId {
                ms: self.id.ms.wrapping_add_signed(self.packed.require()?.into_integer()?),
                seq: self.id.seq.wrapping_add_signed(self.packed.require()?.into_integer()?),
            };
            let fields = if flags & SAME_FIELDS != 0 { self.values()? } else { self.pairs()? };
            let _entries_of_this_entry = self.packed.require()?;
            if flags & DELETED == 0 {
                return Ok(Some(Element::Entry { id, fields }));
            }
        }
        Ok(None)
    }

    fn values(&mut self) -> Result<Vec<(Bytes, Bytes)>, Fault> {
        let packed = &mut self.packed;
        self.fields.iter().map(|field| Ok((field.clone(), packed.require()?.into_bytes()))).collect()
    }

    fn pairs(&mut self) -> Result<Vec<(Bytes, Bytes)>, Fault> {
        let count = bounded(self.packed.require()?.into_integer()?)?;
        let mut pairs = Vec::new();
        for _ in 0..count {
            pairs.push((self.packed.require()?.into_bytes(), self.packed.require()?.into_bytes()));
        }
        Ok(pairs)
    }
}

/// Refuses more fields of an entry than there can be.
fn bounded(count: i64) -> Result<i64, Fault> {
    let too_many = |length| Fault::TooLong { what: "the fields of a stream's entry", length, limit: MAX_FIELDS as u64 };
    match u64::try_from(count) {
        Ok(length) if count > MAX_FIELDS => Err(too_many(length)),
        Ok(_) => Ok(count),
        Err(_) => Err(Fault::Malformed("an entry of a stream has a negative number of fields")),
    }
}
