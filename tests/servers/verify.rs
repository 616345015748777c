//! `duet verify`, `duet repair` and the daemon's own verification.

mod bounded;
mod causes;
mod continuous;
mod digests;
mod far;
mod load;
mod options;
mod planted;
mod repair;

pub(crate) use load::unreplicated;

use crate::duet;
use anyhow::{Context, Result};
use duet_chaos::pair::{More, Regions};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;

/// A configuration of two servers that no daemon keeps.
fn config_of(regions: &Regions, place: &Path) -> Result<PathBuf> {
    let file = place.join("pair.toml");
    std::fs::write(&file, regions.config(&More::default()))?;
    Ok(file)
}

/// Runs the program to its end, without keeping this thread from its tasks.
async fn run(config: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = tokio::process::Command::new(duet());
    command.args(arguments).arg("--config").arg(config).env_remove("DUET_CONFIG").kill_on_drop(true);
    Ok(command.output().await?)
}

/// Everything that it said.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// What `duet verify --json` says, with its exit code.
async fn verify(config: &Path, arguments: &[&str]) -> Result<(i32, Value)> {
    let output = run(config, &[&["verify", "--json"], arguments].concat()).await?;
    let told = serde_json::from_slice(&output.stdout).with_context(|| said(&output))?;
    Ok((output.status.code().context("ended by a signal")?, told))
}
