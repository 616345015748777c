//! A comparison that ends in time.

use super::config_of;
use anyhow::{Result, ensure};
use duet::runtime::verify::compare_within;
use duet::verify::{Finding, Plan};
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::pair::Regions;
use std::time::Duration;

#[tokio::test]
async fn it_says_how_much_of_the_keys_it_has_seen() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let place = tempfile::tempdir()?;
    let (west, east) = regions.clients().await?;
    let set = |number| vec!["SET".to_owned(), format!("k:{number}"), "v".to_owned()];
    for client in [&west, &east] {
        client.pipeline(&(0..20_000).map(set).collect::<Vec<_>>()).await?;
    }
    east.run("SET k:7 w").await?;
    let config = duet::config::load(&config_of(&regions, place.path())?)?;
    let once = Plan { rounds: 1, ..Plan::default() };
    let mut names = Vec::new();
    let take = |finding: Finding| {
        names.push(finding.name);
        Ok(())
    };
    let found = compare_within(&config, once.clone(), Duration::from_secs(60), take).await?;
    ensure!(found.whole && found.keys == 20_000 && found.different == 1 && found.open == 0, "{found:?}");
    ensure!(found.covered() == 1.0 && names[0] == (0, b"k:7".to_vec()), "{found:?}");

    let slow = Plan { qps: 4_000, parallel: Some(1), ..once };
    let found = compare_within(&config, slow, Duration::from_secs(3), |_| Ok(())).await?;
    ensure!(!found.whole && found.covered() > 0.0 && found.covered() < 1.0, "{found:?}");
    ensure!(found.keys > 0 && found.keys < 20_000, "{found:?}");
    Ok(())
}
