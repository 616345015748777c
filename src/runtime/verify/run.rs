//! A whole run: both sides are gone through at the same time. What the left side has is compared with the right one; of what
//! the right side has, it is only asked whether the left one has it, too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::batch;
use super::end::Limits;
use super::lane::Lane;
use super::recheck;
use super::scan::{self, Work};
use super::shared::{Progress, Shared};
use crate::config::{Config, Region};
use crate::engine::origin::ReservedKeys;
use crate::engine::source::Info;
use crate::error::{Fault, Kind};
use crate::runtime::client::text;
use crate::verify::{Finding, Mode, Name, Plan, Share, Stretch, Suspect};

/// How often it is reported how far a run is, so that it can be taken up again.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(2);

/// Up to where one side was gone through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The database.
    pub database: u32,
    /// What is left of its scan; nothing where it is at its end.
    pub rest: Vec<Stretch>,
}

/// A database that is compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Database {
    pub index: u32,
    /// Keys at each side when the run began.
    pub keys: [u64; 2],
}

/// From where a run goes on that was interrupted.
#[derive(Debug, Clone, Default)]
pub struct Resume {
    /// Which runs of the servers it was: a place of a scan is good for one only.
    pub run_ids: [String; 2],
    /// Up to where each side was gone through.
    pub positions: [Option<Position>; 2],
    /// Keys that were not decided.
    pub suspects: Vec<Name>,
}

/// What a run finds, as it finds it.
#[derive(Debug)]
pub enum Report {
    /// A key differs.
    Finding(Box<Finding>),
    /// A key was never seen still.
    Undecided(Name),
    /// So far it has come.
    Checkpoint(Resume),
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// All looks were made behind both links.
    pub fenced: bool,
    /// Bytes that the servers sent.
    pub bytes: u64,
    /// For how long each server was busy.
    pub busy: [Duration; 2],
}

/// A run at work.
#[derive(Debug)]
pub struct Run {
    pub(super) plan: Plan,
    pub(super) regions: [Region; 2],
    pub(super) reserved: ReservedKeys,
    pub(super) databases: Vec<Database>,
    /// What the servers are asked to leave out by themselves.
    pub(super) pattern: Option<Vec<u8>>,
    /// Little of the servers' time is to be taken.
    pub(super) is_gentle: bool,
    pub(super) progress: Arc<Progress>,
    pub(super) shared: Shared,
    pub(super) began: Instant,
    limits: [Arc<Limits>; 2],
    run_ids: [String; 2],
}

impl Run {
    /// Compares the regions of `config`, as `plan` says. What is found goes to `reports`. `share` bounds what of a server's
    /// time it takes; with it few names are asked for at a time.
    ///
    /// # Errors
    /// A [`Fault`] when a server can't be reached for some time, was restarted, or refuses; what was reported before holds.
    pub async fn execute(
        (config, plan, share): (&Config, Plan, Option<Share>),
        resume: Option<Resume>,
        progress: Arc<Progress>,
        reports: mpsc::Sender<Report>,
    ) -> Result<Outcome, Fault> {
        let regions = config.regions.clone();
        let limits = [0, 1].map(|_| Arc::new(Limits::new(&plan, share)));
        let mut lane = Lane::open(&regions, &limits).await?;
        if plan.mode == Mode::Digest {
            lane.try_digests().await?;
        }
        let databases = databases(&mut lane, &plan, &progress).await?;
        let run_ids = [0, 1].map(|side| lane.ends[side].run_id().to_owned());
        let resume = resume.filter(|resume| resume.run_ids == run_ids).unwrap_or_default();
        let run = Arc::new(Self {
            pattern: plan.filter.server_pattern(),
            is_gentle: share.is_some(),
            reserved: ReservedKeys::new(config.pair.reserved_prefix.as_str(), config.pair.name.as_str()),
            began: Instant::now(),
            shared: Shared::default(),
            plan,
            regions,
            databases,
            progress,
            limits,
            run_ids,
        });
        let suspects = resume.suspects.iter().map(|name| Suspect::new(name.clone(), Duration::ZERO)).collect();
        run.shared.suspect(suspects, &run.progress).await;
        let fenced = Arc::clone(&run).drive(lane, resume.positions, reports).await?;
        let received = |side: usize| run.limits[side].received.load(Ordering::Relaxed);
        let busy = |side: usize| Duration::from_micros(run.limits[side].busy_us.load(Ordering::Relaxed));
        Ok(Outcome { fenced, bytes: received(0) + received(1), busy: [busy(0), busy(1)] })
    }

