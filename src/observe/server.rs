//! What a region's server says of itself now and then.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How much the newest rate counts against those before.
const NEWEST: f64 = 0.3;

/// A server at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Bytes of history that it has written.
    pub offset: u64,
    /// Bytes of history a second, smoothed; unknown at the first look, and after a change of history.
    pub bytes_per_s: Option<f64>,
    /// The size of its replication backlog; absent when it has none.
    pub backlog_bytes: Option<u64>,
    /// `used_memory`.
    pub memory_bytes: Option<u64>,
}

impl ServerStatus {
    /// The server as it is `after` so long, with the rate since `before`.
    pub fn since(self, before: Option<Self>, after: Duration) -> Self {
        let Some(before) = before.filter(|_| !after.is_zero()) else { return self };
        let Some(written) = self.offset.checked_sub(before.offset) else { return self };
        let rate = written as f64 / after.as_secs_f64();
        let smooth = before.bytes_per_s.map_or(rate, |earlier| earlier + NEWEST * (rate - earlier));
        Self { bytes_per_s: Some(smooth), ..self }
    }

    /// How long a link may be cut at this rate before the backlog no longer reaches back, seconds; unknown without a
    /// rate or a backlog.
    pub fn backlog_lasts_s(&self) -> Option<f64> {
        let rate = self.bytes_per_s.filter(|rate| *rate >= 1.0)?;
        self.backlog_bytes.map(|bytes| bytes as f64 / rate)
    }
}

/// A server, and when it said so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) status: ServerStatus,
    pub(super) at: Instant,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(offset: u64) -> ServerStatus {
        ServerStatus { offset, bytes_per_s: None, backlog_bytes: Some(1_000_000), memory_bytes: None }
    }

    #[test]
    fn a_backlog_lasts_for_its_size_over_the_rate_of_writes() {
        let first = server(0).since(None, Duration::from_secs(5));
        assert_eq!((first.bytes_per_s, first.backlog_lasts_s()), (None, None));
        let second = server(500_000).since(Some(first), Duration::from_secs(5));
        assert_eq!((second.bytes_per_s, second.backlog_lasts_s()), (Some(100_000.0), Some(10.0)));
        let calm = server(500_000).since(Some(second), Duration::from_secs(5));
        assert_eq!(calm.bytes_per_s, Some(70_000.0), "the rate is smoothed");
    }

    #[test]
    fn a_new_history_begins_anew() {
        let before = ServerStatus { bytes_per_s: Some(5.0), ..server(500_000) };
        assert_eq!(server(10).since(Some(before), Duration::from_secs(5)).bytes_per_s, None);
    }

    #[test]
    fn a_silent_server_has_a_backlog_without_an_end() {
        let silent = ServerStatus { bytes_per_s: Some(0.2), ..server(7) };
        assert_eq!(silent.backlog_lasts_s(), None);
    }
}
