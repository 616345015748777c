//! Servers that restart under a running daemon.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::load::{Counted, Totals};
use duet_chaos::pair::{DEADLINE, Regions};
use duet_chaos::servers::Ending;

/// What the other side does while one is down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Quiet,
    Writes,
}

/// Restarts each side in turn, with writes on both sides before and after.
async fn survives(flavor: Flavor, ending: Ending, args: &[&str], meanwhile: Meanwhile) -> Result<()> {
    let mut regions = Regions::start_with((flavor, args), (flavor, args)).await?;
    let daemon = regions.daemon(duet()).await?;
    for turn in 1..=2_u64 {
        for at_west in [true, false] {
            let (west, east) = regions.clients().await?;
            Counted::new("w").write(&west, 500).await?;
            Counted::new("e").write(&east, 500).await?;
            regions.wait_equal().await?;
            let other = if at_west { "e" } else { "w" };
            let (restarted, running) = if at_west { (&mut regions.west, &east) } else { (&mut regions.east, &west) };
            restarted.stop(ending).await?;
            if meanwhile == Meanwhile::Writes {
                Counted::new(other).write(running, 250).await?;
            }
            restarted.resume().await?;
            daemon.wait_streaming(DEADLINE).await?;
            regions.wait_equal().await?;
        }
        let (west, east) = regions.clients().await?;
        let exact = |rounds| Totals { increments: rounds, pushes: rounds, additions: rounds };
        for client in [&west, &east] {
            let totals = (Counted::new("w").totals(client).await?, Counted::new("e").totals(client).await?);
            let each = turn * if meanwhile == Meanwhile::Writes { 1_250 } else { 1_000 };
            ensure!(totals == (exact(each), exact(each)), "{totals:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn redis_62_restarts_from_its_dump() -> Result<()> {
    survives(Redis62, Ending::Save, &[], Meanwhile::Quiet).await
}

#[tokio::test]
async fn redis_70_restarts_from_its_dump() -> Result<()> {
    survives(Redis70, Ending::Save, &[], Meanwhile::Quiet).await
}

#[tokio::test]
async fn valkey_91_restarts_from_its_dump() -> Result<()> {
    survives(Valkey91, Ending::Save, &[], Meanwhile::Quiet).await
}

#[tokio::test]
async fn redis_62_is_killed_and_restarts_from_its_log() -> Result<()> {
    survives(Redis62, Ending::Kill, &["--appendonly", "yes", "--appendfsync", "always"], Meanwhile::Quiet).await
}

#[tokio::test]
async fn redis_70_is_killed_and_restarts_from_its_log() -> Result<()> {
    survives(Redis70, Ending::Kill, &["--appendonly", "yes", "--appendfsync", "always"], Meanwhile::Quiet).await
}

#[tokio::test]
async fn redis_70_restarts_from_its_dump_while_the_other_side_writes() -> Result<()> {
    survives(Redis70, Ending::Save, &[], Meanwhile::Writes).await
}

#[tokio::test]
async fn redis_62_restarts_from_its_dump_while_the_other_side_writes() -> Result<()> {
    survives(Redis62, Ending::Save, &[], Meanwhile::Writes).await
}

#[tokio::test]
async fn a_server_and_the_daemon_that_restart_together_go_on() -> Result<()> {
    for ending in [Ending::Save, Ending::NoSave] {
        let args: &[&str] = match ending {
            Ending::NoSave => &["--appendonly", "yes"],
            Ending::Save | Ending::Kill => &[],
        };
        let mut regions = Regions::start_with((Redis70, args), (Redis70, args)).await?;
        let mut daemon = regions.daemon(duet()).await?;
        let (west, east) = regions.clients().await?;
        Counted::new("w").write(&west, 500).await?;
        Counted::new("e").write(&east, 500).await?;
        regions.wait_equal().await?;
        daemon.kill9()?;
        regions.east.restart(ending).await?;
        daemon.resume()?;
        daemon.wait_streaming(DEADLINE).await?;
        Counted::new("w").write(&west, 500).await?;
        Counted::new("e").write(&regions.east.client().await?, 500).await?;
        regions.wait_equal().await?;
        ensure!(Counted::new("e").totals(&west).await?.pushes == 1_000);
    }
    Ok(())
}
