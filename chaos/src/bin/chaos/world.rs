//! A pair at work: two regions, the network between, the daemon.

use crate::network::Network;
use crate::plan;
use crate::region::{Ground, Region};
use crate::side::Side;
use anyhow::{Context, Result, ensure};
use duet_chaos::daemon::{Daemon, Host};
use duet_chaos::port::Port;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex as Guarded, PoisonError};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Mutex;

/// How long a new pair may take to stream.
const START: Duration = Duration::from_secs(60);

/// What the machine has for us.
pub struct Machine {
    /// The program under test.
    pub duet: PathBuf,
    /// The library that steps clocks, where there is one.
    pub step: Option<PathBuf>,
    /// Whether we may mount.
    pub mounts: bool,
}

/// A pair at work.
pub struct World {
    pub regions: [Region; 2],
    pub daemon: Mutex<Daemon>,
    pub network: Option<Network>,
    pub binary: PathBuf,
    /// Where the daemon answers, for those who ask without its lock.
    pub http: String,
    /// What second daemons wrote.
    others: Guarded<String>,
    secrets: Guarded<BTreeSet<String>>,
    dir: TempDir,
}

impl World {
    /// Starts servers and daemon, and waits until both links stream.
    pub async fn start(plan: &plan::World, machine: &Machine, dice: u64) -> Result<Self> {
        let dir = TempDir::with_prefix("duet-chaos-")?;
        let network = if plan.apart { Some(Network::make()?) } else { None };
        let scripts = plan.flavors.iter().any(|flavor| !flavor.at_least_seven());
        let ground = Ground { dir: dir.path(), step: machine.step.as_deref(), mounts: machine.mounts, scripts };
        let listen = |side| network.as_ref().map_or("127.0.0.1".to_owned(), |network| network.region(side)) + ":0";
        let region = async |side: Side| {
            let dice = dice.wrapping_add(side.index() as u64 * 7_919);
            Region::start(side, plan.flavors[side.index()], &listen(side), &ground, dice).await
        };
        let (west, east) = tokio::try_join!(region(Side::West), region(Side::East))?;
        let mut secrets = BTreeSet::new();
        for region in [&west, &east] {
            secrets.extend([region.password.clone(), region.duet_password().await]);
        }
        let host = network.as_ref().map_or(Host::Here, Network::host);
        let toml = configuration(&west, &east, dir.path())?;
        let daemon = Daemon::start_on(host, &machine.duet, &toml, &[], Port::free()?)?;
        daemon.wait_streaming(START).await?;
        let http = daemon.address();
        Ok(Self {
            regions: [west, east],
            daemon: Mutex::new(daemon),
            network,
            binary: machine.duet.clone(),
            http,
            others: Guarded::default(),
            secrets: Guarded::new(secrets),
            dir,
        })
    }

    /// A region.
    pub const fn region(&self, side: Side) -> &Region {
        &self.regions[side.index()]
    }

    /// Its directory: passwords, record of conflicts, record of orders.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A word that must not be shown.
    pub fn keep_secret(&self, word: &str) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).insert(word.to_owned());
    }

    /// The words that must not be shown.
    pub fn secrets(&self) -> BTreeSet<String> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A second daemon has written this.
    pub fn other_output(&self, written: &str) {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).push_str(written);
    }

    /// What second daemons have written.
    pub fn others(&self) -> String {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The configuration of a second daemon.
    pub fn second_configuration(&self) -> Result<String> {
        let [west, east] = &self.regions;
        let dir = self.dir.path().join("second");
        std::fs::create_dir_all(&dir)?;
        configuration(west, east, &dir)
    }

    /// Where a second daemon runs: beside the first one.
    pub fn host(&self) -> Host {
        self.network.as_ref().map_or(Host::Here, Network::host)
    }

    /// An order to the daemon, as a person types it, and what it answers.
    ///
    /// # Errors
    /// With its words, when the daemon does not obey.
    pub async fn order(&self, words: &[&str]) -> Result<String> {
        let config = self.daemon.lock().await.config();
        let mut command = tokio::process::Command::new(&self.binary);
        command.args(words).arg("--config").arg(config).env_remove("DUET_URL");
        let output = command.output().await.context("cannot start duet")?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "duet {}: {}", words.join(" "), said.trim());
        Ok(said)
    }
}

fn configuration(west: &Region, east: &Region, dir: &Path) -> Result<String> {
    for name in ["conflicts", "audit"] {
        std::fs::create_dir_all(dir.join(name))?;
    }
    let dir = dir.display();
    Ok(format!(
        "[pair]\nname = \"orders\"\n[forward]\nsource = \"west\"\ntarget = \"east\"\n{}{}[conflicts]\njournal = \
         \"{dir}/conflicts\"\n[admin]\nlisten = \"unix:{dir}/admin.sock\"\naudit = \"{dir}/audit\"\n",
        west.configuration(),
        east.configuration(),
    ))
}
