//! The last records, in memory, for those who ask.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{Entry, Id};
use crate::engine::conflict::Done;

/// Most records in memory.
pub const MOST_RECENT: usize = 10_000;
/// Most bytes of them, about.
pub const MOST_RECENT_BYTES: usize = 32 * 1024 * 1024;
/// Most bytes of one answer, about.
const MOST_ANSWERED: usize = 2 * 1024 * 1024;
/// What a record takes beside its texts, about.
const ENTRY_BYTES: usize = 512;

/// Which records are asked for: those that fit everything that is set.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// The conflict with this name.
    pub id: Option<Id>,
    /// Of this key, as it is shown or as it is.
    pub key: Option<String>,
    /// In this database.
    pub database: Option<u32>,
    /// Not found before.
    pub since: Option<Timestamp>,
    /// That came after this one; all when it is no longer there.
    pub after: Option<Id>,
    /// That ended so.
    pub done: Option<Done>,
    /// Most records, the newest ones.
    pub limit: usize,
}

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The newest that fit, the newest last.
    pub conflicts: Vec<Arc<Entry>>,
    /// How many fit in all.
    pub matching: usize,
}

/// The ring, shared with those who ask.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedRing(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<(Arc<Entry>, usize)>,
    bytes: usize,
}

impl SharedRing {
    /// Puts a record at the end, whose line has `length` bytes; gives how many made room for it.
    pub(super) fn push(&self, entry: Arc<Entry>, length: usize) -> u64 {
        let mut ring = self.lock();
        ring.bytes += length + ENTRY_BYTES;
        ring.entries.push_back((entry, length + ENTRY_BYTES));
        ring.shrink()
    }

    /// Puts older records before all others, as far as there is room.
    pub(super) fn put_before(&self, older: VecDeque<(Arc<Entry>, usize)>) {
        let mut ring = self.lock();
        for (entry, length) in older.into_iter().rev() {
            ring.bytes += length + ENTRY_BYTES;
            ring.entries.push_front((entry, length + ENTRY_BYTES));
        }
        ring.shrink();
    }

    pub(super) fn find(&self, query: &Query) -> Found {
        // Only the list is copied under the lock: who asks much keeps nobody waiting.
        let entries: Vec<_> = self.lock().entries.iter().cloned().collect();
        let mut found = Found::default();
        let mut bytes = 0;
        for (entry, length) in entries.iter().rev() {
            if query.after.is_some_and(|after| entry.id == after) {
                break;
            }
            if !query.fits(entry) {
                continue;
            }
            found.matching += 1;
            if found.conflicts.len() < query.limit && bytes + length <= MOST_ANSWERED {
                bytes += length;
                found.conflicts.push(Arc::clone(entry));
            }
        }
        found.conflicts.reverse();
        found
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn shrink(&mut self) -> u64 {
        let mut gone = 0;
        while self.entries.len() > MOST_RECENT || self.bytes > MOST_RECENT_BYTES {
            let Some((_, bytes)) = self.entries.pop_front() else { break };
            self.bytes -= bytes;
            gone += 1;
        }
        gone
    }
}

impl Query {
    fn fits(&self, entry: &Entry) -> bool {
        self.id.is_none_or(|id| entry.id == id)
            && self.database.is_none_or(|database| entry.database == database)
            && self.since.is_none_or(|since| entry.time >= since)
            && self.done.is_none_or(|done| entry.done == done)
            && self.key.as_ref().is_none_or(|key| entry.is_about(key))
    }
}
