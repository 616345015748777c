//! How far a full sync is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Counter;

/// At most one line of progress in this time.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The figures of a full sync that runs. Totals are what the source says beforehand; 0 when it doesn't.
#[derive(Debug)]
pub struct FullSyncProgress {
    /// Keys that the target has confirmed.
    pub keys_done: Counter,
    /// Keys of the source when the dump began.
    pub keys_total: Counter,
    /// Bytes of the dump that were read.
    pub bytes_done: Counter,
    /// Bytes of the dump, where the source tells them before it sends them.
    pub bytes_total: Counter,
    started: Instant,
    lines: AtomicU64,
}

impl FullSyncProgress {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            keys_done: Counter::default(),
            keys_total: Counter::default(),
            bytes_done: Counter::default(),
            bytes_total: Counter::default(),
            started: now,
            lines: AtomicU64::new(0),
        }
    }

    /// Keys a second since the start.
    pub fn keys_per_second(&self, now: Instant) -> u64 {
        per_second(self.keys_done.get(), now.saturating_duration_since(self.started))
    }

    /// Bytes a second since the start.
    pub fn bytes_per_second(&self, now: Instant) -> u64 {
        per_second(self.bytes_done.get(), now.saturating_duration_since(self.started))
    }

    /// Whole seconds until the end, at the rate so far; `None` while total or rate are unknown.
    pub fn seconds_left(&self, now: Instant) -> Option<u64> {
        let left = self.keys_total.get().checked_sub(self.keys_done.get())?;
        match (self.keys_total.get(), self.keys_per_second(now)) {
            (0, _) | (_, 0) => None,
            (_, rate) => Some(left.div_ceil(rate)),
        }
    }

    /// Whether a line of progress is due; the one who is told so writes it.
    pub(super) fn line_is_due(&self, now: Instant) -> bool {
        let due = now.saturating_duration_since(self.started).as_secs() / LINE_EVERY.as_secs();
        self.lines.fetch_max(due, Ordering::Relaxed) < due
    }
}

fn per_second(done: u64, elapsed: Duration) -> u64 {
    let milliseconds = elapsed.as_millis().max(1);
    u64::try_from(u128::from(done) * 1000 / milliseconds).unwrap_or(u64::MAX)
}
