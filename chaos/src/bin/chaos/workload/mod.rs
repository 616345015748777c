//! Clients of both regions, and what they know afterwards.
//!
//! Each round has keys of its own, `r<round>:..`; only the hammer's 50 keys are the same in all rounds. Of each region there
//! are clients that add to sums, put and take elements, work off a queue, set registers, write transactions, let keys
//! expire, and hammer.

mod clients;
pub mod ledger;
mod worker;

use crate::fault::Holds;
use crate::plan::Round;
use crate::side::Side;
use crate::world::World;
use anyhow::Result;
use clients::{Client, Duty};
use ledger::Ledger;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::task::JoinHandle;

/// What clients of one round share.
#[derive(Debug)]
pub struct Notes {
    ledger: Mutex<Ledger>,
    /// Answers that no right command may get.
    complaints: Mutex<Vec<String>>,
    stop: AtomicBool,
    asked: AtomicU64,
    /// The region whose history is struck in this round.
    pub struck_history: Option<Side>,
    /// When the round began: all that was written before is in both regions.
    pub since: Instant,
}

impl Notes {
    /// What was written so far.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn complain(&self, what: String) {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

/// Clients at work.
pub struct Workload {
    pub notes: Arc<Notes>,
    tasks: Vec<JoinHandle<Result<()>>>,
}

/// What clients leave behind.
#[derive(Debug)]
pub struct Outcome {
    pub ledger: Ledger,
    pub complaints: Vec<String>,
    pub asked: u64,
}

impl Workload {
    /// Starts all clients of both regions, for a round; `old` are keys that may be deleted.
    pub fn start(world: &Arc<World>, round: &Round, old: Vec<String>) -> Self {
        let (number, seed) = (round.number, round.seed);
        let notes = Arc::new(Notes {
            ledger: Mutex::default(),
            complaints: Mutex::default(),
            stop: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            struck_history: round
                .strikes
                .iter()
                .find(|it| it.fault.kind().holds.contains(&Holds::History))
                .map(|it| it.side),
            since: Instant::now(),
        });
        let mut tasks = Vec::new();
        let mut begin = |side: Side, duty: Duty, place: u64| {
            let client = Client::new(Arc::clone(world), Arc::clone(&notes), side, number, seed.wrapping_add(place));
            tasks.push(tokio::spawn(client.work(duty)));
        };
        for (at, side) in (0_u64..).zip(Side::BOTH) {
            for (place, duty) in (0_u64..).zip(Duty::ALL) {
                begin(side, duty, at * 100 + place);
            }
        }
        if !old.is_empty() {
            let side = if seed.is_multiple_of(2) { Side::West } else { Side::East };
            begin(side, Duty::Delete(old), 999);
        }
        Self { notes, tasks }
    }

    /// Stops when all that was asked is answered, or never will be.
    ///
    /// # Errors
    /// When a client failed by its own fault.
    pub async fn stop(self) -> Result<Outcome> {
        self.notes.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await??;
        }
        let complaints = std::mem::take(&mut *self.notes.complaints.lock().unwrap_or_else(PoisonError::into_inner));
        let ledger = self.notes.ledger().clone();
        Ok(Outcome { ledger, complaints, asked: self.notes.asked.load(Ordering::SeqCst) })
    }
}
