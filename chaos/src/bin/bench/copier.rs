//! What copies from one server to another: the servers themselves, or Duet; and what Duet used for it.

use anyhow::{Context, Result};
use duet_chaos::client::Client;
use duet_chaos::daemon::Daemon;
use duet_chaos::pair::{More, Regions};
use duet_chaos::wait::eventually;
use std::path::PathBuf;
use std::time::Duration;

/// How long a copy may take before the benchmark is given up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(600);
/// How often a target is asked; it is also the precision of a time.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// Who copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copier {
    /// `REPLICAOF` at the target.
    Native,
    /// The daemon between both.
    Duet,
}

/// A copy that runs.
pub(crate) enum Running {
    Native,
    Duet(Daemon),
}

impl Copier {
    /// Both, for rounds that alternate.
    pub(crate) const BOTH: [Self; 2] = [Self::Native, Self::Duet];

    /// Starts copying from west to east; does not wait. Native replication passes the west's proxy when there is one.
    pub(crate) async fn start(self, regions: &Regions) -> Result<Running> {
        match self {
            Self::Native => {
                let port = regions.west_proxy.as_ref().map_or(regions.west.port(), |proxy| proxy.address().port());
                regions.east.client().await?.run(&format!("REPLICAOF 127.0.0.1 {port}")).await?;
                Ok(Running::Native)
            }
            Self::Duet => Ok(Running::Duet(Daemon::start(&duet_binary()?, &regions.config(&More::default()))?)),
        }
    }
}

impl Running {
    /// Waits until the copy streams.
    pub(crate) async fn streaming(&self, regions: &Regions) -> Result<()> {
        match self {
            Self::Native => {
                let east = regions.east.client().await?;
                eventually("native replication", DEADLINE, async || {
                    let state = east.info("replication", "master_link_status").await?;
                    Ok((state.as_deref() == Some("up")).then_some(()))
                })
                .await
            }
            Self::Duet(daemon) => daemon.wait_streaming(DEADLINE).await,
        }
    }

    /// How many conflicts the daemon has resolved; native replication knows none.
    pub(crate) async fn conflicts(&self) -> Result<u64> {
        let Self::Duet(daemon) = self else { return Ok(0) };
        let status = daemon.status().await?;
        let counts = ["replayed", "dropped", "reconciled"].map(|name| status["conflicts"][name].as_u64());
        Ok(counts.into_iter().flatten().sum())
    }

    /// What the daemon has used since it was started; native replication is part of the servers.
    pub(crate) fn usage(&self) -> Result<Option<Usage>> {
        match self {
            Self::Native => Ok(None),
            Self::Duet(daemon) => Usage::of(daemon.pid().context("the daemon has ended")?).map(Some),
        }
    }
}

/// What a process has used since it was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Seconds of CPU, user and system.
    pub(crate) cpu_s: f64,
    /// The most memory that it held at once, in MB.
    pub(crate) peak_mb: f64,
}

impl Usage {
    /// Reads `/proc/<pid>/stat` and `status` (proc(5)).
    pub(crate) fn of(pid: u32) -> Result<Self> {
        /// Clock ticks per second: 100 on every Linux that we know (sysconf(3), `_SC_CLK_TCK`).
        const TICKS: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, after_name) = stat.rsplit_once(") ").context("a stat without a name")?;
        let fields: Vec<&str> = after_name.split(' ').collect();
        let ticks = |at: usize| -> Result<f64> { Ok(fields.get(at).context("a short stat")?.parse()?) };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kilobytes: f64 = peak.trim().trim_end_matches(" kB").parse()?;
        Ok(Self { cpu_s: (ticks(11)? + ticks(12)?) / TICKS, peak_mb: kilobytes / 1024.0 })
    }
}

/// Waits until a server has a key.
pub(crate) async fn wait_key(client: &Client, key: &str) -> Result<()> {
    poll(client, &format!("EXISTS {key}"), |count| count == 1).await
}

/// Waits until a number that a server answers is as wanted.
pub(crate) async fn poll(client: &Client, line: &str, wanted: impl Fn(i64) -> bool) -> Result<()> {
    let started = std::time::Instant::now();
    while !client.int(line).await.is_ok_and(&wanted) {
        anyhow::ensure!(started.elapsed() < DEADLINE, "waited {DEADLINE:?} for {line}");
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Keys of a server without those of the daemon.
pub(crate) async fn data_keys(client: &Client) -> Result<i64> {
    let all = client.int("DBSIZE").await?;
    // A script counts them at the server: a million keys need not travel for that.
    let count = "local c, n = '0', 0 repeat local r = redis.call('SCAN', c, 'MATCH', 'duet:*', 'COUNT', 10000) \
                 c = r[1] n = n + #r[2] until c == '0' return n";
    Ok(all - client.int(&format!("EVAL \"{count}\" 0")).await?)
}

/// The `duet` that was built together with this program.
pub(crate) fn duet_binary() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("duet"))
}
