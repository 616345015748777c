//! One key that both regions write at full speed: equal at the end, and as many conflicts on record as there were.

use super::{Pair, number_in};
use anyhow::{Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};

/// Writes of each side that are in conflict for sure.
const KNOWN: u64 = 1_000;
/// Commands in a pipeline.
const BATCH: u64 = 100;

fn sets(name: &str, count: u64) -> Vec<String> {
    (0..count).map(|number| format!("SET k {name}{number}")).collect()
}

async fn each_losing_write_is_counted_once(west: Flavor, east: Flavor) -> Result<()> {
    let pair = Pair::start(west, east).await?;
    let (at_west, at_east) = pair.regions.clients().await?;
    let mut before = pair.conflicts().await?;
    ensure!(before == 0, "{before} conflicts before any write");
    for (turn, swapped) in [(0, false), (1, true)] {
        // Unequal numbers tell whose writes were counted.
        let (losing, winning) = (KNOWN + turn, KNOWN / 2 + turn);
        pair.at_once(&sets("early", losing), &sets("late", winning), swapped).await?;
        let last = format!("late{}", winning - 1);
        for client in [&at_west, &at_east] {
            let held = client.text("GET k").await?;
            ensure!(held == last, "{held} instead of the last write, {last}");
        }
        let counted = pair.conflicts().await?;
        ensure!(counted - before == losing, "{} conflicts counted instead of {losing}", counted - before);
        before = counted;
    }
    Ok(())
}

async fn set_all(client: Client, name: &'static str, count: u64) -> Result<()> {
    for first in (0..count).step_by(usize::try_from(BATCH)?) {
        let batch = first..count.min(first + BATCH);
        let commands: Vec<_> =
            batch.map(|number| vec!["SET".to_owned(), "k".to_owned(), format!("{name}{number}")]).collect();
        client.pipeline(&commands).await?;
    }
    Ok(())
}

#[tokio::test]
async fn writes_to_one_key_at_full_speed_end_equal_and_no_more_conflicts_are_counted_than_writes() -> Result<()> {
    let count = number_in("DUET_ONE_KEY_WRITES", 100_000)? / 2;
    let pair = Pair::start(Redis70, Redis70).await?;
    let (west, east) = pair.regions.clients().await?;
    tokio::try_join!(set_all(west.clone(), "west", count), set_all(east.clone(), "east", count))?;
    pair.settle().await?;
    let held = (west.text("GET k").await?, east.text("GET k").await?);
    let last = ["west", "east"].map(|name| format!("{name}{}", count - 1));
    ensure!(held.0 == held.1 && last.contains(&held.0), "{held:?} instead of one of the last writes");
    let counted = pair.conflicts().await?;
    ensure!(counted > 0 && counted <= 2 * count, "{counted} conflicts of {} writes", 2 * count);
    Ok(())
}

#[tokio::test]
async fn each_losing_write_is_counted_once_between_redis_70_and_redis_70() -> Result<()> {
    each_losing_write_is_counted_once(Redis70, Redis70).await
}

#[tokio::test]
async fn each_losing_write_is_counted_once_between_valkey_91_and_redis_62() -> Result<()> {
    each_losing_write_is_counted_once(Valkey91, Redis62).await
}
