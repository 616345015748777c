//! The last orders that were given, and how their record does.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Orders that are kept in memory.
pub const AUDIT_RECENT: usize = 20;

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When it was answered, by Duet's machine.
    pub time: Timestamp,
    /// Who gave it.
    pub by: String,
    /// Its name.
    pub action: String,
    /// Its arguments.
    pub arguments: Value,
    /// `done` or `refused`.
    pub result: String,
    /// What was answered.
    pub text: String,
}

/// The last orders. Readers wait for each other only.
#[derive(Debug, Default)]
pub struct AuditBoard(Mutex<AuditStatus>);

/// The last orders at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditStatus {
    /// The file of the record; absent where it is kept in memory only.
    pub place: Option<String>,
    /// Why it cannot be written.
    pub reason: Option<String>,
    /// The last orders, oldest first.
    pub recent: VecDeque<AuditEntry>,
}

impl AuditBoard {
    /// These were given in earlier runs, oldest first.
    pub fn restore(&self, entries: Vec<AuditEntry>) {
        let mut status = self.lock();
        let later = std::mem::take(&mut status.recent);
        status.recent = entries.into_iter().chain(later).collect();
    }

    /// One more.
    pub fn add(&self, entry: AuditEntry) {
        let mut status = self.lock();
        status.recent.push_back(entry);
        if status.recent.len() > AUDIT_RECENT {
            status.recent.pop_front();
        }
    }

    /// How writing to the record went; logs when it no longer works, and when it works again.
    pub fn wrote(&self, place: &Path, error: Option<&io::Error>) {
        let mut status = self.lock();
        let place = place.display().to_string();
        match (error, &status.reason) {
            (Some(error), None) => {
                tracing::error!(place, %error, "the record of orders cannot be written: they are in this log only")
            }
            (None, Some(_)) => tracing::info!(place, "the record of orders is written again"),
            (Some(_), Some(_)) | (None, None) => {}
        }
        status.reason = error.map(ToString::to_string);
        status.place = Some(place);
    }

    /// All of it.
    pub fn status(&self) -> AuditStatus {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, AuditStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
