//! Increments, both ways: every write command, transactions, scripts, all databases.

use crate::{duet, writes};
use anyhow::{Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::daemon::Signal;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::load::Mixed;
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::wait::eventually;

async fn copies_every_write(west: Flavor, east: Flavor) -> Result<()> {
    let regions = Regions::start(west, east).await?;
    let daemon = regions.daemon(duet()).await?;
    let (at_west, at_east) = regions.clients().await?;
    at_west.script(&writes::lines("w:", west, east)).await?;
    at_east.script(&writes::lines("e:", east, west)).await?;
    let (west_7, east_9) = (regions.west.client_in(7).await?, regions.east.client_in(9).await?);
    let (lines_7, lines_9) = (writes::lines("w7:", west, east), writes::lines("e9:", east, west));
    tokio::try_join!(west_7.script(&lines_7), east_9.script(&lines_9))?;
    regions.wait_equal().await?;
    let status = daemon.status().await?;
    for link in status["links"].as_array().into_iter().flatten() {
        ensure!(link["set_aside"] == 0 && link["state"] == "streaming" && link["reconnects"] == 0, "{link:#}");
    }
    Ok(())
}

#[tokio::test]
async fn every_write_between_redis_62_and_redis_62() -> Result<()> {
    copies_every_write(Redis62, Redis62).await
}

#[tokio::test]
async fn every_write_between_redis_70_and_redis_70() -> Result<()> {
    copies_every_write(Redis70, Redis70).await
}

#[tokio::test]
async fn every_write_between_valkey_91_and_valkey_91() -> Result<()> {
    copies_every_write(Valkey91, Valkey91).await
}

#[tokio::test]
async fn every_write_between_redis_62_and_redis_70() -> Result<()> {
    copies_every_write(Redis62, Redis70).await
}

#[tokio::test]
async fn every_write_between_redis_70_and_valkey_91() -> Result<()> {
    copies_every_write(Redis70, Valkey91).await
}

#[tokio::test]
async fn writes_to_one_key_one_after_the_other_from_both_sides_come_out_exact() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let _daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    for turn in 1..=30 {
        let (here, there) = if turn % 2 == 0 { (&west, &east) } else { (&east, &west) };
        here.script(&format!(
            "INCR n\nRPUSH list {turn}\nHSET hash f{turn} {turn}\nSADD set {turn}\nXADD stream * n {turn}"
        ))
        .await?;
        let arrived = async || Ok((there.int("XLEN stream").await? == turn).then_some(()));
        eventually("the other side to have it", DEADLINE, arrived).await?;
    }
    regions.wait_equal().await?;
    ensure!(west.int("GET n").await? == 30 && west.int("LLEN list").await? == 30);
    Ok(())
}

#[tokio::test]
async fn a_transaction_of_a_client_is_one_transaction_at_the_other_side() -> Result<()> {
    let regions = Regions::start(Redis70, Redis62).await?;
    let _daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    let transaction = |n: u32| -> Vec<Vec<String>> {
        let lines = [
            "MULTI".to_owned(),
            format!("SET a {n}"),
            "SELECT 5".to_owned(),
            format!("SET b {n}"),
            "SELECT 0".to_owned(),
            format!("SET c {n}"),
            "INCR missing-type".to_owned(),
            "DEL nothing".to_owned(),
            "EXEC".to_owned(),
        ];
        lines.iter().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
    };
    let writer = tokio::spawn(async move {
        for n in 1..=400 {
            west.pipeline(&transaction(n)).await?;
        }
        anyhow::Ok(())
    });
    // A reader that sees a and c in one MGET must never see them differ.
    eventually("the last transaction", DEADLINE, async || {
        let seen = east
            .text("EVAL \"return table.concat({redis.call('GET', 'a') or '', redis.call('GET', 'c') or ''}, ' ')\" 0")
            .await?;
        let (a, c) = seen.split_once(' ').unwrap_or_default();
        assert_eq!(a, c, "a transaction was seen half");
        Ok((a == "400").then_some(()))
    })
    .await?;
    writer.await??;
    regions.wait_equal().await
}

