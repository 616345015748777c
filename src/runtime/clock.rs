//! A server's clock, as far as it is known here.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use crate::engine::source::{Measured, Offset};

/// The clock of one server: our monotonic clock and the difference to it, so that a step of this host's clock does no
/// harm.
#[derive(Debug)]
pub struct ServerClock {
    epoch: Instant,
    /// Server time minus time since `epoch`, microseconds.
    offset_us: AtomicI64,
    known: Mutex<Offset>,
}

impl ServerClock {
    /// A clock of which nothing is known yet.
    pub fn new(epoch: Instant) -> Self {
        Self { epoch, offset_us: AtomicI64::new(0), known: Mutex::new(Offset::default()) }
    }

    /// The server answered that its time was `server_us` (Unix microseconds) between `asked` and `answered`.
    pub fn learn(&self, server_us: i64, asked: Instant, answered: Instant) {
        let (asked, answered) = (self.since(asked), self.since(answered));
        let Ok(mut known) = self.known.lock() else { return };
        known.learn(server_us, asked, answered);
        if let Some(measured) = known.at(answered) {
            self.offset_us.store(measured.offset_us, Ordering::Relaxed);
        }
    }

    /// The server's clock at `now`, Unix milliseconds.
    pub fn at_ms(&self, now: Instant) -> i64 {
        (self.since(now) + self.offset_us.load(Ordering::Relaxed)) / 1000
    }

    /// What is known at `now` of the server's clock against ours; two that were made with one epoch can be compared.
    pub fn measured(&self, now: Instant) -> Option<Measured> {
        self.known.lock().ok()?.at(self.since(now))
    }

    fn since(&self, instant: Instant) -> i64 {
        i64::try_from(instant.saturating_duration_since(self.epoch).as_micros()).unwrap_or(i64::MAX)
    }
}
