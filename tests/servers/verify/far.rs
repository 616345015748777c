//! A long way to one region: it is waited for a few times, and not for each step.

use super::{config_of, verify};
use anyhow::{Context, Result, ensure};
use duet::verify::Stretch;
use duet_chaos::client::{Client, text};
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::pair::Regions;
use duet_chaos::proxy::Proxy;
use duet_chaos::redis::Value;
use duet_chaos::servers::Server;
use std::collections::BTreeSet;
use std::time::Duration;

/// Keys of each region.
const KEYS: u64 = 200_000;
/// One way, to one of the regions.
const ONE_WAY: Duration = Duration::from_millis(40);

/// The aim is 1.3 times for a million keys (`make bench BENCH="--only verify"`). Here there are fewer, so that what is waited for
/// in any case (connections, the first names, the last values) weighs more, and the machine may have other work. When each step
/// was waited for, it took three times and more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_way_costs_little() -> Result<()> {
    let debug: &[&str] = &["--enable-debug-command", "yes"];
    let mut regions = Regions::start_with((Redis70, debug), (Redis70, debug)).await?;
    let (west, east) = regions.clients().await?;
    for client in [&west, &east] {
        client.run(&format!("DEBUG POPULATE {KEYS} key 64")).await?;
    }
    let place = tempfile::tempdir()?;
    let mut seconds = Vec::new();
    for is_far in [false, true] {
        if is_far {
            let proxy = Proxy::start(&regions.east.address()).await?;
            proxy.delay(ONE_WAY);
            regions.east_proxy = Some(proxy);
        }
        let config = config_of(&regions, place.path())?;
        let (code, told) = verify(&config, &[]).await?;
        ensure!(code == 0 && told["keys"].as_u64() == Some(KEYS), "each key is compared once: {told:#}");
        seconds.push(told["seconds"].as_f64().context("no time")?);
    }
    eprintln!("{KEYS} keys: {:.1} s, and {:.1} s over 80 ms", seconds[0], seconds[1]);
    ensure!(seconds[1] <= 2.0 * seconds[0] + 2.0, "{seconds:?}");
    Ok(())
}

/// Keys that are there all the time, and those that come and go in a round.
const STAYING: usize = 10_000;
const PASSING: usize = 4_000;
/// Rounds in which keys come; in as many they go.
const ROUNDS: usize = 14;
const PARTS: u64 = 16;

/// One step of each part. Gives the names, and what is left.
async fn step(client: &Client, stretches: Vec<Stretch>, seen: &mut BTreeSet<String>) -> Result<Vec<Stretch>> {
    let mut left = Vec::new();
    for stretch in stretches {
        let Value::Array(reply) = client.run(&format!("SCAN {} COUNT 25", stretch.cursor())).await? else {
            anyhow::bail!("SCAN was answered in another form")
        };
        let [cursor, Value::Array(names)] = reply.as_slice() else { anyhow::bail!("SCAN was answered with {reply:?}") };
        for name in names {
            seen.insert(text(name)?);
        }
        left.extend(stretch.after(text(cursor)?.parse()?));
    }
    Ok(left)
}

async fn parts_give_everything(flavor: Flavor) -> Result<()> {
    let server = Server::start(flavor, &[]).await?;
    let client = server.client().await?;
    let named = |name: String| vec!["SET".to_owned(), name, "v".to_owned()];
    client.pipeline(&(0..STAYING).map(|number| named(format!("stays:{number}"))).collect::<Vec<_>>()).await?;
    let mut stretches = Stretch::parts(PARTS);
    let (mut seen, mut rounds) = (BTreeSet::new(), 0);
    while !stretches.is_empty() {
        stretches = step(&client, stretches, &mut seen).await?;
        let passing = |round: usize| (0..PASSING).map(move |number| format!("passes:{round}:{number}"));
        if rounds < ROUNDS {
            client.pipeline(&passing(rounds).map(named).collect::<Vec<_>>()).await?;
        } else if rounds < 2 * ROUNDS {
            let gone = passing(rounds - ROUNDS).map(|name| vec!["DEL".to_owned(), name]);
            client.pipeline(&gone.collect::<Vec<_>>()).await?;
        }
        rounds += 1;
    }
    let missing: Vec<_> =
        (0..STAYING).map(|number| format!("stays:{number}")).filter(|name| !seen.contains(name)).collect();
    ensure!(missing.is_empty(), "{flavor:?}: {} keys were never given: {:?}", missing.len(), missing.first());
    ensure!(rounds > 2 * ROUNDS, "{flavor:?}: it was over before the table had grown and shrunk: {rounds} rounds");
    Ok(())
}

#[tokio::test]
async fn a_scan_in_parts_gives_every_key_while_the_table_grows_and_shrinks() -> Result<()> {
    for flavor in [Redis62, Redis70, Valkey91] {
        parts_give_everything(flavor).await?;
    }
    Ok(())
}
