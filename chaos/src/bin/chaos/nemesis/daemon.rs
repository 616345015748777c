//! What happens to the daemon's process.

use super::Scene;
use anyhow::{Result, ensure};
use duet_chaos::daemon::{Daemon, Signal, get};
use duet_chaos::port::Port;
use duet_chaos::wait::eventually;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Of this long a starved daemon runs ...
const RUNS: Duration = Duration::from_millis(20);
/// ... and stands still for so long.
const STANDS: Duration = Duration::from_millis(180);
/// How long the older of two daemons may take to give way, where nothing else goes wrong.
const GIVES_WAY: Duration = Duration::from_secs(20);

pub(super) async fn kill(scene: &Scene) -> Result<()> {
    let mut daemon = scene.world.daemon.lock().await;
    daemon.kill9()?;
    scene.begun();
    scene.last().await;
    scene.healed();
    daemon.resume()
}

pub(super) async fn stop(scene: &Scene) -> Result<()> {
    let daemon = scene.world.daemon.lock().await;
    daemon.signal(Signal::SIGSTOP)?;
    scene.begun();
    scene.last().await;
    scene.healed();
    daemon.signal(Signal::SIGCONT)
}

/// Three times in a row, as a service manager in a loop.
pub(super) async fn term(scene: &Scene) -> Result<()> {
    let mut daemon = scene.world.daemon.lock().await;
    scene.begun();
    for _ in 0..3 {
        let asked = Instant::now();
        let status = daemon.terminate().await?;
        ensure!(status.success(), "SIGTERM ended it with {status}: {}", daemon.log_end());
        scene.note(format!("ended within {:.1?}", asked.elapsed()));
        tokio::time::sleep(scene.strike.lasts / 6).await;
        daemon.resume()?;
        tokio::time::sleep(scene.strike.lasts / 6).await;
    }
    scene.healed();
    Ok(())
}

pub(super) async fn starve(scene: &Scene) -> Result<()> {
    let daemon = scene.world.daemon.lock().await;
    scene.begun();
    let stepwise = async || {
        daemon.signal(Signal::SIGSTOP)?;
        tokio::time::sleep(STANDS).await;
        daemon.signal(Signal::SIGCONT)
    };
    scene.again(RUNS, stepwise).await?;
    scene.healed();
    Ok(())
}

/// The configuration is read again all the time; it is the same.
pub(super) async fn reload(scene: &Scene) -> Result<()> {
    let daemon = scene.world.daemon.lock().await;
    scene.begun();
    scene.again(STANDS, async || daemon.signal(Signal::SIGHUP)).await?;
    scene.healed();
    Ok(())
}

/// The link into the region is paused, and resumed until the daemon has done it.
pub(super) async fn paused(scene: &Scene) -> Result<()> {
    let link = scene.strike.side.link_into();
    scene.world.order(&["pause", link]).await?;
    scene.begun();
    scene.last().await;
    scene.healed();
    let resumed = async || scene.world.order(&["resume", link]).await.map(Some);
    eventually("a paused link to be resumed", GIVES_WAY, resumed).await.map(drop)
}

/// A second daemon starts by mistake and wins. Then it is ended, and the first one started again.
pub(super) async fn two(scene: &Scene) -> Result<()> {
    let world = &scene.world;
    let mut first = world.daemon.lock().await;
    let second = Daemon::start_on(world.host(), &world.binary, &world.second_configuration()?, &[], Port::free()?)?;
    scene.begun();
    let gave_way = async || {
        let status: Value = serde_json::from_str(&get(&world.http, "/status").await?.body)?;
        let superseded = |link: &Value| link["error_code"] == "superseded";
        let links = status["links"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok((links.len() == 2 && links.iter().all(superseded)).then_some(()))
    };
    match eventually("the first daemon to give way", GIVES_WAY, gave_way).await {
        Ok(()) => scene.note("the first daemon gave way".to_owned()),
        Err(error) => scene.note(format!("{error:#}")),
    }
    scene.last().await;
    world.other_output(&second.output());
    drop(second);
    scene.healed();
    first.terminate().await?;
    first.resume()
}
