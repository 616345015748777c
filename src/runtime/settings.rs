//! The settings that are in force, and their change while the daemon runs.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::admin::{Done, Refused};
use crate::config::{Change, Config, Region, Takes, changes, load};
use crate::observe::log;

/// Every setting of a pair as it is in force.
#[derive(Debug)]
pub struct Settings {
    config: ArcSwap<Config>,
    file: Option<PathBuf>,
    /// How often connections were to be made anew because settings have changed.
    renewals: watch::Sender<u64>,
}

/// The settings of one region as they were in force when they were asked for.
#[derive(Debug, Clone)]
pub struct RegionSettings {
    config: Arc<Config>,
    index: usize,
}

impl Deref for RegionSettings {
    type Target = Region;

    fn deref(&self) -> &Region {
        &self.config.regions[self.index]
    }
}

impl Settings {
    /// The settings of a start; `file` is read again for a reload.
    pub fn new(config: Arc<Config>, file: Option<PathBuf>) -> Self {
        Self { config: ArcSwap::new(config), file, renewals: watch::Sender::new(0) }
    }

    /// All of them.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Those of a region: 0 for the source of the forward link, 1 for its target.
    pub fn region(&self, index: usize) -> RegionSettings {
        RegionSettings { config: self.config(), index }
    }

    /// How often connections were to be made anew until now.
    pub fn renewals(&self) -> u64 {
        *self.renewals.borrow()
    }

    /// Waits until connections are to be made anew once more since `renewals` was asked for.
    pub async fn renewed(&self, renewals: u64) {
        // The sender is in this very structure: it is there as long as anybody can wait.
        let _ = self.renewals.subscribe().wait_for(|now| *now != renewals).await;
    }

    /// Reads the file again, takes over what can change while the daemon runs, and names the rest. Where the file is wrong,
    /// everything stays as it is.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub async fn reload(&self) -> Result<Done, Refused> {
        let Some(file) = self.file.clone() else {
            return Err(Refused::new("no_file", "the configuration did not come from a file", "Restart the daemon"));
        };
        let wrong = |error: String| Refused::new("wrong_configuration", error, "Everything stays as it was");
        // Names are looked up, which may take a while.
        let read = tokio::task::spawn_blocking(move || load(&file)).await.map_err(|error| wrong(error.to_string()))?;
        let new = read.map_err(|error| wrong(error.to_string()))?;
        let running = self.config();
        let changes = changes(&running, &new);
        let merged = running.reloaded(&new);
        log::set_level(merged.log.level);
        self.config.store(Arc::new(merged));
        if changes.iter().any(|change| change.takes == Takes::Reconnect) {
            self.renewals.send_modify(|renewals| *renewals += 1);
        }
        Ok(told(&changes))
    }
}

/// What changed, for people and programs.
fn told(changes: &[Change]) -> Done {
    let keys = |restart: bool| {
        let keys = changes.iter().filter(|change| (change.takes == Takes::Restart) == restart);
        keys.map(|change| change.key.clone()).collect::<Vec<_>>()
    };
    let (changed, restart) = (keys(false), keys(true));
    let mut text = match changed.len() {
        0 => "the configuration was read again: no setting changed".to_owned(),
        _ => format!("the configuration was read again: in force from now on: {}", changed.join(", ")),
    };
    if changes.iter().any(|change| change.takes == Takes::Reconnect) {
        text.push_str("; connections are made anew, positions stay");
    }
    if !restart.is_empty() {
        text.push_str(&format!("; NOT in force before a restart: {}", restart.join(", ")));
    }
    Done { text, details: serde_json::json!({ "changed": changed, "needs_restart": restart }) }
}
