//! A backlog that does not reach back: the pair is made equal again, and nothing is lost or comes back.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::load::Counted;
use duet_chaos::pair::{DEADLINE, Regions};

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
    let regions = Regions::start(flavor, flavor).await?;
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
async fn both_sides_have_written_more_than_their_backlogs_hold() -> Result<()> {
    let (regions, mut daemon) = asleep(Redis70).await?;
    let (west, east) = regions.clients().await?;
    overrun(&west, "west").await?;
    overrun(&east, "east").await?;
    ends_equal(&regions, &mut daemon).await?;
    ensure!(west.int("EXISTS east:0 west:0 east:2999").await? == 3 && east.int("EXISTS west:2999 east:0").await? == 2);
    Ok(())
}
