//! What happens between the daemon and a region.

use super::Scene;
use anyhow::{Context, Result};
use duet_chaos::proxy::Direction;
use std::time::Duration;

/// Between two cuts.
const PAUSE: Duration = Duration::from_millis(400);
/// The slow way, in bytes per second.
const SLOW: u64 = 1_024;
/// By how much a piece may be late.
const JITTER: Duration = Duration::from_millis(300);

pub(super) async fn reset(scene: &Scene) -> Result<()> {
    scene.begun();
    scene
        .again(PAUSE, async || {
            scene.region().proxy.cut();
            Ok(())
        })
        .await?;
    scene.healed();
    Ok(())
}

pub(super) async fn half_open(scene: &Scene) -> Result<()> {
    scene.region().proxy.blackhole();
    lasts_and_thaws(scene).await
}

pub(super) async fn late(scene: &Scene) -> Result<()> {
    scene.region().proxy.freeze_existing();
    lasts_and_thaws(scene).await
}

pub(super) async fn one_way(scene: &mut Scene) -> Result<()> {
    let direction = direction(scene);
    scene.note(format!("{direction:?}"));
    scene.region().proxy.blackhole_one_way(direction);
    lasts_and_thaws(scene).await
}

async fn lasts_and_thaws(scene: &Scene) -> Result<()> {
    scene.begun();
    scene.last().await;
    scene.healed();
    scene.region().proxy.thaw();
    Ok(())
}

pub(super) async fn slow(scene: &mut Scene) -> Result<()> {
    let direction = direction(scene);
    scene.note(format!("{direction:?}"));
    scene.region().proxy.throttle(direction, Some(SLOW));
    scene.begun();
    scene.last().await;
    scene.healed();
    scene.region().proxy.throttle(direction, None);
    Ok(())
}

pub(super) async fn jitter(scene: &Scene) -> Result<()> {
    scene.region().proxy.jitter(JITTER);
    scene.begun();
    scene.last().await;
    scene.healed();
    scene.region().proxy.jitter(Duration::ZERO);
    Ok(())
}

pub(super) async fn cut_frame(scene: &mut Scene) -> Result<()> {
    let mut rng = scene.rng.clone();
    scene.begun();
    scene
        .again(PAUSE, async || {
            let direction = if rng.bool() { Direction::ToServer } else { Direction::ToClient };
            scene.region().proxy.cut_after(direction, rng.u32(..2_000));
            Ok(())
        })
        .await?;
    scene.healed();
    Ok(())
}

pub(super) async fn link_down(scene: &Scene) -> Result<()> {
    let network = scene.world.network.as_ref().context("no network of its own")?;
    network.down(scene.strike.side, true)?;
    scene.begun();
    scene.last().await;
    scene.healed();
    network.down(scene.strike.side, false)
}

pub(super) async fn link_one_way(scene: &mut Scene) -> Result<()> {
    let there = scene.rng.bool();
    let network = scene.world.network.as_ref().context("no network of its own")?;
    let drop_packets = |drop: bool| {
        if there {
            network.drop_packets_there(scene.strike.side, drop)
        } else {
            network.drop_packets(scene.strike.side, drop)
        }
    };
    scene.note(if there { "from the daemon" } else { "to the daemon" }.to_owned());
    drop_packets(true)?;
    scene.begun();
    scene.last().await;
    scene.healed();
    drop_packets(false)
}

fn direction(scene: &mut Scene) -> Direction {
    if scene.rng.bool() { Direction::ToServer } else { Direction::ToClient }
}
