//! Values too large to be read together with others.

use super::Pair;
use anyhow::{Result, ensure};
use duet_chaos::flavor::Flavor::{Redis70, Valkey91};

/// Bytes of the value before both regions append to it.
const LENGTH: u64 = 100 << 20;

#[tokio::test]
async fn a_value_of_100_mib_to_which_both_regions_append_at_once_ends_equal() -> Result<()> {
    let pair = Pair::start(Redis70, Valkey91).await?;
    let (west, east) = pair.regions.clients().await?;
    for client in [&west, &east] {
        // What DUMP gives would be small.
        client.run("CONFIG SET rdbcompression no").await?;
    }
    west.run(&format!("SETRANGE k {} x", LENGTH - 1)).await?;
    pair.settle().await?;
    pair.at_once(&["APPEND k west".to_owned()], &["APPEND k east".to_owned()], false).await?;
    for client in [&west, &east] {
        let end = client.text(&format!("GETRANGE k {LENGTH} -1")).await?;
        ensure!(end == "westeast" || end == "eastwest", "'{end}' at the end");
    }
    Ok(())
}
