//! Other policies than the later update: one region wins, or a key is held until somebody decides.

use super::Pair;
use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::pair::{DEADLINE, More};
use duet_chaos::wait::eventually;
use serde_json::Value;
use std::process::Command;

const POLICIES: &str = "[[conflicts.prefix]]\nprefix = \"w:\"\npolicy = \"region:west\"\n\
                        [[conflicts.prefix]]\nprefix = \"e:\"\npolicy = \"region:east\"\n\
                        [[conflicts.prefix]]\nprefix = \"h:\"\npolicy = \"hold\"\n";

/// An earlier write, a later one, how to look, and what is seen if the earlier one's region wins.
const CASES: [[&str; 4]; 6] = [
    ["SET @ a", "SET @ b", "GET @", "a"],
    ["SET @ a", "DEL @", "GET @", "a"],
    ["DEL @", "SET @ b", "EXISTS @", "0"],
    ["HSET @:h f a", "HSET @:h f b", "HGET @:h f", "a"],
    ["SADD @:s m o", "SREM @:s p m", "SCARD @:s", "2"],
    ["ZADD @:z 5 m", "ZADD @:z 7 m", "ZRANGEBYSCORE @:z 5 5 LIMIT 0 1", "m"],
];

async fn pair(west: Flavor, east: Flavor) -> Result<Pair> {
    let tables = format!("[conflicts]\npolicy = \"last-update-wins\"\n{POLICIES}");
    Pair::start_configured(west, east, &[], &More { tables, ..More::default() }).await
}

fn lines(column: usize, prefix: &str) -> Vec<String> {
    let named = |(number, case): (usize, &[&str; 4])| case[column].replace('@', &format!("{prefix}{number}"));
    CASES.iter().enumerate().map(named).collect()
}

/// The earlier writes are of the region that wins by policy, whatever the clocks say.
async fn the_region_wins(pair: &Pair, prefix: &str, swapped: bool) -> Result<()> {
    let before: Vec<String> = (0..CASES.len())
        .flat_map(|number| [format!("SET {prefix}{number} o"), format!("SADD {prefix}{number}:s p")])
        .collect();
    super::run_all(&pair.regions.west.client().await?, &before).await?;
    pair.settle().await?;
    pair.at_once(&lines(0, prefix), &lines(1, prefix), swapped).await?;
    for client in [pair.regions.west.client().await?, pair.regions.east.client().await?] {
        for (look, case) in lines(2, prefix).iter().zip(CASES) {
            let seen = first(&client, look).await?;
            ensure!(seen == case[3], "{look}: {seen} instead of {}, {case:?}, swapped {swapped}", case[3]);
        }
    }
    Ok(())
}

async fn first(client: &Client, look: &str) -> Result<String> {
    match client.run(look).await? {
        duet_chaos::redis::Value::Array(items) => items.first().map_or(Ok(String::new()), duet_chaos::client::text),
        other => duet_chaos::client::text(&other),
    }
}

