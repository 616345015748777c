//! A replica takes over in one region, and lacks the last writes there: the regions end equal.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::load::Counted;
use duet_chaos::pair::{DEADLINE, Regions};
use duet_chaos::proxy::Proxy;
use duet_chaos::servers::Server;
use duet_chaos::wait::eventually;

/// Which region's server is replaced.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Replaced {
    West,
    East,
}

/// A replica of `primary` that has everything.
async fn replica_of(flavor: Flavor, primary: &Server) -> Result<(Server, Client)> {
    let replica = Server::start(flavor, &[]).await?;
    let client = replica.client().await?;
    client.run(&format!("REPLICAOF 127.0.0.1 {}", primary.port())).await?;
    let (of, has) = (primary.client().await?, client.clone());
    let synchronized = async || {
        let info = has.text("INFO replication").await?;
        let online = info.contains("master_link_status:up");
        Ok((online && of.int("WAIT 1 100").await? >= 1 && has.int("EXISTS before").await? == 1).then_some(()))
    };
    eventually("the replica to have everything", DEADLINE, synchronized).await?;
    Ok((replica, client))
}

/// Replaces a server by a replica that lacks what was written in both regions at the end, though the other region may have
/// executed it.
async fn lags(flavor: Flavor, replaced: Replaced) -> Result<()> {
    let mut regions = Regions::start(flavor, flavor).await?.behind_proxies().await?;
    let daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    let (old, other) = if replaced == Replaced::West { (&west, &east) } else { (&east, &west) };
    old.script("SET before 1\nHSET hash a 1 b 2\nSET text old\nRPUSH list 1").await?;
    Counted::new("o").write(other, 50).await?;
    regions.wait_equal().await?;
    let primary = if replaced == Replaced::West { &regions.west } else { &regions.east };
    let (replica, new) = replica_of(flavor, primary).await?;
    new.run("REPLICAOF NO ONE").await?;
    // This is lost, and the other region has it; what that one wrote is lost here only.
    old.script("SET lost 1\nHDEL hash a\nSET text lost\nRPUSH list lost\nDEL before").await?;
    Counted::new("o").write(other, 50).await?;
    regions.wait_equal().await?;
    let proxy = if replaced == Replaced::West { &mut regions.west_proxy } else { &mut regions.east_proxy };
    let listen = proxy.as_ref().map(|proxy| proxy.address().to_string()).unwrap_or_default();
    drop(proxy.take());
    // Clients of both regions go on at once.
    new.script("HSET hash c 3\nRPUSH list 2").await?;
    other.script("HSET hash d 4\nINCR n").await?;
    *proxy = Some(Proxy::start_at(&listen, &replica.address()).await?);
    let retired =
        std::mem::replace(if replaced == Replaced::West { &mut regions.west } else { &mut regions.east }, replica);
    daemon.wait_streaming(DEADLINE).await?;
    Counted::new("o").write(other, 20).await?;
    regions.wait_equal().await?;
    drop(retired);
    for client in [&new, other] {
        ensure!(client.int("EXISTS lost").await? == 0 && client.int("EXISTS before").await? == 1, "{replaced:?}");
        ensure!(client.int("HEXISTS hash a").await? == 1 && client.int("HLEN hash").await? == 4, "{replaced:?}");
        ensure!(client.text("GET text").await? == "old" && client.int("GET n").await? == 1, "{replaced:?}");
        ensure!(client.int("LLEN list").await? == 2, "{replaced:?}");
        let totals = Counted::new("o").totals(client).await?;
        ensure!([totals.increments, totals.pushes, totals.additions] == [120; 3], "{replaced:?}: {totals:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_replica_that_lags_takes_over_at_the_source_of_the_forward_link() -> Result<()> {
    for flavor in [Redis62, Redis70, Valkey91] {
        lags(flavor, Replaced::West).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_replica_that_lags_takes_over_at_the_target_of_the_forward_link() -> Result<()> {
    for flavor in [Redis62, Redis70, Valkey91] {
        lags(flavor, Replaced::East).await?;
    }
    Ok(())
}
