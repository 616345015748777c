//! What both regions wrote while they could not reach each other: all of it is compared, however much that is, and soon
//! after they can again.

use super::{Pair, run_all};
use anyhow::{Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::flavor::Flavor::{Redis70, Valkey91};

/// Keys that both regions set, three times each.
const KEYS: u64 = 20_000;
/// Counters that both increment, five times each.
const COUNTERS: u64 = 2_000;
/// Lists that both push to: they are made equal by their values.
const LISTS: u64 = 1_000;
/// Writes of each region to each of a few keys: were each of them compared with each, that would take minutes.
const OF_FEW: u64 = 30_000;

/// What the clients of one region write, as long lists of commands.
fn lines(region: &str) -> Vec<String> {
    let sets = (0..3).flat_map(|turn| (0..KEYS).map(move |key| format!("SET key:{key} {turn}:{region}")));
    let counts = (0..5).flat_map(|_| (0..COUNTERS).map(|counter| format!("INCR counter:{counter}")));
    let pushes = (0..LISTS).map(|list| format!("RPUSH list:{list} {region}"));
    sets.chain(counts).chain(pushes).collect()
}

/// The same to a value, a hash, a lock and a queue.
fn lines_of_few(region: &str) -> Vec<String> {
    let lines = |number: u64| {
        [
            format!("SET value {region}:{number}"),
            format!("HSET hash field:{number} {region}"),
            if number.is_multiple_of(2) { format!("SET lock {region}:{number}") } else { "DEL lock".to_owned() },
            match number % 2 {
                0 => format!("RPUSH queue {region}:{number}"),
                _ => "LMOVE queue working LEFT RIGHT".to_owned(),
            },
        ]
    };
    (0..OF_FEW).flat_map(lines).collect()
}

/// Every increment of both regions counts.
async fn adds_up(client: &Client) -> Result<()> {
    for counter in [0, COUNTERS / 2, COUNTERS - 1] {
        let value = client.text(&format!("GET counter:{counter}")).await?;
        ensure!(value == "10", "counter:{counter} is {value}, and was incremented 5 times in each region");
    }
    Ok(())
}

/// The later writes stay, the counters are sums, and nothing was left uncompared.
async fn is_right(pair: &Pair) -> Result<()> {
    let (west, east) = pair.regions.clients().await?;
    for client in [&west, &east] {
        for key in [0, 1, KEYS / 2, KEYS - 1] {
            let value = client.text(&format!("GET key:{key}")).await?;
            ensure!(value == "2:east", "key:{key} is {value}, not the last write of east, which wrote later");
        }
        adds_up(client).await?;
    }
    for direction in ["forward", "reverse"] {
        let link = pair.daemon.link(direction).await?;
        let aside = link["set_aside_by_kind"].as_object().map(|kinds| kinds.len());
        ensure!(aside == Some(0), "{direction}: {}", link["set_aside_by_kind"]);
    }
    Ok(())
}

#[tokio::test]
async fn all_that_both_wrote_while_both_links_were_cut_is_compared() -> Result<()> {
    let pair = Pair::start(Redis70, Valkey91).await?;
    pair.at_once(&lines("west"), &lines("east"), false).await?;
    is_right(&pair).await?;
    let counted = pair.conflicts().await?;
    ensure!(counted >= 3 * KEYS, "{counted} conflicts, and each of {} writes of west lost", 3 * KEYS);
    Ok(())
}

/// Both regions have run these lines while the daemon was dead, and are settled and equal again; with a client of each.
async fn written_while_dead(lines: impl Fn(&str) -> Vec<String>) -> Result<(Pair, Client, Client)> {
    let mut pair = Pair::start(Redis70, Redis70).await?;
    pair.daemon.kill9()?;
    let (west, east) = pair.regions.clients().await?;
    run_all(&west, &lines("west")).await?;
    run_all(&east, &lines("east")).await?;
    pair.daemon.resume()?;
    pair.settle().await?;
    Ok((pair, west, east))
}

#[tokio::test]
async fn all_that_both_wrote_while_the_daemon_was_dead_is_compared() -> Result<()> {
    let (pair, west, east) = written_while_dead(lines).await?;
    // What was written while nobody read has the time at which it is read: either region may have been later.
    let values = (west.text("GET key:0").await?, east.text("GET key:0").await?);
    ensure!(values.0 == values.1 && values.0.starts_with("2:"), "{values:?}");
    adds_up(&west).await?;
    ensure!(pair.conflicts().await? >= KEYS, "there were no conflicts");
    Ok(())
}

#[tokio::test]
async fn all_that_both_wrote_to_a_few_keys_while_the_daemon_was_dead_is_compared_at_once() -> Result<()> {
    let (pair, west, east) = written_while_dead(lines_of_few).await?;
    for key in ["GET value", "HGET hash field:1", "GET lock"] {
        let values = (west.text(key).await?, east.text(key).await?);
        ensure!(values.0 == values.1, "{key}: {values:?}");
    }
    let conflicts = pair.conflicts().await?;
    ensure!(conflicts >= 2 * OF_FEW, "{conflicts} conflicts");
    Ok(())
}