#[tokio::test]
async fn the_earlier_write_stays_where_its_region_wins() -> Result<()> {
    for (west, east) in [(Redis70, Redis70), (Redis62, Valkey91)] {
        let pair = pair(west, east).await?;
        the_region_wins(&pair, "w:", false).await?;
        the_region_wins(&pair, "e:", true).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_write_that_had_seen_the_winners_stays_wherever_it_was_made() -> Result<()> {
    let pair = pair(Redis70, Redis70).await?;
    let texts = |text: &str| vec![text.to_owned()];
    pair.in_turn(&texts("SET w:turn west"), &texts("SET w:turn east"), false).await?;
    ensure!(pair.regions.west.client().await?.text("GET w:turn").await? == "east");
    ensure!(pair.conflicts().await? == 0, "{:#}", pair.daemon.status().await?["conflicts"]);
    Ok(())
}

fn is_held(status: &Value) -> bool {
    let conflicts = &status["conflicts"];
    conflicts["held_now"] == 1 && conflicts["held_keys"][0]["key"] == "h:k" && conflicts["held"] == 1
}

/// Runs a command aside: it may go through the proxies, which run here.
async fn duet_says(pair: &Pair, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(duet());
    command.args(arguments).arg("--config").arg(pair.daemon.config()).env_remove("DUET_CONFIG");
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

async fn held_pair(west: Flavor, east: Flavor) -> Result<(Pair, Client, Client)> {
    let pair = pair(west, east).await?;
    let (west, east) = pair.regions.clients().await?;
    pair.regions.hold_links().await?;
    west.run("SET h:k west EX 5000").await?;
    east.run("SET h:k east").await?;
    pair.regions.release_links()?;
    pair.daemon.wait_for("the key to be held", DEADLINE, is_held).await?;
    Ok((pair, west, east))
}

#[tokio::test]
async fn a_held_key_is_left_alone_and_shown_until_a_region_is_named() -> Result<()> {
    for (winner, flavors) in [("west", (Redis70, Redis70)), ("east", (Redis62, Valkey91))] {
        let (pair, west, east) = held_pair(flavors.0, flavors.1).await?;
        // Each region executed its own write and then the other's: none of that is repaired.
        let each =
            async || Ok((west.text("GET h:k").await? == "east" && east.text("GET h:k").await? == "west").then_some(()));
        eventually("both writes to arrive", DEADLINE, each).await?;
        let table = duet_says(&pair, &["conflicts"]).await?;
        ensure!(table.contains("held") && table.contains("1 held"), "{table}");
        let listed = duet_says(&pair, &["conflicts", "--json"]).await?;
        let listed: Value = serde_json::from_str(&listed)?;
        let words = |name: &str| listed["conflicts"][0][name]["words"][2].as_str().unwrap_or_default().to_owned();
        let mut both = [words("write"), words("against")];
        both.sort();
        ensure!(both == ["east", "west"], "{listed:#}");
        let status = duet_says(&pair, &["status"]).await?;
        ensure!(status.contains("key \"h:k\"") && status.contains("duet resolve"), "{status}");
        west.run("APPEND h:k +").await?;
        let more = async || Ok((east.text("GET h:k").await? == "west+").then_some(()));
        eventually("a later write to go on", DEADLINE, more).await?;
        ensure!(is_held(&pair.daemon.status().await?));

        let said = duet_says(&pair, &["resolve", "h:k", "--winner", "nowhere"]).await?;
        ensure!(said.contains("no region of this pair: give `west` or `east`"), "{said}");
        let stays = if winner == "west" { west.text("GET h:k").await? } else { east.text("GET h:k").await? };
        let said = duet_says(&pair, &["resolve", "h:k", "--winner", winner]).await?;
        ensure!(said.contains("has written its value again"), "{said}");
        pair.daemon.wait_for("the key to be let go", DEADLINE, |status| status["conflicts"]["held_now"] == 0).await?;
        pair.settle().await?;
        ensure!(west.text("GET h:k").await? == stays && east.text("GET h:k").await? == stays);
        ensure!(west.int("TTL h:k").await? > 0 || winner == "east" || stays == "east+", "its time to live stays");
    }
    Ok(())
}

#[tokio::test]
async fn a_held_key_is_held_still_by_another_daemon_until_a_region_is_named() -> Result<()> {
    for (west, east) in [(Redis70, Redis70), (Redis62, Valkey91)] {
        let (mut pair, west, east) = held_pair(west, east).await?;
        // Until a region keeps it, checkpoints are held back: killed at any moment, it is found again or known.
        pair.daemon.kill9()?;
        pair.daemon.resume()?;
        let held = |status: &Value| status["conflicts"]["held_now"] == 1;
        pair.daemon.wait_for("the key to be held by the second daemon", DEADLINE, held).await?;
        let kept = async || {
            let kept = [west.int("HLEN duet:orders:held:west").await?, east.int("HLEN duet:orders:held:east").await?];
            Ok((kept[0] + kept[1] > 0).then_some(()))
        };
        eventually("a region to keep it", DEADLINE, kept).await?;
        pair.daemon.kill9()?;
        pair.daemon.resume()?;
        pair.daemon.wait_streaming(DEADLINE).await?;
        pair.daemon.wait_for("the key to be held by the third daemon", DEADLINE, held).await?;
        let status = duet_says(&pair, &["status"]).await?;
        ensure!(status.contains("key \"h:k\""), "{status}");
        let stays = west.text("GET h:k").await?;
        let said = duet_says(&pair, &["resolve", "h:k", "--winner", "west"]).await?;
        ensure!(said.contains("has written its value again"), "{said}");
        pair.daemon.wait_for("the key to be let go", DEADLINE, |status| status["conflicts"]["held_now"] == 0).await?;
        pair.settle().await?;
        ensure!(west.text("GET h:k").await? == stays && east.text("GET h:k").await? == stays);
        let forgotten = async || {
            let kept =
                [west.int("EXISTS duet:orders:held:west").await?, east.int("EXISTS duet:orders:held:east").await?];
            Ok((kept == [0, 0]).then_some(()))
        };
        eventually("the regions to forget it", DEADLINE, forgotten).await?;
    }
    Ok(())
}

/// One key of each type, how it is made, and when it expires.
const VALUES: [&str; 7] = [
    "SET h:string a",
    "RPUSH h:list a b",
    "SADD h:set a b",
    "ZADD h:sorted 1 a 2 b",
    "HSET h:hash f a g b",
    "XADD h:stream 5-1 f a",
    "PFADD h:hll a b",
];

#[tokio::test]
async fn a_region_writes_its_value_again_of_any_type_and_its_deletion_with_its_time_to_live() -> Result<()> {
    for (west, east) in [(Redis62, Redis70), (Redis70, Valkey91), (Valkey91, Valkey91)] {
        let pair = pair(west, east).await?;
        let (west, east) = pair.regions.clients().await?;
        let name = |line: &str| line.split(' ').nth(1).unwrap_or_default().to_owned();
        // Keys that only the other region holds go: the first one was never at the winner.
        pair.regions.hold_links().await?;
        east.run("SET h:gone x").await?;
        for line in VALUES {
            let key = name(line);
            west.run(line).await?;
            west.run(&format!("PEXPIREAT {key} 4102444800123")).await?;
            east.run(&format!("SET {key} other")).await?;
        }
        pair.regions.release_links()?;
        pair.daemon
            .wait_for("keys to be held", DEADLINE, |status| status["conflicts"]["held_now"] == VALUES.len())
            .await?;
        for line in VALUES {
            west.run(&format!("DEL {}", name(line))).await?;
            west.run(line).await?;
            west.run(&format!("PEXPIREAT {} 4102444800123", name(line))).await?;
            let said = duet_says(&pair, &["resolve", &name(line), "--winner", "west"]).await?;
            ensure!(said.contains("has written its value again"), "{line}: {said}");
        }
        west.run("DEL h:gone").await?;
        let said = duet_says(&pair, &["resolve", "h:gone", "--winner", "west"]).await?;
        ensure!(said.contains("has deleted it again"), "{said}");
        pair.daemon.wait_for("the keys to be let go", DEADLINE, |status| status["conflicts"]["held_now"] == 0).await?;
        pair.settle().await?;
        ensure!(east.int("EXISTS h:gone").await? == 0);
        for line in VALUES {
            for client in [&west, &east] {
                let left = client.int(&format!("PTTL {}", name(line))).await?;
                let clock = client.run("TIME").await?;
                let duet_chaos::redis::Value::Array(clock) = clock else { anyhow::bail!("no time") };
                let seconds: i64 = duet_chaos::client::text(&clock[0])?.parse()?;
                let expires = seconds * 1000 + left;
                ensure!((4102444798000..=4102444800200).contains(&expires), "{line}: expires at {expires}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_held_key_is_held_still_when_links_begin_again_and_let_go_by_a_later_write_of_the_whole_key() -> Result<()> {
    let (pair, west, east) = held_pair(Redis70, Redis70).await?;
    for proxy in [&pair.regions.west_proxy, &pair.regions.east_proxy].into_iter().flatten() {
        proxy.cut();
    }
    pair.daemon
        .wait_for("the links to begin again", DEADLINE, |status| {
            status["links"].as_array().is_some_and(|links| links.iter().all(|link| link["reconnects"] == 1))
        })
        .await?;
    pair.daemon.wait_streaming(DEADLINE).await?;
    west.run("SET after 1").await?;
    eventually("a write to go on", DEADLINE, async || Ok((east.text("GET after").await? == "1").then_some(()))).await?;
    ensure!(is_held(&pair.daemon.status().await?), "{:#}", pair.daemon.status().await?["conflicts"]);
    west.run("SET h:k again").await?;
    pair.daemon.wait_for("the key to be let go", DEADLINE, |status| status["conflicts"]["held_now"] == 0).await?;
    pair.settle().await?;
    ensure!(east.text("GET h:k").await? == "again");
    Ok(())
}
