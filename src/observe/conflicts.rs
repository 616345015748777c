//! Conflicts: how they ended, what they were about, and how their record does.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};

use super::Counter;

/// How conflicts ended, and what they were about.
#[derive(Debug, Default)]
pub struct Conflicts {
    /// The winning write was executed once more on top of the loser.
    pub replayed: Counter,
    /// A local write lost and was not forwarded.
    pub dropped: Counter,
    /// A key was made equal by its state.
    pub reconciled: Counter,
    /// Nothing was done: the key is held.
    pub held: Counter,
    /// The conflict was about the whole key.
    pub whole: Counter,
    /// About a field, a member, a bit.
    pub element: Counter,
    /// About the key's time to live.
    pub lifetime: Counter,
    /// About the order of what was done to it.
    pub sequence: Counter,
}

/// Conflicts at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictCounts {
    /// Executed once more at its own region.
    pub replayed: u64,
    /// Lost, and not forwarded.
    pub dropped: u64,
    /// Made equal by state.
    pub reconciled: u64,
    /// Nothing was done: the key is held until somebody decides, or was.
    #[serde(default)]
    pub held: u64,
    /// The same by what they were about.
    #[serde(default)]
    pub by_unit: UnitCounts,
}

/// Conflicts as `/status` shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictStatus {
    /// Those that were found.
    #[serde(flatten)]
    pub counts: ConflictCounts,
    /// Keys for which something is still to be done, counted in each region.
    #[serde(default)]
    pub unresolved: u64,
    /// The first of them that are being made equal by their values, in order.
    #[serde(default)]
    pub unresolved_keys: Vec<HeldKey>,
    /// Keys that are held now, in order, by region; the first of them.
    #[serde(default)]
    pub held_keys: Vec<HeldKey>,
    /// How many there are.
    #[serde(default)]
    pub held_now: u64,
}

/// A key that is held until somebody decides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HeldKey {
    /// Its database.
    pub database: u32,
    /// The key, with everything that isn't printable ASCII as `\x..`.
    pub key: String,
}

/// Conflicts by what they were about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitCounts {
    /// The whole key.
    pub whole: u64,
    /// A field, a member, a bit.
    pub element: u64,
    /// The key's time to live.
    pub lifetime: u64,
    /// The order of what was done to it.
    pub sequence: u64,
}

impl Conflicts {
    /// All counts; single ones may be of slightly different moments.
    pub fn counts(&self) -> ConflictCounts {
        ConflictCounts {
            replayed: self.replayed.get(),
            dropped: self.dropped.get(),
            reconciled: self.reconciled.get(),
            held: self.held.get(),
            by_unit: UnitCounts {
                whole: self.whole.get(),
                element: self.element.get(),
                lifetime: self.lifetime.get(),
                sequence: self.sequence.get(),
            },
        }
    }

    /// Counts what an earlier run had counted.
    pub fn add(&self, counts: &ConflictCounts) {
        self.replayed.add(counts.replayed);
        self.dropped.add(counts.dropped);
        self.reconciled.add(counts.reconciled);
        self.held.add(counts.held);
        self.whole.add(counts.by_unit.whole);
        self.element.add(counts.by_unit.element);
        self.lifetime.add(counts.by_unit.lifetime);
        self.sequence.add(counts.by_unit.sequence);
    }
}

impl ConflictCounts {
    /// Adds other counts to these.
    pub fn add(&mut self, other: &Self) {
        self.replayed += other.replayed;
        self.dropped += other.dropped;
        self.reconciled += other.reconciled;
        self.held += other.held;
        self.by_unit.whole += other.by_unit.whole;
        self.by_unit.element += other.by_unit.element;
        self.by_unit.lifetime += other.by_unit.lifetime;
        self.by_unit.sequence += other.by_unit.sequence;
    }

    /// All conflicts.
    pub fn total(&self) -> u64 {
        self.replayed + self.dropped + self.reconciled + self.held
    }
}

/// Where conflicts are recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JournalState {
    /// In memory only: none is configured.
    #[default]
    Memory,
    /// In files.
    Files,
    /// The files cannot be written; it is tried again.
    Failing,
}

/// How the record of conflicts does: the journal writes it, and anybody reads it.
#[derive(Debug, Default)]
pub struct JournalBoard {
    /// Records that are no longer kept, or never were: the oldest make room, and what cannot be written is let go.
    pub dropped: Counter,
    /// Lines of the files that could not be read.
    pub unreadable: Counter,
    /// Records that wait to be written down.
    pub waiting: Counter,
    standing: ArcSwapOption<Standing>,
}

#[derive(Debug, PartialEq, Eq)]
struct Standing {
    state: JournalState,
    place: Option<String>,
    reason: Option<String>,
}

/// The record of conflicts at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalStatus {
    /// Where conflicts are recorded.
    pub state: JournalState,
    /// The directory of the files.
    pub place: Option<String>,
    /// Records that are no longer kept, or never were.
    pub dropped: u64,
    /// Lines of the files that could not be read.
    pub unreadable: u64,
    /// Why the files cannot be written.
    pub reason: Option<String>,
}

impl JournalBoard {
    /// Changes the state, and logs one line when that is news after the first time. One thread at a time may call it.
    pub fn enter(&self, state: JournalState, place: Option<String>, reason: Option<String>) {
        let standing = Standing { state, place, reason };
        let before = self.standing.swap(Some(Arc::new(standing)));
        let now = self.standing.load();
        if before.is_some() && before.as_deref() != now.as_deref() {
            self.announce();
        }
    }

    /// Logs where conflicts are recorded.
    pub fn announce(&self) {
        let JournalStatus { state, place, reason, .. } = self.status();
        let place = place.as_deref();
        match state {
            JournalState::Memory => {
                tracing::info!("conflicts are recorded in memory only: set conflicts.journal for a record that stays")
            }
            JournalState::Files => tracing::info!(place, "conflicts are recorded in files"),
            JournalState::Failing => {
                tracing::error!(place, reason, "conflicts cannot be recorded in files; it is tried again");
            }
        }
    }

    /// How it does now.
    pub fn status(&self) -> JournalStatus {
        let standing = self.standing.load();
        let standing = standing.as_deref();
        JournalStatus {
            state: standing.map_or_else(JournalState::default, |standing| standing.state),
            place: standing.and_then(|standing| standing.place.clone()),
            dropped: self.dropped.get(),
            unreadable: self.unreadable.get(),
            reason: standing.and_then(|standing| standing.reason.clone()),
        }
    }
}
