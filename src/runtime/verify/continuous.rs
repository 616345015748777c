//! The daemon's own verification: round after round through both regions, at a bounded cost, and a new one whenever a link
//! has begun anew: after a gap, a full copy, a failover, a drill.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::fence::Fence;
use super::held::{Reader, Taken};
use super::lane::Lane;
use super::sights::look;
use super::{Limits, Progress, Report, Run};
use crate::config::AutoRepair;
use crate::engine::conflict::hold;
use crate::error::Fault;
use crate::journal::Query;
use crate::observe::{Board, RoundStatus, State, VerifyState};
use crate::runtime::mend::{MOST_MENDED, mend};
use crate::runtime::shared::Pair;
use crate::verify::backup::{Backup, MOST_HELD, Saved};
use crate::verify::{Finding, Known, Name, Plan};

/// How often it is asked what is known of keys, at most.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether the links still stream.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Reports that may wait.
const WAITING: usize = 256;
/// Findings of a round that get a line each in the log.
const LINES: usize = 20;
/// How long links may take to pass a moment, and a key to become equal.
const FENCE_PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether what was repaired is equal.
const TRIES: usize = 20;

/// Why a round is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Start,
    Again,
    Anew,
    Drill,
}

impl Why {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Again => "again",
            Self::Anew => "links_began_anew",
            Self::Drill => "drill",
        }
    }
}

/// What the daemon knows of keys, asked for at most so often.
struct Knowledge<'a> {
    board: &'a Board,
    known: Known,
    asked: Option<Instant>,
}

impl Knowledge<'_> {
    fn now(&mut self) -> &Known {
        let now = Instant::now();
        if self.asked.is_none_or(|asked| now.duration_since(asked) >= ASK_EVERY) {
            self.asked = Some(now);
            self.known = Known::of(&self.board.status(now));
        }
        &self.known
    }
}

/// Verifies until the daemon stops, if it is told to.
pub async fn run(pair: Arc<Pair>, board: Arc<Board>) {
    if !pair.config().verify.continuous {
        return pair.shutdown.cancelled().await;
    }
    tokio::select! {
        () = rounds(&pair, &board) => {}
        () = pair.shutdown.cancelled() => {}
        () = pair.superseded.cancelled() => {}
    }
}

/// What a round rests on: what was seen on other ground says nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ground {
    /// Sessions of the links.
    epoch: u64,
    /// When the drill began that has ended last.
    drill: Option<Timestamp>,
}

impl Ground {
    fn of(pair: &Pair) -> Self {
        let drill = pair.drill_board.get().filter(|drill| drill.is_over()).map(|drill| drill.started);
        Self { epoch: hold(&pair.exchange).epoch(), drill }
    }
}

async fn rounds(pair: &Pair, all: &Board) {
    let board = &pair.verification;
    let mut before: Option<Ground> = None;
    loop {
        board.enter(VerifyState::Waiting);
        let ground = streaming(pair).await;
        let why = match before.replace(ground) {
            None => Why::Start,
            Some(before) if before == ground => Why::Again,
            Some(before) if before.drill != ground.drill => Why::Drill,
            Some(_) => Why::Anew,
        };
        let began = Instant::now();
        let ended = tokio::select! {
            ended = round(pair, all, why) => ended,
            () = interrupted(pair, ground) => continue,
        };
        match ended {
            Ok(found) => repair(pair, found).await,
            Err(fault) => {
                tracing::warn!(%fault, "a round of the verification did not come to its end");
                board.fail(fault.to_string());
            }
        }
        board.enter(VerifyState::Resting);
        let rest = pair.config().verify.pause.saturating_sub(began.elapsed()).max(LOOK_EVERY);
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            () = interrupted(pair, ground) => {}
        }
    }
}

