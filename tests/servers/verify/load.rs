//! Under load on both sides nothing is called different but what is.

use super::verify;
use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::hammer::{Hammer, Plan, Whole};
use duet_chaos::load::Mixed;
use duet_chaos::paced::Paced;
use duet_chaos::pair::{DEADLINE, Regions};
use std::time::{Duration, Instant};

/// How long the load lasts, in seconds, unless `DUET_VERIFY_SECONDS` says otherwise.
const SECONDS: u64 = 5;
/// Commands a second at each side.
const MIXED: u32 = 1_500;
const HAMMERED: u32 = 100;

fn seconds() -> Result<Duration> {
    let asked = std::env::var("DUET_VERIFY_SECONDS").ok().map(|text| text.parse()).transpose()?;
    Ok(Duration::from_secs(asked.unwrap_or(SECONDS)))
}

async fn nothing_false(west: Flavor, east: Flavor) -> Result<()> {
    let regions = Regions::start(west, east).await?.behind_proxies().await?;
    for proxy in [&regions.west_proxy, &regions.east_proxy] {
        proxy.as_ref().context("no proxy")?.delay(Duration::from_millis(10));
    }
    let daemon = regions.daemon(duet()).await?;
    let (left, right) = regions.clients().await?;
    let commands: Vec<_> =
        (0..20_000).map(|number| vec!["SET".to_owned(), format!("still:{number}"), "v".to_owned()]).collect();
    left.pipeline(&commands).await?;
    regions.settle(&daemon, DEADLINE).await?;

    // Both sides write keys of every type: each its own, and the same ones at the same time.
    let loads =
        (Mixed::start(&regions.west, "own:west", MIXED).await?, Mixed::start(&regions.east, "own:east", MIXED).await?);
    let hammer = |origin, peer, seed| {
        Hammer::new(origin, Plan { prefix: "both:", seed, peer, expiring: false, whole: Whole::Left })
    };
    let hammers = (
        Paced::start(&regions.west, HAMMERED, hammer(west, east, 1)).await?,
        Paced::start(&regions.east, HAMMERED, hammer(east, west, 2)).await?,
    );
    let began = Instant::now();
    let mut runs = 0;
    while began.elapsed() < seconds()? || runs == 0 {
        let (code, told) = verify(&daemon.config(), &[]).await?;
        ensure!(told["different"] == 0 && code != 1, "{west:?} and {east:?}, false differences: {told:#}");
        ensure!(told["fenced"] == true && told["error"].is_null(), "{told:#}");
        eprintln!("{west:?} and {east:?}: {} suspected, {} undecided", told["suspected"], told["undecided"]);
        runs += 1;
    }
    ensure!(!hammers.0.has_ended() && !hammers.1.has_ended(), "a load has ended by itself");

    // What is different is found under the same load.
    let planted = plant(&regions).await?;
    let (code, told) = verify(&daemon.config(), &[]).await?;
    let mut found: Vec<_> =
        told["findings"].as_array().into_iter().flatten().filter_map(|found| found["key"].as_str()).collect();
    found.sort_unstable();
    ensure!(code == 1 && found == planted, "{found:?}, expected {planted:?}: {told:#}");

    let written = loads.0.stop().await? + loads.1.stop().await?;
    hammers.0.stop().await?;
    hammers.1.stop().await?;
    ensure!(written > 0, "nothing was written");
    drop(right);
    Ok(())
}

/// Differences that no link carries: a script that the server does not tell its replicas of.
async fn plant(regions: &Regions) -> Result<Vec<&'static str>> {
    let east = regions.east.client().await?;
    for line in ["DEL still:1", "SET still:2 w", "SADD extra a"] {
        unreplicated(&east, line).await.with_context(|| line.to_owned())?;
    }
    Ok(vec!["extra", "still:1", "still:2"])
}

/// Executes a write that the server tells none of its replicas of.
pub(crate) async fn unreplicated(client: &duet_chaos::client::Client, line: &str) -> Result<()> {
    let words: Vec<&str> = line.split(' ').collect();
    let script = "redis.replicate_commands(); redis.set_repl(redis.REPL_NONE); return redis.call(unpack(ARGV))";
    let mut request = vec!["EVAL", script, "0"];
    request.extend(words);
    client.args(&request).await?;
    Ok(())
}

#[tokio::test]
async fn a_pair_under_load_has_no_false_difference() -> Result<()> {
    nothing_false(Redis70, Redis70).await
}

#[tokio::test]
async fn a_pair_of_two_versions_under_load_has_no_false_difference() -> Result<()> {
    nothing_false(Redis62, Valkey91).await
}
