//! Both regions written at once: every tenth write on keys that both sides write, against the same load without any.

use crate::copier::{Copier, DEADLINE, wait_key};
use crate::suite::{Run, Suite};
use crate::table::{head, many, median, row};
use crate::usage::Used;
use anyhow::{Result, bail};
use duet_chaos::client::Client;
use duet_chaos::compare::wait_equal;
use duet_chaos::flavor::Flavor;
use duet_chaos::pair::Regions;
use duet_chaos::redis::Value;
use duet_chaos::servers::Server;
use std::fmt;
use std::time::Instant;

/// Commands in a pipeline.
const BATCH: u32 = 64;
/// Connections of each side.
const CONNECTIONS: u32 = 4;
/// Keys that each side has for itself.
const OWN_KEYS: u32 = 100_000;
/// Keys that both sides write.
const SHARED_KEYS: u32 = 1_000;
/// The share of writes on shared keys that the goal is about, percent.
const TENTH: u32 = 10;
/// The share of the throughput without conflicts that is to be kept.
const GOAL: f64 = 0.7;

/// Where so many percent of the writes go; the others go to keys of their own side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    /// To keys of its own, as many as would be shared.
    Own(u32),
    /// To keys that the other side writes too.
    Shared(u32),
}

impl fmt::Display for Share {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(_) => out.write_str("on keys of its own side"),
            Self::Shared(_) => out.write_str("on keys that both sides write"),
        }
    }
}

struct Round {
    run: Run,
    conflicts: u64,
}

/// Measures both loads in turn, and prints a table with the ratio.
pub(crate) async fn measure(suite: &mut Suite) -> Result<()> {
    let writes = suite.size(1_000_000, 50_000);
    let shares = [Share::Own(TENTH), Share::Shared(TENTH)];
    let measured = suite.in_turn("conflicts", &shares, async |share| round(*share, writes).await).await?;
    head(
        &format!("Both sides at once: {} SETs of 64 bytes each, every tenth on {SHARED_KEYS} keys", many(writes)),
        &["every tenth write", "until each side has the other's last key", "writes/s", "conflicts", "throughput kept"],
    );
    let all = f64::from(writes) * 2.0;
    let seconds = |figures: &[Round]| median(figures.iter().map(|round| round.run.seconds));
    let kept =
        median(measured[1].iter().zip(&measured[0]).map(|(with, without)| without.run.seconds / with.run.seconds));
    for (share, figures) in shares.iter().zip(&measured) {
        let kept = if *share == shares[0] { "1.00".to_owned() } else { format!("{kept:.2}") };
        row(&[
            share.to_string(),
            format!("{:.2} s", seconds(figures)),
            many(all / seconds(figures)),
            many(figures.iter().map(|round| round.conflicts as f64).fold(0.0, f64::max)),
            kept,
        ]);
        suite.remember_memory(figures.iter().map(|round| &round.run.used));
    }
    suite.aims.at_least("conflicts in every tenth write: throughput kept", kept, "", [GOAL, GOAL]);
    Ok(())
}

/// One run in which so many percent of the writes go to keys that both sides write.
pub(crate) async fn share(percent: u32, writes: u32) -> Result<Run> {
    Ok(round(Share::Shared(percent), writes).await?.run)
}

async fn round(share: Share, writes: u32) -> Result<Round> {
    let regions = Regions::start(Flavor::Redis70, Flavor::Redis70).await?;
    let (west, east) = regions.clients().await?;
    let running = Copier::Duet.start(&regions).await?;
    running.streaming(&regions).await?;
    let (before, started) = (Used::now(&running, &regions)?, Instant::now());
    tokio::try_join!(side(&regions.west, "west", share, writes), side(&regions.east, "east", share, writes))?;
    tokio::try_join!(west.run("SET the-last-key:west 1"), east.run("SET the-last-key:east 1"))?;
    tokio::try_join!(wait_key(&east, "the-last-key:west"), wait_key(&west, "the-last-key:east"))?;
    let run = Run { seconds: started.elapsed().as_secs_f64(), used: Used::now(&running, &regions)?.since(before) };
    // A fast way to regions that differ is worth nothing.
    wait_equal(&regions.west, &regions.east, DEADLINE).await?;
    Ok(Round { run, conflicts: running.conflicts().await? })
}

/// All connections of one side, each with its share of the writes.
async fn side(server: &Server, name: &'static str, share: Share, writes: u32) -> Result<()> {
    let mut tasks = Vec::new();
    for number in 0..CONNECTIONS {
        let client = server.client().await?;
        tasks.push(tokio::spawn(write(client, name, share, writes / CONNECTIONS, u64::from(number))));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

async fn write(client: Client, name: &'static str, share: Share, writes: u32, seed: u64) -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(seed);
    for first in (0..writes).step_by(BATCH as usize) {
        let commands: Vec<Vec<String>> = (first..writes.min(first + BATCH))
            .map(|number| {
                // Spread evenly: 37 and 100 have no common factor.
                let turn = number % 100 * 37 % 100;
                let key = match share {
                    Share::Own(percent) if turn < percent => format!("{name}:few:{}", rng.u32(..SHARED_KEYS)),
                    Share::Shared(percent) if turn < percent => format!("shared:few:{}", rng.u32(..SHARED_KEYS)),
                    Share::Own(_) | Share::Shared(_) => format!("{name}:{}", rng.u32(..OWN_KEYS)),
                };
                vec!["SET".to_owned(), key, format!("{name}{number:0>60}")]
            })
            .collect();
        for reply in client.pipeline(&commands).await? {
            if let Value::ServerError(error) = reply {
                bail!("the server refused a write: {error:?}");
            }
        }
    }
    Ok(())
}
