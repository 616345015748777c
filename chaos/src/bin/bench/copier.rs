//! Who copies from one server to another: the servers themselves, Duet, or another program.

use crate::shake;
use crate::usage::Usage;
use anyhow::{Context, Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::daemon::Daemon;
use duet_chaos::pair::{More, Regions};
use duet_chaos::process::Process;
use duet_chaos::wait::eventually;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How long a copy may take before the benchmark is given up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(600);
/// How often a target is asked; it is also the precision of a time.
pub(crate) const POLL: Duration = Duration::from_millis(5);
/// Keys whose values are compared after a run.
const SAMPLE: usize = 1_000;

/// Who copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Copier {
    /// `REPLICAOF` at the target.
    Native,
    /// The daemon between both.
    Duet,
    /// RedisShake version 4: the path of its program.
    RedisShake(PathBuf),
}

/// A copy that runs.
pub(crate) enum Running {
    Native,
    Duet(Daemon),
    RedisShake(Process),
}

impl fmt::Display for Copier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Native => "native",
            Self::Duet => "Duet",
            Self::RedisShake(_) => "RedisShake",
        })
    }
}

impl Copier {
    /// Starts copying from west to east; does not wait.
    pub(crate) async fn start(&self, regions: &Regions) -> Result<Running> {
        self.start_with(regions, &More::default()).await
    }

    /// Like [`Self::start`]; `more` is added to the configuration of the daemon, if that copies. Everybody passes the
    /// proxies that there are.
    pub(crate) async fn start_with(&self, regions: &Regions, more: &More) -> Result<Running> {
        Ok(match self {
            Self::Native => {
                let port = regions.west_proxy.as_ref().map_or(regions.west.port(), |proxy| proxy.address().port());
                regions.east.client().await?.run(&format!("REPLICAOF 127.0.0.1 {port}")).await?;
                Running::Native
            }
            Self::Duet => Running::Duet(Daemon::start(&duet_binary()?, &regions.config(more))?),
            Self::RedisShake(program) => Running::RedisShake(shake::start(program, regions)?),
        })
    }
}

impl Running {
    /// Waits until the copier says that it streams, where it says so.
    pub(crate) async fn says_streaming(&self, regions: &Regions) -> Result<()> {
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
            Self::RedisShake(_) => Ok(()),
        }
    }

    /// Waits until it does and what is written now comes. A primary that has sent a dump without a disk keeps its stream
    /// back until the replica's next sign of life, up to a second.
    pub(crate) async fn streaming(&self, regions: &Regions) -> Result<()> {
        self.says_streaming(regions).await?;
        let (west, east) = regions.clients().await?;
        west.run("SET streams 1").await?;
        wait_key(&east, "streams").await
    }

    /// How many conflicts the daemon has resolved; others know none.
    pub(crate) async fn conflicts(&self) -> Result<u64> {
        let Self::Duet(daemon) = self else { return Ok(0) };
        let status = daemon.status().await?;
        let counts = ["replayed", "dropped", "reconciled"].map(|name| status["conflicts"][name].as_u64());
        Ok(counts.into_iter().flatten().sum())
    }

    /// What the copier has used since it was started; native replication is part of the servers.
    pub(crate) fn usage(&self) -> Result<Option<Usage>> {
        match self {
            Self::Native => Ok(None),
            Self::Duet(daemon) => Usage::of(daemon.pid().context("the daemon has ended")?).map(Some),
            Self::RedisShake(process) => Usage::of(process.pid()).map(Some).with_context(|| process.output()),
        }
    }
}

/// Waits until a server has a key.
pub(crate) async fn wait_key(client: &Client, key: &str) -> Result<()> {
    poll(client, &format!("EXISTS {key}"), |count| count == 1).await
}

/// Waits until a number that a server answers is as wanted.
pub(crate) async fn poll(client: &Client, line: &str, wanted: impl Fn(i64) -> bool) -> Result<()> {
    let started = std::time::Instant::now();
    // A replica that loads answers with an error.
    while !client.int(line).await.is_ok_and(&wanted) {
        ensure!(started.elapsed() < DEADLINE, "waited {DEADLINE:?} for {line}");
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// A fast way to a wrong copy is worth nothing: as many keys at both sides, and a sample of them with the same values.
pub(crate) async fn ensure_same(regions: &Regions) -> Result<()> {
    let (west, east) = regions.clients().await?;
    let (at_west, at_east) = (data_keys(&west).await?, data_keys(&east).await?);
    ensure!(at_west == at_east, "{at_west} keys at the source, {at_east} at the target");
    let mut digests = vec![b"DEBUG".to_vec(), b"DIGEST-VALUE".to_vec()];
    for key in west.pipeline(&vec![vec!["RANDOMKEY"]; SAMPLE]).await? {
        let key = duet_chaos::client::text(&key)?;
        if !key.starts_with("duet:") {
            digests.push(key.into_bytes());
        }
    }
    ensure!(west.args(&digests).await? == east.args(&digests).await?, "values differ between source and target");
    Ok(())
}

/// Keys of a server without those of the daemon.
async fn data_keys(client: &Client) -> Result<i64> {
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