    async fn drive(
        self: Arc<Self>,
        lane: Lane,
        positions: [Option<Position>; 2],
        reports: mpsc::Sender<Report>,
    ) -> Result<bool, Fault> {
        let round_trip = lane.ends.iter().map(|end| end.round_trip).max().unwrap_or_default();
        let lanes = self.plan.lanes(round_trip);
        let (work, queue) = mpsc::channel(lanes);
        let queue = Arc::new(Mutex::new(queue));
        let mut comparing = JoinSet::new();
        for (side, from) in positions.into_iter().enumerate() {
            let (run, lane, work) = (Arc::clone(&self), lane.again(), work.clone());
            comparing.spawn(async move { scan::run(&run, lane, side, from, work).await });
        }
        drop(work);
        for _ in 0..lanes {
            let (run, lane, queue) = (Arc::clone(&self), lane.again(), Arc::clone(&queue));
            comparing.spawn(async move { run.compare(lane, &queue).await });
        }
        let mut deciding = JoinSet::new();
        let (run, found) = (Arc::clone(&self), reports.clone());
        deciding.spawn(async move { recheck::run(&run, lane, found).await });
        let mut checkpoints = tokio::time::interval(CHECKPOINT_EVERY);
        loop {
            tokio::select! {
                Some(ended) = comparing.join_next() => ended.map_err(|error| died(&error))??,
                Some(ended) = deciding.join_next() => return ended.map_err(|error| died(&error))?,
                _ = checkpoints.tick() => self.checkpoint(&reports).await?,
                else => return Err(Fault::new(Kind::Disconnected, "the run ended before it was done")),
            }
            if comparing.is_empty() && !self.progress.all_seen.swap(true, Ordering::AcqRel) {
                self.checkpoint(&reports).await?;
                self.shared.news.notify_one();
            }
        }
    }

    /// Compares batches until there are no more.
    async fn compare(&self, mut lane: Lane, queue: &Mutex<mpsc::Receiver<Work>>) -> Result<(), Fault> {
        loop {
            let next = queue.lock().await.recv().await;
            let Some(Work { side, number, batch }) = next else { return Ok(()) };
            let names = if side == 0 {
                let compared = batch::compare(&mut lane, &self.plan, &batch).await?;
                self.progress.compared.fetch_add(compared.keys, Ordering::Relaxed);
                compared.suspects
            } else {
                let missing = batch::missing(&mut lane, &self.plan, &batch, side).await?;
                self.progress.compared.fetch_add(missing.len() as u64, Ordering::Relaxed);
                missing
            };
            let now = self.began.elapsed();
            let suspects = names.into_iter().map(|name| Suspect::new((batch.database, name), now)).collect();
            self.shared.suspect(suspects, &self.progress).await;
            self.shared.end(side, number);
        }
    }

    async fn checkpoint(&self, reports: &mpsc::Sender<Report>) -> Result<(), Fault> {
        let (positions, suspects) = self.shared.checkpoint();
        let gone = |_| Fault::new(Kind::Disconnected, "nobody takes what was found");
        let resume = Resume { run_ids: self.run_ids.clone(), positions, suspects };
        reports.send(Report::Checkpoint(resume)).await.map_err(gone)
    }
}

fn died(error: &tokio::task::JoinError) -> Fault {
    Fault::new(Kind::Disconnected, format!("a task of the run ended: {error}"))
}

/// The databases that either side has keys in.
async fn databases(lane: &mut Lane, plan: &Plan, progress: &Progress) -> Result<Vec<Database>, Fault> {
    let request = vec![vec![b"INFO".as_slice(), b"keyspace"]];
    let replies = lane.ask(0, [&request, &request]).await?;
    let mut databases: BTreeMap<u32, [u64; 2]> = BTreeMap::new();
    for (side, replies) in replies.iter().enumerate() {
        let info = Info::parse(&replies.first().map(text).unwrap_or_default());
        for (index, keys) in info.keyspace().into_iter().filter(|(index, _)| plan.filter.has_database(*index)) {
            databases.entry(index).or_default()[side] = keys;
        }
        progress.total[side].store(databases.values().map(|keys| keys[side]).sum(), Ordering::Relaxed);
    }
    Ok(databases.into_iter().map(|(index, keys)| Database { index, keys }).collect())
}
