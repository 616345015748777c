//! A comparison in bounded time, for whoever has to go on then: a step of a failover drill.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Progress, Report, Run};
use crate::config::Config;
use crate::error::Fault;
use crate::verify::{Finding, Name, Plan};

/// Reports that may wait.
const WAITING: usize = 256;
/// Findings that are kept.
const MOST_KEPT: usize = 1_000;

/// What a comparison in bounded time has come to.
#[derive(Debug, Default)]
pub struct Bounded {
    /// It came to its end.
    pub whole: bool,
    /// How much of the keys was compared: 1 for all of them.
    pub covered: f64,
    /// Differences were looked at again behind both links.
    pub fenced: bool,
    /// Keys that were compared.
    pub keys: u64,
    /// Keys that differ.
    pub different: u64,
    /// The first 1,000 of them.
    pub findings: Vec<Finding>,
    /// Keys that were never seen still, the first 1,000.
    pub undecided: Vec<Name>,
    /// Keys that looked different, and were not decided in time.
    pub open: u64,
}

/// Compares the regions of `config` as `plan` says, for as long as `within` at most. Where a region takes no writes, no
/// heartbeat crosses: `plan.patience` bounds how long each look waits for one.
///
/// # Errors
/// A [`Fault`] when a server can't be reached for some time, was restarted, or refuses.
pub async fn compare_within(config: &Config, plan: Plan, within: Duration) -> Result<Bounded, Fault> {
    let progress = Arc::new(Progress::default());
    let (reports, mut reported) = mpsc::channel(WAITING);
    let mut found = Bounded::default();
    let mut running = std::pin::pin!(Run::execute((config, plan, None), None, Arc::clone(&progress), reports));
    let mut over = std::pin::pin!(tokio::time::sleep(within));
    loop {
        tokio::select! {
            outcome = &mut running => {
                found.fenced = outcome?.fenced;
                found.whole = true;
                break;
            }
            Some(report) = reported.recv() => found.take(report),
            () = &mut over => break,
        }
    }
    while let Ok(report) = reported.try_recv() {
        found.take(report);
    }
    found.keys = progress.compared.load(Ordering::Relaxed);
    found.different = progress.different.load(Ordering::Relaxed);
    let decided = found.different + progress.undecided.load(Ordering::Relaxed) + progress.equal.load(Ordering::Relaxed);
    found.open = progress.suspected.load(Ordering::Relaxed).saturating_sub(decided);
    found.covered = if found.whole { 1.0 } else { covered(&progress) };
    Ok(found)
}

/// How much of the names of the side that is behind was seen.
fn covered(progress: &Progress) -> f64 {
    let number = |number: &AtomicU64| number.load(Ordering::Relaxed) as f64;
    let sides = progress.scanned.iter().zip(&progress.total);
    sides.map(|(seen, total)| (number(seen) / number(total).max(1.0)).min(1.0)).fold(1.0, f64::min)
}

impl Bounded {
    fn take(&mut self, report: Report) {
        match report {
            Report::Finding(finding) if self.findings.len() < MOST_KEPT => self.findings.push(*finding),
            Report::Undecided(name) if self.undecided.len() < MOST_KEPT => self.undecided.push(name),
            Report::Finding(_) | Report::Undecided(_) | Report::Checkpoint(_) => {}
        }
    }
}
