//! Origin: what the daemon wrote itself is dropped when it comes back, and an idle pair is idle.

use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::compare::{RESERVED, contents};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::load::{Counted, Mixed};
use duet_chaos::pair::{DEADLINE, Regions};
use duet_chaos::redis::Value;
use duet_chaos::wait::eventually;
use std::time::{Duration, Instant};

/// Most bytes per second of a stream with nothing but heartbeats in it: eight transactions a second (two regions, every
/// 250 ms) of a marker and a heartbeat, and the server's own pings.
const IDLE_BYTES_PER_SECOND: f64 = 12_000.0;
/// How long an idle pair is looked at.
const LOOK: Duration = Duration::from_secs(4);

async fn offset(client: &Client) -> Result<i64> {
    let offset = client.info("replication", "master_repl_offset").await?;
    Ok(offset.context("no offset")?.parse()?)
}

/// Bytes per second that both streams grow by, over [`LOOK`].
async fn growth(west: &Client, east: &Client, daemon: &Daemon) -> Result<[f64; 2]> {
    let (started, before) = (Instant::now(), [offset(west).await?, offset(east).await?]);
    let uptime = daemon.status().await?["uptime_s"].as_f64().context("no uptime")?;
    let later = |status: &serde_json::Value| status["uptime_s"].as_f64() >= Some(uptime + LOOK.as_secs_f64());
    daemon.wait_for("time to pass", DEADLINE, later).await?;
    let after = [offset(west).await?, offset(east).await?];
    let seconds = started.elapsed().as_secs_f64();
    Ok([0, 1].map(|side| (after[side] - before[side]) as f64 / seconds))
}

async fn stays_idle(flavor: Flavor) -> Result<()> {
    let regions = Regions::start(flavor, flavor).await?;
    let daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    let loads = [Mixed::start(&regions.west, "w", 2_000).await?, Mixed::start(&regions.east, "e", 2_000).await?];
    for load in loads {
        eventually("4,000 writes", DEADLINE, async || Ok((load.written() > 4_000).then_some(()))).await?;
        load.stop().await?;
    }
    regions.wait_equal().await?;
    regions.wait_acknowledged().await?;
    let counts = |status: &serde_json::Value| {
        [0, 1].map(|link| (status["links"][link]["writes_applied"].clone(), status["links"][link]["set_aside"].clone()))
    };
    let (before, held) = (counts(&daemon.status().await?), contents(&regions.west).await?.len());
    let grown = growth(&west, &east, &daemon).await?;
    ensure!(grown.iter().all(|rate| *rate < IDLE_BYTES_PER_SECOND), "idle streams grow by {grown:?} bytes per second");
    ensure!(counts(&daemon.status().await?) == before, "an idle pair applied writes: {before:?} before");
    ensure!(contents(&regions.west).await?.len() == held, "an idle pair changed its number of keys");
    Ok(())
}

#[tokio::test]
async fn an_idle_pair_of_redis_62_is_idle() -> Result<()> {
    stays_idle(Redis62).await
}

#[tokio::test]
async fn an_idle_pair_of_redis_70_is_idle() -> Result<()> {
    stays_idle(Redis70).await
}

#[tokio::test]
async fn an_idle_pair_of_valkey_91_is_idle() -> Result<()> {
    stays_idle(Valkey91).await
}

