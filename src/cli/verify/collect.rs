//! A run of `duet verify`: takes what is found, keeps it, and shows how far it is.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::Verify;
use crate::cli::ask::{Address, At, answer_of};
use crate::config::Config;
use crate::observe::Status;
use crate::runtime::verify::{Position, Progress, Report, Resume, Run};
use crate::verify::file::{File, began};
use crate::verify::{Finding, Known, Plan, Summary};

/// Findings that are kept for the screen and the page; the file has all.
const MOST_SHOWN: usize = 1_000;
/// Findings that may wait to be kept.
const WAITING: usize = 1_024;
/// How often the daemon is asked what it knows, at most.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How often the progress is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// How often a line is written where nobody draws.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What a run has found.
pub(super) struct Collected {
    pub summary: Summary,
    /// The first of what differs.
    pub findings: Vec<Finding>,
    /// The first of what was never seen still.
    pub undecided: Vec<(u32, Vec<u8>)>,
}

/// What is kept of a run that may be interrupted.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    fingerprint: String,
    run_ids: [String; 2],
    positions: [Option<Position>; 2],
    scanned: [u64; 2],
    compared: u64,
    suspected: u64,
}

/// Takes reports.
struct Collector {
    file: Option<File>,
    known: Known,
    asked: Option<Instant>,
    daemon: Option<Address>,
    progress: Arc<Progress>,
    findings: Vec<Finding>,
    undecided: Vec<(u32, Vec<u8>)>,
    classes: BTreeMap<crate::verify::Class, u64>,
}

/// Compares both regions.
pub(super) async fn run(verify: &Verify, config: &Config) -> anyhow::Result<Collected> {
    let plan = verify.plan();
    let progress = Arc::new(Progress::default());
    let (file, resume) = open(verify, config, &plan, &progress)?;
    let started_at = file.as_ref().map_or_else(|| Ok(Timestamp::now()), began)?;
    let mut collector = Collector {
        file,
        known: Known::default(),
        asked: None,
        daemon: At::of(verify.config.clone(), verify.url.clone()).address().ok(),
        progress: Arc::clone(&progress),
        findings: Vec::new(),
        undecided: Vec::new(),
        classes: BTreeMap::new(),
    };
    collector.read_earlier()?;
    let clock = Instant::now();
    let (reports, mut reported) = mpsc::channel(WAITING);
    let mut running =
        std::pin::pin!(Run::execute((config, plan.clone(), None), resume, Arc::clone(&progress), reports));
    let mut bar = Bar::new();
    let mut draws = tokio::time::interval(DRAW_EVERY);
    let outcome = loop {
        tokio::select! {
            outcome = &mut running => break outcome,
            Some(report) = reported.recv() => collector.take(report).await?,
            _ = draws.tick() => bar.draw(&progress),
            _ = tokio::signal::ctrl_c() => break Err(interrupted()),
        }
    };
    while let Ok(report) = reported.try_recv() {
        collector.take(report).await?;
    }
    bar.end();
    let count = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
    let summary = Summary {
        pair: config.pair.name.to_string(),
        regions: config.regions.each_ref().map(|region| region.name.to_string()),
        mode: plan.mode,
        sample: plan.sample.share(),
        started_at,
        seconds: clock.elapsed().as_secs_f64(),
        keys: count(&progress.compared),
        seen: progress.scanned.each_ref().map(count),
        bytes: outcome.as_ref().map_or(0, |outcome| outcome.bytes),
        suspected: count(&progress.suspected),
        fenced: outcome.as_ref().is_ok_and(|outcome| outcome.fenced),
        different: collector.classes.values().sum(),
        classes: collector.classes.clone(),
        undecided: count(&progress.undecided),
        error: outcome.err().map(|fault| fault.to_string()),
    };
    if let Some(file) = &mut collector.file {
        file.finish(&summary)?;
    }
    Ok(Collected { summary, findings: collector.findings, undecided: collector.undecided })
}

fn interrupted() -> crate::error::Fault {
    let text = "interrupted; with --output, go on by --resume";
    crate::error::Fault::new(crate::error::Kind::Disconnected, text)
}

