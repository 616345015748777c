//! The daemon's own verification: coverage, findings, cost, repair.

use super::load::unreplicated;
use super::{run, said};
use crate::admin::{admin, order};
use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::pair::{DEADLINE, More, Regions};
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long a round may take: a machine with other work answers late, and the rest after each answer is as much longer.
const ROUND: Duration = Duration::from_secs(120);
/// The share of a server's time that is allowed.
const SHARE: f64 = 0.2;

fn verifying(lines: &str) -> More {
    let tables = format!("[verify]\ncontinuous = true\npause = \"1s\"\n{lines}\n");
    More { tables, ..More::default() }
}

/// For how long a server was busy with what only a verification asks, seconds.
async fn busy(client: &Client) -> Result<f64> {
    let told = client.text("INFO commandstats").await?;
    let asked =
        ["scan", "dump", "memory|usage", "pexpiretime", "exists", "type"].map(|name| format!("cmdstat_{name}:"));
    let lines = told.lines().filter(|line| asked.iter().any(|asked| line.starts_with(asked)));
    let spent = lines.filter_map(|line| line.split("usec=").nth(1)?.split(',').next()?.parse::<f64>().ok());
    Ok(spent.sum::<f64>() / 1e6)
}

#[tokio::test]
async fn a_verifying_daemon_shows_coverage_and_findings_at_a_bounded_cost() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    let west = regions.west.client().await?;
    let names = (0..3_000).map(|number| vec!["SET".to_owned(), format!("k:{number}"), "v".to_owned()]);
    west.pipeline(&names.collect::<Vec<_>>()).await?;
    let daemon = regions.daemon_with(duet(), &verifying(&format!("share = \"{}%\"", SHARE * 100.0))).await?;
    let began = Instant::now();
    let before = busy(&west).await?;
    let covered = |status: &serde_json::Value| status["verify"]["covered_within_s"].is_u64();
    let status = daemon.wait_for("all keys to be seen", ROUND, covered).await?;
    let share = (busy(&west).await? - before) / began.elapsed().as_secs_f64();
    ensure!(share <= SHARE, "{share} of the server's time, {SHARE} allowed");
    ensure!(share > 0.0 && status["verify"]["last"]["keys"].as_u64() >= Some(3_000), "{:#}", status["verify"]);

    let east = regions.east.client().await?;
    unreplicated(&east, "SET k:7 w").await?;
    let differs = |status: &serde_json::Value| status["verify"]["different"] == 1;
    let status = daemon.wait_for("the difference to be found", ROUND, differs).await?;
    ensure!(status["verify"]["findings"][0]["key"] == "k:7", "{:#}", status["verify"]);
    ensure!(daemon.output().contains("a key differs between the regions"), "{}", daemon.log_end());
    let metrics = daemon.get("/metrics").await?.body;
    for line in [
        "duet_verify_findings{difference=\"value\"} 1",
        "duet_verify_rounds_total ",
        "duet_verify_coverage_age_seconds ",
    ] {
        ensure!(metrics.lines().any(|shown| shown.starts_with(line)), "no {line} in\n{metrics}");
    }
    let shown = said(&run(&daemon.config(), &["status"]).await?);
    ensure!(shown.contains("all keys seen within the last") && shown.contains("1 KEYS DIFFER"), "{shown}");
    west.run("SET k:7 v").await?;
    let equal = |status: &serde_json::Value| status["verify"]["different"] == 0;
    daemon.wait_for("the difference to be gone", ROUND, equal).await?;

    // What was seen before a gap says nothing any more.
    regions.east_proxy.as_ref().context("no proxy")?.cut();
    let anew = |status: &serde_json::Value| {
        let why = |round: &str| status["verify"][round]["why"] == "links_began_anew";
        why("round") || why("last")
    };
    daemon.wait_for("a round after the gap", DEADLINE, anew).await?;
    Ok(())
}