#[tokio::test]
async fn every_write_is_executed_once_on_each_side_and_its_echo_is_dropped() -> Result<()> {
    for flavor in [Redis62, Redis70] {
        let regions = Regions::start(flavor, flavor).await?;
        let daemon = regions.daemon(duet()).await?;
        let (west, east) = regions.clients().await?;
        let total = Counted::new("w").write(&west, 2_000).await?;
        Counted::new("e").write(&east, 2_000).await?;
        regions.wait_equal().await?;
        let both = |client: Client| async move {
            anyhow::Ok((Counted::new("w").totals(&client).await?, Counted::new("e").totals(&client).await?))
        };
        ensure!(both(west).await? == (total, total) && both(east).await? == (total, total));
        let dropped = |status: &serde_json::Value| {
            let links = status["links"].as_array();
            links.is_some_and(|links| links.iter().all(|link| link["echoes_dropped"].as_u64() > Some(0)))
        };
        daemon.wait_for("echoes to be dropped", DEADLINE, dropped).await?;
        regions.wait_acknowledged().await?;
        let status = daemon.status().await?;
        for link in status["links"].as_array().into_iter().flatten() {
            ensure!(link["writes_applied"] == 6_000, "6,000 writes a side, neither more nor fewer: {link:#}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_write_without_effect_whose_marker_comes_back_alone_hides_nothing() -> Result<()> {
    for flavor in [Redis62, Redis70, Valkey91] {
        let regions = Regions::start(flavor, flavor).await?;
        let _daemon = regions.daemon(duet()).await?;
        let (west, east) = regions.clients().await?;
        // Deleted on both sides at once: what arrives second has no effect, and only its marker comes back.
        for n in 0..200 {
            west.run(&format!("SET k{n} 1")).await?;
        }
        regions.wait_equal().await?;
        for n in 0..200 {
            let (line, at_west, at_east) = (format!("DEL k{n}"), format!("INCR west{n}"), format!("INCR east{n}"));
            tokio::try_join!(west.run(&line), east.run(&line))?;
            tokio::try_join!(west.run(&at_west), east.run(&at_east))?;
        }
        regions.wait_equal().await?;
        ensure!(contents(&regions.west).await?.len() == 400);
    }
    Ok(())
}

#[tokio::test]
async fn the_reserved_prefix_is_never_copied() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let west = regions.west.client().await?;
    west.script("SET duet:from-before 1\nSET data 1").await?;
    let _daemon = regions.daemon(duet()).await?;
    west.script("SET duet:from-a-client 1\nSET more 1").await?;
    regions.wait_equal().await?;
    let east = regions.east.client().await?;
    ensure!(east.int("EXISTS duet:from-a-client duet:from-before").await? == 0);
    ensure!(east.int("EXISTS data more").await? == 2);
    let Value::Array(own) = east.run("KEYS duet:*").await? else { anyhow::bail!("KEYS answered something else") };
    ensure!(!own.is_empty(), "markers have the prefix {}", RESERVED.escape_ascii());
    Ok(())
}

#[tokio::test]
async fn sets_that_go_as_one_request_come_back_as_what_they_were() -> Result<()> {
    for flavor in [Redis62, Redis70, Valkey91] {
        let regions = Regions::start(flavor, flavor).await?;
        let (west, east) = regions.clients().await?;
        // What a SET does to a key of another type, and to a time to live, is done to each key of a joined one.
        west.run("RPUSH k7 a b").await?;
        let daemon = regions.daemon(duet()).await?;
        west.run("SET k8 old EX 1000").await?;
        // A client's write in the other region, for what comes back to meet.
        east.run("SET k9 east").await?;
        regions.wait_equal().await?;
        west.run("MULTI").await?;
        for number in 0..100 {
            west.run(&format!("SET k{number} {number}")).await?;
        }
        west.run("mset k1 one k2 two").await?;
        west.run("EXEC").await?;
        regions.settle(&daemon, DEADLINE).await?;
        ensure!(east.text("GET k1").await? == "one" && east.text("GET k7").await? == "7", "{flavor:?}");
        ensure!(east.int("TTL k8").await? == -1, "{flavor:?}: a SET takes the time to live away");
        let calls = east.info("commandstats", "cmdstat_mset").await?.context("no MSET was executed")?;
        // 100 SETs in four, and the client's own.
        ensure!(calls.starts_with("calls=5,"), "{flavor:?}: {calls}");
        let status = daemon.status().await?;
        let conflicts = &status["conflicts"];
        ensure!(
            ["replayed", "dropped", "reconciled"].iter().all(|kind| conflicts[kind] == 0),
            "{flavor:?}: {conflicts}"
        );
        ensure!(status["links"][0]["set_aside"] == 0 && status["links"][1]["set_aside"] == 0, "{flavor:?}: {status}");
    }
    Ok(())
}
