//! Full sync: from the start of the copier until an empty target has every key of a full source.

use crate::copier::{Copier, Usage, data_keys, poll};
use crate::increments::used_cells;
use crate::table::{head, median, row};
use anyhow::{Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::flavor::Flavor;
use duet_chaos::pair::Regions;
use std::time::Instant;

/// Who copies, and how the source sends its dump.
const CASES: [(&str, Copier, &[&str]); 4] = [
    ("native, diskless at once", Copier::Native, &["--repl-diskless-sync", "yes"]),
    ("native, dump on disk", Copier::Native, &["--repl-diskless-sync", "no"]),
    ("native, defaults (waits 5 s for more replicas)", Copier::Native, &["--repl-diskless-sync-delay", "5"]),
    ("Duet, diskless at once", Copier::Duet, &["--repl-diskless-sync", "yes"]),
];

/// Keys set by one script.
const BATCH: u32 = 100_000;
/// 64 hexadecimal digits that do not compress: `DEBUG POPULATE` would fill up with zeros.
const FILL: &str = "for n = tonumber(ARGV[1]), tonumber(ARGV[2]) - 1 do \
    redis.call('SET', 'key:' .. n, redis.sha1hex(n) .. string.sub(redis.sha1hex('x' .. n), 1, 24)) end";

/// Measures every case in turn and prints a table.
pub(crate) async fn measure(rounds: usize, keys: u32) -> Result<()> {
    let mut measured: [Vec<(f64, Option<Usage>)>; CASES.len()] = Default::default();
    for number in 0..rounds {
        for ((name, copier, args), figures) in CASES.iter().zip(&mut measured) {
            eprintln!("full sync: round {} of {rounds}, {name}", number + 1);
            figures.push(round(*copier, args, keys).await?);
        }
    }
    head(
        &format!("Full sync: {keys} strings of 64 bytes that do not compress; medians of {rounds}"),
        &["", "until the target has every key", "keys/s", "against native diskless", "CPU of Duet", "peak memory"],
    );
    let seconds = |figures: &[(f64, Option<Usage>)]| median(&figures.iter().map(|round| round.0).collect::<Vec<_>>());
    let native = seconds(&measured[0]);
    for ((name, ..), figures) in CASES.iter().zip(&measured) {
        let total = seconds(figures);
        let (cpu, peak) = used_cells(&figures.iter().filter_map(|round| round.1).collect::<Vec<_>>());
        let rate = f64::from(keys) / total;
        let times = total / native;
        row(&[(*name).to_owned(), format!("{total:.2} s"), format!("{rate:.0}"), format!("{times:.2}"), cpu, peak]);
    }
    Ok(())
}

/// Sets so many keys.
pub(crate) async fn fill(client: &Client, keys: u32) -> Result<()> {
    for from in (0..keys).step_by(BATCH as usize) {
        let (from, to) = (from.to_string(), (from + BATCH).min(keys).to_string());
        client.args(&["EVAL", FILL, "0", &from, &to]).await?;
    }
    Ok(())
}

async fn round(copier: Copier, args: &[&str], keys: u32) -> Result<(f64, Option<Usage>)> {
    let regions = Regions::start_with((Flavor::Redis70, args), (Flavor::Redis70, &[])).await?;
    let (west, east) = regions.clients().await?;
    fill(&west, keys).await?;
    let started = Instant::now();
    let running = copier.start(&regions).await?;
    // A replica that loads answers with an error; the daemon's own keys come on top.
    poll(&east, "DBSIZE", |count| count >= i64::from(keys)).await?;
    running.streaming(&regions).await?;
    let seconds = started.elapsed().as_secs_f64();
    let copied = data_keys(&east).await?;
    ensure!(copied == i64::from(keys), "{copied} of {keys} keys were copied");
    Ok((seconds, running.usage()?))
}
