//! Plays the plan: worlds, and in them round after round: clients and nemesis at once, then rest, then the oracle.

use crate::fault::Fault;
use crate::nemesis::burden::AHEAD_S;
use crate::nemesis::{self, Played};
use crate::operator;
use crate::oracle::checkpoints::Checkpoints;
use crate::oracle::leaks::Usage;
use crate::oracle::{Finding, data, health, secrets};
use crate::plan::{self, Round};
use crate::probe::{Probes, Sample};
use crate::region::copy_saved;
use crate::side::Side;
use crate::workload::Workload;
use crate::world::{Machine, World};
use anyhow::Result;
use duet_chaos::compare::Contents;
use duet_chaos::daemon::get;
use duet_chaos::wait::eventually;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a healed pair may take until both links stream and both regions serve.
const READY: Duration = Duration::from_secs(60);
/// How long it may then take until both regions are equal.
const EQUAL: Duration = Duration::from_secs(60);
/// Keys live no longer than that, or for an hour.
const SHORT_LIVES: Duration = Duration::from_millis(1_600);
/// How long an idle pair is watched for health that changes its mind.
const IDLE: Duration = Duration::from_secs(1);

/// A round as it was played.
pub struct Report {
    pub round: Round,
    pub at: Instant,
    pub played: Vec<Played>,
    pub findings: Vec<Finding>,
    pub samples: Vec<Sample>,
    pub usage: Option<Usage>,
    pub asked: u64,
    /// What a person had to decide.
    pub decisions: Vec<String>,
}

impl Report {
    /// Whether all holds, and the nemesis did what it wanted to.
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.wrong.is_empty()) && self.played.iter().all(|it| it.error.is_none())
    }
}

/// A world at work, and what is remembered from round to round.
pub struct Storm {
    world: Arc<World>,
    probes: Probes,
    checkpoints: Checkpoints,
    start: Instant,
    /// What the last round left behind, and the names of what the one before it did.
    last: Contents,
    old: Vec<String>,
    first: Option<Usage>,
    /// Whether a clock has stepped whose server sends relative times to live.
    stepped: bool,
}

impl Storm {
    /// Starts a world.
    ///
    /// # Errors
    /// When it does not come to stream.
    pub async fn start(plan: &plan::World, machine: &Machine, dice: u64, start: Instant) -> Result<Self> {
        let world = Arc::new(World::start(plan, machine, dice).await?);
        let (probes, checkpoints) = (Probes::start(&world.http), Checkpoints::watch(&world));
        Ok(Self {
            world,
            probes,
            checkpoints,
            start,
            last: Contents::new(),
            old: Vec::new(),
            first: None,
            stepped: false,
        })
    }

    /// Keeps the daemon's log, its record of conflicts, and all that both servers have executed, in this directory.
    ///
    /// # Errors
    /// When a file can't be written.
    pub async fn keep(&self, dir: &Path) -> Result<()> {
        std::fs::create_dir_all(dir)?;
        std::fs::write(dir.join("duet.log"), self.world.daemon.lock().await.output())?;
        std::fs::write(dir.join("second.log"), self.world.others())?;
        for entry in std::fs::read_dir(self.world.dir().join("conflicts"))? {
            let path = entry?.path();
            std::fs::copy(&path, dir.join(path.file_name().unwrap_or_default()))?;
        }
        for region in &self.world.regions {
            let place = dir.join(region.side.name());
            std::fs::create_dir_all(&place)?;
            copy_saved(region.server.lock().await.dir(), &place)?;
        }
        Ok(())
    }

    /// Plays a round.
    ///
    /// # Errors
    /// When our own machinery fails.
    pub async fn play(&mut self, round: &Round) -> Result<Report> {
        let at = Instant::now();
        let workload = Workload::start(&self.world, round, std::mem::take(&mut self.old));
        let played = nemesis::play(&self.world, &workload.notes, round).await?;
        let mut decisions = Vec::new();
        let ready = self.becomes_ready(&workload, &mut decisions).await;
        let outcome = workload.stop().await?;
        let mut findings = vec![self.runs().await?, ready];
        tokio::time::sleep(lives(round)).await;
        self.stepped |= round.strikes.iter().any(|strike| {
            let steps = matches!(strike.fault, Fault::ClockAhead | Fault::ClockBehind);
            steps && !self.world.region(strike.side).flavor.at_least_seven()
        });
        let settled = data::look(&self.world, &outcome, &self.last, self.stepped, EQUAL).await?;
        let is_equal = settled.contents.is_some();
        findings.extend(settled.findings);
        findings.push(Finding::new(
            5,
            outcome.complaints.iter().take(20).cloned().collect(),
            format!("{} asked", outcome.asked),
        ));
        let samples = self.probes.take();
        if is_equal {
            tokio::time::sleep(IDLE).await;
        }
        let idle = if is_equal { self.probes.take() } else { Vec::new() };
        findings.push(self.health(&played, &samples, &idle));
        let usage = self.at_rest(&mut findings).await?;
        if let Some(contents) = settled.contents {
            self.remember(round.number, contents);
        }
        let samples = samples.into_iter().chain(idle).collect();
        Ok(Report { round: round.clone(), at, played, findings, samples, usage, asked: outcome.asked, decisions })
    }

