//! A transaction that arrives late from a connection already given up, and a second daemon on the same pair.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::load::{Counted, Totals};
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::proxy::{Direction, Proxy};
use duet_chaos::wait::eventually;
use serde_json::Value;

fn exact(rounds: u64) -> Totals {
    Totals { increments: rounds, pushes: rounds, additions: rounds }
}

/// Freezes the daemon's connections to `frozen` with transactions on them, kills and resumes the daemon, and lets the
/// frozen bytes go when it has caught up.
async fn changes_nothing_twice(flavor: Flavor) -> Result<()> {
    let regions = Regions::start(flavor, flavor).await?.behind_proxies().await?;
    let mut daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    let (Some(to_west), Some(to_east)) = (&regions.west_proxy, &regions.east_proxy) else { unreachable!() };
    for turn in 1..=3 {
        let passed = [to_west, to_east].map(|proxy| proxy.bytes(Direction::ToServer));
        to_west.freeze_existing();
        to_east.freeze_existing();
        Counted::new("w").write(&west, 200).await?;
        Counted::new("e").write(&east, 200).await?;
        // What the daemon had read before the freeze, or reads from its other region, waits in the frozen connections.
        ensure!(passed.iter().all(|bytes| *bytes > 0));
        daemon.kill9()?;
        daemon.resume()?;
        daemon.wait_streaming(DEADLINE).await?;
        for client in [&west, &east] {
            for name in ["w", "e"] {
                let all = async || Ok((Counted::new(name).totals(client).await? == exact(turn * 200)).then_some(()));
                eventually("exact totals before the late bytes", DEADLINE, all).await?;
            }
        }
        thaw(to_west).await?;
        thaw(to_east).await?;
        Counted::new("west-probe").write(&west, 1).await?;
        Counted::new("east-probe").write(&east, 1).await?;
        regions.wait_equal().await?;
        for client in [&west, &east] {
            for name in ["w", "e"] {
                let totals = Counted::new(name).totals(client).await?;
                ensure!(totals == exact(turn * 200), "{name} after the late bytes: {totals:?}");
            }
        }
    }
    Ok(())
}

/// Delivers what was frozen and waits until the connections that it was on are gone.
async fn thaw(proxy: &Proxy) -> Result<()> {
    proxy.thaw();
    // The daemon of now has two connections at most to apply and to read, and some for its heartbeat.
    eventually("the old connections to end", DEADLINE, async || Ok((proxy.open() <= 8).then_some(()))).await
}

#[tokio::test]
async fn late_transactions_change_nothing_twice_on_redis_62() -> Result<()> {
    changes_nothing_twice(Redis62).await
}

#[tokio::test]
async fn late_transactions_change_nothing_twice_on_redis_70() -> Result<()> {
    changes_nothing_twice(Redis70).await
}

#[tokio::test]
async fn late_transactions_change_nothing_twice_on_valkey_91() -> Result<()> {
    changes_nothing_twice(Valkey91).await
}

#[tokio::test]
async fn transactions_frozen_on_their_way_are_delivered_late_to_the_target_alone() -> Result<()> {
    // Only the way to the target freezes, so that the daemon reads from the source and fills the frozen connection.
    let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    let mut daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    let (Some(to_west), Some(to_east)) = (&regions.west_proxy, &regions.east_proxy) else { unreachable!() };
    for turn in 1..=4 {
        to_east.freeze_existing();
        let read = to_west.bytes(Direction::ToClient);
        Counted::new("w").write(&west, 300).await?;
        let arrived = async || Ok((to_west.bytes(Direction::ToClient) > read + 40_000).then_some(()));
        eventually("the daemon to read them", DEADLINE, arrived).await?;
        daemon.kill9()?;
        daemon.resume()?;
        let all = async || Ok((Counted::new("w").totals(&east).await? == exact(turn * 300)).then_some(()));
        eventually("exact totals before the late bytes", DEADLINE, all).await?;
        thaw(to_east).await?;
        regions.wait_equal().await?;
        let totals = Counted::new("w").totals(&east).await?;
        ensure!(totals == exact(turn * 300), "after the late bytes: {totals:?}");
    }
    Ok(())
}

#[tokio::test]
async fn of_two_daemons_on_one_pair_the_older_stops_and_says_so() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let mut older = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    let writers = [(west.clone(), "w"), (east.clone(), "e")].map(|(client, name)| {
        tokio::spawn(async move {
            for _ in 0..40 {
                Counted::new(name).write(&client, 500).await?;
            }
            anyhow::Ok(())
        })
    });
    let newer = Daemon::start(duet(), &regions.config(&More::default()))?;
    newer.wait_streaming(DEADLINE).await?;
    let gave_way = |status: &Value| {
        let says_so = |link: &Value| {
            let reason = link["reason"].to_string().to_lowercase();
            link["state"] != "streaming"
                && ["another", "second", "other", "newer"].iter().any(|word| reason.contains(word))
        };
        status["links"].as_array().is_some_and(|links| links.iter().all(says_so))
    };
    older.wait_for("the older daemon to give way, and to say so", DEADLINE, gave_way).await?;
    for writer in writers {
        writer.await??;
    }
    regions.wait_equal().await?;
    for client in [&west, &east] {
        for name in ["w", "e"] {
            let totals = Counted::new(name).totals(client).await?;
            ensure!(totals == exact(20_000), "{name}: {totals:?}");
        }
    }
    ensure!(older.is_running()?, "it says so for as long as somebody may ask");
    newer.wait_streaming(DEADLINE).await
}

#[tokio::test]
async fn of_two_daemons_that_start_at_once_one_stays_with_both_links() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    regions.daemon(duet()).await?.kill9()?;
    let (west, east) = regions.clients().await?;
    for turn in 1..=12 {
        let config = regions.config(&More::default());
        let mut daemons = [Daemon::start(duet(), &config)?, Daemon::start(duet(), &config)?];
        let one_of_them = async || {
            let mut ready = 0;
            for daemon in &daemons {
                ready += usize::from(daemon.get("/readyz").await.is_ok_and(|answer| answer.code == 200));
            }
            Ok((ready == 1).then_some(()))
        };
        eventually("one of two daemons to be ready", DEADLINE, one_of_them).await?;
        Counted::new("w").write(&west, 10).await?;
        regions.wait_equal().await?;
        for client in [&west, &east] {
            let totals = Counted::new("w").totals(client).await?;
            ensure!(totals == exact(turn * 10), "turn {turn}: {totals:?}");
        }
        for daemon in &mut daemons {
            daemon.kill9()?;
        }
    }
    Ok(())
}
