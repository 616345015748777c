//! A comparison in bounded time, for whoever has to go on then: a step of a failover drill.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Progress, Report, Run};
use crate::config::Config;
use crate::error::Fault;
use crate::verify::{Finding, Plan};

/// Reports that may wait.
const WAITING: usize = 256;
/// What a comparison in bounded time has come to.
#[derive(Debug, Default)]
pub struct Bounded {
    /// It came to its end.
    pub whole: bool,
    /// Names of each side that were looked at.
    pub seen: [u64; 2],
    /// Keys of each side when it began.
    pub total: [u64; 2],
    /// Keys that were compared.
    pub keys: u64,
    /// Keys that differ.
    pub different: u64,
    /// Keys that were never seen still.
    pub undecided: u64,
    /// Keys that looked different, and were not decided in time.
    pub open: u64,
}

/// Compares the regions of `config` as `plan` says, for as long as `within` at most; each finding is given to `take`. Where a
/// region takes no writes, no heartbeat crosses: `plan.patience` bounds how long each look waits for one.
///
/// # Errors
/// A [`Fault`] when a server can't be reached for some time, was restarted, or refuses; and that of `take`, which ends it.
pub async fn compare_within(
    config: &Config,
    plan: Plan,
    within: Duration,
    mut take: impl FnMut(Finding) -> Result<(), Fault>,
) -> Result<Bounded, Fault> {
    let progress = Arc::new(Progress::default());
    let (reports, mut reported) = mpsc::channel(WAITING);
    let run = Run::execute((config, plan, None), None, Arc::clone(&progress), reports);
    let taken = async {
        while let Some(report) = reported.recv().await {
            if let Report::Finding(finding) = report {
                take(*finding)?;
            }
        }
        Ok(())
    };
    let whole = match timeout(within, async { tokio::try_join!(run, taken) }).await {
        Ok(ended) => ended.map(|_| true)?,
        Err(_) => false,
    };
    let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
    let (different, undecided) = (count(&progress.different), count(&progress.undecided));
    Ok(Bounded {
        whole,
        seen: progress.scanned.each_ref().map(count),
        total: progress.total.each_ref().map(count),
        keys: count(&progress.compared),
        different,
        undecided,
        open: count(&progress.suspected).saturating_sub(different + undecided + count(&progress.equal)),
    })
}

impl Bounded {
    /// How much of the keys was compared: 1 for all of them, else how much of the names of the side that is behind was seen.
    pub fn covered(&self) -> f64 {
        let shares = self.seen.iter().zip(self.total).map(|(seen, total)| *seen as f64 / (total as f64).max(1.0));
        if self.whole { 1.0 } else { shares.fold(1.0, f64::min) }
    }
}
