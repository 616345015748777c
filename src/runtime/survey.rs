//! Asks a region's server now and then how large its backlog is and how much it writes.

use std::time::{Duration, Instant};

use super::client::{Client, Reply, text};
use crate::engine::source::Info;
use crate::error::Fault;
use crate::observe::{RegionBoard, ServerStatus};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// When the next look is due.
#[derive(Debug, Default)]
pub struct Survey {
    last: Option<Instant>,
}

impl Survey {
    /// Looks when it is time. A server that does not tell is left alone.
    ///
    /// # Errors
    /// The connection has failed.
    pub async fn look(&mut self, client: &mut Client, board: &RegionBoard) -> Result<(), Fault> {
        let now = Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) < EVERY) {
            return Ok(());
        }
        self.last = Some(now);
        let replies = client.calls(&[["INFO", "replication"], ["INFO", "memory"]]).await?;
        if replies.iter().any(|reply| matches!(reply, Reply::Error(_))) {
            return Ok(());
        }
        let info = Info::parse(&replies.iter().map(text).collect::<Vec<_>>().join("\n"));
        let Some(offset) = info.get("master_repl_offset") else { return Ok(()) };
        let has_backlog = info.get::<u8>("repl_backlog_active") == Some(1);
        let backlog_bytes = info.get("repl_backlog_size").filter(|_| has_backlog);
        let memory_bytes = info.get("used_memory");
        board.told(ServerStatus { offset, bytes_per_s: None, backlog_bytes, memory_bytes }, Instant::now());
        Ok(())
    }
}
