//! What the daemon says over HTTP, and `duet status` from it.

use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::load::Counted;
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::servers::Ending;
use duet_chaos::wait::eventually;
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

const STATES: [&str; 6] = ["connecting", "full_sync", "streaming", "held", "halted", "stopped"];
const COUNTERS: [&str; 4] = ["writes_applied", "echoes_dropped", "set_aside", "reconnects"];

fn has_the_form_of_the_contract(status: &Value) -> Result<()> {
    ensure!(
        status["pair"] == "orders" && status["version"].is_string() && status["uptime_s"].is_number(),
        "{status:#}"
    );
    for count in ["replayed", "dropped", "reconciled", "unresolved"] {
        ensure!(status["conflicts"][count].is_u64(), "{count}: {status:#}");
    }
    let links = status["links"].as_array().context("no links")?;
    ensure!(links.len() == 2);
    for (link, (direction, source, target)) in
        links.iter().zip([("forward", "west", "east"), ("reverse", "east", "west")])
    {
        ensure!(link["direction"] == direction && link["source"] == source && link["target"] == target, "{link:#}");
        ensure!(link["state"].as_str().is_some_and(|state| STATES.contains(&state)), "{link:#}");
        ensure!(link["reason"].is_string() || link["reason"].is_null(), "{link:#}");
        ensure!(link["lag_ms"].is_number() || link["lag_ms"].is_null(), "{link:#}");
        ensure!(COUNTERS.iter().all(|name| link[name].is_u64()), "{link:#}");
        let progress = ["keys_done", "keys_total", "bytes_done", "bytes_total"];
        let known = link.as_object().is_some_and(|link| link.contains_key("full_sync"));
        let full_sync = &link["full_sync"];
        let whole = progress.iter().all(|name| full_sync[*name].is_u64() || full_sync[*name].is_null());
        ensure!(known && (full_sync.is_null() || whole), "{link:#}");
    }
    Ok(())
}

#[tokio::test]
async fn the_contract_holds_from_the_first_moment_to_streaming() -> Result<()> {
    let mut regions = Regions::start(Redis70, Redis70).await?;
    let (west, _) = regions.clients().await?;
    west.run("DEBUG POPULATE 300000 key 64").await?;
    regions.east.stop(Ending::Save).await?;
    let daemon = Daemon::start(duet(), &regions.config(&More::default()))?;
    let alive = async || Ok((daemon.get("/livez").await?.code == 200).then_some(()));
    eventually("/livez", DEADLINE, alive).await?;
    let waiting =
        |status: &Value| status["links"][0]["state"] == "connecting" && status["links"][0]["reason"].is_string();
    has_the_form_of_the_contract(&daemon.wait_for("the reason why it waits", DEADLINE, waiting).await?)?;
    let ready = daemon.get("/readyz").await?;
    let why: Value = serde_json::from_str(&ready.body)?;
    ensure!(
        ready.code == 503 && why.is_object() && ready.head.to_lowercase().contains("application/json"),
        "{ready:?}"
    );

    regions.east.resume().await?;
    let copying = |status: &Value| {
        let full_sync = &status["links"][0]["full_sync"];
        full_sync["keys_done"].as_u64() > Some(0) && full_sync["bytes_done"].as_u64() > Some(0)
    };
    has_the_form_of_the_contract(&daemon.wait_for("progress of the full sync", DEADLINE, copying).await?)?;
    daemon.wait_streaming(DEADLINE).await?;
    let ready = async || Ok((daemon.get("/readyz").await?.code == 200).then_some(()));
    eventually("/readyz", DEADLINE, ready).await?;
    Counted::new("w").write(&west, 100).await?;
    regions.wait_equal().await?;
    let measured = |status: &Value| {
        let lags = [0, 1].map(|link| status["links"][link]["lag_ms"].as_f64());
        status["links"][0]["writes_applied"] == 300
            && lags.iter().all(|lag| lag.is_some_and(|lag| (0.0..1_000.0).contains(&lag)))
    };
    has_the_form_of_the_contract(&daemon.wait_for("writes and lag", DEADLINE, measured).await?)?;
    ensure!(daemon.get("/no-such-path").await?.code == 404);
    Ok(())
}

#[tokio::test]
async fn it_answers_at_once_whatever_redis_does() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    let daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    let [west_sleeps, east_sleeps] = [&west, &east].map(|client| {
        let client = client.clone();
        tokio::spawn(async move { client.run("DEBUG SLEEP 3").await })
    });
    let mut slowest = Duration::ZERO;
    let mut answers = 0;
    while !(west_sleeps.is_finished() && east_sleeps.is_finished()) {
        let asked = Instant::now();
        daemon.status().await?;
        slowest = slowest.max(asked.elapsed());
        answers += 1;
    }
    west_sleeps.await??;
    east_sleeps.await??;
    ensure!(answers > 10 && slowest < Duration::from_millis(500), "{answers} answers, the slowest in {slowest:?}");
    daemon.wait_streaming(DEADLINE).await
}

#[tokio::test]
async fn the_status_command_shows_the_same_to_people_and_programs() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let daemon = regions.daemon(duet()).await?;
    let ask = |more: &[&str]| Command::new(duet()).args(["status", "--url", &daemon.url()]).args(more).output();
    let table = ask(&[])?;
    let text = String::from_utf8(table.stdout)?;
    for word in ["orders", "forward", "reverse", "west", "east", "streaming"] {
        ensure!(text.contains(word), "no {word} in:\n{text}");
    }
    ensure!(table.status.success());
    has_the_form_of_the_contract(&serde_json::from_slice(&ask(&["--json"])?.stdout)?)?;

    let nobody = Command::new(duet()).args(["status", "--url", "http://127.0.0.1:9"]).output()?;
    let message = String::from_utf8_lossy(&nobody.stderr);
    ensure!(!nobody.status.success() && message.contains("127.0.0.1:9"), "{message}");
    Ok(())
}
