//! What takes a link's position away.

use super::Scene;
use anyhow::Result;
use duet_chaos::client::Client;
use duet_chaos::proxy::Direction;
use std::time::Duration;

/// The small backlog: the least that servers take.
const SMALL: &str = "CONFIG SET repl-backlog-size 16384";
const USUAL: &str = "CONFIG SET repl-backlog-size 67108864";
/// Values that fill it, of this many bytes.
const VALUE: usize = 4_096;
/// Keys that they are written to.
const KEYS: usize = 50;

pub(super) async fn backlog_small(scene: &Scene) -> Result<()> {
    let mut daemon = scene.world.daemon.lock().await;
    let client = scene.region().client().await?;
    daemon.kill9()?;
    scene.begun();
    client.run(SMALL).await?;
    write_much(scene, &client, 4).await?;
    scene.last().await;
    scene.healed();
    daemon.resume()?;
    // While the daemon looks for its position the backlog is still small.
    tokio::time::sleep(Duration::from_secs(1)).await;
    client.run(USUAL).await.map(drop)
}

/// Nobody can go on: both links must be held, and wait for the operator, who acts when the round has calmed down.
pub(super) async fn both_backlogs_small(scene: &Scene) -> Result<()> {
    let mut daemon = scene.world.daemon.lock().await;
    let (west, east) = tokio::try_join!(scene.world.regions[0].client(), scene.world.regions[1].client())?;
    daemon.kill9()?;
    for client in [&west, &east] {
        client.run(SMALL).await?;
        write_much(scene, client, 4).await?;
    }
    daemon.resume()?;
    scene.begun();
    scene.last().await;
    scene.healed();
    for client in [&west, &east] {
        client.run(USUAL).await?;
    }
    Ok(())
}

/// The daemon reads slowly, and the region writes more than the server keeps for it.
pub(super) async fn output_limit(scene: &Scene) -> Result<()> {
    let client = scene.region().client().await?;
    // Redis 7 keeps as much as the backlog holds, whatever the limit is.
    client.script(&format!("{SMALL}\nCONFIG SET client-output-buffer-limit 'replica 65536 32768 1'")).await?;
    scene.region().proxy.throttle(Direction::ToClient, Some(20_000));
    scene.begun();
    scene.again(Duration::from_millis(500), async || write_much(scene, &client, 1).await).await?;
    scene.healed();
    scene.region().proxy.throttle(Direction::ToClient, None);
    client.script(&format!("{USUAL}\nCONFIG SET client-output-buffer-limit 'replica 268435456 67108864 60'")).await
}

async fn write_much(scene: &Scene, client: &Client, times: usize) -> Result<()> {
    for _ in 0..times {
        let set = |number: usize| {
            vec![
                "SET".to_owned(),
                format!("bulk:{}:{number}", scene.strike.side),
                format!("{:016x}", scene.strike.dice).repeat(VALUE / 16),
            ]
        };
        client.pipeline(&(0..KEYS).map(set).collect::<Vec<_>>()).await?;
    }
    Ok(())
}

/// A client plays with the daemon's own keys.
pub(super) async fn marker_deleted(scene: &mut Scene) -> Result<()> {
    let client = scene.region().client().await?;
    let (here, other) = (scene.strike.side, scene.strike.side.other());
    let mut rng = scene.rng.clone();
    scene.begun();
    scene
        .again(Duration::from_millis(500), async || {
            let line = match rng.u8(..6) {
                0 => format!("DEL duet:orders:marker:{other}"),
                1 => format!("DEL duet:orders:gate:{other}"),
                2 => format!("DEL duet:orders:epoch:{other}"),
                3 => format!("DEL duet:orders:heartbeat:{here} duet:orders:heartbeat:{other}"),
                4 => format!("SET duet:orders:heartbeat:{here} yesterday"),
                _ => "SET duet:other:marker:west duet1".to_owned(),
            };
            client.run(&line).await.map(drop)
        })
        .await?;
    scene.healed();
    client.run("DEL duet:other:marker:west").await.map(drop)
}
