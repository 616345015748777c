//! Databases that both regions empty or move at once: in the wrong order, keys differ that nobody has written.

use super::Pair;
use anyhow::{Result, ensure};
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};

/// Runs a command at each region, in a database, before either has the other one's; then both must become equal.
async fn at_once(west: Flavor, east: Flavor, at_west: (i64, &str), at_east: (i64, &str)) -> Result<()> {
    let pair = Pair::start(west, east).await?;
    for database in 1..4 {
        let client = pair.regions.west.client_in(database).await?;
        client.script(&format!("SET of {database}\nHSET only:{database} field {database}")).await?;
    }
    pair.settle().await?;
    pair.regions.hold_links().await?;
    pair.regions.west.client_in(at_west.0).await?.run(at_west.1).await?;
    pair.regions.east.client_in(at_east.0).await?.run(at_east.1).await?;
    pair.regions.release_links()?;
    pair.settle().await?;
    // It goes on, in both directions.
    for region in [&pair.regions.west, &pair.regions.east] {
        region.client_in(2).await?.run("INCR after").await?;
    }
    pair.settle().await?;
    let after = pair.regions.west.client_in(2).await?.int("GET after").await?;
    ensure!(after == 2, "{after} after both have counted");
    Ok(())
}

#[tokio::test]
async fn a_database_that_one_region_empties_and_the_other_one_moves_ends_equal() -> Result<()> {
    at_once(Redis70, Valkey91, (1, "FLUSHDB"), (0, "SWAPDB 1 2")).await?;
    at_once(Redis62, Redis70, (0, "SWAPDB 2 3"), (3, "FLUSHDB")).await
}

#[tokio::test]
async fn databases_that_both_regions_move_end_equal() -> Result<()> {
    at_once(Redis70, Redis70, (0, "SWAPDB 1 2"), (0, "SWAPDB 2 3")).await?;
    at_once(Redis70, Redis62, (0, "SWAPDB 1 2"), (0, "SWAPDB 2 1")).await
}
