//! The network between the daemon and its servers: cuts, half frames, silence.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70};
use duet_chaos::load::{Counted, Mixed};
use duet_chaos::pair::{DEADLINE, Regions};
use duet_chaos::proxy::{Direction, Proxy};
use duet_chaos::wait::eventually;
use std::time::Duration;

fn proxies(regions: &Regions) -> Vec<&Proxy> {
    [&regions.west_proxy, &regions.east_proxy].into_iter().flatten().collect()
}

/// Writes on both sides while `disturb` is called `times` times, each time after both links stream again.
async fn ends_exact(flavor: Flavor, times: u32, disturb: impl Fn(u32, &Proxy)) -> Result<()> {
    // A backlog that reaches back over every cut: what is promised where it does not is another matter (`overrun`).
    let backlog = ["--repl-backlog-size", "256mb"];
    let regions = Regions::start_with((flavor, &backlog), (flavor, &backlog)).await?.behind_proxies().await?;
    let daemon = regions.daemon(duet()).await?;
    let loads = [Mixed::start(&regions.west, "w", 3_000).await?, Mixed::start(&regions.east, "e", 3_000).await?];
    let (west, east) = regions.clients().await?;
    let mut expected = 0;
    for turn in 0..times {
        for proxy in proxies(&regions) {
            let connections = proxy.connections();
            disturb(turn, proxy);
            Counted::new("w").write(&west, 300).await?;
            Counted::new("e").write(&east, 300).await?;
            expected += 300;
            let came_back = async || Ok((proxy.connections() > connections).then_some(()));
            eventually("the daemon to connect again", DEADLINE, came_back).await?;
            daemon.wait_streaming(DEADLINE).await?;
        }
    }
    for load in loads {
        load.stop().await?;
    }
    regions.wait_equal().await?;
    for client in [west, east] {
        for name in ["w", "e"] {
            let totals = Counted::new(name).totals(&client).await?;
            ensure!([totals.increments, totals.pushes, totals.additions] == [expected; 3], "{name}: {totals:?}");
        }
    }
    ensure!(daemon.link("forward").await?["reconnects"].as_u64() > Some(0));
    Ok(())
}

#[tokio::test]
async fn cut_connections_lose_and_repeat_nothing() -> Result<()> {
    for flavor in [Redis62, Redis70] {
        ends_exact(flavor, 4, |_, proxy| proxy.cut()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_frame_cut_in_half_is_neither_lost_nor_repeated() -> Result<()> {
    ends_exact(Redis70, 6, |turn, proxy| {
        let way = if turn % 2 == 0 { Direction::ToServer } else { Direction::ToClient };
        proxy.cut_after(way, fastrand::u32(1..5_000));
    })
    .await
}

#[tokio::test]
async fn a_region_that_cannot_be_reached_for_a_while_catches_up() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    let daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    for proxy in proxies(&regions) {
        proxy.refuse(true);
        proxy.cut();
        let down = |status: &serde_json::Value| {
            let links = status["links"].as_array();
            let states = links.into_iter().flatten().filter(|link| link["state"] != "streaming");
            states.filter(|link| link["reason"].is_string()).count() > 0
        };
        daemon.wait_for("a link to say that it is down", DEADLINE, down).await?;
        ensure!(daemon.get("/readyz").await?.code == 503);
        Counted::new("w").write(&west, 2_000).await?;
        Counted::new("e").write(&east, 2_000).await?;
        proxy.refuse(false);
        daemon.wait_streaming(DEADLINE).await?;
        regions.wait_equal().await?;
    }
    ensure!(Counted::new("w").totals(&east).await?.increments == 4_000);
    Ok(())
}

#[tokio::test]
async fn a_link_that_is_connected_but_does_not_move_is_shown_within_two_heartbeats_and_a_bit() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    let daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    for proxy in proxies(&regions) {
        proxy.blackhole();
        let seen = async || Ok((daemon.get("/readyz").await?.code == 503).then_some(()));
        eventually("the standstill to be shown", Duration::from_millis(2_000), seen).await?;
        Counted::new("w").write(&west, 500).await?;
        Counted::new("e").write(&east, 500).await?;
        proxy.thaw();
        let ready = async || Ok((daemon.get("/readyz").await?.code == 200).then_some(()));
        eventually("both links to move again", DEADLINE, ready).await?;
        regions.wait_equal().await?;
    }
    ensure!(Counted::new("e").totals(&west).await?.increments == 1_000);
    Ok(())
}

#[tokio::test]
async fn a_long_way_is_no_wrong_way() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    proxies(&regions).iter().for_each(|proxy| proxy.delay(Duration::from_millis(40)));
    let daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    let (at_west, at_east) = (Counted::new("w"), Counted::new("e"));
    tokio::try_join!(at_west.write(&west, 20_000), at_east.write(&east, 20_000))?;
    regions.wait_equal().await?;
    // The last heartbeat that came through may be one that waited behind all the writes.
    let caught_up = |status: &serde_json::Value| status["links"][0]["lag_ms"].as_f64().is_some_and(|lag| lag < 5_000.0);
    let status = daemon.wait_for("the lag of a pair that has caught up", DEADLINE, caught_up).await?;
    let lag = status["links"][0]["lag_ms"].as_f64();
    ensure!(lag > Some(40.0), "lag over 40 ms each way: {lag:?}");
    Ok(())
}