    /// Waits until both links stream and both regions serve; a person decides what is theirs to decide.
    async fn becomes_ready(&self, workload: &Workload, decisions: &mut Vec<String>) -> Finding {
        let (begun, http) = (Instant::now(), &self.world.http);
        let ready = async || {
            decisions.extend(operator::decide(&self.world, &workload.notes).await?);
            let mut well = get(http, "/readyz").await?.code == 200;
            for side in Side::BOTH {
                well &= get(http, &format!("/syncz?region={side}")).await?.code == 200;
            }
            Ok(well.then_some(()))
        };
        let wrong = match eventually("both links to stream and both regions to serve", READY, ready).await {
            Ok(()) => Vec::new(),
            Err(error) => {
                let said = get(http, "/readyz").await.map_or_else(|error| format!("{error:#}"), |answer| answer.body);
                vec![format!("{error:#}: {said}")]
            }
        };
        Finding::new(1, wrong, format!("after {:.1} s", begun.elapsed().as_secs_f64()))
    }

    async fn runs(&self) -> Result<Finding> {
        let mut daemon = self.world.daemon.lock().await;
        let mut wrong = Vec::new();
        if !daemon.is_running()? {
            wrong.push(format!("the daemon has ended: {}", daemon.log_end()));
        }
        let output = daemon.output() + &self.world.others();
        wrong.extend(output.lines().filter(|line| line.contains("panicked at")).map(str::to_owned));
        Ok(Finding::new(0, wrong, String::new()))
    }

    fn health(&self, played: &[Played], samples: &[Sample], idle: &[Sample]) -> Finding {
        let mut wrong = health::judge(played, samples, self.start);
        let flaps = health::flaps(idle);
        if let Some(said) = flaps.first() {
            let (out, looks) = (flaps.len(), idle.len());
            wrong.push(format!("{out} of {looks} looks at an idle pair took a region out, the first: {said}"));
        }
        Finding::new(6, wrong, format!("{} probes", samples.len() + idle.len()))
    }

    /// Checkpoints, leaks, secrets.
    async fn at_rest(&mut self, findings: &mut Vec<Finding>) -> Result<Option<Usage>> {
        let (looks, ahead) = self.checkpoints.take();
        findings.push(Finding::new(7, ahead, format!("{looks} markers compared")));
        let pid = self.world.daemon.lock().await.pid();
        let usage = pid.and_then(|pid| Usage::of(pid).ok());
        let first = *self.first.get_or_insert(usage.unwrap_or_else(Usage::none));
        let same = usage.filter(|usage| usage.pid == first.pid);
        self.first = if same.is_some() { Some(first) } else { usage };
        let grown = same.map_or_else(Vec::new, |usage| usage.grown_since(&first));
        findings.push(Finding::new(8, grown, usage.map_or_else(String::new, |usage| usage.to_string())));
        let (shown, bytes) = secrets::look(&self.world).await?;
        findings.push(Finding::new(9, shown, format!("{bytes} bytes looked at")));
        Ok(usage)
    }

    /// What this round has left is looked at again after the next one; what the last one had left may be deleted.
    fn remember(&mut self, number: usize, contents: Contents) {
        let prefix = format!("r{}:", number.saturating_sub(1));
        let old = contents.keys().filter(|(_, key)| key.starts_with(prefix.as_bytes()));
        self.old = old.map(|(_, key)| String::from_utf8_lossy(key).into_owned()).collect();
        self.last = data::own(&contents, number);
    }
}

/// How long keys may live that clients of this round let expire soon.
fn lives(round: &Round) -> Duration {
    let ahead = round.strikes.iter().any(|strike| strike.fault == Fault::ClockAhead);
    SHORT_LIVES + if ahead { Duration::from_secs(AHEAD_S.unsigned_abs()) } else { Duration::ZERO }
}
