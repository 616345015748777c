//! A server that does not take what the daemon brings.

use super::Scene;
use anyhow::{Context, Result};
use duet_chaos::wait::eventually;
use std::fs::File;
use std::io::Write;
use std::time::Duration;

/// How long a save may take to be begun, and to end.
const SAVED: Duration = Duration::from_secs(30);

/// Runs a line, lets the fault last, runs the other one.
async fn between(scene: &Scene, first: &str, then: &str) -> Result<()> {
    scene.region().client().await?.run(first).await?;
    scene.begun();
    scene.last().await;
    scene.healed();
    scene.region().client().await?.run(then).await.map(drop)
}

pub(super) async fn out_of_memory(scene: &Scene) -> Result<()> {
    between(scene, "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0").await
}

pub(super) async fn too_few_replicas(scene: &Scene) -> Result<()> {
    between(scene, "CONFIG SET min-replicas-to-write 3", "CONFIG SET min-replicas-to-write 0").await
}

pub(super) async fn no_permission(scene: &Scene) -> Result<()> {
    scene.region().client().await?.run("ACL SETUSER duet -@write").await?;
    scene.begun();
    scene.last().await;
    scene.healed();
    scene.region().admit().await
}

pub(super) async fn wrong_password(scene: &mut Scene) -> Result<()> {
    let wrong = format!("another-{:016x}", scene.rng.u64(..));
    scene.world.keep_secret(&wrong);
    takes(scene, &wrong).await?;
    scene.begun();
    scene.last().await;
    scene.healed();
    scene.region().admit().await
}

/// First at the server, then in the file that the daemon reads: for a moment it is the wrong one.
pub(super) async fn password_rotated(scene: &mut Scene) -> Result<()> {
    let new = format!("rotated-{:016x}", scene.rng.u64(..));
    scene.world.keep_secret(&new);
    takes(scene, &new).await?;
    scene.begun();
    scene.region().duet_password_is(&new).await;
    scene.last().await;
    scene.healed();
    std::fs::write(scene.region().password_file(), new)?;
    Ok(())
}

/// The server takes this password from the daemon from now on, and asks for it.
async fn takes(scene: &Scene, password: &str) -> Result<()> {
    let client = scene.region().client().await?;
    client.run(&format!("ACL SETUSER duet resetpass >{password}")).await?;
    client.run("CLIENT KILL USER duet").await.map(drop)
}

/// A directory in the place of the dump: the save fails, and the server takes no writes.
pub(super) async fn cannot_save(scene: &Scene) -> Result<()> {
    let server = scene.region().server.lock().await;
    let in_the_way = server.dir().join("dump.rdb");
    // Of an earlier save; what counts is in the append-only file.
    if in_the_way.is_file() {
        std::fs::remove_file(&in_the_way)?;
    }
    std::fs::create_dir(&in_the_way)?;
    let client = server.client().await?;
    client.run("CONFIG SET save '3600 1'").await?;
    let saved = async |outcome: &str| {
        // It refuses while another child is there.
        eventually("a save to be begun", SAVED, async || client.run("BGSAVE").await.map(Some)).await?;
        let ended = async || {
            let status = client.info("persistence", "rdb_last_bgsave_status").await?;
            let busy = client.info("persistence", "rdb_bgsave_in_progress").await?;
            Ok((status.as_deref() == Some(outcome) && busy.as_deref() == Some("0")).then_some(()))
        };
        eventually(&format!("a save to end with {outcome}"), SAVED, ended).await
    };
    saved("err").await?;
    scene.begun();
    scene.last().await;
    scene.healed();
    std::fs::remove_dir(&in_the_way)?;
    saved("ok").await?;
    client.run("CONFIG SET save ''").await.map(drop)
}

/// A file takes all that is left of the server's disk.
pub(super) async fn disk_full(scene: &Scene) -> Result<()> {
    let Some(disk) = scene.region().disk().await else {
        scene.note("the server that took over has no disk of its own".to_owned());
        return Ok(());
    };
    let ballast = disk.join("ballast");
    let mut file = File::create(&ballast).context("no ballast")?;
    let (mut piece, mut written) = (vec![0; 1 << 20], 0_u64);
    while !piece.is_empty() {
        match file.write(&piece) {
            Ok(count @ 1..) => written += count as u64,
            Ok(0) | Err(_) => piece.truncate(piece.len() / 2),
        }
    }
    scene.note(format!("{written} bytes filled it"));
    scene.begun();
    scene.last().await;
    scene.healed();
    std::fs::remove_file(&ballast)?;
    Ok(())
}
