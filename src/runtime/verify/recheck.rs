//! Keys that looked different, looked at again behind both links until it is known what they are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::fence::Fence;
use super::lane::Lane;
use super::run::{Report, Run};
use super::sights::look;
use crate::error::{Fault, Kind};
use crate::verify::{Finding, Name, Next, Suspect};

/// Suspects that are looked at together.
const TOGETHER: usize = 8_192;
/// How long a fence may take before a look is made without it.
const FENCE_PATIENCE: Duration = Duration::from_secs(30);
/// The time between two looks where no heartbeat tells that the links have passed.
const UNFENCED_PAUSE: Duration = Duration::from_secs(1);

/// Decides suspects until both sides were seen as a whole and none is left. Tells whether all looks were fenced.
///
/// # Errors
/// A [`Fault`] when a server can't be reached, or nobody takes the reports.
pub(super) async fn run(run: &Run, mut lane: Lane, reports: mpsc::Sender<Report>) -> Result<bool, Fault> {
    let fence = Fence::new(&run.reserved, [run.regions[0].name.as_str(), run.regions[1].name.as_str()]);
    let fenced = AtomicBool::new(true);
    loop {
        let news = run.shared.news.notified();
        let all_seen = run.progress.all_seen.load(Ordering::Acquire);
        let suspects = run.shared.take(TOGETHER);
        if suspects.is_empty() {
            if all_seen {
                return Ok(fenced.load(Ordering::Relaxed));
            }
            news.await;
            continue;
        }
        if run.plan.rounds == 1 {
            fenced.store(false, Ordering::Relaxed);
        } else if !fence.pass(&mut lane, FENCE_PATIENCE.min(run.plan.patience)).await? {
            fenced.store(false, Ordering::Relaxed);
            tokio::time::sleep(UNFENCED_PAUSE).await;
        }
        look_again(run, &mut lane, suspects, &reports).await?;
    }
}

async fn look_again(
    run: &Run,
    lane: &mut Lane,
    suspects: Vec<Suspect>,
    reports: &mpsc::Sender<Report>,
) -> Result<(), Fault> {
    let names: Vec<Name> = suspects.iter().map(|suspect| suspect.name.clone()).collect();
    let (mut looks, now_ms) = look(lane, &run.plan, &names, run.began.elapsed()).await?;
    let (mut again, mut decided) = (Vec::new(), Vec::new());
    for mut suspect in suspects {
        let Some(seen) = looks.remove(&suspect.name) else { continue };
        let report = match suspect.look(&seen, &run.plan) {
            Next::Again => {
                again.push(suspect);
                continue;
            }
            Next::Equal => {
                run.progress.equal.fetch_add(1, Ordering::Relaxed);
                None
            }
            Next::Different(differences) => {
                run.progress.different.fetch_add(1, Ordering::Relaxed);
                let (name, looks) = (suspect.name.clone(), suspect.looks());
                let finding = Finding::new(name, seen.sights, differences, looks, (now_ms, &run.plan));
                Some(Report::Finding(Box::new(finding)))
            }
            Next::Undecided => {
                run.progress.undecided.fetch_add(1, Ordering::Relaxed);
                Some(Report::Undecided(suspect.name.clone()))
            }
        };
        decided.push((suspect.name, report.is_some()));
        if let Some(report) = report {
            let gone = |_| Fault::new(Kind::Disconnected, "nobody takes what was found");
            reports.send(report).await.map_err(gone)?;
        }
    }
    run.shared.put_back(again, &decided);
    Ok(())
}
