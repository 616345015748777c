//! The samples, the writes and the oracle themselves, held to the servers' own replication.

use crate::{samples, writes};
use anyhow::Result;
use duet_chaos::flavor::Flavor;
use duet_chaos::pair::{DEADLINE, Regions};
use duet_chaos::wait::eventually;

#[tokio::test]
async fn a_replica_of_the_same_version_ends_equal_after_all_samples_and_writes() -> Result<()> {
    for flavor in Flavor::ALL {
        let regions = Regions::start(flavor, flavor).await?;
        let (west, east) = regions.clients().await?;
        samples::fill(&regions.west, flavor).await?;
        east.run(&format!("REPLICAOF 127.0.0.1 {}", regions.west.port())).await?;
        eventually("the replica", DEADLINE, async || {
            let state = east.info("replication", "master_link_status").await?;
            Ok((state.as_deref() == Some("up")).then_some(()))
        })
        .await?;
        regions.wait_equal().await?;
        west.script(&writes::lines("w:", flavor, flavor)).await?;
        regions.wait_equal().await?;
    }
    Ok(())
}
