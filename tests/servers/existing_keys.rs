//! A target that already holds keys of the same name: fail, overwrite, keep.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::pair::{DEADLINE, More, Regions};
use serde_json::Value;

/// Ten keys in the west; three of them in the east too, with other values, and one of its own.
async fn overlapping() -> Result<Regions> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let (west, east) = regions.clients().await?;
    for n in 0..10 {
        west.run(&format!("RPUSH k{n} west")).await?;
    }
    east.script("SET k1 east\nRPUSH k2 east east\nSADD k3 east\nSET own 1").await?;
    Ok(regions)
}

fn policy(name: &str) -> More {
    More { forward: format!("existing_keys = \"{name}\""), ..More::default() }
}

#[tokio::test]
async fn by_default_the_start_is_stopped_with_how_many_and_examples() -> Result<()> {
    for more in [More::default(), policy("fail")] {
        let regions = overlapping().await?;
        let daemon = Daemon::start(duet(), &regions.config(&more))?;
        let held = |status: &Value| ["held", "halted"].iter().any(|state| status["links"][0]["state"] == *state);
        let status = daemon.wait_for("the forward link to be held", DEADLINE, held).await?;
        let reason = status["links"][0]["reason"].to_string();
        ensure!(reason.contains('3') && ["k1", "k2", "k3"].iter().any(|key| reason.contains(key)), "{reason}");
        ensure!(
            reason.contains("existing_keys") || status.to_string().contains("existing_keys"),
            "no remedy: {status:#}"
        );
        let (_, east) = regions.clients().await?;
        ensure!(east.text("GET k1").await? == "east" && east.int("LLEN k2").await? == 2);
        ensure!(daemon.get("/readyz").await?.code == 503);
    }
    Ok(())
}

#[tokio::test]
async fn overwrite_takes_the_values_of_the_source() -> Result<()> {
    let regions = overlapping().await?;
    let _daemon = regions.daemon_with(duet(), &policy("overwrite")).await?;
    let (west, east) = regions.clients().await?;
    ensure!(east.int("EXISTS own").await? == 1, "a key that only the target has stays");
    east.run("DEL own").await?;
    regions.wait_equal().await?;
    ensure!(west.text("LINDEX k1 0").await? == "west" && east.text("LINDEX k2 0").await? == "west");
    Ok(())
}

#[tokio::test]
async fn keep_leaves_the_values_of_the_target() -> Result<()> {
    let regions = overlapping().await?;
    let daemon = regions.daemon_with(duet(), &policy("keep")).await?;
    let (west, east) = regions.clients().await?;
    ensure!(
        east.text("GET k1").await? == "east" && east.int("LLEN k2").await? == 2 && east.int("SCARD k3").await? == 1
    );
    ensure!(east.text("LINDEX k4 0").await? == "west" && west.text("LINDEX k1 0").await? == "west");
    west.run("SET new 1").await?;
    let applied = |status: &Value| status["links"][0]["writes_applied"].as_u64() >= Some(1);
    daemon.wait_for("increments after it", DEADLINE, applied).await?;
    Ok(())
}

#[tokio::test]
async fn a_restart_of_the_daemon_finds_its_own_copy_and_goes_on() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let (west, _) = regions.clients().await?;
    west.run("DEBUG POPULATE 1000 key 10").await?;
    let mut daemon = regions.daemon(duet()).await?;
    regions.wait_equal().await?;
    ensure!(daemon.terminate().await?.success());
    west.run("INCR while-down").await?;
    daemon.resume()?;
    daemon.wait_streaming(DEADLINE).await?;
    regions.wait_equal().await?;
    ensure!(daemon.link("forward").await?["full_sync"].is_null(), "it resumes, and copies nothing again");
    Ok(())
}
