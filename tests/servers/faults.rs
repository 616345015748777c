//! A server that refuses: the link says why and what to do, the other link goes on, and so does this one afterwards.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::port::Port;
use duet_chaos::servers::Ending;
use duet_chaos::wait::eventually;
use serde_json::Value;

/// Waits until the forward link does not stream, for a reason with one of these words, and something to do about it.
async fn says_why(daemon: &Daemon, words: &[&str]) -> Result<()> {
    let says = |status: &Value| {
        let link = &status["links"][0];
        let reason = link["reason"].to_string().to_lowercase();
        link["state"] != "streaming" && words.iter().any(|word| reason.contains(&word.to_lowercase()))
    };
    let status = daemon.wait_for(&format!("a reason with one of {words:?}"), DEADLINE, says).await?;
    let reason = status["links"][0]["reason"].as_str().unwrap_or_default();
    let remedy = status["links"][0]["remedy"].as_str().unwrap_or(reason);
    ensure!(remedy.split(' ').count() > 4, "no remedy: {status:#}");
    ensure!(daemon.get("/readyz").await?.code == 503);
    Ok(())
}

/// Writes in the west, which cannot arrive now, and removes a key in the east, which must.
async fn the_other_link_goes_on(west: &Client, east: &Client) -> Result<()> {
    west.script("INCR n\nRPUSH list a\nXADD stream * f 1").await?;
    east.run("DEL removed-in-the-east").await?;
    let gone = async || Ok((west.int("EXISTS removed-in-the-east").await? == 0).then_some(()));
    eventually("the reverse link to go on", DEADLINE, gone).await
}

async fn prepare(regions: &Regions) -> Result<(Client, Client)> {
    let (west, east) = regions.clients().await?;
    west.script("SET removed-in-the-east 1\nSET n 41").await?;
    regions.wait_equal().await?;
    Ok((west, east))
}

async fn goes_on(regions: &Regions, daemon: &mut Daemon, east: &Client) -> Result<()> {
    daemon.wait_streaming(DEADLINE).await?;
    regions.wait_equal().await?;
    ensure!(east.int("GET n").await? == 42 && east.int("LLEN list").await? == 1 && east.int("XLEN stream").await? == 1);
    ensure!(daemon.is_running()?);
    Ok(())
}

#[tokio::test]
async fn out_of_memory_at_the_target() -> Result<()> {
    for flavor in [Redis62, Redis70, Valkey91] {
        let regions = Regions::start(flavor, flavor).await?;
        let mut daemon = regions.daemon(duet()).await?;
        let (west, east) = prepare(&regions).await?;
        east.run("CONFIG SET maxmemory 1").await?;
        west.run("SET trigger 1").await?;
        says_why(&daemon, &["OOM", "memory"]).await?;
        the_other_link_goes_on(&west, &east).await?;
        east.run("CONFIG SET maxmemory 0").await?;
        goes_on(&regions, &mut daemon, &east).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_target_that_became_a_read_only_replica() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let mut daemon = regions.daemon(duet()).await?;
    let (west, east) = prepare(&regions).await?;
    // Of a primary that is not there: it keeps its data, and refuses writes.
    let nobody = Port::free()?;
    east.run(&format!("REPLICAOF 127.0.0.1 {}", nobody.number())).await?;
    west.script("INCR n\nRPUSH list a\nXADD stream * f 1").await?;
    says_why(&daemon, &["READONLY", "read-only", "replica"]).await?;
    east.run("REPLICAOF NO ONE").await?;
    goes_on(&regions, &mut daemon, &east).await
}

#[tokio::test]
async fn a_target_that_cannot_save() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let mut daemon = regions.daemon(duet()).await?;
    let (west, east) = prepare(&regions).await?;
    // A directory in the place of the dump: the save fails, and the server takes no writes until one succeeds.
    let in_the_way = regions.east.dir().join("dump.rdb");
    std::fs::create_dir(&in_the_way)?;
    east.run("CONFIG SET save '3600 1'").await?;
    let save = async |outcome: &str| {
        // It refuses while the child of a dump for a replica is there, given up or not: the reverse link asked for one.
        eventually("a save to be begun", DEADLINE, async || east.run("BGSAVE").await.map(Some)).await?;
        let ended = async || {
            let state = east.info("persistence", "rdb_last_bgsave_status").await?;
            Ok((state.as_deref() == Some(outcome)).then_some(()))
        };
        eventually(&format!("a save to end with {outcome}"), DEADLINE, ended).await
    };
    save("err").await?;
    west.script("INCR n\nRPUSH list a\nXADD stream * f 1").await?;
    says_why(&daemon, &["MISCONF", "save", "disk"]).await?;
    std::fs::remove_dir(&in_the_way)?;
    save("ok").await?;
    goes_on(&regions, &mut daemon, &east).await
}

