//! What a transaction establishes at the target: where a restart reads on.

use super::origin::{Marker, Phase};
use super::position::Position;

/// The part of a marker that says how far the link has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// How far the link has come.
    pub phase: Phase,
    /// Every local write of the source before this place was sent.
    pub high: Position,
    /// Every local write of the source before this place is finished for good.
    pub low: Position,
    /// The source's clock there, Unix milliseconds.
    pub time_ms: i64,
    /// When the writes were made, see [`Stamp`](super::conflict::Stamp): microseconds.
    pub stamp_us: i64,
    /// The writes of the transaction are those between here and `high`.
    pub since: u64,
    /// Up to where the source had executed the target's writes then.
    pub saw: u64,
}

impl Checkpoint {
    /// A copy is intended or under way, of what the source held at `high`, where it had executed the target's writes up to
    /// `saw`; `phase` tells which copy.
    pub fn copying(phase: Phase, high: Position, saw: u64, time_ms: i64) -> Self {
        Self { phase, high, low: high, time_ms, stamp_us: 0, since: 0, saw }
    }

    /// Everything before `high` is applied, and nothing holds `low` back.
    pub fn streaming(high: Position, time_ms: i64) -> Self {
        Self { phase: Phase::Streaming, high, low: high, time_ms, stamp_us: 0, since: 0, saw: 0 }
    }

    /// The marker that says so, of the transaction `id` of a daemon with this epoch.
    pub fn marker(self, epoch: u64, id: u64) -> Marker {
        let Self { phase, high, low, time_ms, stamp_us, since, saw } = self;
        Marker { phase, epoch, id, high, low, time_ms, stamp_us, since, saw }
    }
}