#[tokio::test]
async fn a_verifying_daemon_repairs_only_where_it_was_told_to() -> Result<()> {
    let place = tempfile::tempdir()?;
    let backup = place.path().join("repairs.db");
    let regions = Regions::start(Redis70, Redis70).await?;
    let lines = format!("share = \"100%\"\nrepair = \"region:west\"\nbackup = \"{}\"", backup.display());
    let daemon = regions.daemon_with(duet(), &verifying(&lines)).await?;
    let (west, east) = regions.clients().await?;
    west.script("HSET h a 1 b 2\nSET s v").await?;
    regions.settle(&daemon, DEADLINE).await?;
    unreplicated(&east, "HSET h b 3").await?;
    unreplicated(&east, "SADD only a").await?;
    let repaired = |status: &serde_json::Value| status["verify"]["repaired"] == 2 && status["verify"]["different"] == 0;
    daemon.wait_for("both keys to be repaired", DEADLINE, repaired).await?;
    ensure!(east.text("HGET h b").await? == "2" && east.int("EXISTS only").await? == 0);
    let told = said(&run(&daemon.config(), &["repair", "--undo", &backup.to_string_lossy(), "--dry-run"]).await?);
    ensure!(told.contains("would be written again: 2 keys"), "{told}");
    Ok(())
}

/// A whole round that was begun later than `before`, and why it was made.
async fn fresh_round(daemon: &Daemon, before: &str, what: &str) -> Result<Value> {
    let fresh = |status: &Value| {
        let last = &status["verify"]["last"];
        last["started_at"].as_str().is_some_and(|at| at > before) && last["why"] != "again"
    };
    let status = daemon.wait_for(&format!("a fresh round after {what}"), DEADLINE, fresh).await?;
    ensure!(status["verify"]["covered_within_s"].is_u64() && status["verify"]["different"] == 0, "{status:#}");
    Ok(status["verify"]["last"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_is_begun_anew_after_a_gap_a_full_copy_and_a_drill() -> Result<()> {
    let place = tempfile::tempdir()?;
    // Little is enough to lose a position.
    let short: &[&str] = &["--repl-backlog-size", "16kb", "--repl-diskless-sync-delay", "0"];
    let regions = Regions::start_with((Redis70, short), (Redis70, &[])).await?.behind_proxies().await?;
    let more = verifying("share = \"100%\"");
    let more = More { tables: format!("{}{}", admin(place.path()), more.tables), ..more };
    let daemon = regions.daemon_with(duet(), &more).await?;
    let (west, east) = regions.clients().await?;
    west.script("SET a 1\nHSET h f v").await?;
    regions.settle(&daemon, DEADLINE).await?;
    let whole = |status: &Value| status["verify"]["last"].is_object();
    let first = daemon.wait_for("a first round", DEADLINE, whole).await?["verify"]["last"].clone();
    ensure!(first["why"] == "start", "{first:#}");

    let now = || jiff::Timestamp::now().to_string();
    let (before, proxy) = (now(), regions.west_proxy.as_ref().context("no proxy")?);
    proxy.cut();
    ensure!(fresh_round(&daemon, &before, "a gap").await?["why"] == "links_began_anew");

    let before = now();
    proxy.refuse(true);
    proxy.cut();
    let away = |status: &Value| status["links"][0]["state"] == "connecting";
    daemon.wait_for("the link to be away", DEADLINE, away).await?;
    let copies = west.info("stats", "sync_full").await?;
    for number in 0..20 {
        west.args(&["SET", &format!("k:{number}"), &"x".repeat(5_000)]).await?;
    }
    proxy.refuse(false);
    ensure!(fresh_round(&daemon, &before, "a full copy").await?["why"] == "links_began_anew");
    ensure!(west.info("stats", "sync_full").await? != copies, "there was no full copy");
    ensure!(east.int("EXISTS k:19").await? == 1);

    let before = now();
    for step in [&["start", "west"] as &[&str], &["fence"], &["promote", "--accept"], &["failback"]] {
        let words = [&["drill"], step].concat();
        let output = tokio::task::block_in_place(|| order(&daemon, &words))?;
        ensure!(output.status.success(), "{step:?}: {}", said(&output));
    }
    let over = |status: &Value| status["drill"]["step"] == "done";
    daemon.wait_for("the drill to be over", DEADLINE, over).await?;
    let last = fresh_round(&daemon, &before, "a drill").await?;
    let whys = ["drill", "links_began_anew"];
    ensure!(last["why"].as_str().is_some_and(|why| whys.contains(&why)), "{last:#}");
    Ok(())
}
