//! A backlog that does not reach back: the pair is made equal again, and nothing is lost or comes back.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::load::{Counted, Mixed};
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::wait::eventually;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A backlog that is overrun soon; Valkey's own default holds ten times as much.
const SMALL: &[&str] = &["--repl-backlog-size", "1mb"];

/// Writes more than the backlog of 1 MB holds.
async fn overrun(client: &Client, name: &str) -> Result<()> {
    for batch in 0..30 {
        let commands: Vec<Vec<String>> = (0..100)
            .map(|n| vec!["SET".to_owned(), format!("{name}:{}", batch * 100 + n), "x".repeat(1_000)])
            .collect();
        client.pipeline(&commands).await?;
    }
    Ok(())
}

/// A pair with the same keys on both sides, whose daemon has been killed.
async fn asleep(flavor: Flavor) -> Result<(Regions, Daemon)> {
    asleep_with(flavor, SMALL).await
}

/// Like [`asleep`], with arguments for the server of the east.
async fn asleep_with(flavor: Flavor, east: &[&str]) -> Result<(Regions, Daemon)> {
    let regions = Regions::start_with((flavor, SMALL), (flavor, east)).await?;
    let mut daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    west.script("SET deleted-in-the-west 1\nSET deleted-in-the-east 1\nHSET hash a 1 b 2\nSET n 1").await?;
    Counted::new("w").write(&west, 100).await?;
    Counted::new("e").write(&east, 100).await?;
    regions.wait_equal().await?;
    daemon.kill9()?;
    Ok((regions, daemon))
}

async fn ends_equal(regions: &Regions, daemon: &mut Daemon) -> Result<()> {
    daemon.resume()?;
    daemon.wait_streaming(DEADLINE).await?;
    regions.wait_equal().await?;
    let (west, east) = regions.clients().await?;
    Counted::new("w").write(&west, 100).await?;
    Counted::new("e").write(&east, 100).await?;
    regions.wait_equal().await
}

#[tokio::test]
async fn the_source_of_the_forward_link_has_written_more_than_its_backlog_holds() -> Result<()> {
    for flavor in [Redis62, Redis70, Valkey91] {
        let (regions, mut daemon) = asleep(flavor).await?;
        let (west, east) = regions.clients().await?;
        overrun(&west, "many").await?;
        west.script("DEL deleted-in-the-west\nINCR n\nHDEL hash a").await?;
        ends_equal(&regions, &mut daemon).await?;
        ensure!(east.int("EXISTS deleted-in-the-west").await? == 0 && east.int("GET n").await? == 2);
        ensure!(Counted::new("w").totals(&east).await?.additions == 200);
    }
    Ok(())
}

#[tokio::test]
async fn the_target_of_the_forward_link_has_written_more_than_its_backlog_holds() -> Result<()> {
    for flavor in [Redis62, Redis70, Valkey91] {
        let (regions, mut daemon) = asleep(flavor).await?;
        let (west, east) = regions.clients().await?;
        overrun(&east, "many").await?;
        east.script("DEL deleted-in-the-east\nINCR n\nHDEL hash a").await?;
        ends_equal(&regions, &mut daemon).await?;
        ensure!(west.int("EXISTS deleted-in-the-east").await? == 0 && west.int("GET n").await? == 2);
        ensure!(Counted::new("e").totals(&west).await?.additions == 200);
    }
    Ok(())
}

#[tokio::test]
async fn what_the_other_side_wrote_meanwhile_within_its_backlog_is_kept() -> Result<()> {
    let (regions, mut daemon) = asleep(Redis70).await?;
    let (west, east) = regions.clients().await?;
    overrun(&west, "many").await?;
    Counted::new("e").write(&east, 50).await?;
    east.script("SET own 1\nDEL deleted-in-the-east").await?;
    ends_equal(&regions, &mut daemon).await?;
    ensure!(west.int("EXISTS own").await? == 1 && west.int("EXISTS deleted-in-the-east").await? == 0);
    ensure!(Counted::new("e").totals(&west).await?.pushes == 250);
    Ok(())
}

