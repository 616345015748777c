//! Clocks of servers that are too far apart. They run on one machine, so a proxy on the way shifts what one of them answers
//! to `TIME`.

use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::proxy::Proxy;
use serde_json::Value;
use std::process::Command;

/// How far the eastern clock is set off, milliseconds.
const FAR_MS: i64 = 3_000;

async fn pair(west: Flavor, east: Flavor, beyond: &str) -> Result<(Regions, Daemon)> {
    let regions = Regions::start(west, east).await?.behind_proxies().await?;
    let tables = format!("[clock]\nskew_limit = \"500ms\"\nbeyond = \"{beyond}\"\n");
    let daemon = regions.daemon_with(duet(), &More { tables, ..More::default() }).await?;
    daemon.wait_for("clocks that agree", DEADLINE, |status| status["clock"]["state"] == "agree").await?;
    Ok((regions, daemon))
}

fn east(regions: &Regions) -> Result<&Proxy> {
    regions.east_proxy.as_ref().context("a proxy on the way to the east")
}

/// Whether the clocks are as far apart as they were set.
fn is_measured(status: &Value, ahead_ms: i64) -> bool {
    let number = |name: &str| status["clock"][name].as_i64();
    let Some(((offset, bound), stamp)) = number("offset_ms").zip(number("bound_ms")).zip(number("stamp_bound_ms"))
    else {
        return false;
    };
    (offset - ahead_ms).abs() <= bound && stamp == 500 + offset.abs() + bound
}

fn shown(daemon: &Daemon) -> Result<String> {
    let told =
        Command::new(duet()).args(["status", "--config"]).arg(daemon.config()).env_remove("DUET_CONFIG").output()?;
    Ok(String::from_utf8_lossy(&told.stdout).into_owned())
}

#[tokio::test]
async fn clocks_too_far_apart_by_a_shifted_time_are_an_alarm_and_writes_go_on() -> Result<()> {
    let (regions, daemon) = pair(Redis62, Valkey91, "alarm").await?;
    ensure!(is_measured(&daemon.status().await?, 0), "{:#}", daemon.status().await?["clock"]);
    east(&regions)?.clock_ahead(FAR_MS);
    let skewed = |status: &Value| status["clock"]["state"] == "skewed" && is_measured(status, FAR_MS);
    let status = daemon.wait_for("an alarm", DEADLINE, skewed).await?;
    let clock = &status["clock"];
    ensure!(clock["reason"].as_str().is_some_and(|reason| reason.contains("clock.skew_limit is 500 ms")), "{clock:#}");
    ensure!(
        clock["remedy"].as_str().is_some_and(|remedy| remedy.contains("writes of east win too often")),
        "{clock:#}"
    );
    let table = shown(&daemon)?;
    ensure!(table.contains("clocks: east is ") && table.contains("SKEWED") && table.contains("NTP"), "{table}");
    let (west, east_client) = regions.clients().await?;
    west.run("SET from:west 1").await?;
    east_client.run("SET from:east 1").await?;
    regions.wait_equal().await?;
    ensure!(daemon.status().await?["ready"] == true);

    east(&regions)?.clock_ahead(0);
    daemon.wait_for("clocks that agree again", DEADLINE, |status| status["clock"]["state"] == "agree").await?;
    let log = daemon.log_end();
    ensure!(log.contains("the clocks are too far apart") && log.contains("the clocks agree again"), "{log}");
    Ok(())
}

#[tokio::test]
async fn links_held_for_a_shifted_time_go_on_by_themselves_and_lose_nothing() -> Result<()> {
    let (regions, mut daemon) = pair(Redis70, Redis70, "hold").await?;
    let held = |status: &Value| {
        let links = status["links"].as_array();
        let is_held = |link: &Value| link["state"] == "held" && link["error_code"] == "clocks_apart";
        status["clock"]["state"] == "held" && links.is_some_and(|links| links.iter().all(is_held))
    };
    let (west, east_client) = regions.clients().await?;
    for turn in ["behind", "ahead"] {
        east(&regions)?.clock_ahead(if turn == "ahead" { FAR_MS } else { -FAR_MS });
        let status = daemon.wait_for("both links to hold", DEADLINE, held).await?;
        let link = &status["links"][0];
        ensure!(
            status["ready"] == false && link["remedy"].as_str().is_some_and(|text| text.contains("NTP")),
            "{link:#}"
        );
        for (client, name) in [(&west, "west"), (&east_client, "east")] {
            client.run(&format!("SET from:{name} {turn}")).await?;
            client.run(&format!("SET both {name}:{turn}")).await?;
            client.run("INCR sum").await?;
        }
        daemon.kill9()?;
        daemon.resume()?;
        daemon.wait_for("both links to hold", DEADLINE, held).await?;
        ensure!(east_client.text("EXISTS from:west").await? == if turn == "behind" { "0" } else { "1" });
        east(&regions)?.clock_ahead(0);
        daemon.wait_streaming(DEADLINE).await?;
        regions.settle(&daemon, DEADLINE).await?;
        ensure!(east_client.text("GET from:west").await? == turn && west.text("GET from:east").await? == turn);
    }
    ensure!(west.text("GET sum").await? == "4");
    Ok(())
}
