//! How often the lag of a link was how large.

use std::fmt;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;

use super::Counter;

/// Its name for a collector.
pub const LAG_METRIC: &str = "duet.link.lag";

/// Upper bounds of the buckets, seconds.
const BOUNDS_S: [f64; 15] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Lags of one link: counted for scrapers, and given to the collector where there is one.
pub struct Lags {
    counts: [Counter; BOUNDS_S.len() + 1],
    sum_us: Counter,
    collected: Histogram<f64>,
    labels: [KeyValue; 1],
}

/// All lags so far.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenLags {
    /// Their sum, seconds.
    pub sum_s: f64,
    /// How many.
    pub count: u64,
    /// Upper bound in seconds (the largest number there is for the last), and how many are in this bucket alone.
    pub buckets: Vec<(f64, u64)>,
}

impl Lags {
    /// No lag yet, of the link with this name.
    pub(super) fn new(link: impl fmt::Display) -> Self {
        let meter = opentelemetry::global::meter("duet");
        let collected = meter.f64_histogram(LAG_METRIC).with_unit("s").with_boundaries(BOUNDS_S.to_vec()).build();
        Self {
            counts: Default::default(),
            sum_us: Counter::default(),
            collected,
            labels: [KeyValue::new("link", link.to_string())],
        }
    }

    /// One more.
    pub(super) fn record(&self, lag: Duration) {
        let seconds = lag.as_secs_f64();
        let bucket = BOUNDS_S.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get(bucket) {
            count.add(1);
        }
        self.sum_us.add(u64::try_from(lag.as_micros()).unwrap_or(0));
        self.collected.record(seconds, &self.labels);
    }

    /// All so far.
    pub fn seen(&self) -> SeenLags {
        let bounds = BOUNDS_S.into_iter().chain([f64::MAX]);
        let buckets: Vec<_> = bounds.zip(self.counts.iter().map(Counter::get)).collect();
        SeenLags { sum_s: self.sum_us.get() as f64 / 1e6, count: buckets.iter().map(|(_, count)| count).sum(), buckets }
    }
}

impl fmt::Debug for Lags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seen().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_counted_in_the_bucket_that_it_does_not_pass() {
        let lags = Lags::new("forward");
        for lag_ms in [1, 2, 100, 101, 90_000] {
            lags.record(Duration::from_millis(lag_ms));
        }
        let seen = lags.seen();
        assert_eq!((seen.count, seen.sum_s), (5, 90.204));
        let full: Vec<_> = seen.buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(full, [(0.001, 1), (0.0025, 1), (0.1, 1), (0.25, 1), (f64::MAX, 1)]);
    }
}
