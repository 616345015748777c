//! Servers and clients that lie. Whatever they say, one link says what is wrong and what to do, the process and the other link go
//! on, memory stays bounded, and when the liar turns honest the link recovers.

mod clients;
mod dumps;
mod servers;

use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::liar::{Cut, Liar, Lie};
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::wait::eventually;
use serde_json::Value;

/// The most memory that the daemon may have taken, KiB.
const MEMORY_KIB: u64 = 200 * 1024;

/// Two servers, a liar before each of them, and the daemon.
struct Stage {
    regions: Regions,
    west: Liar,
    east: Liar,
    daemon: Daemon,
    clients: (Client, Client),
    /// How often the other link was seen to go on.
    crossings: u64,
}

impl Stage {
    /// Starts them, with this lie told by the west; waits for nothing.
    async fn start(lie: Option<Lie>) -> Result<Self> {
        let regions = Regions::start(Redis70, Redis70).await?;
        let (west, east) = (Liar::start(&regions.west.address()).await?, Liar::start(&regions.east.address()).await?);
        lie.into_iter().for_each(|lie| west.tell(lie));
        // Tries often, so that a link that could go on does.
        let more = More { tables: "[retry]\nmost = \"200ms\"".to_owned(), ..More::default() };
        let config = regions.config(&more);
        let config = config.replace(&regions.west.address(), west.address());
        let config = config.replace(&regions.east.address(), east.address());
        let daemon = Daemon::start(duet(), &config)?;
        let clients = regions.clients().await?;
        Ok(Self { regions, west, east, daemon, clients, crossings: 0 })
    }

    /// Waits until both links stream.
    async fn streaming() -> Result<Self> {
        let stage = Self::start(None).await?;
        stage.daemon.wait_streaming(DEADLINE).await?;
        Ok(stage)
    }

    /// Waits until the forward link does not stream, for a reason with one of these words, and with something to do about it.
    async fn says(&self, words: &[&str]) -> Result<()> {
        let says = |status: &Value| {
            let link = &status["links"][0];
            let reason = link["reason"].as_str().unwrap_or_default();
            link["state"] != "streaming" && words.iter().any(|word| reason.contains(word))
        };
        let status = self.daemon.wait_for(&format!("a reason with one of {words:?}"), DEADLINE, says).await?;
        let link = &status["links"][0];
        let length = |what: &str| link[what].as_str().map_or(0, str::len);
        ensure!(length("remedy") > 20 && length("reason") < 1000, "no remedy, or no short reason: {link:#}");
        Ok(())
    }

    /// What is written in the east arrives in the west meanwhile.
    async fn other_link_goes_on(&mut self) -> Result<()> {
        self.crossings += 1;
        let (west, east) = &self.clients;
        east.run(&format!("SET crossing {}", self.crossings)).await?;
        let expected = self.crossings.to_string();
        let arrived = async || Ok((west.text("GET crossing").await? == expected).then_some(()));
        let waited = eventually("the other link to go on", DEADLINE, arrived).await;
        waited.with_context(|| self.daemon.log_end())
    }

    /// All liars are honest from now on: both links stream, and the regions become equal.
    async fn recovers(&mut self) -> Result<()> {
        self.west.turn_honest();
        self.east.turn_honest();
        self.clients.0.run("INCR n").await?;
        self.daemon.wait_streaming(DEADLINE).await?;
        self.regions.wait_equal().await?;
        self.lives()
    }

    /// The process is the same, and has taken little memory.
    fn lives(&mut self) -> Result<()> {
        ensure!(self.daemon.is_running()?, "the daemon has ended: {}", self.daemon.log_end());
        let kib = peak_kib(&self.daemon)?;
        ensure!(kib < MEMORY_KIB, "the daemon took {kib} KiB");
        Ok(())
    }

    /// The west tells this lie: the forward link says one of these words, the reverse link goes on, and the link recovers.
    async fn west_lies(&mut self, lie: Lie, words: &[&str]) -> Result<()> {
        let told = self.west.told();
        let what = format!("{lie:?}").chars().take(300).collect::<String>();
        self.west.tell(lie);
        self.west.cut(Cut::Replicas);
        eventually("the lie to be told", DEADLINE, async || Ok((self.west.told() > told + 1).then_some(()))).await?;
        self.says(words).await.with_context(|| what.clone())?;
        self.other_link_goes_on().await.with_context(|| what.clone())?;
        self.recovers().await.context(what)
    }
}

/// The most memory that the daemon has taken so far, KiB.
fn peak_kib(daemon: &Daemon) -> Result<u64> {
    let pid = daemon.pid().context("it does not run")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(peak.trim().trim_end_matches(" kB").parse()?)
}
