//! A link holds before it spreads a disaster, tells what would happen, and loses nothing meanwhile.

use crate::admin::{admin, order};
use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::servers::Ending;
use duet_chaos::wait::eventually;
use serde_json::Value;
use std::path::Path;

async fn started(place: &Path, guards: &str) -> Result<(Regions, Daemon, Client, Client)> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let (west, east) = regions.clients().await?;
    west.run("DEBUG POPULATE 2000 k 10").await?;
    let more = More { tables: format!("{}[guards]\n{guards}\n", admin(place)), ..More::default() };
    let daemon = regions.daemon_with(duet(), &more).await?;
    regions.wait_equal().await?;
    Ok((regions, daemon, west, east))
}

async fn held(daemon: &Daemon, code: &str) -> Result<()> {
    let holds = |status: &Value| {
        let link = &status["links"][0];
        link["state"] == "held" && link["error_code"] == code && link["remedy"].is_string()
    };
    daemon.wait_for(&format!("the forward link to be held by {code}"), DEADLINE, holds).await.map(drop)
}

/// What `duet` says and whether it did what it was told.
fn said(daemon: &Daemon, words: &[&str]) -> Result<(bool, String)> {
    let output = order(daemon, words)?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok((output.status.success(), text))
}

async fn the_other_link_goes_on(west: &Client, east: &Client) -> Result<()> {
    east.run("SET from-the-east 1").await?;
    let arrived = async || Ok((west.int("EXISTS from-the-east").await? == 1).then_some(()));
    eventually("the other link's write", DEADLINE, arrived).await
}

#[tokio::test]
async fn a_flush_of_one_side_is_asked_about_also_after_a_kill_and_happens_when_it_is_accepted() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (regions, mut daemon, west, east) = started(place.path(), "").await?;
    west.run("SET before 1").await?;
    let copied = async || Ok((east.int("EXISTS before").await? == 1).then_some(()));
    eventually("what was before is copied", DEADLINE, copied).await?;
    west.script("FLUSHALL\nSET behind 1").await?;
    held(&daemon, "flush_seen").await?;
    ensure!(east.int("EXISTS before").await? == 1 && east.int("DBSIZE").await? > 2000, "what was before is copied");
    the_other_link_goes_on(&west, &east).await?;
    east.run("SET k:7 newer").await?;

    let (done, text) = said(&daemon, &["resume", "forward"])?;
    ensure!(!done && text.contains("1 of them empty databases") && text.contains("--accept"), "{text}");
    daemon.kill9()?;
    daemon.resume()?;
    held(&daemon, "flush_seen").await?;
    ensure!(east.int("EXISTS behind").await? == 0 && east.int("DBSIZE").await? > 2000);

    let (done, text) = said(&daemon, &["resume", "forward", "--accept"])?;
    ensure!(done && text.contains("forward resumed"), "{text}");
    daemon.wait_streaming(DEADLINE).await?;
    regions.settle(&daemon, DEADLINE).await?;
    ensure!(east.int("EXISTS before k:1").await? == 0 && east.int("EXISTS behind").await? == 1);
    Ok(())
}

#[tokio::test]
async fn many_deletions_are_asked_about_with_what_they_would_delete() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (regions, daemon, west, east) = started(place.path(), "delete_floor = 100\nwindow = \"1h\"").await?;
    for number in 0..1800 {
        west.run(&format!("DEL k:{number}")).await?;
    }
    west.run("SET k:1900 other").await?;
    held(&daemon, "mass_delete").await?;
    let left = east.int("DBSIZE").await?;
    ensure!(left > 900, "{left} keys are left");
    east.run("SET k:1900 newer").await?;
    let (done, text) = said(&daemon, &["resume", "forward"])?;
    ensure!(
        !done && text.contains("1 are overwritten") && text.contains("1 of which its clients have changed"),
        "{text}"
    );
    ensure!(said(&daemon, &["resume", "forward", "--accept"])?.0);
    daemon.wait_streaming(DEADLINE).await?;
    regions.settle(&daemon, DEADLINE).await?;
    ensure!(east.int("EXISTS k:5 k:1700").await? == 0);
    Ok(())
}

