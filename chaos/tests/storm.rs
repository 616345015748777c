//! The short form of chaos, with a plan that is always the same. Needs `make setup`, and `duet` built beside it.

use anyhow::{Result, bail};
use std::process::Command;
use tempfile::TempDir;

/// Two pairs, servers of every version, kills, failovers, refusals, cuts.
const SEED: &str = "24";
/// About two minutes, with the start of the servers.
const SECONDS: &str = "110";

/// Plays a plan, or a part of it, and shows all of its report when something does not hold.
fn holds(seed: &str, more: &[&str]) -> Result<()> {
    let report = TempDir::with_prefix("duet-chaos-report-")?;
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_chaos"));
    chaos.args(["--seed", seed]).args(more).arg("--report").arg(report.path());
    let output = chaos.output()?;
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(report.path().join(seed).join("report.md")).unwrap_or_default();
    if !output.status.success() {
        // What the pair that broke has left is looked at by a person.
        let kept = report.keep();
        bail!("{}, everything is in {}\n{said}\n{complained}\n{page}", output.status, kept.display());
    }
    println!("{said}");
    Ok(())
}

#[test]
fn two_minutes_of_chaos_hold() -> Result<()> {
    holds(SEED, &["--seconds", SECONDS])
}

/// A key expired in both regions and was written again in both, each write being preceded by a deletion in the other region,
/// and the daemon was killed before it had seen any of that.
#[test]
fn what_precedes_a_write_after_an_expiry_deletes_nothing_for_good_although_the_daemon_is_killed() -> Result<()> {
    let only = "daemon-term,net-half-open,daemon-kill,server-pause";
    holds("301", &["--seconds", "150", "--only", only, "--round", "1"])
}
