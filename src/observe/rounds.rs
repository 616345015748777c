//! Whether the daemon's own loops go round: what a watchdog looks at.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::interval;

/// How often a loop goes round at least, as long as it lives.
const EVERY: Duration = Duration::from_millis(250);
/// The count of a loop that has ended, and is not to go round any more.
const ENDED: u64 = u64::MAX;

/// How often one loop of the daemon has gone round. The loop counts it, from its own task; anybody reads it without waiting.
#[derive(Debug, Default)]
pub struct Rounds(AtomicU64);

impl Rounds {
    /// The loop has gone round once more.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The loop has come to its end, as it was to.
    pub fn end(&self) {
        self.0.store(ENDED, Ordering::Relaxed);
    }

    /// How often it has gone round; `None` once it has ended.
    pub fn get(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|rounds| *rounds != ENDED)
    }

    /// Does what the loop waits for, and counts meanwhile. For what is right to take long: each step of it has a time limit of its
    /// own. It counts in the task that waits, so a task that is stuck counts nothing.
    pub async fn during<T>(&self, awaited: impl Future<Output = T>) -> T {
        let mut awaited = std::pin::pin!(awaited);
        let mut ticks = interval(EVERY);
        loop {
            tokio::select! {
                done = awaited.as_mut() => return done,
                _ = ticks.tick() => self.count(),
            }
        }
    }
}
