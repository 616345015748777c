//! What a server deletes by itself for want of memory beats no update; what a client lets expire at once is gone.

use super::{Pair, SETTLING, clocks_apart, run_all};
use anyhow::{Context, Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::pair::DEADLINE;
use duet_chaos::pair::More;
use duet_chaos::redis::Value;
use duet_chaos::wait::eventually;

/// How many keys there are.
const KEYS: usize = 200;

/// Makes the server evict some keys that have a time to live; then it may grow again.
async fn evict(client: &Client) -> Result<()> {
    client.run("CONFIG SET maxmemory-policy volatile-lru").await?;
    let memory = async |field| anyhow::Ok(client.info("memory", field).await?.context("no figure")?.parse::<i64>()?);
    let used = memory("used_memory").await? - memory("mem_not_counted_for_evict").await?;
    client.run(&format!("CONFIG SET maxmemory {}", used - 400_000)).await?;
    eventually("keys to be evicted", DEADLINE, async || {
        let written = client.pipeline(&[vec!["SET", "other", "1"]]).await?;
        ensure!(written.len() == 1);
        Ok(client.info("stats", "evicted_keys").await?.filter(|keys| keys != "0"))
    })
    .await?;
    client.run("CONFIG SET maxmemory 0").await?;
    Ok(())
}

async fn a_refreshed_key_outlives_its_eviction(west: Flavor, east: Flavor) -> Result<()> {
    let pair = Pair::start_configured(west, east, &[], &More::default()).await?;
    let (at_west, at_east) = pair.regions.clients().await?;
    let value = "v".repeat(10_000);
    let all = |value: &str| (0..KEYS).map(|key| format!("SET v{key} {value} EX 3600")).collect::<Vec<String>>();
    run_all(&at_west, &all(&value)).await?;
    pair.settle().await?;
    pair.regions.hold_links().await?;
    run_all(&at_east, &all("fresh")).await?;
    clocks_apart().await?;
    evict(&at_west).await?;
    pair.regions.release_links()?;
    pair.settle().await?;
    for client in [&at_west, &at_east] {
        let gets: Vec<_> = (0..KEYS).map(|key| vec!["GET".to_owned(), format!("v{key}")]).collect();
        let held = client.pipeline(&gets).await?;
        ensure!(held.iter().all(|value| *value == Value::BulkString(b"fresh".to_vec())), "{held:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_refresh_outlives_an_eviction_between_redis_70_and_valkey_91() -> Result<()> {
    a_refreshed_key_outlives_its_eviction(Redis70, Valkey91).await
}

#[tokio::test]
async fn a_refresh_outlives_an_eviction_between_valkey_91_and_redis_62() -> Result<()> {
    a_refreshed_key_outlives_its_eviction(Valkey91, Redis62).await
}

#[tokio::test]
async fn what_a_client_lets_expire_at_once_is_gone_in_the_other_region() -> Result<()> {
    for (west, east) in [(Redis70, Redis62), (Valkey91, Valkey91)] {
        let pair = Pair::start_configured(west, east, &[], &More::default()).await?;
        let (at_west, at_east) = pair.regions.clients().await?;
        at_west.script("SET k 1\nSET l 1 EX 3600\nSET m 1").await?;
        pair.settle().await?;
        at_west.script("EXPIRE k -1\nGETEX l EXAT 1\nDEL m").await?;
        let gone = async || Ok((at_east.int("EXISTS k l m").await? == 0).then_some(()));
        eventually("all three to be gone", SETTLING, gone).await?;
        pair.settle().await?;
    }
    Ok(())
}
