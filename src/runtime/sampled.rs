//! The transaction of a link that is traced: one now and then, from the source's heartbeat to its echo at the target.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::metrics::{Stages, Traces};
use crate::observe::LinkBoard;

/// What is known of it. Without a collector all of this is one look at a flag.
#[derive(Debug, Default)]
pub struct Sampled {
    traces: Option<Traces>,
    under_way: AtomicBool,
    sampling: Mutex<Sampling>,
}

#[derive(Debug, Default)]
struct Sampling {
    stages: Option<Stages>,
    last: Option<Instant>,
}

impl Sampled {
    /// Traces transactions where there is somebody to tell of them.
    pub fn new(traces: Option<Traces>) -> Self {
        Self { traces, ..Self::default() }
    }

    /// The transaction `id` carries what was written at the source at `written`, and read just now.
    pub fn begin(&self, id: u64, written: Instant, now: Instant) {
        let Some(traces) = &self.traces else { return };
        let mut sampling = self.lock();
        if sampling.last.is_some_and(|last| now.saturating_duration_since(last) < traces.every()) {
            return;
        }
        *sampling = Sampling {
            stages: Some(Stages { id, written: written.min(now), read: now, sent: None, executed: None }),
            last: Some(now),
        };
        self.under_way.store(true, Ordering::Release);
    }

    /// All transactions up to `id` are given to the target's connection.
    pub fn sent(&self, id: u64, now: Instant) {
        self.change(|stages| {
            if stages.id <= id && stages.sent.is_none() {
                stages.sent = Some(now);
            }
        });
    }

    /// The target has executed the transaction `id`, of so many writes.
    pub fn executed(&self, id: u64, writes: u64, now: Instant) {
        self.change(|stages| {
            if stages.id == id {
                stages.executed = Some((now, writes));
            }
        });
    }

    /// The transaction `id` was seen again in the target's stream.
    pub fn echoed(&self, id: u64, board: &LinkBoard, now: Instant) {
        if !self.under_way.load(Ordering::Acquire) {
            return;
        }
        let mut sampling = self.lock();
        let stages = sampling.stages.take_if(|stages| stages.id <= id);
        drop(sampling);
        if let (Some(traces), Some(stages)) = (&self.traces, stages) {
            self.under_way.store(false, Ordering::Release);
            traces.tell(&stages, &board.direction.to_string(), &board.source, &board.target, now);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Stages)) {
        if self.under_way.load(Ordering::Acquire) {
            self.lock().stages.as_mut().map(change).unwrap_or_default();
        }
    }

    /// Held for a few instructions only; nothing in there can panic half way.
    fn lock(&self) -> MutexGuard<'_, Sampling> {
        self.sampling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
