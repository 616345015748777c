//! What it costs to be looked at: the same load with nothing asked of the daemon, and with everything.

use crate::copier::{DEADLINE, duet_binary, wait_key};
use crate::load;
use crate::suite::Suite;
use crate::table::{cpu, head, many, median, peak, row};
use crate::usage::Usage;
use anyhow::{Context, Result};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor;
use duet_chaos::pair::{More, Regions};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What is asked again and again while a watched daemon works, and how often: balancers, Prometheus, the console.
const ASKED: [(&str, Duration); 5] = [
    ("/syncz?region=east&max_lag_ms=500", Duration::from_millis(100)),
    ("/syncz?region=west&max_lag_ms=500", Duration::from_millis(100)),
    ("/metrics", Duration::from_secs(1)),
    ("/status", Duration::from_secs(1)),
    ("/conflicts?limit=50", Duration::from_secs(1)),
];

/// Measures both in turn and prints a table.
pub(crate) async fn measure(suite: &mut Suite) -> Result<()> {
    let (rounds, writes) = (suite.rounds, suite.size(3_000_000, 200_000));
    let mut measured: [Vec<(f64, Usage)>; 2] = Default::default();
    for number in 0..rounds {
        for (watched, figures) in [false, true].into_iter().zip(&mut measured) {
            eprintln!("watched: round {} of {rounds}, {watched}", number + 1);
            figures.push(round(watched, writes).await?);
        }
    }
    head(
        &format!("Being watched: {} SETs of 64 bytes", many(writes)),
        &[
            "",
            "until the target has the last key",
            "writes/s",
            "against the round before it",
            "CPU of Duet",
            "peak memory",
        ],
    );
    let mut watched_ratio = 0.0;
    for (name, figures) in ["nobody asks", "balancers, Prometheus, console, OTLP each second"].iter().zip(&measured) {
        let total = median(figures.iter().map(|(total, _)| *total));
        // Each with the round beside it, so that what else the machine does at the time counts less.
        let ratio = median(figures.iter().zip(&measured[0]).map(|(it, unwatched)| it.0 / unwatched.0));
        let (rate, usages) = (f64::from(writes) / total, figures.iter().map(|(_, usage)| *usage).collect::<Vec<_>>());
        usages.iter().for_each(|usage| suite.aims.memory(usage.peak_mb));
        let figures = [format!("{total:.2} s"), many(rate), format!("{ratio:.3}"), cpu(&usages), peak(&usages)];
        row(&[&[(*name).to_owned()], &figures[..]].concat());
        watched_ratio = ratio;
    }
    suite.aims.at_most("being watched: time", watched_ratio, " × that of nobody asking", [1.03, 1.03]);
    Ok(())
}

async fn round(watched: bool, writes: u32) -> Result<(f64, Usage)> {
    let regions = Regions::start(Flavor::Redis70, Flavor::Redis70).await?;
    let (west, east) = regions.clients().await?;
    let mut more = More::default();
    let collector = TcpListener::bind("127.0.0.1:0").await?;
    if watched {
        let every = "metrics_every = \"1s\"\ntrace_every = \"1s\"";
        more.tables = format!("[telemetry]\notlp = \"http://{}\"\n{every}\n", collector.local_addr()?);
    }
    let daemon = Daemon::start(&duet_binary()?, &regions.config(&more))?;
    daemon.wait_streaming(DEADLINE).await?;
    let watching = async {
        tokio::join!(
            ask(&daemon, ASKED[0]),
            ask(&daemon, ASKED[1]),
            ask(&daemon, ASKED[2]),
            ask(&daemon, ASKED[3]),
            ask(&daemon, ASKED[4]),
            collect(&collector)
        )
    };
    let working = async {
        let pid = daemon.pid().context("no daemon")?;
        let (started, before) = (Instant::now(), Usage::of(pid)?);
        load::sets(regions.west.port(), writes, load::VALUE).await?;
        west.run("SET the-last-key 1").await?;
        wait_key(&east, "the-last-key").await?;
        let (took, after) = (started.elapsed().as_secs_f64(), Usage::of(pid)?);
        anyhow::Ok((took, after.since(before)))
    };
    if !watched {
        return working.await;
    }
    tokio::select! {
        took = working => took,
        _ = watching => unreachable!("nobody stops asking"),
    }
}

/// Asks for a path again and again.
async fn ask(daemon: &Daemon, (path, every): (&str, Duration)) {
    loop {
        // An answer that does not come in time is not what is measured here.
        let _ = daemon.get(path).await;
        tokio::time::sleep(every).await;
    }
}

/// A collector that takes everything and keeps nothing.
async fn collect(listener: &TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while !is_whole(&taken) && stream.read_buf(&mut taken).await.is_ok_and(|bytes| bytes > 0) {}
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            // Who has gone away in the meantime wants no answer.
            let _ = stream.write_all(answer).await;
        });
    }
}

/// Whether a request has come with all of its body.
fn is_whole(request: &[u8]) -> bool {
    let Some(head) = request.windows(4).position(|end| end == b"\r\n\r\n") else { return false };
    let words = String::from_utf8_lossy(request.get(..head).unwrap_or_default()).to_lowercase();
    let length = words.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    request.len() >= head + 4 + length.unwrap_or(0)
}
