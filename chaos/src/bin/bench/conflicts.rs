//! Both regions written at once: every tenth write on keys that both sides write, against the same load without any.

use crate::copier::{Copier, DEADLINE, wait_key};
use crate::suite::Suite;
use crate::table::{head, median, row};
use anyhow::{Result, bail};
use duet_chaos::client::Client;
use duet_chaos::compare::wait_equal;
use duet_chaos::flavor::Flavor;
use duet_chaos::pair::Regions;
use duet_chaos::redis::Value;
use duet_chaos::servers::Server;
use std::time::Instant;

/// Commands in a pipeline.
const BATCH: u32 = 64;
/// Connections of each side.
const CONNECTIONS: u32 = 4;
/// Keys that each side has for itself.
const OWN_KEYS: u32 = 100_000;
/// Keys that both sides write.
const SHARED_KEYS: u32 = 1_000;
/// One write of so many goes to a shared key.
const SHARED_EVERY: u32 = 10;
/// The share of the throughput without conflicts that is to be kept.
const GOAL: f64 = 0.7;

/// Where every tenth write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tenth {
    /// To keys of its own, as many as would be shared.
    Own,
    /// To keys that the other side writes too.
    Shared,
}

struct Round {
    total_s: f64,
    conflicts: u64,
}

/// Measures both loads in turn, and prints a table with the ratio.
pub(crate) async fn measure(suite: &Suite) -> Result<()> {
    let (rounds, writes) = (suite.rounds, suite.size(1_000_000, 50_000));
    let tenths = [Tenth::Own, Tenth::Shared];
    let mut measured: [Vec<Round>; 2] = Default::default();
    for number in 0..rounds {
        for (tenth, figures) in tenths.iter().zip(&mut measured) {
            eprintln!("conflicts: round {} of {rounds}, every tenth write {tenth:?}", number + 1);
            figures.push(round(*tenth, writes).await?);
        }
    }
    head(
        &format!(
            "Both sides at once: {writes} SETs of 64 bytes each, every tenth on {SHARED_KEYS} keys; medians of {rounds}"
        ),
        &["every tenth write", "until each side has the other's last key", "writes/s", "conflicts", "throughput kept"],
    );
    let rate = |figures: &[Round]| {
        let seconds = median(figures.iter().map(|round| round.total_s));
        f64::from(writes) * 2.0 / seconds.max(f64::MIN_POSITIVE)
    };
    let without = rate(&measured[0]);
    for (tenth, figures) in tenths.iter().zip(&measured) {
        let (kept, conflicts) = (rate(figures) / without, figures.iter().map(|round| round.conflicts).max());
        row(&[
            match tenth {
                Tenth::Own => "on keys of its own side".to_owned(),
                Tenth::Shared => "on keys that both sides write".to_owned(),
            },
            format!("{:.2} s", f64::from(writes) * 2.0 / rate(figures)),
            format!("{:.0}", rate(figures)),
            format!("{}", conflicts.unwrap_or(0)),
            match tenth {
                Tenth::Own => "1.00".to_owned(),
                Tenth::Shared => format!("{kept:.2} (aim {GOAL})"),
            },
        ]);
    }
    Ok(())
}

async fn round(tenth: Tenth, writes: u32) -> Result<Round> {
    let regions = Regions::start(Flavor::Redis70, Flavor::Redis70).await?;
    let (west, east) = regions.clients().await?;
    let running = Copier::Duet.start(&regions).await?;
    running.streaming(&regions).await?;
    let started = Instant::now();
    tokio::try_join!(side(&regions.west, "west", tenth, writes), side(&regions.east, "east", tenth, writes))?;
    tokio::try_join!(west.run("SET the-last-key:west 1"), east.run("SET the-last-key:east 1"))?;
    tokio::try_join!(wait_key(&east, "the-last-key:west"), wait_key(&west, "the-last-key:east"))?;
    let total_s = started.elapsed().as_secs_f64();
    // A fast way to regions that differ is worth nothing.
    wait_equal(&regions.west, &regions.east, DEADLINE).await?;
    Ok(Round { total_s, conflicts: running.conflicts().await? })
}

/// All connections of one side, each with its share of the writes.
async fn side(server: &Server, name: &'static str, tenth: Tenth, writes: u32) -> Result<()> {
    let mut tasks = Vec::new();
    for number in 0..CONNECTIONS {
        let client = server.client().await?;
        tasks.push(tokio::spawn(write(client, name, tenth, writes / CONNECTIONS, u64::from(number))));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

async fn write(client: Client, name: &'static str, tenth: Tenth, writes: u32, seed: u64) -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(seed);
    for first in (0..writes).step_by(BATCH as usize) {
        let commands: Vec<Vec<String>> = (first..writes.min(first + BATCH))
            .map(|number| {
                let key = match tenth {
                    _ if number % SHARED_EVERY != 0 => format!("{name}:{}", rng.u32(..OWN_KEYS)),
                    Tenth::Own => format!("{name}:tenth:{}", rng.u32(..SHARED_KEYS)),
                    Tenth::Shared => format!("shared:tenth:{}", rng.u32(..SHARED_KEYS)),
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