async fn a_user_that_may_not(flavor: Flavor, refused: &str, allowed: &str) -> Result<()> {
    let regions = Regions::start(flavor, flavor).await?;
    let (_, east) = regions.clients().await?;
    east.run("ACL SETUSER duet on >secret-9Xk2 ~* &* +@all").await?;
    let more = More { east: "username = \"duet\"\npassword = \"secret-9Xk2\"".to_owned(), ..More::default() };
    let mut daemon = regions.daemon_with(duet(), &more).await?;
    let (west, east) = prepare(&regions).await?;
    east.run(&format!("ACL SETUSER duet {refused}")).await?;
    west.run("INCR n").await?;
    says_why(&daemon, &["NOPERM", "permission"]).await?;
    west.script("RPUSH list a\nXADD stream * f 1").await?;
    east.run("DEL removed-in-the-east").await?;
    east.run(&format!("ACL SETUSER duet {allowed}")).await?;
    goes_on(&regions, &mut daemon, &east).await
}

#[tokio::test]
async fn a_command_that_the_user_may_not_use() -> Result<()> {
    for flavor in Flavor::ALL {
        a_user_that_may_not(flavor, "-incr -incrby -set", "+@all").await?;
    }
    Ok(())
}

#[tokio::test]
async fn keys_that_the_user_may_not_touch() -> Result<()> {
    a_user_that_may_not(Redis70, "resetkeys ~duet:*", "~*").await
}

#[tokio::test]
async fn a_target_that_loads_its_data() -> Result<()> {
    // So slowly that it is seen: 40,000 keys in 4 seconds, and answers meanwhile.
    let slow = ["--key-load-delay", "100", "--loading-process-events-interval-bytes", "1024"];
    let mut regions = Regions::start_with((Redis70, &[]), (Redis70, &slow)).await?;
    regions.west.client().await?.run("DEBUG POPULATE 40000 filler 10").await?;
    let mut daemon = regions.daemon(duet()).await?;
    let (west, _) = prepare(&regions).await?;
    tokio::try_join!(regions.east.restart(Ending::Save), says_why(&daemon, &["LOADING"]))?;
    west.script("INCR n\nRPUSH list a\nXADD stream * f 1").await?;
    let east = regions.east.client().await?;
    goes_on(&regions, &mut daemon, &east).await
}

#[tokio::test]
async fn a_write_that_the_target_cannot_take_ends_equal_and_is_recorded() -> Result<()> {
    // A clash of types inside EXEC, which goes on: what did not happen must be seen.
    let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    let daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    regions.hold_links().await?;
    tokio::try_join!(west.run("RPUSH clash a"), east.run("SET clash b"))?;
    regions.release_links()?;
    regions.settle(&daemon, DEADLINE).await?;
    let status = daemon.status().await?;
    // Which of the two is later is up to the clocks, and with it how it ends; that it is counted once is not.
    let counted: u64 =
        ["replayed", "dropped", "reconciled"].iter().filter_map(|by| status["conflicts"][by].as_u64()).sum();
    ensure!(counted == 1, "not one conflict was counted: {status:#}");
    let set_aside = |link: &Value| link["set_aside"].as_u64() > Some(0);
    ensure!(!status["links"].as_array().is_some_and(|links| links.iter().any(set_aside)), "{status:#}");
    Ok(())
}
