//! The reverse link copies increments only, and misses none that the target's clients write from the start on.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::compare::{Contents, compare, contents};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::servers::Server;
use duet_chaos::wait::eventually;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Backlog {
    None,
    FromAnEarlierReplica,
}

/// Gives a server a backlog: it has one from its first replica on.
async fn attach_a_replica(server: &Server) -> Result<()> {
    let replica = Server::start(server.flavor(), &[]).await?;
    let client = replica.client().await?;
    client.run(&format!("REPLICAOF 127.0.0.1 {}", server.port())).await?;
    eventually("the replica", DEADLINE, async || {
        let state = client.info("replication", "master_link_status").await?;
        Ok((state.as_deref() == Some("up")).then_some(()))
    })
    .await
}

/// A client of the target that writes a new key with each step, and says in each which phase it saw.
async fn write_until(client: Client, streaming: Arc<AtomicBool>, ended: Arc<AtomicBool>) -> Result<u64> {
    let mut number = 0;
    while !ended.load(Ordering::SeqCst) {
        let phase = if streaming.load(Ordering::SeqCst) { "after" } else { "during" };
        client.script(&format!("SET {phase}:{number} {number}\nRPUSH {phase}:list {number}")).await?;
        number += 1;
    }
    Ok(number)
}

async fn misses_nothing(west: Flavor, east: Flavor, backlog: Backlog) -> Result<()> {
    let regions = Regions::start(west, east).await?;
    let (at_west, at_east) = regions.clients().await?;
    at_west.run("DEBUG POPULATE 150000 key 64").await?;
    at_east.run("DEBUG POPULATE 20000 before 64").await?;
    if backlog == Backlog::FromAnEarlierReplica {
        attach_a_replica(&regions.east).await?;
    }
    let (streaming, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let daemon = Daemon::start(duet(), &regions.config(&More::default()))?;
    // From here on, no write of the target may be missed.
    let fixed = |status: &serde_json::Value| {
        ["full_sync", "streaming"].iter().any(|state| status["links"][0]["state"] == *state)
    };
    daemon.wait_for("the full sync", DEADLINE, fixed).await?;
    let writer = tokio::spawn(write_until(at_east.clone(), Arc::clone(&streaming), Arc::clone(&ended)));
    daemon.wait_streaming(DEADLINE).await?;
    streaming.store(true, Ordering::SeqCst);
    let after = async || Ok((at_east.int("LLEN after:list").await? > 500).then_some(()));
    eventually("writes after the full sync", DEADLINE, after).await?;
    ended.store(true, Ordering::SeqCst);
    writer.await??;
    let without_before = |contents: Contents| -> Contents {
        contents.into_iter().filter(|((_, key), _)| !key.starts_with(b"before:")).collect()
    };
    eventually("both regions to be equal", DEADLINE, async || {
        let left = without_before(contents(&regions.west).await?);
        let found = compare(&left, &without_before(contents(&regions.east).await?));
        ensure!(found.is_empty(), "{} differences: {:?}", found.len(), &found[..found.len().min(10)]);
        Ok(Some(()))
    })
    .await?;
    ensure!(at_west.int("LLEN during:list").await? > 0, "nothing was written during the full sync");
    ensure!(at_west.int("EXISTS before:0").await? == 0 && at_east.int("EXISTS before:0").await? == 1);
    Ok(())
}

#[tokio::test]
async fn redis_62_without_backlog() -> Result<()> {
    misses_nothing(Redis62, Redis62, Backlog::None).await
}

#[tokio::test]
async fn redis_62_with_backlog() -> Result<()> {
    misses_nothing(Redis62, Redis62, Backlog::FromAnEarlierReplica).await
}

#[tokio::test]
async fn redis_70_without_backlog() -> Result<()> {
    misses_nothing(Redis70, Redis70, Backlog::None).await
}

#[tokio::test]
async fn redis_70_with_backlog() -> Result<()> {
    misses_nothing(Redis70, Redis70, Backlog::FromAnEarlierReplica).await
}

#[tokio::test]
async fn valkey_91_without_backlog() -> Result<()> {
    misses_nothing(Redis62, Valkey91, Backlog::None).await
}

#[tokio::test]
async fn the_reverse_link_asks_for_no_dump_where_the_server_can_do_without() -> Result<()> {
    for (east, backlog) in
        [(Redis70, Backlog::None), (Valkey91, Backlog::None), (Redis62, Backlog::FromAnEarlierReplica)]
    {
        let regions = Regions::start(Redis70, east).await?.behind_proxies().await?;
        let (_, at_east) = regions.clients().await?;
        at_east.run("DEBUG POPULATE 100000 before 1000").await?;
        if backlog == Backlog::FromAnEarlierReplica {
            attach_a_replica(&regions.east).await?;
        }
        let _daemon = regions.daemon(duet()).await?;
        let received = regions.east_proxy.as_ref().map(|proxy| proxy.bytes(duet_chaos::proxy::Direction::ToClient));
        ensure!(received < Some(10_000_000), "{east:?} sent {received:?} bytes: the data are 100 MB");
    }
    Ok(())
}
