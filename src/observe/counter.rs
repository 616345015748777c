//! A number that is counted, or known as a whole.

use std::sync::atomic::{AtomicU64, Ordering};

/// Written by the links and read by anybody, without waiting.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `n` more. Relaxed: a reader may see two counters at slightly different moments.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Replaces the count by a figure that is known as a whole.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
}
