//! What could not be copied: counted by kind, and the last of them by name.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// How many of the last items are kept by name.
pub const SET_ASIDE_RECENT: usize = 100;

/// Longest part of a key that is shown, in bytes.
const KEY_BYTES: usize = 128;

/// Most kinds that are counted apart; what comes later is counted together.
const KINDS: usize = 64;
const OTHER_KINDS: &str = "other";

/// Of each kind, so many items get a line in the log each; later ones get one line in a thousand.
const LINES_PER_KIND: u64 = 20;
const ITEMS_PER_LINE: u64 = 1000;

/// One key or command that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// The database of the key.
    pub database: u32,
    /// The key, shortened and escaped, so that it can be shown anywhere.
    pub key: String,
    /// What kind of thing it is, as "module value" or "unknown command"; few different ones.
    pub what: String,
    /// Why it was left out.
    pub why: String,
}

impl SetAside {
    /// Takes the key as the server has it.
    pub fn new(database: u32, key: &[u8], what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { database, key: escaped(key), what: what.into(), why: why.into() }
    }
}

/// The first bytes of a key, with everything that isn't printable ASCII as `\x..`.
pub fn escaped(key: &[u8]) -> String {
    let shown = key.get(..KEY_BYTES).unwrap_or(key);
    let dots = if shown.len() < key.len() { "..." } else { "" };
    format!("{}{dots}", shown.escape_ascii())
}

/// The shelf of one link.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<Shelved>);

#[derive(Debug, Default)]
struct Shelved {
    kinds: BTreeMap<String, u64>,
    recent: VecDeque<SetAside>,
}

impl Shelf {
    /// Keeps `item`; gives whether it is worth a line in the log.
    pub(super) fn keep(&self, item: SetAside) -> bool {
        let mut shelved = self.lock();
        let apart = shelved.kinds.len() < KINDS || shelved.kinds.contains_key(&item.what);
        let kind = if apart { item.what.clone() } else { OTHER_KINDS.to_owned() };
        let count = shelved.kinds.entry(kind).or_default();
        *count += 1;
        let count = *count;
        if shelved.recent.len() >= SET_ASIDE_RECENT {
            shelved.recent.pop_front();
        }
        shelved.recent.push_back(item);
        count <= LINES_PER_KIND || count.is_multiple_of(ITEMS_PER_LINE)
    }

    pub(super) fn kinds(&self) -> BTreeMap<String, u64> {
        self.lock().kinds.clone()
    }

    /// The last items, oldest first.
    pub(super) fn recent(&self) -> Vec<SetAside> {
        self.lock().recent.iter().cloned().collect()
    }

    /// Held for a few instructions only; nothing in there can panic half way.
    fn lock(&self) -> MutexGuard<'_, Shelved> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
