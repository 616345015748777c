//! Two servers, the daemon between them, and proxies on the way where a test wants them.

use crate::client::Client;
use crate::compare::{EXPIRY_TOLERANCE_MS, differences_within, wait_equal, wait_equal_within};
use crate::daemon::Daemon;
use crate::flavor::Flavor;
use crate::proxy::Proxy;
use crate::servers::Server;
use crate::wait::eventually;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// How long a small pair may take to stream, or to become equal.
pub const DEADLINE: Duration = Duration::from_secs(45);

/// What a link is held by, see [`Regions::hold_links`].
const FROM_WEST: &str = "held:west";
const FROM_EAST: &str = "held:east";
/// A lag above it means that a link has not caught up, in milliseconds.
const SETTLED_LAG_MS: u64 = 2_000;

/// Two servers and how the daemon reaches them. `west` is the source of the forward link, `east` its target.
pub struct Regions {
    /// The source of the forward link.
    pub west: Server,
    /// The target of the forward link.
    pub east: Server,
    /// On the way from the daemon to `west`, when asked for.
    pub west_proxy: Option<Proxy>,
    /// On the way from the daemon to `east`, when asked for.
    pub east_proxy: Option<Proxy>,
}

impl Regions {
    /// Starts both servers.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start(west: Flavor, east: Flavor) -> Result<Self> {
        Self::start_with((west, &[]), (east, &[])).await
    }

    /// Starts both servers, each with arguments of its own.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_with(west: (Flavor, &[&str]), east: (Flavor, &[&str])) -> Result<Self> {
        let (west, east) = tokio::try_join!(Server::start(west.0, west.1), Server::start(east.0, east.1))?;
        Ok(Self { west, east, west_proxy: None, east_proxy: None })
    }

    /// Puts a proxy before each server.
    ///
    /// # Errors
    /// As [`Proxy::start`].
    pub async fn behind_proxies(mut self) -> Result<Self> {
        self.west_proxy = Some(Proxy::start(&self.west.address()).await?);
        self.east_proxy = Some(Proxy::start(&self.east.address()).await?);
        Ok(self)
    }

    /// The daemon's configuration, without `[http]`; `more` is TOML that goes below the tables' own keys.
    pub fn config(&self, more: &More) -> String {
        let address = |server: &Server, proxy: &Option<Proxy>| match proxy {
            Some(proxy) => proxy.address().to_string(),
            None => server.address(),
        };
        format!(
            "{}\n[pair]\nname = \"orders\"\n{}\n[forward]\nsource = \"west\"\ntarget = \"east\"\n{}\n\
             [region.west]\nurl = \"redis://{}\"\n{}\n[region.east]\nurl = \"redis://{}\"\n{}\n",
            more.tables,
            more.pair,
            more.forward,
            address(&self.west, &self.west_proxy),
            more.west,
            address(&self.east, &self.east_proxy),
            more.east,
        )
    }

    /// Starts the daemon on them and waits until both links stream.
    ///
    /// # Errors
    /// When they do not within [`DEADLINE`].
    pub async fn daemon(&self, binary: &Path) -> Result<Daemon> {
        self.daemon_with(binary, &More::default()).await
    }

    /// Like [`Self::daemon`], with more configuration.
    ///
    /// # Errors
    /// As [`Self::daemon`].
    pub async fn daemon_with(&self, binary: &Path, more: &More) -> Result<Daemon> {
        let daemon = Daemon::start(binary, &self.config(more))?;
        daemon.wait_streaming(DEADLINE).await?;
        Ok(daemon)
    }

    /// A client of each server, on database 0.
    ///
    /// # Errors
    /// When one does not answer.
    pub async fn clients(&self) -> Result<(Client, Client)> {
        Ok((self.west.client().await?, self.east.client().await?))
    }

    /// Holds both links: what is written in one region from now on is read by the daemon at once, and does not arrive in
    /// the other before [`Self::release_links`]. A key `held:<region>` is written in each. Wants proxies, and ends by
    /// itself when the daemon loses its patience with a silent target (20 s).
    ///
    /// # Errors
    /// When there are no proxies, or a link is not held within [`DEADLINE`].
    pub async fn hold_links(&self) -> Result<()> {
        let (west_proxy, east_proxy) = self.proxies()?;
        west_proxy.hold(FROM_EAST);
        east_proxy.hold(FROM_WEST);
        let (west, east) = self.clients().await?;
        tokio::try_join!(west.args(&["INCR", FROM_WEST]), east.args(&["INCR", FROM_EAST]))?;
        eventually("both links to be held", DEADLINE, async || {
            Ok((west_proxy.holding() > 0 && east_proxy.holding() > 0).then_some(()))
        })
        .await
    }

    /// Ends [`Self::hold_links`].
    ///
    /// # Errors
    /// When there are no proxies.
    pub fn release_links(&self) -> Result<()> {
        let (west_proxy, east_proxy) = self.proxies()?;
        west_proxy.release();
        east_proxy.release();
        Ok(())
    }

    fn proxies(&self) -> Result<(&Proxy, &Proxy)> {
        let both = self.west_proxy.as_ref().zip(self.east_proxy.as_ref());
        both.context("there are no proxies on the way to the servers")
    }

    /// As [`settle`], of both servers.
    ///
    /// # Errors
    /// As [`settle`].
    pub async fn settle(&self, daemon: &Daemon, deadline: Duration) -> Result<()> {
        let tolerance = expiry_tolerance_ms(&self.west, &self.east);
        settle(&self.west, &self.east, daemon, tolerance, deadline).await
    }

    /// Waits until both hold the same, by the oracle.
    ///
    /// # Errors
    /// With the differences, when [`DEADLINE`] has passed.
    pub async fn wait_equal(&self) -> Result<()> {
        wait_equal(&self.west, &self.east, DEADLINE).await
    }

    /// Waits until the daemon has acknowledged to both servers all that they have written until now. What is at the
    /// other side may not have been confirmed to the daemon yet; what is acknowledged is in its counts.
    ///
    /// # Errors
    /// When [`DEADLINE`] has passed.
    pub async fn wait_acknowledged(&self) -> Result<()> {
        for server in [&self.west, &self.east] {
            let client = server.client().await?;
            let written = client.info("replication", "master_repl_offset").await?.context("no offset")?;
            let written: u64 = written.parse()?;
            eventually("the daemon's acknowledgement", DEADLINE, async || {
                let replicas = client.text("INFO replication").await?;
                let mut offsets = replicas.lines().filter(|line| line.starts_with("slave")).filter_map(acknowledged);
                Ok(offsets.any(|offset| offset >= written).then_some(()))
            })
            .await?;
        }
        Ok(())
    }
}

