//! Chaos: real servers, clients who know what they were told, a nemesis, an oracle, a report.
//!
//! - [`plan`]: worlds, rounds and strikes, drawn from one seed; [`fault`]: every fault by name
//! - [`world`]: a pair at work: [`region`]s, the [`network`] between, [`clock`]s that can be stepped
//! - [`workload`]: clients of both regions, and the ledger of what they know
//! - [`nemesis`]: plays the strikes
//! - [`operator`]: decides what is a person's to decide
//! - [`probe`]: what the daemon says of itself, ten times a second
//! - [`oracle`]: what must hold
//! - [`storm`]: plays the plan; [`report`]: tells what came of it

mod clock;
mod fault;
mod nemesis;
mod network;
mod operator;
mod oracle;
mod plan;
mod probe;
#[cfg(test)]
mod readme;
mod region;
mod report;
mod side;
mod storm;
mod workload;
mod world;

use anyhow::{Context, Result, bail};
use clap::Parser;
use duet_chaos::children::shield_from_terminal;
use duet_chaos::daemon::built_together;
use fault::{Fault, Needs, TABLE};
use network::Network;
use plan::{Plan, Wishes};
use report::{Book, Chapter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use storm::Storm;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use world::Machine;

/// Rounds that may fail before a run is given up.
const FAILURES: usize = 3;

/// Plays faults against a pair and looks whether everything holds.
#[derive(Parser)]
struct Args {
    /// Everything follows from it; drawn when absent
    #[arg(long)]
    seed: Option<u64>,
    /// About how long; 600 and more draws long faults, too
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// Only these faults
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only this round of the plan
    #[arg(long)]
    round: Option<usize>,
    /// Say which faults there are
    #[arg(long)]
    list: bool,
    /// Where the report goes
    #[arg(long, default_value = "target/chaos")]
    report: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        for kind in &TABLE {
            println!("{:<17} {}", kind.name, kind.what);
        }
        return ExitCode::SUCCESS;
    }
    // Who is asked to end leaves no server, disk or network behind: all of them go with what is dropped here.
    let verdict = tokio::select! {
        verdict = chaos(&args) => verdict,
        asked = asked_to_end() => asked.and_then(|()| bail!("ended before the end of the plan")),
    };
    match verdict {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn asked_to_end() -> Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

async fn chaos(args: &Args) -> Result<bool> {
    shield_from_terminal();
    let only =
        args.only.iter().map(|name| Fault::by_name(name).with_context(|| format!("no fault {name}: see --list")));
    let tools = TempDir::with_prefix("duet-chaos-tools-")?;
    let (machine, able, missing) = look_around(tools.path())?;
    let wishes = Wishes {
        seed: args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000)),
        seconds: args.seconds,
        only: only.collect::<Result<_>>()?,
        able,
    };
    let plan = Plan::draw(&wishes);
    println!("Seed {}, {} s. The plan:\n{plan}", wishes.seed, wishes.seconds);
    missing.iter().for_each(|missing| println!("Not on this machine: {missing}."));
    let mut book = Book { wishes, start: Instant::now(), took: Duration::ZERO, missing, chapters: Vec::new() };
    let dir = args.report.join(book.wishes.seed.to_string());
    play(&plan, args.round, &machine, &mut book, &dir).await?;
    book.took = book.start.elapsed();
    let page = book.write(&dir)?;
    println!("{} {}", if book.is_well() { "EVERYTHING HOLDS." } else { "NOT EVERYTHING HOLDS." }, page.display());
    Ok(book.is_well())
}

/// What this machine can do, and what it can't.
fn look_around(tools: &Path) -> Result<(Machine, Vec<Needs>, Vec<String>)> {
    let (mut able, mut missing) = (Vec::new(), Vec::new());
    let mut note = |needs: Needs, can: bool, what: &str| {
        if can { able.push(needs) } else { missing.push(what.to_owned()) }
    };
    let step = if clock::can_be_stepped() { Some(clock::build(tools)?) } else { None };
    note(Needs::Compiler, step.is_some(), "clocks that step (no C compiler)");
    note(Needs::Namespaces, Network::can_be_made(), "a host of its own for the daemon (network namespaces, as root)");
    let place = tools.join("disk");
    std::fs::create_dir(&place)?;
    let place = place.to_string_lossy();
    let mounts = network::run("mount", &["-t", "tmpfs", "-o", "size=1m", "duet-chaos", &place]).is_ok()
        && network::run("umount", &[&place]).is_ok();
    note(Needs::Mounts, mounts, "disks of their own for servers (mount, as root)");
    Ok((Machine { duet: built_together()?, step, mounts }, able, missing))
}

async fn play(plan: &Plan, only: Option<usize>, machine: &Machine, book: &mut Book, dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let wanted = |number: usize| only.is_none_or(|only| only == number);
    if !plan.worlds.iter().flat_map(|world| &world.rounds).any(|round| wanted(round.number)) {
        bail!("the plan has no such round");
    }
    let mut failures = 0;
    for world in &plan.worlds {
        let rounds: Vec<_> = world.rounds.iter().filter(|round| wanted(round.number)).collect();
        let over = book.start.elapsed() > Duration::from_secs(book.wishes.seconds);
        if rounds.is_empty() || (over && only.is_none()) || failures >= FAILURES {
            continue;
        }
        let mut chapter = Chapter { flavors: world.flavors, apart: world.apart, rounds: Vec::new(), error: None };
        let first = rounds[0].number;
        match Storm::start(world, machine, rounds[0].seed, book.start).await {
            Ok(mut storm) => {
                for round in rounds {
                    if book.start.elapsed() > Duration::from_secs(book.wishes.seconds) && only.is_none() {
                        break;
                    }
                    let report = storm.play(round).await?;
                    let is_well = report.is_well();
                    tell(&report, book);
                    chapter.rounds.push(report);
                    if !is_well {
                        failures += 1;
                        let kept = dir.join(format!("round-{}", round.number));
                        storm.keep(&kept).await?;
                        println!("  kept: {}", kept.display());
                        break;
                    }
                }
            }
            Err(error) => {
                failures += 1;
                println!("round {first}: the world did not start: {error:#}");
                chapter.error = Some(format!("{error:#}"));
            }
        }
        book.chapters.push(chapter);
    }
    Ok(())
}

fn tell(report: &storm::Report, book: &Book) {
    let strikes: Vec<String> =
        report.round.strikes.iter().map(|it| format!("{} {}", it.fault.kind().name, it.side)).collect();
    let seconds = report.at.duration_since(book.start).as_secs();
    let verdict = if report.is_well() { "holds" } else { "FAILS" };
    let equal = report.findings.iter().find(|finding| finding.item == oracle::ITEMS[2]);
    let equal = equal.map_or("", |finding| finding.figures.as_str());
    println!("{seconds:>5} s  round {:>3} {verdict}: {} ({equal})", report.round.number, strikes.join(", "));
    for decision in &report.decisions {
        println!("  decided by a person: {decision}");
    }
    for played in &report.played {
        played
            .error
            .iter()
            .for_each(|error| println!("  {} could not be played: {error}", played.strike.fault.kind().name));
    }
    for finding in report.findings.iter().filter(|finding| !finding.wrong.is_empty()) {
        println!("  FAILS: {}", finding.item);
        finding.wrong.iter().for_each(|line| println!("    {line}"));
    }
    if !report.is_well() {
        println!("  again: {}", book.replay(report.round.number));
    }
}
