//! A paced load over 80 ms of round trip: does the copy keep up, and how far behind is it?

use crate::copier::{Copier, POLL, wait_key};
use crate::table::{head, percentile, row};
use anyhow::{Context, Result};
use duet_chaos::client::Client;
use duet_chaos::flavor::Flavor;
use duet_chaos::pair::Regions;
use duet_chaos::proxy::Proxy;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Delay of each direction.
const ONE_WAY: Duration = Duration::from_millis(40);
/// Writes offered per second.
const RATE: u64 = 20_000;
/// How often a batch of them is written.
const BEAT: Duration = Duration::from_millis(10);

/// Measures both copiers and prints a table.
pub(crate) async fn measure(seconds: u64) -> Result<()> {
    let mut rows = Vec::new();
    for copier in Copier::BOTH {
        eprintln!("80 ms of round trip: {copier:?}");
        rows.push(round(copier, seconds).await?);
    }
    head(
        &format!("80 ms of round trip: {RATE} writes/s offered for {seconds} s"),
        &["", "offered", "lag p50", "lag p99", "last key after the load's end", "peak memory"],
    );
    rows.iter().for_each(|cells| row(cells));
    Ok(())
}

async fn round(copier: Copier, seconds: u64) -> Result<Vec<String>> {
    let mut regions = Regions::start(Flavor::Redis70, Flavor::Redis70).await?;
    // The far side is where the data goes to: a replica reads from its primary over the long line, Duet writes over it.
    let far = match copier {
        Copier::Native => &regions.west,
        Copier::Duet => &regions.east,
    };
    let proxy = Proxy::start(&far.address()).await?;
    proxy.delay(ONE_WAY);
    match copier {
        Copier::Native => regions.west_proxy = Some(proxy),
        Copier::Duet => regions.east_proxy = Some(proxy),
    }
    let (west, east) = regions.clients().await?;
    let running = copier.start(&regions).await?;
    running.streaming(&regions).await?;
    let ended = Arc::new(AtomicBool::new(false));
    let sampling = tokio::spawn(sample(east.clone(), Arc::clone(&ended)));
    let rate = write(&west, seconds).await?;
    let at_end = Instant::now();
    west.run("SET the-last-key 1").await?;
    wait_key(&east, "the-last-key").await?;
    let behind = at_end.elapsed();
    ended.store(true, Ordering::SeqCst);
    let lags = sampling.await??;
    Ok(vec![
        format!("{copier:?}"),
        format!("{rate:.0}/s"),
        format!("{:.0} ms", percentile(&lags, 0.5)),
        format!("{:.0} ms", percentile(&lags, 0.99)),
        format!("{} ms", behind.as_millis()),
        running.usage()?.map_or("-".to_owned(), |usage| format!("{:.0} MB", usage.peak_mb)),
    ])
}

/// Writes batches at a steady pace, each with the time in one key; returns the rate that was reached.
async fn write(west: &Client, seconds: u64) -> Result<f64> {
    let per_beat = RATE * u64::try_from(BEAT.as_millis())? / 1_000;
    let started = Instant::now();
    let mut beats = tokio::time::interval(BEAT);
    let mut written = 0;
    while started.elapsed() < Duration::from_secs(seconds) {
        beats.tick().await;
        let mut commands = vec![vec!["SET".to_owned(), "written-at".to_owned(), now_ms()?.to_string()]];
        for _ in 1..per_beat {
            commands.push(vec!["SET".to_owned(), format!("key:{}", fastrand::u32(..1_000_000)), "x".repeat(64)]);
        }
        west.pipeline(&commands).await?;
        written += per_beat;
    }
    Ok(written as f64 / started.elapsed().as_secs_f64())
}

/// Milliseconds between the time that a key holds and the time when it was first seen at the target.
async fn sample(east: Client, ended: Arc<AtomicBool>) -> Result<Vec<f64>> {
    let (mut lags, mut last) = (Vec::new(), 0);
    while !ended.load(Ordering::SeqCst) {
        let written_at = east.int("GET written-at").await?;
        if written_at != last {
            last = written_at;
            lags.push((now_ms()? - written_at) as f64);
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(lags)
}

fn now_ms() -> Result<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("a clock before 1970")?;
    Ok(i64::try_from(since.as_millis())?)
}
