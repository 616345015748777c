//! The full copy: every type and encoding, all databases, expiry times and functions, for pairs of all versions.

use crate::{duet, samples};
use anyhow::Result;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::pair::Regions;

async fn copies_everything(west: Flavor, east: Flavor, args: &[&str]) -> Result<()> {
    let regions = Regions::start_with((west, args), (east, &[])).await?;
    samples::fill(&regions.west, east).await?;
    let daemon = regions.daemon(duet()).await?;
    regions.wait_equal().await?;
    let status = daemon.status().await?;
    for link in status["links"].as_array().into_iter().flatten() {
        assert_eq!(link["set_aside"], 0, "{link:#}");
    }
    Ok(())
}

#[tokio::test]
async fn redis_62_to_redis_62() -> Result<()> {
    copies_everything(Redis62, Redis62, &[]).await
}

#[tokio::test]
async fn redis_62_sends_a_diskless_dump_with_an_end_mark() -> Result<()> {
    copies_everything(Redis62, Redis62, &["--repl-diskless-sync", "yes"]).await
}

#[tokio::test]
async fn redis_70_to_redis_70() -> Result<()> {
    copies_everything(Redis70, Redis70, &[]).await
}

#[tokio::test]
async fn redis_70_sends_a_dump_from_disk_with_a_length() -> Result<()> {
    copies_everything(Redis70, Redis70, &["--repl-diskless-sync", "no"]).await
}

#[tokio::test]
async fn redis_70_without_compression_and_checksum() -> Result<()> {
    copies_everything(Redis70, Redis70, &["--rdbcompression", "no", "--rdbchecksum", "no"]).await
}

#[tokio::test]
async fn valkey_91_to_valkey_91() -> Result<()> {
    copies_everything(Valkey91, Valkey91, &[]).await
}

#[tokio::test]
async fn redis_70_to_redis_62() -> Result<()> {
    copies_everything(Redis70, Redis62, &[]).await
}

#[tokio::test]
async fn redis_62_to_redis_70() -> Result<()> {
    copies_everything(Redis62, Redis70, &[]).await
}

#[tokio::test]
async fn valkey_91_to_redis_70() -> Result<()> {
    copies_everything(Valkey91, Redis70, &[]).await
}

#[tokio::test]
async fn redis_70_to_valkey_91() -> Result<()> {
    copies_everything(Redis70, Valkey91, &[]).await
}

#[tokio::test]
async fn valkey_91_to_redis_62() -> Result<()> {
    copies_everything(Valkey91, Redis62, &[]).await
}

#[tokio::test]
async fn writes_at_the_source_during_the_dump_arrive_after_it() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let west = regions.west.client().await?;
    west.run("DEBUG POPULATE 200000 key 64").await?;
    let mixed = duet_chaos::load::Mixed::start(&regions.west, "during", 5_000).await?;
    let daemon = regions.daemon(duet()).await?;
    assert!(mixed.stop().await? > 0);
    regions.wait_equal().await?;
    let full_sync = &daemon.link("forward").await?["full_sync"];
    assert!(full_sync.is_null() || full_sync["keys_done"].as_u64() >= Some(200_000), "{full_sync:#}");
    Ok(())
}
