//! Increments: from the start of a load at the source until the target has its last key.

use crate::copier::{Copier, Usage, data_keys, wait_key};
use crate::table::{head, median, row};
use anyhow::{Context, Result, ensure};
use duet_chaos::flavor::Flavor;
use duet_chaos::pair::Regions;
use std::time::Instant;
use tokio::process::Command;

struct Round {
    load_s: f64,
    total_s: f64,
    usage: Option<Usage>,
}

/// Measures both copiers in turn and prints a table.
pub(crate) async fn measure(rounds: usize, writes: u32) -> Result<()> {
    let mut measured: [Vec<Round>; 2] = Default::default();
    for number in 0..rounds {
        for (copier, figures) in Copier::BOTH.iter().zip(&mut measured) {
            eprintln!("increments: round {} of {rounds}, {copier:?}", number + 1);
            figures.push(round(*copier, writes).await?);
        }
    }
    head(
        &format!("Increments: {writes} SETs of 64 bytes, pipelines of 64, 8 connections; medians of {rounds}"),
        &[
            "",
            "load alone",
            "until the target has the last key",
            "writes/s",
            "against native",
            "CPU of Duet",
            "peak memory",
        ],
    );
    let native = median(&measured[0].iter().map(|round| round.total_s).collect::<Vec<_>>());
    for (copier, figures) in Copier::BOTH.iter().zip(&measured) {
        let total = median(&figures.iter().map(|round| round.total_s).collect::<Vec<_>>());
        let load = median(&figures.iter().map(|round| round.load_s).collect::<Vec<_>>());
        let used: Vec<Usage> = figures.iter().filter_map(|round| round.usage).collect();
        let (cpu, peak) = used_cells(&used);
        let rate = f64::from(writes) / total;
        row(&[
            format!("{copier:?}"),
            format!("{load:.2} s"),
            format!("{total:.2} s"),
            format!("{rate:.0}"),
            format!("{:.2}", total / native),
            cpu,
            peak,
        ]);
    }
    Ok(())
}

/// Median CPU seconds and highest peak memory; dashes for native replication.
pub(crate) fn used_cells(used: &[Usage]) -> (String, String) {
    if used.is_empty() {
        return ("-".to_owned(), "-".to_owned());
    }
    let cpu = median(&used.iter().map(|usage| usage.cpu_s).collect::<Vec<_>>());
    let peak = used.iter().map(|usage| usage.peak_mb).fold(0.0, f64::max);
    (format!("{cpu:.2} s"), format!("{peak:.0} MB"))
}

async fn round(copier: Copier, writes: u32) -> Result<Round> {
    let regions = Regions::start(Flavor::Redis70, Flavor::Redis70).await?;
    let (west, east) = regions.clients().await?;
    let running = copier.start(&regions).await?;
    running.streaming(&regions).await?;
    let before = running.usage()?;
    let started = Instant::now();
    load(regions.west.port(), writes).await?;
    let load_s = started.elapsed().as_secs_f64();
    west.run("SET the-last-key 1").await?;
    wait_key(&east, "the-last-key").await?;
    let total_s = started.elapsed().as_secs_f64();
    let usage =
        running.usage()?.zip(before).map(|(after, before)| Usage { cpu_s: after.cpu_s - before.cpu_s, ..after });
    let (at_west, at_east) = (data_keys(&west).await?, data_keys(&east).await?);
    ensure!(at_west == at_east, "{at_west} keys at the source, {at_east} at the target");
    Ok(Round { load_s, total_s, usage })
}

/// `redis-benchmark`, as the aim was set with it.
pub(crate) async fn load(port: u16, writes: u32) -> Result<()> {
    let line = format!("-p {port} -t set -r 1000000 -n {writes} -P 64 -c 8 -d 64 -q");
    let output = Command::new("redis-benchmark").args(line.split(' ')).output().await;
    let output = output.context("cannot run redis-benchmark: run `make setup`")?;
    ensure!(output.status.success(), "redis-benchmark: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
