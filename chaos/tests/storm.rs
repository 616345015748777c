//! The short form of chaos, with a plan that is always the same. Needs `make setup`, and `duet` built beside it.

use anyhow::{Result, ensure};
use std::process::Command;
use tempfile::TempDir;

/// Two pairs, servers of every version, kills, failovers, refusals, cuts.
const SEED: &str = "24";
/// About two minutes, with the start of the servers.
const SECONDS: &str = "110";

#[test]
fn two_minutes_of_chaos_hold() -> Result<()> {
    let report = TempDir::with_prefix("duet-chaos-report-")?;
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_chaos"));
    chaos.args(["--seed", SEED, "--seconds", SECONDS, "--report"]).arg(report.path());
    let output = chaos.output()?;
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(report.path().join(SEED).join("report.md")).unwrap_or_default();
    ensure!(output.status.success(), "{}\n{said}\n{complained}\n{page}", output.status);
    println!("{said}");
    Ok(())
}
