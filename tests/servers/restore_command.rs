//! A client's RESTORE arrives although the other region refuses its payload: older, or of the other family.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::pair::{DEADLINE, Regions};
use duet_chaos::redis::Value;
use duet_chaos::wait::eventually;

/// A value of each type in its short and its long encoding.
const VALUES: &str = "SET text hello\nSET number 12345\nRPUSH list a b 3\nSADD set a b c\nSADD numbers 1 2 3\n\
    ZADD sorted 1.5 a -inf b\nHSET hash a 1 b two\nXADD stream 1-1 f v\nXADD stream 2-1 f w\nXGROUP CREATE stream group 0\n\
    XREADGROUP GROUP group consumer COUNT 1 STREAMS stream >";

const NAMES: [&str; 10] =
    ["text", "number", "list", "set", "numbers", "sorted", "hash", "stream", "long-sorted", "long-hash"];

async fn fill(client: &Client) -> Result<()> {
    client.script(VALUES).await?;
    let long = "x".repeat(300);
    for n in 0..200 {
        client.script(&format!("ZADD long-sorted {n} {n}{long}\nHSET long-hash {n} {n}{long}")).await?;
    }
    Ok(())
}

async fn restore_all(client: &Client) -> Result<()> {
    for name in NAMES {
        let Value::BulkString(payload) = client.run(&format!("DUMP {name}")).await? else {
            anyhow::bail!("no payload of {name}")
        };
        let restored = |how: &str| format!("restored:{how}:{name}").into_bytes();
        let at = b"4102444800123".as_slice();
        client.args(&[b"RESTORE".as_slice(), &restored("plain"), b"0", &payload]).await?;
        client.args(&[b"RESTORE".as_slice(), &restored("relative"), b"1000000", &payload, b"REPLACE"]).await?;
        client.args(&[b"RESTORE".as_slice(), &restored("absolute"), at, &payload, b"ABSTTL"]).await?;
        // The key exists, with another type at times.
        client.run(&format!("RENAME restored:plain:{name} restored:over")).await?;
        client.args(&[b"RESTORE".as_slice(), b"restored:over", at, &payload, b"REPLACE", b"ABSTTL"]).await?;
    }
    Ok(())
}

async fn arrives(west: Flavor, east: Flavor) -> Result<()> {
    let regions = Regions::start(west, east).await?;
    let daemon = regions.daemon(duet()).await?;
    let at_west = regions.west.client_in(3).await?;
    fill(&at_west).await?;
    restore_all(&at_west).await?;
    regions.wait_equal().await?;
    let at_east = regions.east.client_in(3).await?;
    ensure!(at_east.int("EXISTS restored:absolute:hash restored:relative:stream restored:over").await? == 3);
    ensure!(at_east.int("PTTL restored:relative:list").await? > 0);
    let status = daemon.status().await?;
    for link in status["links"].as_array().into_iter().flatten() {
        ensure!(link["set_aside"] == 0 && link["state"] == "streaming", "{link:#}");
    }
    Ok(())
}

#[tokio::test]
async fn from_redis_70_to_redis_62() -> Result<()> {
    arrives(Redis70, Redis62).await
}

#[tokio::test]
async fn from_valkey_91_to_redis_70() -> Result<()> {
    arrives(Valkey91, Redis70).await
}

#[tokio::test]
async fn from_valkey_91_to_redis_62() -> Result<()> {
    arrives(Valkey91, Redis62).await
}

#[tokio::test]
async fn from_redis_62_to_valkey_91() -> Result<()> {
    arrives(Redis62, Valkey91).await
}

#[tokio::test]
async fn libraries_from_valkey_91_to_redis_70() -> Result<()> {
    let regions = Regions::start(Valkey91, Redis70).await?;
    let daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    let code = "#!lua name=one\nredis.register_function('one', function() return 'said' end)";
    west.args(&["FUNCTION", "LOAD", code]).await?;
    let Value::BulkString(payload) = west.run("FUNCTION DUMP").await? else { anyhow::bail!("no payload") };
    west.run("FUNCTION FLUSH").await?;
    west.args(&[b"FUNCTION".as_slice(), b"RESTORE", &payload]).await?;
    west.run("SET after 1").await?;
    eventually("what comes after it", DEADLINE, async || Ok((east.int("EXISTS after").await? == 1).then_some(())))
        .await?;
    ensure!(east.text("FCALL one 0").await? == "said");
    ensure!(daemon.link("forward").await?["set_aside"] == 0);
    Ok(())
}

#[tokio::test]
async fn what_the_other_region_has_no_place_for_is_named() -> Result<()> {
    let regions = Regions::start(Valkey91, Redis70).await?;
    let daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    west.script("HSET hash a 1 b 2\nHPEXPIRE hash 1000000 FIELDS 1 a").await?;
    let Value::BulkString(payload) = west.run("DUMP hash").await? else { anyhow::bail!("no payload") };
    west.args(&[b"RESTORE".as_slice(), b"restored", b"0", &payload]).await?;
    let named = |status: &serde_json::Value| {
        let recent = status["links"][0]["set_aside_recent"].as_array();
        recent.into_iter().flatten().any(|item| item["key"] == "restored" && item["what"] == "RESTORE")
    };
    daemon.wait_for("it to be named", DEADLINE, named).await?;
    west.run("SET after 1").await?;
    eventually("what comes after it", DEADLINE, async || Ok((east.int("EXISTS after").await? == 1).then_some(())))
        .await?;
    ensure!(east.text("HGET restored a").await? == "1" && east.int("HLEN restored").await? == 2);
    Ok(())
}
