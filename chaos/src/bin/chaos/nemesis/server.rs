//! What happens to a server's process.

use super::Scene;
use crate::region::copy_saved;
use anyhow::Result;
use duet_chaos::daemon::{Signal, get};
use duet_chaos::servers::Ending;
use duet_chaos::wait::eventually;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a region without data may take to be filled.
const FILLED: Duration = Duration::from_secs(90);

pub(super) async fn kill(scene: &Scene) -> Result<()> {
    let mut server = scene.region().server.lock().await;
    server.stop(Ending::Kill).await?;
    scene.begun();
    scene.last().await;
    scene.healed();
    server.resume().await?;
    scene.region().admit().await
}

pub(super) async fn restart(scene: &Scene) -> Result<()> {
    let mut server = scene.region().server.lock().await;
    scene.begun();
    server.restart(Ending::Save).await?;
    scene.healed();
    scene.region().admit().await
}

/// Its clients are let in when it holds what the other region holds: whoever writes to an empty region makes two out of one.
pub(super) async fn empty(scene: &Scene) -> Result<()> {
    let region = scene.region();
    let door = region.door.write().await;
    let mut server = region.server.lock().await;
    server.stop(Ending::Kill).await?;
    server.forget()?;
    scene.begun();
    scene.notes.ledger().lost(scene.strike.side, scene.notes.since);
    scene.last().await;
    scene.healed();
    server.resume().await?;
    region.admit().await?;
    let http = &scene.world.http;
    let ready = async || Ok((get(http, "/readyz").await?.code == 200).then_some(()));
    if let Err(error) = eventually("the region to be filled", FILLED, ready).await {
        scene.note(format!("{error:#}"));
    }
    drop(door);
    Ok(())
}

/// As a backup that is put back: what its clients wrote since then is gone there.
pub(super) async fn old(scene: &Scene) -> Result<()> {
    let region = scene.region();
    let mut server = region.server.lock().await;
    let backup = TempDir::with_prefix("duet-chaos-backup-")?;
    let since = Instant::now();
    copy_saved(server.dir(), backup.path())?;
    scene.begun();
    scene.last().await;
    let door = region.door.write().await;
    server.stop(Ending::Kill).await?;
    server.forget()?;
    copy_saved(backup.path(), server.dir())?;
    scene.healed();
    server.resume().await?;
    region.admit().await?;
    scene.notes.ledger().lost(scene.strike.side, since);
    drop(door);
    Ok(())
}

pub(super) async fn stop(scene: &Scene) -> Result<()> {
    let server = scene.region().server.lock().await;
    server.signal(Signal::SIGSTOP)?;
    scene.begun();
    scene.last().await;
    scene.healed();
    server.signal(Signal::SIGCONT)
}

pub(super) async fn pause(scene: &Scene) -> Result<()> {
    let client = scene.region().client().await?;
    client.run(&format!("CLIENT PAUSE {}", scene.strike.lasts.as_millis())).await?;
    scene.begun();
    scene.last().await;
    scene.healed();
    Ok(())
}

pub(super) async fn busy(scene: &Scene) -> Result<()> {
    let client = scene.region().client().await?;
    scene.begun();
    client.run(&format!("DEBUG SLEEP {:.1}", scene.strike.lasts.as_secs_f64())).await?;
    scene.healed();
    Ok(())
}
