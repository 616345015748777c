//! What is kept of one conflict.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::stamp::Stamp;

/// Bytes of a losing write that are kept; longer ones are cut off.
pub const MOST_KEPT: usize = 4096;

/// One write that lost against a concurrent one, or one key that was made equal by its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The same for the same conflict, also when it is found once more after a restart.
    pub id: u64,
    /// The region where it was found: 0 for the source of the forward link, 1 for its target.
    pub found_at: usize,
    /// The key's database.
    pub database: u32,
    /// The key.
    pub key: Vec<u8>,
    /// What of the key both writes decide.
    pub unit: Unit,
    /// The region and time of the write that stays.
    pub winner: Side,
    /// The region and time of the write that lost.
    pub loser: Side,
    /// The losing write as a request, at most [`MOST_KEPT`] bytes of it; nothing where a value was copied.
    pub write: Vec<u8>,
    /// How long the whole losing write is, bytes.
    pub length: usize,
    /// The write that stays, likewise.
    pub against: Vec<u8>,
    /// How long that whole write is, bytes.
    pub against_length: usize,
    /// What was done.
    pub done: Done,
}

impl Record {
    /// The same of a key that is held: nothing was done.
    pub fn undecided(self) -> Self {
        Self { done: Done::Held, ..self }
    }
}

/// One side of a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    /// 0 for the source of the forward link, 1 for its target.
    pub region: usize,
    /// When it was written there, by that region's clock.
    pub stamp: Stamp,
}

/// What of a key a conflict is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// The whole key.
    Whole,
    /// A field, a member, a bit.
    Element(Vec<u8>),
    /// Its time to live.
    Lifetime,
    /// The order of what was done to it.
    Sequence,
}

/// How a conflict ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// The winning write was executed once more on top of the loser.
    Replayed,
    /// The losing write was not sent.
    Dropped,
    /// The key was made equal by its value.
    Reconciled,
    /// Nothing: the key is held until somebody decides.
    Held,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replayed => "replayed",
            Self::Dropped => "dropped",
            Self::Reconciled => "reconciled",
            Self::Held => "held",
        })
    }
}
