//! Two servers, the daemon between them, and proxies on the way where a test wants them.

use crate::client::Client;
use crate::compare::wait_equal;
use crate::daemon::Daemon;
use crate::flavor::Flavor;
use crate::proxy::Proxy;
use crate::servers::Server;
use crate::wait::eventually;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

/// How long a small pair may take to stream, or to become equal.
pub const DEADLINE: Duration = Duration::from_secs(45);

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

/// The offset in a line like `slave0:ip=127.0.0.1,port=0,state=online,offset=4711,lag=0`.
fn acknowledged(replica: &str) -> Option<u64> {
    replica.split(',').find_map(|field| field.strip_prefix("offset="))?.trim().parse().ok()
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
