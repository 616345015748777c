//! The clock of one server: true time with an offset that steps now and then.

use fastrand::Rng;

/// The most that a server's clock is off where nothing else is wanted, milliseconds.
pub const MOST_OFF_MS: i64 = 100;

/// A server's clock, and what the daemon knows of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// The most that it is ever off.
    most_ms: i64,
    offset_ms: i64,
    /// What the daemon believes the offset to be since it last asked.
    believed_ms: i64,
    /// The smallest and the largest offset so far.
    range_ms: (i64, i64),
}

impl Clock {
    /// A clock that is right until it steps, up to so far.
    pub fn right(most_ms: i64) -> Self {
        Self { most_ms, ..Self::default() }
    }

    /// A clock that is off by anything up to `most_ms`.
    pub fn off(most_ms: i64, rng: &mut Rng) -> Self {
        let offset_ms = rng.i64(-most_ms..=most_ms);
        Self { most_ms, offset_ms, believed_ms: offset_ms, range_ms: (offset_ms, offset_ms) }
    }

    /// The clock steps to another offset.
    pub fn step(&mut self, rng: &mut Rng) {
        self.offset_ms = rng.i64(-self.most_ms..=self.most_ms);
        self.range_ms = (self.range_ms.0.min(self.offset_ms), self.range_ms.1.max(self.offset_ms));
    }

    /// What it says at the true time `now_ms`.
    pub fn at(&self, now_ms: i64) -> i64 {
        now_ms + self.offset_ms
    }

    /// What the daemon believes that it says at the true time `now_ms`.
    pub fn believed(&self, now_ms: i64) -> i64 {
        now_ms + self.believed_ms
    }

    /// The daemon asks for the time.
    pub fn ask(&mut self) {
        self.believed_ms = self.offset_ms;
    }

    /// The most that two clocks ever differed, milliseconds.
    pub fn skew_ms([a, b]: [Self; 2]) -> i64 {
        a.range_ms.1.max(b.range_ms.1) - a.range_ms.0.min(b.range_ms.0)
    }
}
