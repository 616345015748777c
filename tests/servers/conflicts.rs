//! Concurrent writes to the same keys in both regions: both end equal, by the later write.

mod apart;
mod counters;
mod databases;
mod elements;
mod evictions;
mod hammer;
mod large;
mod million;
mod outcomes;
mod pairs;
mod policies;
mod sessions;

use crate::duet;
use anyhow::{Context, Result};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor;
use duet_chaos::paced::{Paced, Writer};
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::wait::eventually;
use std::time::{Duration, Instant};

/// How long a link takes one way, between the daemon and each server.
const ONE_WAY: Duration = Duration::from_millis(40);
/// Lines that each region's clients write in a second.
const PER_SECOND: u32 = 1_000;
/// How far apart two writes are of which the later one must win: more than clocks are told apart by.
const MARGIN: Duration = Duration::from_millis(1_500);
/// How long a pair may take until all conflicts are resolved.
const SETTLING: Duration = Duration::from_secs(60);

/// Waits until what is written is so much later than what was that it must win.
pub async fn clocks_apart() -> Result<()> {
    let since = Instant::now();
    eventually("the clocks to tell both apart", DEADLINE, async || Ok((since.elapsed() >= MARGIN).then_some(()))).await
}

/// Two regions at some distance, and the daemon between them.
struct Pair {
    regions: Regions,
    daemon: Daemon,
}

impl Pair {
    /// Starts all of it, and waits until both links stream.
    async fn start(west: Flavor, east: Flavor) -> Result<Self> {
        Self::start_with(west, east, &[]).await
    }

    /// The same, with more arguments for both servers.
    async fn start_with(west: Flavor, east: Flavor, args: &[&str]) -> Result<Self> {
        Self::start_configured(west, east, args, &More::default()).await
    }

    /// The same, with more configuration for the daemon.
    async fn start_configured(west: Flavor, east: Flavor, args: &[&str], more: &More) -> Result<Self> {
        // A backlog that reaches back over every pause: what is promised where it does not is another matter.
        let args = [&["--repl-backlog-size", "256mb"], args].concat();
        let regions = Regions::start_with((west, &args), (east, &args)).await?.behind_proxies().await?;
        for proxy in [&regions.west_proxy, &regions.east_proxy].into_iter().flatten() {
            proxy.delay(ONE_WAY);
        }
        let daemon = regions.daemon_with(duet(), more).await?;
        Ok(Self { regions, daemon })
    }

    /// Lets a client in each region write for [`seconds`]' worth of lines, and kills the daemon every few of them.
    /// Returns the writers, with what they know, when both regions are settled and equal.
    async fn under_load<W: Writer>(&mut self, west: W, east: W, kills: Kills) -> Result<[W; 2]> {
        let loads = [
            Paced::start(&self.regions.west, PER_SECOND, west).await?,
            Paced::start(&self.regions.east, PER_SECOND, east).await?,
        ];
        let total = seconds()? * u64::from(PER_SECOND);
        let mut next = 0;
        while next < total {
            next += fastrand::u64(u64::from(PER_SECOND)..3 * u64::from(PER_SECOND));
            for load in &loads {
                let reached = || load.written() >= next.min(total) || load.has_ended();
                let patience = Duration::from_secs(60);
                eventually("the load to go on", patience, async || Ok(reached().then_some(()))).await?;
            }
            if next < total && kills == Kills::Some {
                self.daemon.kill9()?;
                self.daemon.resume()?;
            }
        }
        let [west, east] = loads;
        let writers = [west.stop().await?, east.stop().await?];
        self.settle().await?;
        Ok(writers)
    }

    /// Waits until both regions are settled and equal.
    async fn settle(&self) -> Result<()> {
        self.daemon.wait_streaming(DEADLINE).await?;
        let settled = self.regions.settle(&self.daemon, SETTLING).await;
        settled.with_context(|| format!("the daemon's log ends:\n{}", self.daemon.log_end()))
    }

    /// Runs lines at west, and the other lines at east so much later that they must win, before any of them arrives in
    /// the other region; the other way round if `swapped`. Then waits until both regions are settled and equal.
    async fn at_once(&self, earlier: &[String], later: &[String], swapped: bool) -> Result<()> {
        self.regions.hold_links().await?;
        let (west, east) = self.regions.clients().await?;
        let (first, second) = if swapped { (&east, &west) } else { (&west, &east) };
        run_all(first, earlier).await?;
        clocks_apart().await?;
        run_all(second, later).await?;
        self.regions.release_links()?;
        self.settle().await
    }

    /// Like [`Self::at_once`], but the later lines are run when the earlier ones have arrived.
    async fn in_turn(&self, earlier: &[String], later: &[String], swapped: bool) -> Result<()> {
        let (west, east) = self.regions.clients().await?;
        let (first, second) = if swapped { (&east, &west) } else { (&west, &east) };
        for (client, lines) in [(first, earlier), (second, later)] {
            run_all(client, lines).await?;
            self.settle().await?;
        }
        Ok(())
    }

    /// How many conflicts the daemon has resolved since it was started.
    async fn conflicts(&self) -> Result<u64> {
        let counts = &self.daemon.status().await?["conflicts"];
        let count = |name: &str| counts[name].as_u64().with_context(|| format!("no conflicts.{name} in the status"));
        Ok(count("replayed")? + count("dropped")? + count("reconciled")?)
    }
}

/// Whether the daemon is killed under load.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kills {
    None,
    Some,
}

/// Sends lines in one pipeline. Errors by what a key holds are part of the matter: nobody reads the replies.
async fn run_all(client: &duet_chaos::client::Client, lines: &[String]) -> Result<()> {
    let lines = lines.iter().filter(|line| !line.is_empty());
    let commands: Vec<Vec<&str>> = lines.map(|line| line.split(' ').collect()).collect();
    for batch in commands.chunks(1_000) {
        client.pipeline(batch).await?;
    }
    Ok(())
}

/// How long loads write, in seconds: DUET_HAMMER_SECONDS, or a few.
fn seconds() -> Result<u64> {
    number_in("DUET_HAMMER_SECONDS", 6)
}

/// A whole number in a variable of the environment.
fn number_in(variable: &str, otherwise: u64) -> Result<u64> {
    let Ok(text) = std::env::var(variable) else { return Ok(otherwise) };
    text.parse().with_context(|| format!("{variable} is no whole number: {text}"))
}
