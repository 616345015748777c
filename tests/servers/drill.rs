//! The failover drill, rehearsed: the whole way, given up at each step, with the daemon killed in each, with the region back by
//! itself, and with the region lost.

use crate::admin::{admin, order};
use crate::duet;
use anyhow::{Context, Result, bail, ensure};
use duet_chaos::client::Client;
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::servers::{Ending, Server};
use duet_chaos::wait::eventually;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Shorter than a fence lasts.
const BLOCKED: Duration = Duration::from_millis(1500);

async fn started(place: &Path) -> Result<(Regions, Daemon)> {
    let regions = Regions::start_with((Redis70, &["--appendonly", "yes"]), (Redis70, &[])).await?;
    let more = More { tables: admin(place), ..More::default() };
    let daemon = regions.daemon_with(duet(), &more).await?;
    let (west, east) = regions.clients().await?;
    west.script("SET a 1\nHSET h f v\nRPUSH l 1 2 3").await?;
    east.run("SET b 1").await?;
    regions.wait_equal().await?;
    Ok((regions, daemon))
}

/// What `duet drill` says to these words, and whether it did it.
async fn drill(daemon: &Daemon, words: &[&str]) -> Result<(bool, String)> {
    let words = [&["drill"], words].concat();
    // Proxies and clients of this thread have to go on meanwhile.
    let output = tokio::task::block_in_place(|| order(daemon, &words))?;
    Ok((
        output.status.success(),
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
    ))
}

async fn does(daemon: &Daemon, words: &[&str]) -> Result<String> {
    let (done, text) = drill(daemon, words).await?;
    ensure!(done, "drill {words:?}: {text} {}", daemon.log_end());
    Ok(text)
}

async fn refuses(daemon: &Daemon, words: &[&str], part: &str) -> Result<()> {
    let (done, text) = drill(daemon, words).await?;
    ensure!(!done && text.contains(part), "drill {words:?}: {text}");
    Ok(())
}

/// Whether a client of the server can write within [`BLOCKED`].
async fn can_write(server: &Server, key: &str) -> Result<bool> {
    let client = server.client().await?;
    match tokio::time::timeout(BLOCKED, client.run(&format!("SET {key} 1"))).await {
        Ok(written) => written.map(|_| true),
        Err(_) => Ok(false),
    }
}

async fn duty(daemon: &Daemon, region: usize) -> Result<String> {
    Ok(daemon.status().await?["regions"][region]["duty"].as_str().context("no duty")?.to_owned())
}

async fn stands_at(daemon: &Daemon, step: &str) -> Result<Value> {
    let at = |status: &Value| status["drill"]["step"] == step;
    Ok(daemon.wait_for(&format!("the drill to be {step}"), DEADLINE, at).await?["drill"].clone())
}

