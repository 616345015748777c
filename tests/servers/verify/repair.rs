//! `duet repair`: what differs is made equal by the running daemon, kept in a backup, and can be written again.

use super::load::unreplicated;
use super::{run, said, verify};
use crate::admin::admin;
use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::compare::{compare, contents};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::redis::Value;
use duet_chaos::wait::eventually;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

/// What both hold before anything is planted.
const BOTH: &str = "SET s a\nSET t v EX 5000\nHSET h a 1 b 2\nRPUSH l a b\nSADD g a b\nZADD z 1 a\nXADD x 1-1 f v\nSET same 1\nSET k 1";
/// What no link carries, at the east.
const PLANTED: [&str; 7] =
    ["SET s b", "PEXPIREAT t 4102444800000", "HSET h b 3 c 4", "RPUSH l c", "DEL g", "SADD only e", "XADD x 2-1 f w"];

struct Differing {
    regions: Regions,
    daemon: Daemon,
    place: TempDir,
}

impl Differing {
    async fn start(west: Flavor, east: Flavor, journal: Option<&str>) -> Result<Self> {
        Self::start_between(Regions::start(west, east).await?, journal).await
    }

    async fn start_between(regions: Regions, journal: Option<&str>) -> Result<Self> {
        let place = tempfile::tempdir()?;
        let mut tables = admin(place.path());
        if let Some(line) = journal {
            let head = json!({"journal": 1, "pair": "orders", "before": {"replayed": 0, "dropped": 0, "reconciled": 0}, "dropped": 0});
            std::fs::write(place.path().join("orders-00000001.jsonl"), format!("{head}\n{line}\n"))?;
            tables.push_str(&format!("[conflicts]\njournal = \"{}\"\n", place.path().display()));
        }
        let daemon = regions.daemon_with(duet(), &More { tables, ..More::default() }).await?;
        regions.west.client().await?.script(BOTH).await?;
        regions.settle(&daemon, DEADLINE).await?;
        let east = regions.east.client().await?;
        for line in PLANTED {
            unreplicated(&east, line).await?;
        }
        Ok(Self { regions, daemon, place })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    async fn find(&self, result: &Path) -> Result<u64> {
        let (_, told) =
            verify(&self.daemon.config(), &["--settle", "0s", "--output", &result.to_string_lossy()]).await?;
        told["different"].as_u64().context("no count")
    }

    async fn repair(&self, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let output = run(&self.daemon.config(), &[&["repair"], arguments].concat()).await?;
        Ok((output.status.code(), said(&output)))
    }
}

async fn repaired_and_undone(west: Flavor, east: Flavor) -> Result<()> {
    let pair = Differing::start(west, east, None).await?;
    let result = pair.file("result.db");
    let path = result.to_string_lossy();
    ensure!(pair.find(&result).await? == PLANTED.len() as u64);
    let before = contents(&pair.regions.east).await?;
    let (code, text) = pair.repair(&[&path, "--winner", "west", "--dry-run"]).await?;
    ensure!(code == Some(1) && text.contains("would be repaired: 7 keys"), "{text}");
    let changed = compare(&before, &contents(&pair.regions.east).await?);
    ensure!(changed.is_empty(), "a dry run changed {changed:?}");

    let (west, east) = pair.regions.clients().await?;
    let (code, text) = pair.repair(&[&path, "--winner", "west"]).await?;
    ensure!(code == Some(0) && text.contains("repaired: 7 keys") && text.contains("--undo"), "{text}");
    pair.regions.settle(&pair.daemon, DEADLINE).await?;
    ensure!(east.text("GET s").await? == "a" && east.text("HGET h b").await? == "2", "not the value of the west");
    ensure!(east.int("EXISTS only").await? == 0 && east.int("SCARD g").await? == 2);
    let (code, told) = verify(&pair.daemon.config(), &[]).await?;
    ensure!(code == 0, "{told:#}");
    let again = pair.repair(&[&path, "--winner", "west", "--backup", &pair.file("again").to_string_lossy()]).await?;
    ensure!(again.0 == Some(0) && again.1.contains("repaired: 0 keys, equal already: 7"), "{}", again.1);

    // What was changed since is not undone.
    west.run("SET s changed").await?;
    pair.regions.settle(&pair.daemon, DEADLINE).await?;
    let backup = format!("{path}.backup");
    let (code, text) = pair.repair(&["--undo", &backup]).await?;
    ensure!(code == Some(1) && text.contains("written again: 6 keys, LEFT ALONE: 1"), "{text}");
    ensure!(text.contains("key \"s\": it was changed since the repair"), "{text}");
    pair.regions.settle(&pair.daemon, DEADLINE).await?;
    for client in [&west, &east] {
        ensure!(client.text("HGET h b").await? == "3" && client.int("LLEN l").await? == 3);
        ensure!(client.int("EXISTS g").await? == 0 && client.int("SCARD only").await? == 1);
        ensure!(client.text("GET s").await? == "changed");
    }
    let orders = pair.daemon.status().await?["orders"].to_string();
    ensure!(orders.contains("mend") || pair.daemon.output().contains("mend"), "no record of the orders: {orders}");
    Ok(())
}

#[tokio::test]
async fn what_differs_is_repaired_and_a_repair_can_be_undone() -> Result<()> {
    repaired_and_undone(Redis70, Redis70).await
}

#[tokio::test]
async fn what_differs_between_versions_is_repaired() -> Result<()> {
    repaired_and_undone(Redis62, Valkey91).await
}

#[tokio::test]
async fn the_winner_may_be_known_from_a_conflict_or_be_asked_for() -> Result<()> {
    let side = |region: &str, time: &str| json!({"region": region, "time": time});
    let line = json!({
        "id": "00000000000000a1", "time": "2026-01-31T12:00:01Z", "found_at": "east", "database": 0, "key": "h",
        "unit": {"kind": "whole"}, "winner": side("east", "2026-01-31T12:00:00.000002Z"),
        "loser": side("west", "2026-01-31T12:00:00.000001Z"), "write": null, "done": "replayed",
    });
    let pair = Differing::start(Redis70, Redis70, Some(&line.to_string())).await?;
    let result = pair.file("result.db");
    let path = result.to_string_lossy().into_owned();
    pair.find(&result).await?;
    let (code, text) = pair.repair(&[&path, "--winner", "last-update"]).await?;
    ensure!(code == Some(1) && text.contains("repaired: 1 keys, LEFT ALONE: 6"), "{text}");
    ensure!(text.contains("no conflict of it is on record"), "{text}");
    let (west, east) = pair.regions.clients().await?;
    ensure!(west.text("HGET h b").await? == "3", "the east wrote last");

    let (backup, config) = (pair.file("asked"), pair.daemon.config());
    let mut command = tokio::process::Command::new(duet());
    command.args(["repair", &path, "--interactive", "--backup"]).arg(backup).arg("--config").arg(config);
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.env_remove("DUET_CONFIG").spawn()?;
    let mut stdin = child.stdin.take().context("no stdin")?;
    stdin.write_all(b"what\nwest\nskip\neast\nquit\n").await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let text = said(&output);
    ensure!(text.contains("repaired: 2 keys, equal already: 1, LEFT ALONE: 1"), "{text}");
    ensure!(text.contains("whose value stays? west, east, skip, quit"), "{text}");

    for (arguments, part) in [
        (&[path.as_str(), "--winner", "north"] as &[&str], "no region of this pair"),
        (&[path.as_str()], "required"),
        (&["/nowhere.db", "--winner", "west"], "there is no file"),
        (&["--undo", &path], "no backup"),
    ] {
        let (code, text) = pair.repair(arguments).await?;
        ensure!(code != Some(0) && text.contains(part), "{arguments:?}: {text}");
    }
    drop(east);
    Ok(())
}

/// Keys of which both values are in the backup.
fn backed_up(path: &Path) -> Option<i64> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let file = rusqlite::Connection::open_with_flags(path, flags).ok()?;
    file.query_row("SELECT count(*) FROM backup", [], |row| row.get(0)).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_write_while_a_key_is_repaired_stays() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    // So long that writes come between the order and its effect.
    for proxy in [&regions.west_proxy, &regions.east_proxy].into_iter().flatten() {
        proxy.delay(Duration::from_millis(75));
    }
    let pair = Differing::start_between(regions, None).await?;
    let (west, east) = pair.regions.clients().await?;
    for round in 0..3 {
        let result = pair.file(&format!("result{round}.db"));
        let path = result.to_string_lossy().into_owned();
        if round > 0 {
            for line in ["SET s b", "HSET h b 3 c 4", "RPUSH l c", "SADD g planted"] {
                unreplicated(&east, line).await?;
            }
        }
        ensure!(pair.find(&result).await? >= 4);
        let repairing = async { pair.repair(&[&path, "--winner", "west"]).await };
        let backup = pair.file(&format!("result{round}.db.backup"));
        let writing = async {
            let saved = async || Ok(backed_up(&backup).filter(|count| *count >= 4));
            eventually("the backup", DEADLINE, saved).await?;
            for number in 0..20 {
                let added = format!("{round}:{number}");
                west.script(&format!("HSET h west:{added} 1\nSADD g west:{added}\nRPUSH l west:{added}")).await?;
                east.script(&format!("HSET h east:{added} 1\nSADD g east:{added}\nRPUSH l east:{added}")).await?;
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
            east.run(&format!("SET s later:{round}")).await?;
            anyhow::Ok(())
        };
        let ((code, text), ()) = tokio::try_join!(repairing, writing)?;
        ensure!(code == Some(0) && !text.contains("LEFT ALONE"), "{text}");
        pair.regions.settle(&pair.daemon, DEADLINE).await?;
        for client in [&west, &east] {
            ensure!(client.text("GET s").await? == format!("later:{round}"), "the client's later write did not stay");
            for number in 0..20 {
                for region in ["west", "east"] {
                    let added = format!("{region}:{round}:{number}");
                    ensure!(client.int(&format!("HEXISTS h {added}")).await? == 1, "field {added} is lost");
                    ensure!(client.int(&format!("SISMEMBER g {added}")).await? == 1, "member {added} is lost");
                    ensure!(client.run(&format!("LPOS l {added}")).await? != Value::Nil, "item {added} is lost");
                }
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_value_of_36_mib_is_repaired_and_one_of_70_is_named_with_what_to_do() -> Result<()> {
    let pair = Differing::start(Redis70, Redis70, None).await?;
    let (west, east) = pair.regions.clients().await?;
    let mut number = 7_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (number >> 56) as u8
    })
    .take(1024 * 1024)
    .collect();
    for (key, mib) in [("big", 36), ("bigger", 70)] {
        for part in 0..mib {
            let from = (part * noise.len()).to_string();
            west.args(&[b"SETRANGE".as_slice(), key.as_bytes(), from.as_bytes(), &noise]).await?;
        }
    }
    let result = pair.file("big.db");
    let path = result.to_string_lossy().into_owned();
    let both = async || Ok((east.int("STRLEN bigger").await? == 70 * 1024 * 1024).then_some(()));
    eventually("the values to arrive", DEADLINE, both).await?;
    unreplicated(&east, "SETBIT big 100000001 0").await?;
    unreplicated(&east, "SETBIT big 100000002 1").await?;
    unreplicated(&east, "SETRANGE bigger 50000000 other").await?;
    let (_, told) = verify(&pair.daemon.config(), &["--settle", "0s", "--prefix", "big", "--output", &path]).await?;
    ensure!(told["different"] == 2, "{told:#}");
    let (code, text) = pair.repair(&[&path, "--winner", "west"]).await?;
    ensure!(code == Some(1) && text.contains("repaired: 1 keys, LEFT ALONE: 1"), "{text}");
    ensure!(text.contains("\"bigger\": it takes about 7") && text.contains("write it again"), "{text}");

    // What the document says to do about it.
    let Value::BulkString(payload) = west.run("DUMP bigger").await? else { anyhow::bail!("no payload") };
    west.args(&[b"RESTORE".as_slice(), b"bigger", b"0", &payload, b"REPLACE"]).await?;
    let equal = async || {
        let (code, told) = verify(&pair.daemon.config(), &["--settle", "0s", "--prefix", "big"]).await?;
        ensure!(told["error"].is_null(), "{told:#}");
        Ok((code == 0).then_some(()))
    };
    eventually("both to be equal", DEADLINE, equal).await
}
