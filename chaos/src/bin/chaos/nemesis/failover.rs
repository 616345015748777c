//! A replica takes over, and the old primary comes back as its replica.

use super::Scene;
use crate::region::Region;
use anyhow::{Context, Result};
use duet_chaos::servers::{Ending, Server};
use duet_chaos::wait::eventually;
use std::time::{Duration, Instant};

/// How long a replica may take to have everything.
const SYNCHRONIZED: Duration = Duration::from_secs(60);
/// For how long the old primary takes writes that the new one will lack.
const TAIL: Duration = Duration::from_millis(1_500);

/// The replica has all that was acknowledged: the old primary takes no writes any more when it takes over.
pub(super) async fn whole(scene: &Scene) -> Result<()> {
    let region = scene.region();
    let replica = replica_of(region, &*region.server.lock().await).await?;
    scene.begun();
    region.client().await?.run("CLIENT PAUSE 5000 WRITE").await?;
    has_everything(region).await?;
    replica.client().await?.run("REPLICAOF NO ONE").await?;
    let old = region.replace(replica).await;
    retire(scene, old).await
}

/// The replica is cut off, and takes over later: of what was written in between, it has nothing.
pub(super) async fn lossy(scene: &Scene) -> Result<()> {
    let region = scene.region();
    let replica = replica_of(region, &*region.server.lock().await).await?;
    let since = Instant::now();
    has_everything(region).await?;
    scene.begun();
    replica.client().await?.run("REPLICAOF NO ONE").await?;
    tokio::time::sleep(TAIL).await;
    let door = region.door.write().await;
    let mut old = region.replace(replica).await;
    old.stop(Ending::Kill).await?;
    scene.notes.ledger().lost(scene.strike.side, since);
    drop(door);
    retire(scene, old).await
}

/// A new replica of this primary, which is online.
async fn replica_of(region: &Region, primary: &Server) -> Result<Server> {
    let replica = region.another_server().await?;
    follow(&replica, primary.port()).await?;
    Ok(replica)
}

async fn follow(replica: &Server, port: u16) -> Result<()> {
    let client = replica.client().await?;
    client.run(&format!("REPLICAOF 127.0.0.1 {port}")).await?;
    let online = async || {
        let status = client.info("replication", "master_link_status").await?;
        Ok((status.as_deref() == Some("up")).then_some(()))
    };
    eventually("a replica to be online", SYNCHRONIZED, online).await
}

/// Waits until all that was acknowledged before the call is at a replica of ours: the one that is no daemon.
async fn has_everything(region: &Region) -> Result<()> {
    let client = region.client().await?;
    let written = client.info("replication", "master_repl_offset").await?.context("no offset")?;
    let written: u64 = written.parse()?;
    let there = async || {
        let replicas = client.text("INFO replication").await?;
        // A daemon names no port.
        let real = replicas.lines().filter(|line| line.starts_with("slave") && !line.contains("port=0,"));
        let mut offsets = real.filter_map(|line| {
            line.split(',').find_map(|field| field.strip_prefix("offset="))?.trim().parse::<u64>().ok()
        });
        Ok(offsets.any(|offset| offset >= written).then_some(()))
    };
    eventually("a replica to have everything", SYNCHRONIZED, there).await
}

/// The old primary dies; it comes back, without anybody, as a replica of the new one.
async fn retire(scene: &Scene, mut old: Server) -> Result<()> {
    old.stop(Ending::Kill).await?;
    scene.region().admit().await?;
    scene.last().await;
    scene.healed();
    old.resume().await?;
    let port = scene.region().server.lock().await.port();
    follow(&old, port).await
}
