//! What a region's clients wrote since a dump was fixed that is copied onto that region.
//!
//! The dump holds none of it. So a value of the dump goes below what was written to its key: it is put there and the
//! writes are executed once more on top of it, in one transaction; or it is left out, where a write has replaced it. In a
//! pair that was in step before, what the region's clients write to is theirs already: there it is left out always, for
//! only a write of the other region in the gap, a conflict, could make it differ.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

use super::claim::{Claim, Scope};
use super::table::{Key, Pending, Request};

/// The most bytes of writes that are kept.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Writes since a dump was fixed.
#[derive(Debug, Default)]
pub struct Since {
    keys: HashMap<Key, Vec<Pending>, FixedState>,
    flushed: HashSet<u32>,
    all_flushed: bool,
    bytes: usize,
    /// The pair was in step before: what the region's clients write to they have whole, and it stays.
    live: bool,
}

/// What becomes of a value of the dump.
#[derive(Debug, Default)]
pub enum Arrival {
    /// It is put there, and these writes on top of it.
    Below(Vec<Pending>),
    /// It is left out: the region has replaced it.
    #[default]
    Replaced,
}

impl Since {
    /// Nothing was written yet. `live` tells whether the pair was in step before.
    pub fn new(live: bool) -> Self {
        Self { live, ..Self::default() }
    }

    /// A client of the region wrote this.
    pub fn wrote(&mut self, write: &Pending) {
        for (scope, claim) in &write.claims {
            match (scope, claim) {
                (Scope::Everything, Claim::Whole) => self.all_flushed = true,
                (Scope::Database(database), Claim::Whole) => {
                    self.flushed.insert(*database);
                }
                (Scope::Key(_), Claim::Read) | (Scope::Everything | Scope::Database(_), _) => {}
                (Scope::Key(key), _) => {
                    let writes = self.keys.entry(*key).or_default();
                    if self.live {
                        continue; // that it was written to is all that matters
                    }
                    if *claim == Claim::Whole {
                        self.bytes -= writes.iter().map(size).sum::<usize>();
                        writes.clear();
                    }
                    self.bytes += size(write);
                    writes.push(write.clone());
                }
            }
        }
    }

    /// A value of the dump is about to be put under `key`.
    pub fn arrives(&mut self, key: Key) -> Arrival {
        let writes = self.keys.get(&key).map(Vec::as_slice).unwrap_or_default();
        let stays = self.live && self.keys.contains_key(&key);
        let replaces = |write: &Pending| write.claims.contains(&(Scope::Key(key), Claim::Whole));
        if stays || self.all_flushed || self.flushed.contains(&key.database()) || writes.first().is_some_and(replaces) {
            return Arrival::Replaced;
        }
        Arrival::Below(writes.to_vec())
    }

    /// Whether the region has written `key`.
    pub fn has(&self, key: Key) -> bool {
        self.keys.contains_key(&key)
    }

    /// Whether more was written than is kept.
    pub fn is_too_much(&self) -> bool {
        self.bytes > MOST_BYTES
    }
}

fn size(write: &Pending) -> usize {
    let request = match &write.request {
        Request::Bytes(bytes) => bytes.len(),
        Request::Place(place) => place.len(),
    };
    request + size_of::<Pending>()
}
