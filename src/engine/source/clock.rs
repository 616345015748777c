//! The source's clock at a place of its stream.
//!
//! Only heartbeats carry a time. What was written while Duet was away lies between two known moments; by how far is told
//! from the bytes between them. Needed where a server sends relative expiry times (Redis 6.2).

/// Maps offsets of a stream to the source's clock.
#[derive(Debug, Clone)]
pub struct StreamClock {
    /// The newest known moment: offset in bytes, Unix milliseconds.
    known: (u64, i64),
    /// Where the stream ended when the link attached, and when that was.
    attached: (u64, i64),
    interval_ms: i64,
}

impl StreamClock {
    /// A clock for a link that reads from `from` (offset, Unix milliseconds) and attached when the stream had come to
    /// `attached`; heartbeats are written every `interval_ms`.
    pub fn new(from: (u64, i64), attached: (u64, i64), interval_ms: i64) -> Self {
        Self { known: from, attached, interval_ms }
    }

    /// A heartbeat at `offset` was written at `ms`.
    pub fn heartbeat(&mut self, offset: u64, ms: i64) {
        self.known = (offset, self.known.1.max(ms));
    }

    /// The source's clock when what stands at `offset` was written, Unix milliseconds; `now_ms` is that clock now, and
    /// `beating` tells whether heartbeats could be written of late.
    pub fn at(&self, offset: u64, now_ms: i64, beating: bool) -> i64 {
        let (known_offset, known_ms) = self.known;
        let (attached_offset, attached_ms) = self.attached;
        if offset < attached_offset {
            let span = i128::from(attached_offset.saturating_sub(known_offset).max(1));
            let done = i128::from(offset.saturating_sub(known_offset));
            let gap = i128::from((attached_ms - known_ms).max(0));
            return known_ms + i64::try_from(gap * done / span).unwrap_or(0);
        }
        let floor = if known_offset < attached_offset { attached_ms } else { known_ms };
        let ceiling = if beating { floor + 2 * self.interval_ms } else { i64::MAX };
        now_ms.clamp(floor.min(ceiling), ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_while_nobody_read_is_dated_by_its_place() {
        let clock = StreamClock::new((1000, 50_000), (2000, 60_000), 250);
        assert_eq!(clock.at(1000, 99_000, true), 50_000);
        assert_eq!(clock.at(1500, 99_000, true), 55_000);
        assert_eq!(clock.at(1999, 99_000, true), 59_990);
    }

    #[test]
    fn what_is_read_late_is_dated_by_the_heartbeat_before_it() {
        let mut clock = StreamClock::new((0, 0), (0, 10_000), 250);
        clock.heartbeat(500, 20_000);
        assert_eq!(clock.at(510, 20_100, true), 20_100);
        assert_eq!(clock.at(510, 95_000, true), 20_500);
        assert_eq!(clock.at(510, 95_000, false), 95_000);
        assert_eq!(clock.at(510, 19_000, true), 20_000);
    }
}