/// Both regions take writes and end equal, and nothing is left of a drill.
async fn is_as_before(regions: &Regions, daemon: &Daemon) -> Result<()> {
    ensure!(duty(daemon, 0).await? == "serving" && duty(daemon, 1).await? == "serving");
    daemon.wait_streaming(DEADLINE).await?;
    ensure!(can_write(&regions.west, "after").await?, "the west takes no writes");
    regions.settle(daemon, DEADLINE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_is_left_in_order_and_comes_back_equal() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (regions, daemon) = started(place.path()).await?;
    let plan = does(&daemon, &["plan", "west"]).await?;
    ensure!(
        plan.contains("can begin") && plan.lines().any(|line| line == "fence") && plan.contains("CLIENT PAUSE WRITE"),
        "{plan}"
    );
    refuses(&daemon, &["fence"], "no drill is under way").await?;
    ensure!(does(&daemon, &["start", "west", "--dry-run"]).await?.contains("nothing now"));
    ensure!(duty(&daemon, 0).await? == "serving");

    does(&daemon, &["start", "west"]).await?;
    ensure!(duty(&daemon, 0).await? == "drained" && duty(&daemon, 1).await? == "serving");
    ensure!(daemon.get("/syncz?region=west&max_lag_ms=5000").await?.code == 503);
    refuses(&daemon, &["promote"], "not the time").await?;
    let west = regions.west.client().await?;
    west.script("INCR n\nINCR n").await?;

    let fenced = does(&daemon, &["fence"]).await?;
    ensure!(fenced.contains("everything is across") && duty(&daemon, 0).await? == "fenced", "{fenced}");
    let east = regions.east.client().await?;
    ensure!(east.int("GET n").await? == 2);
    ensure!(!can_write(&regions.west, "late").await?, "a fenced region took a write");
    ensure!(can_write(&regions.east, "other").await?);
    let verified = does(&daemon, &["verify"]).await?;
    ensure!(verified.contains(" 0 differ"), "{verified}");
    does(&daemon, &["promote"]).await?;
    let told = stands_at(&daemon, "promoted").await?;
    ensure!(told["rpo_bytes"] == 0 && told["rto_ms"].as_i64().is_some_and(|ms| ms > 0), "{told:#}");
    ensure!(told["unproven"].as_array().is_some_and(Vec::is_empty), "{told:#}");
    // It is renewed: longer than one pause lasts.
    for number in 0..5 {
        ensure!(!can_write(&regions.west, &format!("late{number}")).await?, "the fence was not renewed");
    }
    ensure!(can_write(&regions.east, "while-away").await?);
    let page = place.path().join("report.html");
    does(&daemon, &["report", "--page", page.to_str().context("a path")?]).await?;
    let page = std::fs::read_to_string(page)?;
    ensure!(page.contains("RPO") && page.contains("0 bytes") && page.contains("alice"), "{page}");

    does(&daemon, &["failback"]).await?;
    stands_at(&daemon, "done").await?;
    is_as_before(&regions, &daemon).await?;
    ensure!(regions.west.client().await?.int("EXISTS while-away").await? == 1);
    let report: Value = serde_json::from_str(&does(&daemon, &["report", "--json"]).await?)?;
    ensure!(report["step"] == "done" && report["comparison"]["different"] == 0, "{report:#}");
    Ok(())
}

const WAY: [&[&str]; 4] = [&["start", "west"], &["fence"], &["verify"], &["promote"]];

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_is_given_up_at_any_step_leaves_nothing_behind() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (regions, daemon) = started(place.path()).await?;
    for steps in 1..=WAY.len() {
        for step in WAY.iter().take(steps) {
            does(&daemon, step).await?;
        }
        does(&daemon, &["abort"]).await?;
        stands_at(&daemon, "aborted").await?;
        is_as_before(&regions, &daemon).await.with_context(|| format!("after {steps} steps"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_goes_on_after_the_daemon_was_killed_in_each_step() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (regions, mut daemon) = started(place.path()).await?;
    let again = async |daemon: &mut Daemon, step: &str| -> Result<()> {
        daemon.kill9()?;
        daemon.resume()?;
        stands_at(daemon, step).await.map(drop)
    };
    does(&daemon, &["start", "west"]).await?;
    again(&mut daemon, "drained").await?;
    ensure!(duty(&daemon, 0).await? == "drained");
    daemon.wait_streaming(DEADLINE).await?;
    does(&daemon, &["fence"]).await?;
    // What was proven does not count behind a gap: it has to be proven again.
    again(&mut daemon, "fenced").await?;
    refuses(&daemon, &["verify"], "not proven").await?;
    eventually("the fence to be there again", DEADLINE, async || {
        Ok((!can_write(&regions.west, "late").await?).then_some(()))
    })
    .await?;
    let fences = async || Ok(drill(&daemon, &["fence"]).await?.0.then_some(()));
    eventually("the proof", DEADLINE, fences).await?;
    does(&daemon, &["verify"]).await?;
    again(&mut daemon, "fenced").await?;
    let fences = async || Ok(drill(&daemon, &["fence"]).await?.0.then_some(()));
    eventually("the proof", DEADLINE, fences).await?;
    does(&daemon, &["verify"]).await?;
    does(&daemon, &["promote"]).await?;
    again(&mut daemon, "promoted").await?;
    ensure!(duty(&daemon, 0).await? == "fenced");
    comes_back(&regions, &mut daemon).await
}

/// Says `failback` until it is done: a copy may take its time.
async fn comes_back(regions: &Regions, daemon: &mut Daemon) -> Result<()> {
    let back = async || Ok(drill(daemon, &["failback"]).await?.0.then_some(()));
    eventually("the region to be back", DEADLINE * 2, back).await?;
    is_as_before(regions, daemon).await?;
    ensure!(daemon.is_running()?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_region_that_comes_back_by_itself_is_fenced_again_and_proven_anew() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (mut regions, mut daemon) = started(place.path()).await?;
    does(&daemon, &["start", "west"]).await?;
    does(&daemon, &["fence"]).await?;
    does(&daemon, &["verify"]).await?;
    regions.west.restart(Ending::Kill).await?;
    let gap = |status: &Value| status["drill"]["fence"]["gaps"].as_u64() > Some(0);
    daemon.wait_for("the gap to be seen", DEADLINE, gap).await?;
    ensure!(!can_write(&regions.west, "late").await?, "it took a write");
    refuses(&daemon, &["promote"], "not been compared").await?;
    does(&daemon, &["abort"]).await?;
    ensure!(duty(&daemon, 0).await? == "serving");
    daemon.wait_streaming(DEADLINE).await?;
    regions.settle(&daemon, DEADLINE).await?;
    ensure!(daemon.is_running()?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_region_has_the_same_way_and_the_report_says_what_could_not_be_proven() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (mut regions, mut daemon) = started(place.path()).await?;
    refuses(&daemon, &["start", "west", "--lost"], "not lost").await?;
    regions.west.stop(Ending::Kill).await?;
    refuses(&daemon, &["start", "west"], "--lost").await?;
    does(&daemon, &["start", "west", "--lost"]).await?;
    refuses(&daemon, &["fence"], "lost").await?;
    does(&daemon, &["promote"]).await?;
    let told = stands_at(&daemon, "promoted").await?;
    ensure!(told["lost"] == true && told["rpo_bytes"].is_null(), "{told:#}");
    ensure!(told["unproven"].as_array().is_some_and(|unproven| unproven.len() == 2), "{told:#}");
    refuses(&daemon, &["failback"], "does not answer").await?;
    let east: Client = regions.east.client().await?;
    east.run("SET meanwhile 1").await?;
    // It comes back by itself, and takes no writes.
    regions.west.resume().await?;
    eventually("the region to be fenced", DEADLINE, async || {
        Ok((!can_write(&regions.west, "late").await?).then_some(()))
    })
    .await?;
    comes_back(&regions, &mut daemon).await?;
    if regions.west.client().await?.int("EXISTS meanwhile").await? != 1 {
        bail!("what was written meanwhile is not there");
    }
    Ok(())
}