#[tokio::test]
async fn where_neither_side_can_go_on_the_pair_is_held_until_the_operator_says_which_is_right() -> Result<()> {
    for (word, winner) in [("forward", "west"), ("reverse", "east")] {
        let (regions, mut daemon) = asleep(Redis70).await?;
        let (west, east) = regions.clients().await?;
        overrun(&west, "west").await?;
        overrun(&east, "east").await?;
        daemon.resume()?;
        let held = |status: &Value| {
            let link = &status["links"][0];
            link["state"] == "held" && link.to_string().contains("resume forward --accept")
        };
        daemon.wait_for("the pair to be held, with the remedy", DEADLINE, held).await?;
        ensure!(west.int("EXISTS east:0").await? == 0 && east.int("EXISTS west:0").await? == 0, "nothing was touched");
        ensure!(daemon.terminate().await?.success());
        daemon.resume_with(&["--full-sync", word])?;
        daemon.wait_streaming(DEADLINE).await?;
        regions.wait_equal().await?;
        for client in [&west, &east] {
            ensure!(client.int(&format!("EXISTS {winner}:0 {winner}:2999")).await? == 2, "the data of {winner} win");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_full_sync_of_a_live_pair_undoes_nothing_that_the_target_writes_meanwhile() -> Result<()> {
    for flavor in [Redis62, Redis70, Valkey91] {
        let (regions, mut daemon) = asleep_with(flavor, &["--repl-backlog-size", "256mb"]).await?;
        let (west, east) = regions.clients().await?;
        west.run("DEBUG POPULATE 100000 filler 100").await?;
        overrun(&west, "many").await?;
        // Both sides write to keys of their own, all the time; the east's backlog reaches back.
        let loads = [Mixed::start(&regions.west, "w", 1_000).await?, Mixed::start(&regions.east, "e", 1_000).await?];
        let ended = Arc::new(AtomicBool::new(false));
        let (stop, client) = (Arc::clone(&ended), east.clone());
        let counting = tokio::spawn(async move {
            let mut rounds = 100;
            while !stop.load(Ordering::SeqCst) {
                rounds += Counted::new("e").write(&client, 10).await?.increments;
            }
            anyhow::Ok(rounds)
        });
        daemon.resume()?;
        daemon.wait_streaming(DEADLINE).await?;
        ensure!(
            daemon.output().matches("full sync ended").count() == 2,
            "{flavor:?}: nothing was copied again\n{}",
            daemon.output()
        );
        ended.store(true, Ordering::SeqCst);
        let rounds = counting.await??;
        for load in loads {
            load.stop().await?;
        }
        regions.wait_equal().await?;
        for client in [&west, &east] {
            let totals = Counted::new("e").totals(client).await?;
            ensure!([totals.increments, totals.pushes, totals.additions] == [rounds; 3], "{totals:?}, not {rounds}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_deleted_before_a_full_sync_and_written_again_during_it_keeps_nothing_old() -> Result<()> {
    for flavor in [Redis62, Redis70, Valkey91] {
        let regions = Regions::start_with((flavor, SMALL), (flavor, SMALL)).await?;
        let mut daemon = regions.daemon(duet()).await?;
        let (west, east) = regions.clients().await?;
        east.script("RPUSH list old\nSADD set old\nHSET hash old 1\nZADD ranks 1 old\nAPPEND text old\nINCR sum")
            .await?;
        east.run("RPUSH kept old").await?;
        regions.wait_equal().await?;
        daemon.kill9()?;
        east.run("DEL list set hash ranks text sum").await?;
        overrun(&east, "many").await?;
        // The dump takes its time, so that the keys are there again long before the copy has come to its end.
        east.run("CONFIG SET rdb-key-save-delay 1000").await?;
        daemon.resume()?;
        let begun = async || Ok((daemon.output().matches("full sync begins").count() == 2).then_some(()));
        eventually("the second full sync", DEADLINE, begun).await?;
        east.script("RPUSH list new\nSADD set new\nHSET hash new 1\nZADD ranks 1 new\nAPPEND text new\nINCR sum")
            .await?;
        east.run("RPUSH kept new").await?;
        ensure!(daemon.output().matches("full sync ended").count() == 1, "{flavor:?}: the copy was too quick");
        daemon.wait_streaming(DEADLINE).await?;
        regions.wait_equal().await?;
        for (question, length) in [("LLEN list", 1), ("SCARD set", 1), ("HLEN hash", 1), ("ZCARD ranks", 1)] {
            ensure!(west.int(question).await? == length, "{flavor:?}: {question}");
        }
        ensure!(west.int("STRLEN text").await? == 3 && west.int("LLEN kept").await? == 2, "{flavor:?}");
    }
    Ok(())
}

/// As session stores do: a part of the value is changed, and the time to live prolonged, while the copy is on its way to a region
/// in which the key's time is over by then.
#[tokio::test]
async fn a_key_that_expires_while_it_is_copied_and_is_prolonged_meanwhile_is_whole() -> Result<()> {
    for flavor in [Redis62, Redis70, Valkey91] {
        let regions = Regions::start(flavor, flavor).await?.behind_proxies().await?;
        let (west, east) = regions.clients().await?;
        let proxy = regions.east_proxy.as_ref().expect("there is one");
        west.script("HSET session user 1 seen 1\nPEXPIRE session 1500\nHSET other user 1\nPEXPIRE other 1500").await?;
        proxy.hold("other");
        let daemon = Daemon::start(duet(), &regions.config(&More::default()))?;
        eventually("a part of the copy to be on its way", DEADLINE, async || Ok((proxy.holding() > 0).then_some(())))
            .await?;
        west.script("HSET session seen 2\nPEXPIRE session 1000000").await?;
        let is_over = async || Ok((west.int("EXISTS other").await? == 0).then_some(()));
        eventually("the time of both keys to be over", DEADLINE, is_over).await?;
        proxy.release();
        daemon.wait_streaming(DEADLINE).await?;
        regions.wait_equal().await?;
        ensure!(east.text("HGET session user").await? == "1", "{flavor:?}: a part of it is there");
    }
    Ok(())
}
