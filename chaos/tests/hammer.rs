//! The hammer on real servers: what it strikes. Needs `make setup`.

use anyhow::{Result, bail};
use duet_chaos::client::{Client, text};
use duet_chaos::compare::wait_equal;
use duet_chaos::flavor::Flavor;
use duet_chaos::hammer::{Hammer, Plan, Whole};
use duet_chaos::paced::Paced;
use duet_chaos::redis::Value;
use duet_chaos::servers::Server;
use duet_chaos::wait::eventually;
use std::collections::BTreeSet;
use std::time::Duration;

/// Write commands that are none on a key, or that no client types.
const LEFT_OUT: [&str; 4] = ["function", "migrate", "pfdebug", "restore-asking"];

/// Enough for the rarest command to find what it needs.
const LINES: u64 = 15_000;

fn plan(peer: Flavor, seed: u64) -> Plan {
    Plan { prefix: "h:", seed, peer, expiring: true, whole: Whole::Swapped }
}

/// Names of the commands that write, by what the server says.
async fn write_commands(client: &Client) -> Result<BTreeSet<String>> {
    let Value::Array(commands) = client.run("COMMAND").await? else { bail!("COMMAND answers a list") };
    let mut names = BTreeSet::new();
    for command in commands {
        let Value::Array(parts) = command else { bail!("a command is a list") };
        let [name, _, Value::Array(flags) | Value::Set(flags), ..] = parts.as_slice() else {
            bail!("a command has a name and flags")
        };
        if flags.iter().map(text).collect::<Result<Vec<_>>>()?.iter().any(|flag| flag == "write") {
            names.insert(text(name)?.to_lowercase());
        }
    }
    Ok(names)
}

/// Names of the commands that did not fail at least once.
async fn succeeded(client: &Client) -> Result<BTreeSet<String>> {
    let stats = client.text("INFO commandstats").await?;
    let number = |line: &str, name: &str| {
        let found = line.split([',', ':']).find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.map_or(Ok(0), str::parse::<u64>)
    };
    let mut names = BTreeSet::new();
    for line in stats.lines() {
        if number(line, "calls")? > number(line, "failed_calls")? {
            names.extend(
                line.strip_prefix("cmdstat_").and_then(|rest| rest.split(['|', ':']).next()).map(str::to_owned),
            );
        }
    }
    Ok(names)
}

#[tokio::test]
async fn every_write_command_of_every_server_is_struck() {
    for flavor in Flavor::ALL {
        let server = Server::start(flavor, &[]).await.unwrap();
        let client = server.client().await.unwrap();
        let hammer = Paced::start(&server, 5_000, Hammer::new(flavor, plan(flavor, 1))).await.unwrap();
        let enough = async || Ok((hammer.written() >= LINES || hammer.has_ended()).then_some(()));
        eventually("enough lines", Duration::from_secs(60), enough).await.unwrap();
        hammer.stop().await.unwrap();
        let (wanted, done) = (write_commands(&client).await.unwrap(), succeeded(&client).await.unwrap());
        let missing: Vec<_> =
            wanted.iter().filter(|name| !done.contains(*name) && !LEFT_OUT.contains(&name.as_str())).collect();
        assert!(missing.is_empty() && wanted.len() > 80, "{flavor:?}: {missing:?} of {}", wanted.len());
    }
}

#[tokio::test]
async fn what_is_struck_comes_out_the_same_at_a_replica_of_the_server() {
    for flavor in Flavor::ALL {
        let (primary, replica) = (Server::start(flavor, &[]).await.unwrap(), Server::start(flavor, &[]).await.unwrap());
        let reader = replica.client().await.unwrap();
        reader.run(&format!("REPLICAOF 127.0.0.1 {}", primary.port())).await.unwrap();
        let plan = Plan { expiring: false, whole: Whole::Spared, ..plan(flavor, 2) };
        let hammer = Paced::start(&primary, 5_000, Hammer::new(flavor, plan)).await.unwrap();
        let enough = async || Ok((hammer.written() >= LINES || hammer.has_ended()).then_some(()));
        eventually("enough lines", Duration::from_secs(60), enough).await.unwrap();
        hammer.stop().await.unwrap();
        wait_equal(&primary, &replica, Duration::from_secs(10))
            .await
            .unwrap_or_else(|error| panic!("{flavor:?}: {error:#}"));
    }
}