/// Opens the file of the result, and reads from where an interrupted run goes on.
fn open(
    verify: &Verify,
    config: &Config,
    plan: &Plan,
    progress: &Progress,
) -> anyhow::Result<(Option<File>, Option<Resume>)> {
    let Some(path): Option<&PathBuf> = verify.output.as_ref() else { return Ok((None, None)) };
    if !verify.resume {
        let mut file = File::create(path)?;
        file.set("started_at", &Timestamp::now().to_string())?;
        file.set("fingerprint", &fingerprint(config, plan))?;
        return Ok((Some(file), None));
    }
    let file = File::open(path)?;
    let Some((state, suspects)) = file.state()? else {
        bail!("the run of {} has come to its end: begin a new one in another file", path.display());
    };
    let state: State = serde_json::from_str(&state).with_context(|| format!("{} can't be read", path.display()))?;
    if state.fingerprint != fingerprint(config, plan) {
        bail!("the run of {} was of other regions, or with other options: give the same ones", path.display());
    }
    for side in [0, 1] {
        progress.scanned[side].store(state.scanned[side], Ordering::Relaxed);
    }
    progress.compared.store(state.compared, Ordering::Relaxed);
    progress.suspected.store(state.suspected.saturating_sub(suspects.len() as u64), Ordering::Relaxed);
    Ok((Some(file), Some(Resume { run_ids: state.run_ids, positions: state.positions, suspects })))
}

fn fingerprint(config: &Config, plan: &Plan) -> String {
    let regions = config.regions.each_ref().map(|region| region.name.as_str());
    format!("{} {regions:?} {}", config.pair.name, plan.fingerprint())
}

impl Collector {
    /// What an interrupted run had found.
    fn read_earlier(&mut self) -> anyhow::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let (classes, undecided) = file.counts()?;
        for (class, count) in classes {
            let class = serde_json::from_value(class.into()).context("a class that is not known")?;
            self.classes.insert(class, count);
        }
        self.progress.undecided.store(undecided, Ordering::Relaxed);
        Ok(())
    }

    async fn take(&mut self, report: Report) -> anyhow::Result<()> {
        match report {
            Report::Finding(mut finding) => {
                self.ask_daemon().await;
                finding.explain(&self.known);
                *self.classes.entry(finding.class).or_default() += 1;
                if let Some(file) = &mut self.file {
                    file.add(&finding)?;
                }
                if self.findings.len() < MOST_SHOWN {
                    self.findings.push(*finding);
                }
            }
            Report::Undecided(name) => {
                if let Some(file) = &mut self.file {
                    file.add_undecided(&name)?;
                }
                if self.undecided.len() < MOST_SHOWN {
                    self.undecided.push(name);
                }
            }
            Report::Checkpoint(resume) => self.checkpoint(resume)?,
        }
        Ok(())
    }

    fn checkpoint(&mut self, resume: Resume) -> anyhow::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let fingerprint = file.value("fingerprint")?.unwrap_or_default();
        let count = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
        let state = State {
            fingerprint,
            run_ids: resume.run_ids,
            positions: resume.positions,
            scanned: self.progress.scanned.each_ref().map(count),
            compared: count(&self.progress.compared),
            suspected: count(&self.progress.suspected),
        };
        file.checkpoint(&serde_json::to_string(&state)?, &resume.suspects)
    }

    /// What the daemon knows of keys; without one nothing is known, and that is no fault.
    async fn ask_daemon(&mut self) {
        let due = self.asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY);
        let Some(address) = self.daemon.as_ref().filter(|_| due) else { return };
        self.asked = Some(Instant::now());
        let Ok(answer) = answer_of(address, "/status", "status").await else { return };
        let Ok(status) = serde_json::from_slice::<Status>(&answer) else { return };
        self.known = Known::of(&status);
    }
}

/// How far it is: drawn on a terminal, in lines elsewhere.
struct Bar {
    bar: ProgressBar,
    drawn: bool,
    line: Instant,
}

impl Bar {
    fn new() -> Self {
        let drawn = std::io::stderr().is_terminal();
        let target = if drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let form = "{bar:30} {human_pos} of {human_len} names, {per_sec}, {eta} left{msg}";
        let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: ProgressBar::with_draw_target(Some(0), target).with_style(style), drawn, line: Instant::now() }
    }

    fn draw(&mut self, progress: &Progress) {
        let sum = |numbers: &[std::sync::atomic::AtomicU64; 2]| -> u64 {
            numbers.iter().map(|number| number.load(Ordering::Relaxed)).sum()
        };
        let (scanned, total) = (sum(&progress.scanned), sum(&progress.total));
        self.bar.set_length(total.max(scanned));
        self.bar.set_position(scanned);
        let different = progress.different.load(Ordering::Relaxed);
        let deciding = progress.all_seen.load(Ordering::Relaxed);
        let doing = if deciding { ", looking at differences again" } else { "" };
        self.bar.set_message(format!("; {different} differ{doing}"));
        if !self.drawn && self.line.elapsed() >= LINE_EVERY {
            self.line = Instant::now();
            let left = self.bar.eta().as_secs();
            let rate = self.bar.per_sec();
            eprintln!("duet: {scanned} of {total} names, {rate:.0}/s, {left} s left; {different} differ{doing}");
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
