//! When a write was executed, for deciding which of two stays: a hybrid logical clock.
//!
//! The physical part is the clock of the server that executed the write; the rest keeps the order of one region's writes
//! and puts a write after everything that its region had seen (Kulkarni et al., "Logical Physical Clocks", 2014).

/// The time of one write. The larger stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Stamp {
    /// Microseconds since the Unix epoch by the server's clock; the last three digits count.
    pub time_us: i64,
    /// The rank of the region's name: equal times go to the larger name.
    pub rank: u8,
}

impl Stamp {
    /// Earlier than any client's write: what a server did by itself.
    pub const WEAKEST: Self = Self { time_us: i64::MIN, rank: 0 };
}

/// Stamps the writes of one region.
#[derive(Debug, Clone, Default)]
pub struct StampClock {
    last_us: i64,
    rank: u8,
    causal: bool,
}

impl StampClock {
    /// A clock for the region with this rank among the names. One that is not `causal` forgets what its region had seen.
    pub fn new(rank: u8, causal: bool) -> Self {
        Self { last_us: 0, rank, causal }
    }

    /// The stamp of writes that were executed when the server's clock said `server_ms`: later than the last one, and than
    /// everything that the region had seen.
    pub fn stamp(&mut self, server_ms: i64) -> Stamp {
        self.last_us = server_ms.saturating_mul(1000).max(self.last_us.saturating_add(1));
        Stamp { time_us: self.last_us, rank: self.rank }
    }

    /// The region has executed a write with this stamp: what it writes from now on is later.
    pub fn has_seen(&mut self, stamp: Stamp) {
        if self.causal {
            self.last_us = self.last_us.max(stamp.time_us);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_of_one_region_grow_even_when_its_clock_steps_back() {
        let mut clock = StampClock::new(0, true);
        let stamps = [5, 5, 3, 6].map(|ms| clock.stamp(ms));
        assert!(stamps.is_sorted_by(|a, b| a < b), "{stamps:?}");
    }

    #[test]
    fn what_a_region_writes_after_it_has_seen_a_write_is_later() {
        let (mut fast, mut slow) = (StampClock::new(1, true), StampClock::new(0, true));
        let seen = fast.stamp(9000);
        slow.has_seen(seen);
        assert!(slow.stamp(10) > seen);
    }

    #[test]
    fn equal_times_go_to_the_larger_name() {
        let (mut eu, mut us) = (StampClock::new(0, true), StampClock::new(1, true));
        assert!(us.stamp(7) > eu.stamp(7));
    }
}
