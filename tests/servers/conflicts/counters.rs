//! Counters that both regions count on at once: no increment is lost or repeated, with kills or without.

use super::{Kills, Pair};
use anyhow::{Result, bail, ensure};
use duet_chaos::client::Client;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::paced::{Command, Writer};
use duet_chaos::redis;
use std::collections::BTreeMap;

/// Counters of each kind.
const COUNTERS: u8 = 4;

/// Increments of every kind, and what they add up to.
#[derive(Default)]
struct Sums {
    /// By the line that reads the counter.
    sums: BTreeMap<String, i64>,
}

impl Writer for Sums {
    fn next(&mut self) -> Result<Vec<Command>> {
        let (number, by) = (fastrand::u8(..COUNTERS), fastrand::i64(-20..100));
        let (read, write, by) = match fastrand::u8(..6) {
            0 => (format!("GET string:{number}"), format!("INCR string:{number}"), 1),
            1 => (format!("GET string:{number}"), format!("INCRBY string:{number} {by}"), by),
            2 => (format!("GET string:{number}"), format!("DECR string:{number}"), -1),
            3 => (format!("GET string:{number}"), format!("DECRBY string:{number} {by}"), -by),
            4 => (format!("HGET hash f{number}"), format!("HINCRBY hash f{number} {by}"), by),
            _ => (format!("ZSCORE sorted m{number}"), format!("ZINCRBY sorted {by} m{number}"), by),
        };
        *self.sums.entry(read).or_default() += by;
        Ok(vec![write.split(' ').map(|word| word.as_bytes().to_vec()).collect()])
    }

    fn answered(&mut self, _: &[Vec<u8>], reply: &redis::Value) -> Result<()> {
        if let redis::Value::ServerError(error) = reply {
            bail!("the server refused an increment: {error:?}");
        }
        Ok(())
    }
}

async fn sums_are_exact(west: Flavor, east: Flavor, kills: Kills) -> Result<()> {
    let mut pair = Pair::start(west, east).await?;
    let [at_west, at_east] = pair.under_load(Sums::default(), Sums::default(), kills).await?;
    let mut sums = at_west.sums;
    for (read, sum) in at_east.sums {
        *sums.entry(read).or_default() += sum;
    }
    ensure!(sums.len() == usize::from(COUNTERS) * 3, "not every counter was counted on: {sums:?}");
    let (west, east) = pair.regions.clients().await?;
    for (read, sum) in &sums {
        let held = (held(&west, read).await?, held(&east, read).await?);
        ensure!(held == (*sum, *sum), "{read}: {sum} in all, but west and east hold {held:?}");
    }
    Ok(())
}

async fn held(client: &Client, read: &str) -> Result<i64> {
    Ok(client.text(read).await?.parse()?)
}

#[tokio::test]
async fn sums_are_exact_under_kills() -> Result<()> {
    for (west, east) in [(Redis70, Redis70), (Valkey91, Redis62)] {
        sums_are_exact(west, east, Kills::Some).await?;
    }
    Ok(())
}

#[tokio::test]
async fn sums_are_exact_without_kills() -> Result<()> {
    sums_are_exact(Redis70, Valkey91, Kills::None).await
}