#[tokio::test]
async fn a_client_that_was_blocked_takes_its_element_once() -> Result<()> {
    let regions = Regions::start(Redis70, Valkey91).await?;
    let _daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    let blocked: Vec<Client> =
        vec![regions.west.client().await?, regions.west.client().await?, regions.west.client().await?];
    let lines = ["BLPOP queue 30", "BLMOVE source target LEFT RIGHT 30", "BZPOPMIN sorted 30"];
    let waiting: Vec<_> = blocked
        .into_iter()
        .zip(lines)
        .map(|(client, line)| tokio::spawn(async move { client.run(line).await }))
        .collect();
    let all_wait = async || Ok((west.info("clients", "blocked_clients").await?.as_deref() == Some("3")).then_some(()));
    eventually("three blocked clients", DEADLINE, all_wait).await?;
    west.script("RPUSH queue a b\nRPUSH source a b\nZADD sorted 1 a 2 b").await?;
    for task in waiting {
        task.await??;
    }
    regions.wait_equal().await?;
    ensure!(east.int("LLEN queue").await? == 1 && east.int("LLEN target").await? == 1);
    Ok(())
}

#[tokio::test]
async fn a_mixed_load_on_both_sides_ends_equal() -> Result<()> {
    for (west, east) in [(Redis62, Valkey91), (Redis70, Redis70)] {
        let regions = Regions::start(west, east).await?;
        let _daemon = regions.daemon(duet()).await?;
        let loads = [Mixed::start(&regions.west, "w", 5_000).await?, Mixed::start(&regions.east, "e", 5_000).await?];
        for load in &loads {
            eventually("20,000 writes", DEADLINE, async || Ok((load.written() > 20_000).then_some(()))).await?;
        }
        for load in loads {
            load.stop().await?;
        }
        regions.wait_equal().await?;
    }
    Ok(())
}

#[tokio::test]
async fn expired_keys_are_gone_on_both_sides() -> Result<()> {
    for flavor in Flavor::ALL {
        let regions = Regions::start(flavor, flavor).await?;
        let _daemon = regions.daemon(duet()).await?;
        let (west, east) = regions.clients().await?;
        west.script("SET gone 1 PX 300\nSET stays 1 EX 1000\nRPUSH list a\nPEXPIRE list 300").await?;
        for client in [&west, &east] {
            let gone = async || Ok((client.int("EXISTS gone list").await? == 0).then_some(()));
            eventually("the keys to expire", DEADLINE, gone).await?;
        }
        regions.wait_equal().await?;
    }
    Ok(())
}

#[tokio::test]
async fn functions_come_and_go_on_both_sides() -> Result<()> {
    let regions = Regions::start(Redis70, Valkey91).await?;
    let _daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    let library = |name: &str, result: u32| {
        format!(
            "#!lua name={name}\nredis.register_function('{name}', function(keys) return redis.call('INCRBY', keys[1], {result}) end)"
        )
    };
    west.args(&["FUNCTION", "LOAD", &library("one", 1)]).await?;
    east.args(&["FUNCTION", "LOAD", &library("two", 2)]).await?;
    regions.wait_equal().await?;
    west.script("FCALL two 1 n\nFCALL one 1 n").await?;
    west.args(&["FUNCTION", "LOAD", "REPLACE", &library("one", 10)]).await?;
    regions.wait_equal().await?;
    east.script("FCALL one 1 m\nFUNCTION DELETE two").await?;
    regions.wait_equal().await?;
    ensure!(west.int("GET m").await? == 10 && west.int("GET n").await? == 3);
    Ok(())
}

/// A server that finds the heartbeat before expired when the next one is set deletes it first, and sends both as one
/// transaction.
#[tokio::test]
async fn heartbeats_that_their_server_finds_expired_do_not_stop_a_link_under_load() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let tables = "[heartbeat]\ninterval = \"50ms\"\nexpire = \"1s\"".to_owned();
    let daemon = regions.daemon_with(duet(), &More { tables, ..More::default() }).await?;
    let (west, east) = regions.clients().await?;
    // Who looks at what has expired deletes it: that is left to the heartbeat.
    west.run("DEBUG SET-ACTIVE-EXPIRE 0").await?;
    let writes: Vec<_> = (0..500).map(|key| vec!["SET".to_owned(), format!("k{key}"), "v".repeat(100)]).collect();
    for _ in 0..5 {
        daemon.signal(Signal::SIGSTOP)?;
        west.run("SET longer-than-a-heartbeat-lives 1 PX 1100").await?;
        while west.int("EXISTS longer-than-a-heartbeat-lives").await? == 1 {
            west.pipeline(&writes).await?;
        }
        daemon.signal(Signal::SIGCONT)?;
        for _ in 0..20 {
            west.pipeline(&writes).await?;
        }
    }
    regions.settle(&daemon, DEADLINE).await?;
    ensure!(east.int("DBSIZE").await? >= 500);
    Ok(())
}
