//! What a run may cost.

use std::time::Duration;

/// At most so much a second. What was not used is there for a second at most.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    per_second: u64,
    /// From when on something is there again, since any moment that all times count from.
    free_at: Duration,
}

impl Pace {
    /// At most `per_second`; 0 sets no limit.
    pub fn new(per_second: u64) -> Self {
        Self { per_second, free_at: Duration::ZERO }
    }

    /// Takes `amount` at `now`. Gives how long to wait before going on.
    pub fn take(&mut self, amount: u64, now: Duration) -> Duration {
        if self.per_second == 0 {
            return Duration::ZERO;
        }
        let begins = self.free_at.max(now.saturating_sub(Duration::from_secs(1)));
        self.free_at = begins + Duration::from_secs_f64(amount as f64 / self.per_second as f64);
        self.free_at.saturating_sub(now)
    }
}

/// At most this share of a server's time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(f64);

impl Share {
    /// From a share above 0 and up to 1.
    pub fn new(share: f64) -> Option<Self> {
        (share > 0.0 && share <= 1.0).then_some(Self(share))
    }

    /// The same as a pace of microseconds in which the server is busy.
    pub fn pace(self) -> Pace {
        Pace::new((self.0 * 1e6).ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_in_a_second_is_bounded() {
        let mut pace = Pace::new(100);
        let mut now = Duration::from_secs(10);
        let began = now;
        for _ in 0..50 {
            now += pace.take(20, now);
        }
        let took = now - began;
        assert!((8.9..=9.1).contains(&took.as_secs_f64()), "{took:?}: 1,000 at 100 a second, the first 100 at once");
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        assert_eq!(Pace::new(0).take(u64::MAX, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn one_percent_is_ten_milliseconds_a_second() {
        let mut pace = Share::new(0.01).unwrap().pace();
        let now = Duration::from_secs(10);
        assert_eq!(pace.take(10_000, now), Duration::ZERO);
        assert_eq!(pace.take(30_000, now), Duration::from_secs(3));
        assert!(Share::new(0.0).is_none() && Share::new(f64::NAN).is_none());
    }
}
