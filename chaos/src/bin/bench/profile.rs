//! What the daemon's time goes to: `perf` samples it under load, and the samples are drawn as a flame graph.

use crate::copier::{Copier, Running, poll, wait_key};
use crate::full_sync::Data;
use crate::load;
use crate::suite::Suite;
use crate::table::{head, many, row};
use anyhow::{Context, Result, bail, ensure};
use duet_chaos::flavor::Flavor;
use duet_chaos::pair::Regions;
use inferno::collapse::Collapse;
use inferno::collapse::perf::Folder;
use inferno::flamegraph;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use tokio::process::{Child, Command};

/// Samples a second and thread: none in step with anything that the daemon does.
const FREQUENCY: &str = "997";
/// Where a stack comes from: what is built for a release keeps no frame pointers. Bytes of it that are copied.
const STACKS: &str = "dwarf,16384";
/// Frames that are narrower are left out, percent of the width: a picture is to be small.
const NARROWEST: f64 = 0.15;
/// Functions that are listed.
const LISTED: usize = 15;

/// Profiles increments and a full sync, and draws into `pictures`.
pub(crate) async fn measure(suite: &Suite, pictures: &Path) -> Result<()> {
    std::fs::create_dir_all(pictures)?;
    let (writes, keys) = (suite.size(3_000_000, 400_000), suite.size(2_000_000, 200_000));
    let regions = start().await?;
    let running = Copier::Duet.start(&regions).await?;
    running.streaming(&regions).await?;
    let perf = Perf::start(&running)?;
    load::sets(regions.west.port(), writes, load::VALUE).await?;
    regions.west.client().await?.run("SET the-last-key 1").await?;
    wait_key(&regions.east.client().await?, "the-last-key").await?;
    report(
        &perf.stop().await?,
        &format!("Increments: {} SETs of 64 bytes", many(writes)),
        &pictures.join("flame-increments.svg"),
    )?;

    let regions = start().await?;
    Data::Strings.fill(&regions.west.client().await?, keys).await?;
    let running = Copier::Duet.start(&regions).await?;
    let perf = Perf::start(&running)?;
    poll(&regions.east.client().await?, "DBSIZE", |count| count >= i64::from(keys)).await?;
    running.says_streaming(&regions).await?;
    report(
        &perf.stop().await?,
        &format!("Full sync: {} strings of 64 bytes", many(keys)),
        &pictures.join("flame-full-sync.svg"),
    )
}

async fn start() -> Result<Regions> {
    Regions::start(Flavor::Redis70, Flavor::Redis70).await
}

/// `perf record` at work.
struct Perf {
    child: Child,
    place: tempfile::TempDir,
}

impl Perf {
    fn start(running: &Running) -> Result<Self> {
        let Running::Duet(daemon) = running else { bail!("no daemon") };
        let pid = daemon.pid().context("the daemon has ended")?.to_string();
        let place = tempfile::tempdir()?;
        let mut command = Command::new("perf");
        command.args(["record", "--quiet", "-F", FREQUENCY, "--call-graph", STACKS, "-p", &pid, "-o", "samples"]);
        command.current_dir(place.path()).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().context("cannot run perf: on Debian it is in the package linux-perf")?;
        Ok(Self { child, place })
    }

    /// Ends it. Stacks with the number of their samples, a line each.
    async fn stop(mut self) -> Result<Vec<u8>> {
        let pid = Pid::from_raw(i32::try_from(self.child.id().context("perf has ended")?)?);
        kill(pid, Signal::SIGINT)?;
        self.child.wait().await?;
        let mut script = Command::new("perf");
        // What was inlined is shown as a part of where it was put: to look that up takes hours.
        script.args(["script", "--no-inline", "-i", "samples"]).current_dir(self.place.path()).stdin(Stdio::null());
        let output = script.output().await?;
        ensure!(output.status.success(), "perf script: {}", String::from_utf8_lossy(&output.stderr));
        let mut folded = Vec::new();
        Folder::default().collapse(&output.stdout[..], &mut folded)?;
        Ok(folded)
    }
}

/// Draws the stacks, and prints which functions were at work most.
fn report(folded: &[u8], title: &str, picture: &Path) -> Result<()> {
    let mut options = flamegraph::Options::default();
    options.title = title.to_owned();
    options.subtitle = Some("CPU of the daemon; the width is the share of samples".to_owned());
    options.count_name = "samples".to_owned();
    options.min_width = NARROWEST;
    options.deterministic = true;
    flamegraph::from_reader(&mut options, folded, std::fs::File::create(picture)?)?;
    let (mut all, mut shares) = (0, HashMap::<&str, (u64, u64)>::new());
    let text = std::str::from_utf8(folded)?;
    for line in text.lines() {
        let (stack, count) = line.rsplit_once(' ').context("a stack without a count")?;
        let count: u64 = count.parse()?;
        all += count;
        let mut frames: Vec<&str> = stack.split(';').collect();
        shares.entry(frames.last().copied().unwrap_or_default()).or_default().0 += count;
        frames.sort_unstable();
        frames.dedup();
        frames.iter().for_each(|frame| shares.entry(frame).or_default().1 += count);
    }
    let mut shares: Vec<_> = shares.into_iter().collect();
    let percent = |count: u64| format!("{:.1} %", 100.0 * count as f64 / all.max(1) as f64);
    let mut list = |what: &str, by: fn(&(u64, u64)) -> u64, wanted: fn(&str) -> bool| {
        shares.sort_by_key(|(name, counts)| (std::cmp::Reverse(by(counts)), *name));
        head(&format!("{title}: {what}"), &["function", "samples in itself", "with what it called"]);
        for (name, counts) in shares.iter().filter(|(name, _)| wanted(name)).take(LISTED) {
            row(&[format!("`{name}`"), percent(counts.0), percent(counts.1)]);
        }
    };
    list("at work", |counts| counts.0, |_| true);
    list("Duet's own, with what they called", |counts| counts.1, |name| name.contains("duet::"));
    Ok(())
}
