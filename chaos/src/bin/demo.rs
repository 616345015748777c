//! The demo: two servers, Duet between them, and a small load on both sides.

use anyhow::{Context, Result};
use duet_chaos::children::shield_from_terminal;
use duet_chaos::client::Client;
use duet_chaos::compare::{contents, differences};
use duet_chaos::daemon::{Daemon, built_together};
use duet_chaos::flavor::Flavor;
use duet_chaos::load::Mixed;
use duet_chaos::pair::{More, Regions};
use duet_chaos::port::Port;
use duet_chaos::servers::Server;
use duet_chaos::wait::eventually;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ports that the servers and the daemon take where they are free.
const PORTS: [u16; 3] = [7001, 7002, 8780];
/// Commands per second and side.
const RATE: u32 = 400;
/// How often a line is printed.
const BEAT: Duration = Duration::from_secs(2);
/// How long the pair may take to start, and to become equal at the end.
const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    match demo().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<bool> {
    shield_from_terminal();
    let mut end = End::new()?;
    let binary = built_together()?;
    println!("Starting two Redis servers and Duet between them ...");
    let [west, east, http] = PORTS.map(Port::free_at_best);
    let regions = Regions {
        west: Server::start_at(Flavor::Redis70, west?, &[]).await?,
        east: Server::start_at(Flavor::Redis70, east?, &[]).await?,
        west_proxy: None,
        east_proxy: None,
    };
    let mut daemon = Daemon::start_at(&binary, &regions.config(&More::default()), &[], http?)?;
    daemon.wait_streaming(DEADLINE).await?;
    where_to_look(&binary, &regions, &daemon);

    let loads = [Mixed::start(&regions.west, "west", RATE).await?, Mixed::start(&regions.east, "east", RATE).await?];
    watch(&regions, &daemon, &mut end).await?;

    println!("\nStopping the load; waiting until both sides are equal ...");
    let [west_load, east_load] = loads;
    let (west_writes, east_writes) = (west_load.stop().await?, east_load.stop().await?);
    let equal = verdict(&regions, west_writes, east_writes).await;
    let status = daemon.terminate().await?;
    println!("Duet ended with {status}. The servers are stopped.");
    Ok(equal? && status.success())
}

/// Prints a line each [`BEAT`] until the end is asked for.
async fn watch(regions: &Regions, daemon: &Daemon, end: &mut End) -> Result<()> {
    let (west, east) = regions.clients().await?;
    let mut beat = tokio::time::interval(BEAT);
    loop {
        tokio::select! {
            () = end.asked() => return Ok(()),
            _ = beat.tick() => {}
        }
        let (forward, reverse) = (daemon.link("forward").await?, daemon.link("reverse").await?);
        let lag =
            |link: &serde_json::Value| link["lag_ms"].as_f64().map_or("-".to_owned(), |lag| format!("{lag:.0} ms"));
        println!(
            "  keys {:>5} | {:<5}   west to east: {}, lag {}, {} writes   east to west: {}, lag {}, {} writes",
            keys(&west).await?,
            keys(&east).await?,
            forward["state"].as_str().unwrap_or("?"),
            lag(&forward),
            forward["writes_applied"],
            reverse["state"].as_str().unwrap_or("?"),
            lag(&reverse),
            reverse["writes_applied"],
        );
    }
}

async fn verdict(regions: &Regions, west_writes: u64, east_writes: u64) -> Result<bool> {
    let mut last = Vec::new();
    let equal = eventually("both regions to be equal", DEADLINE, async || {
        last = differences(&regions.west, &regions.east).await?;
        Ok(last.is_empty().then_some(()))
    });
    if let Err(error) = equal.await {
        println!("NOT EQUAL: {error:#}");
        last.iter().take(20).for_each(|difference| println!("  {difference}"));
        return Ok(false);
    }
    let held = contents(&regions.west).await?.len();
    println!(
        "EQUAL: {west_writes} writes in the west and {east_writes} in the east; {held} keys, the same on both sides."
    );
    Ok(true)
}

fn where_to_look(binary: &Path, regions: &Regions, daemon: &Daemon) {
    let (west, east, url) = (regions.west.port(), regions.east.port(), daemon.url());
    println!("Both links stream. While this runs, look at it:");
    println!("  {} status --url {url} --watch", binary.display());
    println!("  curl {url}/status");
    println!("  redis-cli -p {west} SET hello world    then    redis-cli -p {east} GET hello");
    println!("  redis-cli -p {east} INCR visits        then    redis-cli -p {west} GET visits");
    println!("  configuration: {}", daemon.config().display());
    println!("A small load of every type runs on both sides. Ctrl-C ends it.\n");
}

/// Keys in all databases without the daemon's own, which are in database 0.
async fn keys(client: &Client) -> Result<i64> {
    let keyspace = client.text("INFO keyspace").await?;
    let counts =
        keyspace.lines().filter_map(|line| line.split_once(":keys=")?.1.split(',').next()?.parse::<i64>().ok());
    Ok(counts.sum::<i64>() - client.int("EVAL \"return #redis.call('KEYS', 'duet:*')\" 0").await?)
}

/// What ends the demo: Ctrl-C, SIGTERM, or `DEMO_SECONDS`.
struct End {
    interrupt: Signal,
    terminate: Signal,
    after: Option<tokio::time::Instant>,
    seconds: Option<Duration>,
}

impl End {
    fn new() -> Result<Self> {
        let seconds = match std::env::var("DEMO_SECONDS") {
            Ok(seconds) => Some(Duration::from_secs(seconds.parse().context("DEMO_SECONDS is not a number")?)),
            Err(_) => None,
        };
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, after: None, seconds })
    }

    /// Returns when the end is asked for; `DEMO_SECONDS` count from the first call.
    async fn asked(&mut self) {
        let now = tokio::time::Instant::now();
        let after = *self.after.get_or_insert(now + self.seconds.unwrap_or(Duration::from_secs(86_400 * 365)));
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = tokio::time::sleep_until(after) => {}
        }
    }
}
