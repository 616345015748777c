//! Both regions write the same keys while one is copied onto the other.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::{Redis62, Redis70, Valkey91};
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::wait::eventually;

#[tokio::test]
async fn what_both_regions_write_during_the_first_copy_ends_on_top_of_what_is_copied() -> Result<()> {
    for flavor in [Redis62, Redis70, Valkey91] {
        let regions = Regions::start(flavor, flavor).await?;
        let (west, east) = regions.clients().await?;
        west.run("DEBUG POPULATE 3000 filler 10").await?;
        west.script("HSET hash a 1 b 2\nSET text old\nINCRBY sum 10\nRPUSH list 1\nSET gone 1").await?;
        // The dump takes its time.
        west.run("CONFIG SET rdb-key-save-delay 500").await?;
        let daemon = Daemon::start(duet(), &regions.config(&More::default()))?;
        let begun = async || Ok(daemon.output().contains("full sync begins").then_some(()));
        eventually("the full sync", DEADLINE, begun).await?;
        east.script("HSET hash c 3\nINCRBY sum 5\nRPUSH list 2\nSET text east\nHSET new a 1").await?;
        west.script("HSET hash d 4\nINCRBY sum 7\nHSET new b 2\nDEL gone").await?;
        ensure!(!daemon.output().contains("full sync ended"), "{flavor:?}: the copy was too quick");
        daemon.wait_streaming(DEADLINE).await?;
        regions.wait_equal().await?;
        for client in [&west, &east] {
            ensure!(client.int("HLEN hash").await? == 4 && client.int("HLEN new").await? == 2, "{flavor:?}");
            ensure!(client.int("GET sum").await? == 22 && client.int("LLEN list").await? == 2, "{flavor:?}");
            ensure!(client.text("GET text").await? == "east" && client.int("EXISTS gone").await? == 0, "{flavor:?}");
        }
    }
    Ok(())
}
