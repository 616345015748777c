//! What the links have reported and the thread has not taken yet: bounded in number and bytes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::recent::Recent;
use crate::engine::conflict::{Record, Unit};

/// Most records that wait.
pub const MOST_WAITING: usize = 16_384;
/// Most bytes that wait.
const MOST_WAITING_BYTES: usize = 16 * 1024 * 1024;
/// What a record takes beside its texts, about.
const RECORD_BYTES: usize = 256;

/// A record that was found.
#[derive(Debug)]
pub(super) struct Report {
    /// The record, its names cut.
    pub record: Record,
    /// How long its key is.
    pub key_length: usize,
    /// When it was found.
    pub at: Timestamp,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It waits, with so many others.
    Waits(usize),
    /// Its id was there before.
    Known,
    /// Too many wait.
    Full,
}

/// Where reports wait. A lock is held for a few instructions only.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    news: Condvar,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    reports: VecDeque<Report>,
    bytes: usize,
    recent: Recent,
    stop: bool,
    ended: bool,
}

impl Inbox {
    pub(super) fn put(&self, report: Report) -> Put {
        let mut waiting = self.lock();
        if !waiting.recent.is_new(report.record.id) {
            return Put::Known;
        }
        let bytes = waiting.bytes + size(&report);
        if waiting.reports.len() >= MOST_WAITING || bytes > MOST_WAITING_BYTES || waiting.ended {
            return Put::Full;
        }
        waiting.bytes = bytes;
        waiting.reports.push_back(report);
        let length = waiting.reports.len();
        drop(waiting);
        self.news.notify_one();
        Put::Waits(length)
    }

    /// The ids of an earlier run are known from now on.
    pub(super) fn remember(&self, ids: impl IntoIterator<Item = u64>) {
        let mut waiting = self.lock();
        for id in ids {
            waiting.recent.is_new(id);
        }
    }

    /// Waits for reports, at most for `patience`: gives all, and whether the end is asked for.
    pub(super) fn take(&self, patience: Option<Duration>) -> (VecDeque<Report>, bool) {
        let idle = |waiting: &mut Waiting| waiting.reports.is_empty() && !waiting.stop;
        let waiting = self.lock();
        let mut waiting = match patience {
            None => self.news.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                let waited = self.news.wait_timeout_while(waiting, patience, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        waiting.bytes = 0;
        (std::mem::take(&mut waiting.reports), waiting.stop)
    }

    /// Asks for the end, and waits for it; gives whether it came in time.
    pub(super) fn stop(&self, patience: Duration) -> bool {
        let mut waiting = self.lock();
        waiting.stop = true;
        self.news.notify_one();
        let waited = self.ended.wait_timeout_while(waiting, patience, |waiting| !waiting.ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    /// Nobody takes any more.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.ended.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(report: &Report) -> usize {
    let name = match &report.record.unit {
        Unit::Element(name) => name.len(),
        Unit::Whole | Unit::Lifetime | Unit::Sequence => 0,
    };
    RECORD_BYTES + report.record.key.len() + name + report.record.write.len() + report.record.against.len()
}
