//! Templates of hashes (Redis 8.10): names of fields that a dump writes once, for many hashes to refer to.

use super::Fault;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

/// How many bytes the templates of a dump may take in memory.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// The names of a template's fields.
pub(super) type Names = Arc<[Bytes]>;

/// The templates that a dump has defined so far.
#[derive(Debug, Default, Clone)]
pub(super) struct Templates {
    names: HashMap<u64, Names>,
    bytes: usize,
}

impl Templates {
    /// Keeps a template.
    ///
    /// # Errors
    /// [`Fault::TooLong`] when all together take too much memory.
    pub(super) fn define(&mut self, id: u64, names: impl IntoIterator<Item = Bytes>) -> Result<(), Fault> {
        let names: Names = names.into_iter().map(|name| Bytes::copy_from_slice(&name)).collect();
        self.bytes = names.iter().fold(self.bytes, |bytes, name| bytes + size_of::<Bytes>() + name.len());
        if self.bytes > MAX_BYTES {
            let (length, limit) = (self.bytes as u64, MAX_BYTES as u64);
            return Err(Fault::TooLong { what: "the templates of hashes", length, limit });
        }
        self.names.insert(id, names);
        Ok(())
    }

    /// The names of the fields of a template.
    ///
    /// # Errors
    /// [`Fault::Malformed`] when there is none of this id.
    pub(super) fn get(&self, id: u64) -> Result<Names, Fault> {
        self.names.get(&id).cloned().ok_or(Fault::Malformed("a hash refers to a template that doesn't exist"))
    }
}