/// Waits until both links stream.
async fn streaming(pair: &Pair) -> Ground {
    loop {
        let ground = Ground::of(pair);
        if pair.links.iter().all(|link| link.board.state() == State::Streaming) {
            return ground;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until a link has begun anew, or does not stream, or a drill has ended.
async fn interrupted(pair: &Pair, ground: Ground) {
    let streams = || pair.links.iter().all(|link| link.board.state() == State::Streaming);
    while streams() && Ground::of(pair) == ground {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// One round. Gives what differs, as much of it as one repair may take.
async fn round(pair: &Pair, all: &Board, why: Why) -> Result<Vec<Finding>, Fault> {
    let board = &pair.verification;
    let started_at = Timestamp::now();
    let status =
        RoundStatus { why: why.name().into(), started_at, ended_at: None, keys: 0, seen: 0, total: 0, undecided: 0 };
    board.begin(status, matches!(why, Why::Anew | Why::Drill));
    tracing::debug!(why = why.name(), "a round of the verification begins");
    let plan = Plan { parallel: Some(1), ..Plan::default() };
    let progress = Arc::new(Progress::default());
    let (reports, mut reported) = mpsc::channel(WAITING);
    let share = Some(pair.config().verify.share);
    let config = pair.config();
    let mut running = std::pin::pin!(Run::execute((&config, plan, share), None, Arc::clone(&progress), reports));
    let (mut found, mut known) = (Vec::new(), Knowledge { board: all, known: Known::default(), asked: None });
    let outcome = loop {
        let report = tokio::select! {
            outcome = &mut running => break outcome?,
            Some(report) = reported.recv() => report,
        };
        tell(pair, &progress);
        take(pair, report, &mut known, &mut found);
    };
    while let Ok(report) = reported.try_recv() {
        take(pair, report, &mut known, &mut found);
    }
    tell(pair, &progress);
    board.end(Timestamp::now());
    let (keys, different) = (progress.compared.load(Ordering::Relaxed), progress.different.load(Ordering::Relaxed));
    let [left, right] = outcome.busy.map(|busy| busy.as_millis() as u64);
    if different > 0 {
        tracing::warn!(keys, different, "verification: the regions differ; `duet verify` tells more");
    } else {
        tracing::info!(keys, source_busy_ms = left, target_busy_ms = right, "verification: all keys are equal");
    }
    Ok(found)
}

fn tell(pair: &Pair, progress: &Progress) {
    let sum = |numbers: &[std::sync::atomic::AtomicU64; 2]| -> u64 {
        numbers.iter().map(|number| number.load(Ordering::Relaxed)).sum()
    };
    let undecided = progress.undecided.load(Ordering::Relaxed);
    let keys = progress.compared.load(Ordering::Relaxed);
    pair.verification.progress(keys, sum(&progress.scanned), sum(&progress.total), undecided);
}

fn take(pair: &Pair, report: Report, known: &mut Knowledge<'_>, found: &mut Vec<Finding>) {
    match report {
        Report::Finding(mut finding) => {
            finding.explain(known.now());
            let news = pair.verification.found(&finding);
            if news && found.len() < LINES {
                let (database, key) = (finding.name.0, crate::observe::escaped(&finding.name.1));
                let (difference, why) = (finding.class, finding.reason.as_str());
                tracing::warn!(database, key, %difference, why, "a key differs between the regions");
            }
            if found.len() < MOST_MENDED {
                found.push(*finding);
            }
        }
        Report::Undecided(_) | Report::Checkpoint(_) => {}
    }
}

/// Makes equal what differs, if the configuration says so.
async fn repair(pair: &Pair, found: Vec<Finding>) {
    let config = pair.config();
    let verify = &config.verify;
    let Some(backup) = verify.backup.as_deref().filter(|_| verify.repair != AutoRepair::Never && !found.is_empty())
    else {
        return;
    };
    let saving = || tokio::task::block_in_place(|| Backup::append(backup));
    let repaired = async {
        let mut backup = saving()?;
        let [left, right] = [pair.source(0), pair.source(1)];
        let mut readers = [Reader::open(&left).await?, Reader::open(&right).await?];
        for winner in [0, 1] {
            let chosen = found.iter().filter(|finding| winner_of(pair, finding) == Some(winner));
            let mut saved = Vec::new();
            for finding in chosen {
                saved.extend(save(pair, &mut readers, winner, &finding.name).await?);
                if saved.iter().map(Saved::bytes).sum::<usize>() >= MOST_HELD {
                    mend_all(pair, winner, std::mem::take(&mut saved), &mut backup).await?;
                }
            }
            mend_all(pair, winner, saved, &mut backup).await?;
        }
        anyhow::Ok(())
    };
    if let Err(error) = repaired.await {
        tracing::error!(error = format!("{error:#}"), "keys that differ could not be made equal");
        pair.verification.fail(format!("{error:#}"));
    }
}

/// The region whose value of a key stays.
fn winner_of(pair: &Pair, finding: &Finding) -> Option<usize> {
    match pair.config().verify.repair {
        AutoRepair::Never => None,
        AutoRepair::Region(winner) => Some(winner),
        AutoRepair::LastUpdate => {
            let (database, name) = &finding.name;
            let key = std::str::from_utf8(name).map_or_else(|_| name.escape_ascii().to_string(), str::to_owned);
            let query = Query { key: Some(key), database: Some(*database), limit: 1, ..Query::default() };
            let last = pair.journal.find(&query).conflicts.pop()?;
            [0, 1].into_iter().find(|region| pair.source(*region).name.as_str() == last.winner.region)
        }
    }
}

/// What both regions hold of a key that is to be made equal; nothing where that is too much.
async fn save(pair: &Pair, readers: &mut [Reader; 2], winner: usize, name: &Name) -> Result<Option<Saved>, Fault> {
    let [won, lost] = [readers[winner].take(name.0, &name.1).await?, readers[1 - winner].take(name.0, &name.1).await?];
    let (Taken::Value(won), Taken::Value(lost)) = (won, lost) else { return Ok(None) };
    let region = |index: usize| pair.source(index).name.to_string();
    Ok(Some(Saved { name: name.clone(), winner: region(winner), loser: region(1 - winner), won, lost }))
}

/// Has keys made equal, and looks whether they are.
async fn mend_all(pair: &Pair, winner: usize, saved: Vec<Saved>, backup: &mut Backup) -> anyhow::Result<()> {
    if saved.is_empty() {
        return Ok(());
    }
    tokio::task::block_in_place(|| backup.save(&saved))?;
    let mut names: Vec<Name> = saved.into_iter().map(|saved| saved.name).collect();
    let held = mend(pair, winner, names.clone()).map_err(|refused| anyhow::anyhow!("{}", refused.error))?;
    for at in held.into_iter().rev() {
        names.remove(at);
    }
    let plan = Plan::default();
    let limits = [0, 1].map(|_| Arc::new(Limits::new(&plan, Some(pair.config().verify.share))));
    let mut lane = Lane::open(&pair.config().regions, &limits).await?;
    let fence = Fence::new(&pair.reserved, [pair.source(0).name.as_str(), pair.source(1).name.as_str()]);
    let count = names.len();
    for _ in 0..TRIES {
        fence.pass(&mut lane, FENCE_PATIENCE).await?;
        let (looks, _) = look(&mut lane, &plan, &names, Duration::ZERO).await?;
        let is_equal = |name: &Name| looks.get(name).is_some_and(|look| look.differences.is_empty());
        let (equal, left): (Vec<_>, Vec<_>) = names.into_iter().partition(is_equal);
        pair.verification.repaired(&equal);
        names = left;
        if names.is_empty() {
            break;
        }
    }
    let region = pair.source(winner);
    tracing::warn!(repaired = count - names.len(), left = names.len(), value_of = %region.name, "keys were made equal");
    Ok(())
}
