//! FLUSHDB, FLUSHALL and SWAPDB: copied or refused, by configuration; and values that travel whole.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::redis::Value;
use duet_chaos::wait::eventually;

async fn wait_int(client: &Client, line: &str, wanted: i64) -> Result<()> {
    let reached = async || Ok((client.int(line).await? == wanted).then_some(()));
    eventually(&format!("{line} to be {wanted}"), DEADLINE, reached).await
}

#[tokio::test]
async fn a_flush_empties_the_other_side_and_the_pair_goes_on() -> Result<()> {
    for flavor in [Redis62, Redis70, Valkey91] {
        let regions = Regions::start(flavor, flavor).await?;
        let daemon = regions.daemon(duet()).await?;
        let (west, east) = regions.clients().await?;
        let east_4 = regions.east.client_in(4).await?;
        for (client, line) in
            [(&west, "FLUSHALL"), (&east, "FLUSHALL ASYNC"), (&west, "FLUSHDB"), (&east, "FLUSHDB ASYNC")]
        {
            west.script("SET a 1\nRPUSH b 1 2").await?;
            east_4.run("SET in-4 1").await?;
            regions.wait_equal().await?;
            client.run(line).await?;
            wait_int(&west, "EXISTS a b", 0).await?;
            wait_int(&east, "EXISTS a b", 0).await?;
            client.run("INCR after").await?;
            regions.wait_equal().await?;
        }
        daemon.wait_streaming(DEADLINE).await?;
        ensure!(daemon.link("forward").await?["reconnects"] == 0, "a flush must not cost a connection");
    }
    Ok(())
}

#[tokio::test]
async fn a_kill_after_a_flush_loses_nothing() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let mut daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    west.run("SET a 1").await?;
    wait_int(&east, "EXISTS a", 1).await?;
    west.run("FLUSHALL").await?;
    wait_int(&east, "EXISTS a", 0).await?;
    east.run("SET b 1").await?;
    wait_int(&west, "EXISTS b", 1).await?;
    east.run("FLUSHALL").await?;
    wait_int(&west, "EXISTS b", 0).await?;
    // The marker that the client's flush took is written anew when the flush is seen.
    wait_int(&east, "EXISTS duet:orders:marker:west", 1).await?;
    wait_int(&west, "EXISTS duet:orders:marker:east", 1).await?;
    daemon.kill9()?;
    west.script("INCR n\nINCR n").await?;
    east.script("INCR m\nINCR m").await?;
    daemon.resume()?;
    daemon.wait_streaming(DEADLINE).await?;
    regions.wait_equal().await?;
    ensure!(east.int("GET n").await? == 2 && west.int("GET m").await? == 2);
    Ok(())
}

#[tokio::test]
async fn a_swap_of_databases_is_a_swap_at_the_other_side() -> Result<()> {
    let regions = Regions::start(Redis70, Redis62).await?;
    let _daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    let west_1 = regions.west.client_in(1).await?;
    west.script("SET a zero\nSET only-0 1").await?;
    west_1.script("SET a one\nSET only-1 1").await?;
    west.run("SWAPDB 0 1").await?;
    regions.wait_equal().await?;
    ensure!(east.text("GET a").await? == "one");
    east.run("SWAPDB 1 0").await?;
    regions.wait_equal().await?;
    west.run("INCR after").await?;
    regions.wait_equal().await?;
    ensure!(east.text("GET a").await? == "zero");
    Ok(())
}

#[tokio::test]
async fn what_is_refused_is_reported_and_leaves_the_other_side_as_it_is() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let more = More { tables: "[increments]\nflush = \"refuse\"\nswapdb = \"refuse\"\n".to_owned(), ..More::default() };
    let daemon = regions.daemon_with(duet(), &more).await?;
    let (west, east) = regions.clients().await?;
    west.run("SET a 1").await?;
    regions.wait_equal().await?;
    west.script("SWAPDB 3 4\nFLUSHALL\nSET after 1").await?;
    wait_int(&east, "EXISTS after", 1).await?;
    ensure!(east.int("EXISTS a").await? == 1);
    let reported = |status: &serde_json::Value| status["links"][0]["set_aside"].as_u64() >= Some(2);
    daemon.wait_for("the refusals to be counted", DEADLINE, reported).await?;
    Ok(())
}

async fn restores(west: Flavor, east: Flavor) -> Result<()> {
    let regions = Regions::start(west, east).await?;
    let _daemon = regions.daemon(duet()).await?;
    let client = regions.west.client().await?;
    client.script("ZADD made 1 a 2 b\nHSET hash a 1\nXADD stream 1-1 a 1\nXGROUP CREATE stream g 0").await?;
    for (key, ttl) in [("made", "0"), ("hash", "100000"), ("stream", "0")] {
        let Value::BulkString(dump) = client.run(&format!("DUMP {key}")).await? else {
            anyhow::bail!("no dump of {key}");
        };
        let copy = format!("restored:{key}");
        client.args(&[b"RESTORE".as_slice(), copy.as_bytes(), ttl.as_bytes(), &dump, b"REPLACE"]).await?;
    }
    regions.wait_equal().await
}

#[tokio::test]
async fn a_value_that_a_client_restores_travels_whole() -> Result<()> {
    for (west, east) in [(Redis62, Redis62), (Redis70, Redis70), (Valkey91, Valkey91), (Redis62, Valkey91)] {
        restores(west, east).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_value_that_a_client_restores_travels_to_an_older_server_too() -> Result<()> {
    for (west, east) in [(Redis70, Redis62), (Valkey91, Redis70)] {
        restores(west, east).await?;
    }
    Ok(())
}

#[tokio::test]
async fn publish_is_off_by_default_and_can_be_switched_on() -> Result<()> {
    for (publish, wanted) in [(false, 0), (true, 1)] {
        let regions = Regions::start(Redis70, Redis70).await?;
        let more = More { tables: format!("[increments]\npublish = {publish}\n"), ..More::default() };
        let _daemon = regions.daemon_with(duet(), &more).await?;
        let (west, east) = regions.clients().await?;
        let before = calls(&east, "publish").await?;
        west.script("PUBLISH channel message\nSET after 1").await?;
        regions.wait_equal().await?;
        let after = calls(&east, "publish").await?;
        ensure!(after - before == wanted, "{before} to {after} messages with publish = {publish}");
    }
    Ok(())
}

/// How often a server has executed a command.
async fn calls(client: &Client, command: &str) -> Result<i64> {
    let line = client.info("commandstats", &format!("cmdstat_{command}")).await?;
    let calls = line.as_deref().and_then(|line| line.strip_prefix("calls=")?.split(',').next());
    Ok(calls.map_or(Ok(0), str::parse)?)
}
