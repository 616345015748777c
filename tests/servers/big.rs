//! Big values: the daemon's memory does not grow with them.

use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::client::{Client, text};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::{Redis62, Redis70};
use duet_chaos::pair::{More, Regions};
use std::time::Duration;

/// Most memory that the daemon may ever have held, in kilobytes.
const MEMORY_KB: u64 = 256 * 1024;
/// How long the copy may take on a slow machine.
const COPY: Duration = Duration::from_secs(240);

/// Members are added at the server, by a script: five million need not travel for that.
const MANY_MEMBERS: &str = "local from = tonumber(ARGV[1]) for i = from, from + 499999, 1000 do local args = {} \
    for j = i, i + 999 do args[#args + 1] = j / 7 args[#args + 1] = 'member:' .. j end \
    redis.call('ZADD', KEYS[1], unpack(args)) end";

async fn digest(client: &Client, key: &str) -> Result<String> {
    match client.run(&format!("DEBUG DIGEST-VALUE {key}")).await? {
        duet_chaos::redis::Value::Array(digests) => text(digests.first().context("no digest")?),
        other => anyhow::bail!("DEBUG DIGEST-VALUE answered {other:?}"),
    }
}

fn peak_kb(daemon: &Daemon) -> Result<u64> {
    let pid = daemon.pid().context("the daemon has ended")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(peak.trim().trim_end_matches(" kB").parse()?)
}

#[tokio::test]
async fn five_million_members_pass_with_bounded_memory() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let (west, east) = regions.clients().await?;
    for part in 0..10 {
        let from = (part * 500_000).to_string();
        west.args(&["EVAL", MANY_MEMBERS, "1", "sorted", &from]).await?;
    }
    let daemon = Daemon::start(duet(), &regions.config(&More::default()))?;
    daemon.wait_streaming(COPY).await?;
    ensure!(east.int("ZCARD sorted").await? == 5_000_000);
    ensure!(digest(&west, "sorted").await? == digest(&east, "sorted").await?);
    west.run("ZADD sorted -1 first").await?;
    regions.east.client().await?.run("SET reverse 1").await?;
    daemon.wait_for("the increment", COPY, |status| status["links"][0]["writes_applied"].as_u64() > Some(0)).await?;
    let peak = peak_kb(&daemon)?;
    ensure!(peak < MEMORY_KB, "the daemon held {peak} kB");
    Ok(())
}

#[tokio::test]
async fn a_string_of_300_megabytes_passes_with_bounded_memory() -> Result<()> {
    for (west, args) in [(Redis70, &["--rdbcompression", "no"][..]), (Redis62, &[])] {
        let regions = Regions::start_with((west, args), (Redis70, &[])).await?;
        let (at_west, at_east) = regions.clients().await?;
        // Noise, which does not compress; and nothing but zeros, which does.
        let mut megabyte = vec![0; 1 << 20];
        for _ in 0..300 {
            fastrand::Rng::new().fill(&mut megabyte);
            at_west.args(&[b"APPEND".as_slice(), b"noise", &megabyte]).await?;
        }
        at_west.run("SETRANGE zeros 99999999 x").await?;
        let daemon = Daemon::start(duet(), &regions.config(&More::default()))?;
        daemon.wait_streaming(COPY).await?;
        ensure!(at_east.int("STRLEN noise").await? == 300 << 20 && at_east.int("STRLEN zeros").await? == 100_000_000);
        for key in ["noise", "zeros"] {
            for at in [0, 1 << 20, 52_345_678, 99_999_999] {
                let line = format!("GETRANGE {key} {} {at}", at - 1000.min(at));
                ensure!(at_west.run(&line).await? == at_east.run(&line).await?, "{line}");
            }
            if west == Redis70 {
                ensure!(digest(&at_west, key).await? == digest(&at_east, key).await?, "{key}");
            }
        }
        let peak = peak_kb(&daemon)?;
        ensure!(peak < MEMORY_KB, "the daemon held {peak} kB");
    }
    Ok(())
}

#[tokio::test]
async fn a_slow_target_slows_reading_down_and_memory_stays_flat() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    let daemon = regions.daemon(duet()).await?;
    let west = regions.west.client().await?;
    west.run("CONFIG SET client-output-buffer-limit 'replica 0 0 0'").await?;
    let to_east = regions.east_proxy.as_ref().context("no proxy")?;
    to_east.throttle(duet_chaos::proxy::Direction::ToServer, Some(2_000_000));
    // 200 MB of writes, and a target that takes 2 MB a second of them.
    let value = "x".repeat(10_000);
    for batch in 0..200 {
        let commands: Vec<Vec<String>> =
            (0..100).map(|n| vec!["SET".to_owned(), format!("k{}", batch * 100 + n), value.clone()]).collect();
        west.pipeline(&commands).await?;
    }
    let behind = |status: &serde_json::Value| status["links"][0]["lag_ms"].as_f64() > Some(1_000.0);
    daemon.wait_for("the lag to grow", COPY, behind).await?;
    let peak = peak_kb(&daemon)?;
    ensure!(peak < MEMORY_KB / 2, "the daemon held {peak} kB");
    to_east.throttle(duet_chaos::proxy::Direction::ToServer, None);
    duet_chaos::compare::wait_equal(&regions.west, &regions.east, COPY).await?;
    daemon.wait_streaming(COPY).await
}