#[tokio::test]
async fn what_comes_back_by_another_program_is_an_echo_that_is_not_let_grow() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (regions, daemon, west, east) = started(place.path(), "").await?;
    // As a program does that copies everything from the east to the west.
    let marker = east.text("GET duet:orders:marker:west").await?;
    west.args(&["SET", "duet:orders:marker:west", &marker]).await?;
    held(&daemon, "echo_grows").await?;
    the_other_link_goes_on(&west, &east).await?;
    west.run("DEL duet:orders:marker:west").await?;
    ensure!(said(&daemon, &["resume", "forward", "--accept"])?.0);
    daemon.wait_streaming(DEADLINE).await?;
    // As a second Duet does that calls the pair by another name.
    west.args(&["SET", "duet:stock:marker:east", &marker.replace(&replid(&west).await?, &replid(&east).await?)])
        .await?;
    held(&daemon, "echo_grows").await?;
    ensure!(said(&daemon, &["resume", "forward", "--accept"])?.0);
    daemon.wait_streaming(DEADLINE).await?;
    regions.settle(&daemon, DEADLINE).await
}

async fn replid(server: &Client) -> Result<String> {
    server.info("replication", "master_replid").await?.context("no history")
}

#[tokio::test]
async fn a_target_from_an_old_backup_is_asked_about() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (mut regions, daemon, west, east) = started(place.path(), "marker_back = \"1s\"").await?;
    east.run("SAVE").await?;
    let time = async || -> Result<i64> {
        let marker = east.text("GET duet:orders:marker:west").await?;
        Ok(marker.split(' ').nth(9).context("no time in the marker")?.parse()?)
    };
    let saved = time().await?;
    eventually("the marker to go on", DEADLINE, async || Ok((time().await? > saved + 3000).then_some(()))).await?;
    west.run("SET later 1").await?;
    regions.wait_equal().await?;
    regions.east.restart(Ending::Kill).await?;
    held(&daemon, "marker_back").await?;
    ensure!(said(&daemon, &["resume", "forward", "--accept"])?.0);
    daemon.wait_streaming(DEADLINE).await?;
    regions.settle(&daemon, DEADLINE).await
}

#[tokio::test]
async fn a_link_that_is_held_by_order_goes_on_where_it_was() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (regions, daemon, west, east) = started(place.path(), "").await?;
    let (done, text) = said(&daemon, &["hold", "forward"])?;
    ensure!(done && text.contains("forward is held"), "{text}");
    held(&daemon, "hold_ordered").await?;
    west.script("SET k:1 x\nDEL k:2\nINCR n").await?;
    the_other_link_goes_on(&west, &east).await?;
    let (done, text) = said(&daemon, &["resume", "forward"])?;
    ensure!(done && text.contains("1 are overwritten and 1 deleted") && text.contains("1 are new"), "{text}");
    daemon.wait_streaming(DEADLINE).await?;
    regions.settle(&daemon, DEADLINE).await?;
    ensure!(east.int("GET n").await? == 1);
    Ok(())
}

#[tokio::test]
async fn a_source_that_has_lost_most_of_its_keys_is_not_copied_without_being_asked() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (regions, daemon, west, east) = started(place.path(), "").await?;
    west.run("CONFIG SET repl-backlog-size 16kb").await?;
    ensure!(said(&daemon, &["pause", "forward"])?.0);
    let keys: Vec<String> = (0..1900).map(|number| format!("k:{number}")).collect();
    west.run(&format!("DEL {}", keys.join(" "))).await?;
    // Where the link stood is no longer in the backlog: it needs a full copy.
    for _ in 0..4 {
        west.run(&format!("SET filler {}", "x".repeat(100_000))).await?;
    }
    ensure!(said(&daemon, &["resume", "forward"])?.0);
    held(&daemon, "source_shrunk").await?;
    ensure!(east.int("DBSIZE").await? >= 2000, "the emptiness has spread");
    the_other_link_goes_on(&west, &east).await?;
    let (done, text) = said(&daemon, &["resume", "forward"])?;
    ensure!(!done && text.contains("source_shrunk") && text.contains("--accept"), "{text}");
    ensure!(east.int("EXISTS k:7").await? == 1);
    ensure!(said(&daemon, &["resume", "forward", "--accept"])?.0);
    daemon.wait_streaming(DEADLINE).await?;
    regions.settle(&daemon, DEADLINE).await?;
    ensure!(east.int("EXISTS k:7").await? == 0 && east.int("EXISTS k:1999 from-the-east").await? == 2);
    Ok(())
}
