//! A server's clock, as far as it is known here.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

/// How many exchanges are remembered: the one that took least time is believed.
const REMEMBERED: usize = 8;

/// The clock of one server: our monotonic clock and the difference to it, so that a step of this host's clock does no
/// harm.
#[derive(Debug)]
pub struct ServerClock {
    epoch: Instant,
    /// Server time minus time since `epoch`, microseconds.
    offset_us: AtomicI64,
    /// Round trip and offset of the last exchanges, microseconds.
    exchanges: Mutex<VecDeque<(i64, i64)>>,
}

impl ServerClock {
    /// A clock of which nothing is known yet.
    pub fn new(epoch: Instant) -> Self {
        Self { epoch, offset_us: AtomicI64::new(0), exchanges: Mutex::new(VecDeque::new()) }
    }

    /// The server answered that its time was `server_us` (Unix microseconds) between `asked` and `answered`.
    pub fn learn(&self, server_us: i64, asked: Instant, answered: Instant) {
        let (asked, answered) = (self.since(asked), self.since(answered));
        let exchange = (answered - asked, server_us - (asked + answered) / 2);
        let Ok(mut exchanges) = self.exchanges.lock() else { return };
        exchanges.push_back(exchange);
        if exchanges.len() > REMEMBERED {
            exchanges.pop_front();
        }
        if let Some((_, offset)) = exchanges.iter().min() {
            self.offset_us.store(*offset, Ordering::Relaxed);
        }
    }

    /// The server's clock at `now`, Unix milliseconds.
    pub fn at_ms(&self, now: Instant) -> i64 {
        (self.since(now) + self.offset_us.load(Ordering::Relaxed)) / 1000
    }

    fn since(&self, instant: Instant) -> i64 {
        i64::try_from(instant.saturating_duration_since(self.epoch).as_micros()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_quickest_exchange_is_believed() {
        let epoch = Instant::now();
        let clock = ServerClock::new(epoch);
        let at = |ms| epoch + Duration::from_millis(ms);
        clock.learn(5_000_000, at(100), at(102));
        assert_eq!(clock.at_ms(at(101)), 5_000);
        clock.learn(5_300_000, at(150), at(350));
        assert_eq!(clock.at_ms(at(101)), 5_000, "a slow exchange says less");
    }
}
