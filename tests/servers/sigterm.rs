//! SIGTERM: what was read is applied, and the process ends with 0 within 10 seconds.

use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::compare::differences;
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::load::{Counted, Mixed};
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::port::Port;
use duet_chaos::servers::Ending;
use duet_chaos::wait::eventually;
use std::time::{Duration, Instant};

const PROMISED: Duration = Duration::from_secs(10);

#[tokio::test]
async fn it_drains_ends_with_0_and_the_next_start_goes_on() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let mut daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    let loads = [Mixed::start(&regions.west, "w", 5_000).await?, Mixed::start(&regions.east, "e", 5_000).await?];
    for load in &loads {
        eventually("5,000 writes", DEADLINE, async || Ok((load.written() > 5_000).then_some(()))).await?;
    }
    let asked = Instant::now();
    let status = daemon.terminate().await?;
    ensure!(status.code() == Some(0) && asked.elapsed() < PROMISED, "{status} after {:?}", asked.elapsed());
    Counted::new("down").write(&west, 500).await?;
    for load in loads {
        load.stop().await?;
    }
    daemon.resume()?;
    daemon.wait_streaming(DEADLINE).await?;
    regions.wait_equal().await?;
    ensure!(Counted::new("down").totals(&east).await?.increments == 500);
    Ok(())
}

/// By how much the source's offset is ahead of the bytes that the daemon counts as read (it counts the dump too), when it
/// has read everything.
async fn ahead(west: &Client, daemon: &Daemon) -> Result<i64> {
    eventually("a moment with nothing on its way", DEADLINE, async || {
        let written = offset(west).await?;
        let acknowledged = west.text("INFO replication").await?.contains(&format!(",offset={written},"));
        let read = bytes_read(daemon).await?;
        Ok((acknowledged && offset(west).await? == written).then_some(written - read))
    })
    .await
}

async fn offset(west: &Client) -> Result<i64> {
    Ok(west.info("replication", "master_repl_offset").await?.context("no offset")?.parse()?)
}

async fn bytes_read(daemon: &Daemon) -> Result<i64> {
    daemon.link("forward").await?["bytes_read"].as_i64().context("no bytes_read")
}

#[tokio::test]
async fn what_was_read_is_applied_before_the_end() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    // Few heartbeats: there are moments between them in which nothing is on its way.
    let more = More { tables: "[heartbeat]\ninterval = \"2s\"\n".to_owned(), ..More::default() };
    let mut daemon = regions.daemon_with(duet(), &more).await?;
    let west = regions.west.client().await?;
    let ahead = ahead(&west, &daemon).await?;
    if let Some(proxy) = &regions.east_proxy {
        proxy.delay(Duration::from_secs(1));
    }
    Counted::new("w").write(&west, 2_000).await?;
    let written = offset(&west).await?;
    let all = async || Ok((bytes_read(&daemon).await? + ahead >= written).then_some(()));
    eventually("the daemon to read them", DEADLINE, all).await?;
    ensure!(daemon.terminate().await?.success());
    let found = differences(&regions.west, &regions.east).await?;
    ensure!(found.is_empty(), "{found:?}");
    Ok(())
}

#[tokio::test]
async fn it_ends_in_time_whatever_it_is_doing() -> Result<()> {
    // Nobody there; servers that do not answer any more; a full sync.
    let mut regions = Regions::start(Redis70, Redis70).await?;
    let unused = Port::free()?;
    let address = format!("127.0.0.1:{}", unused.number());
    let nobody = regions.config(&More::default()).replace(&regions.east.address(), &address);
    let mut connecting = Daemon::start(duet(), &nobody)?;
    eventually("it to try", DEADLINE, async || connecting.status().await.map(Some)).await?;
    ends_in_time(&mut connecting).await?;

    regions.west.client().await?.run("DEBUG POPULATE 500000 key 64").await?;
    let mut copying = Daemon::start(duet(), &regions.config(&More::default()))?;
    copying
        .wait_for("the full sync", DEADLINE, |status| status["links"][0]["full_sync"]["keys_done"].as_u64() > Some(0))
        .await?;
    ends_in_time(&mut copying).await?;

    regions.west.restart(Ending::NoSave).await?;
    regions.east.restart(Ending::NoSave).await?;
    let regions = regions.behind_proxies().await?;
    let mut silent = regions.daemon(duet()).await?;
    for proxy in [&regions.west_proxy, &regions.east_proxy].into_iter().flatten() {
        proxy.blackhole();
    }
    regions.west.client().await?.run("SET k 1").await?;
    ends_in_time(&mut silent).await
}

async fn ends_in_time(daemon: &mut Daemon) -> Result<()> {
    let asked = Instant::now();
    let status = daemon.terminate().await?;
    ensure!(status.code() == Some(0) && asked.elapsed() < PROMISED, "{status} after {:?}", asked.elapsed());
    Ok(())
}