/// Waits until everything that was written so far has arrived, both regions hold the same, and the daemon has nothing left
/// to do about it.
///
/// Values alone could be equal for a moment in between, and the status alone would believe the daemon: both must say so,
/// and say so still after a write of each region has gone all the way to the other. Expiry times may differ by `tolerance`
/// milliseconds.
///
/// # Errors
/// With what is in the way, when `deadline` has passed.
pub async fn settle(west: &Server, east: &Server, daemon: &Daemon, tolerance: i64, deadline: Duration) -> Result<()> {
    for _ in 0..2 {
        cross(west, east, deadline).await?;
        daemon.wait_for("both links to be settled", deadline, settled).await?;
        wait_equal_within(west, east, tolerance, deadline).await?;
    }
    let found = differences_within(west, east, tolerance).await?;
    ensure!(found.is_empty(), "equal for a moment, and then not: {found:?}");
    Ok(())
}

/// Writes a key in each region and waits until it is in the other.
async fn cross(west: &Server, east: &Server, deadline: Duration) -> Result<()> {
    let (west, east) = tokio::try_join!(west.client(), east.client())?;
    for (here, there, key) in [(&west, &east, "crossed:west"), (&east, &west, "crossed:east")] {
        let turn = here.int(&format!("INCR {key}")).await?;
        let arrived = async || Ok((there.int(&format!("GET {key}")).await? >= turn).then_some(()));
        eventually(&format!("{key} to arrive"), deadline, arrived).await?;
    }
    Ok(())
}

/// By how much expiry times may differ: not at all where both servers send absolute ones.
pub fn expiry_tolerance_ms(west: &Server, east: &Server) -> i64 {
    let exact = west.flavor().at_least_seven() && east.flavor().at_least_seven();
    if exact { 0 } else { EXPIRY_TOLERANCE_MS }
}

/// The offset in a line like `slave0:ip=127.0.0.1,port=0,state=online,offset=4711,lag=0`.
fn acknowledged(replica: &str) -> Option<u64> {
    replica.split(',').find_map(|field| field.strip_prefix("offset="))?.trim().parse().ok()
}

/// Whether a status says that both links stream, keep up, and have no conflict left to resolve.
fn settled(status: &Value) -> bool {
    let keeps_up = |link: &Value| {
        let lag = link["lag_ms"].as_u64();
        link["state"] == "streaming" && link["stalled"] == false && lag.is_some_and(|lag| lag < SETTLED_LAG_MS)
    };
    let unresolved = status["conflicts"]["unresolved"].as_u64();
    status["links"].as_array().is_some_and(|links| links.len() == 2 && links.iter().all(keeps_up))
        && unresolved == Some(0)
}

/// TOML to add to a configuration: lines for each table, and whole tables.
#[derive(Clone, Debug, Default)]
pub struct More {
    /// Lines for `[pair]`.
    pub pair: String,
    /// Lines for `[forward]`.
    pub forward: String,
    /// Lines for the source's region.
    pub west: String,
    /// Lines for the target's region.
    pub east: String,
    /// Whole tables.
    pub tables: String,
}
