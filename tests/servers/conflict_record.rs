//! `duet conflicts`, `duet conflicts undo`, `duet why`, on a record that an earlier run has left.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::{Redis62, Redis70, Valkey91};
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::wait::eventually;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

const HEAD: &str = r#"{"journal":1,"pair":"orders","before":{"replayed":0,"dropped":0,"reconciled":0},"dropped":0}"#;

/// A conflict that was found earlier: a write of the west lost.
fn entry(id: &str, key: &str, write: Value) -> String {
    let side = |region: &str, time: &str| json!({"region": region, "time": time});
    json!({
        "id": id, "time": "2026-01-31T12:00:01Z", "found_at": "east", "database": 0, "key": key,
        "unit": {"kind": "whole"}, "winner": side("east", "2026-01-31T12:00:00.000002Z"),
        "loser": side("west", "2026-01-31T12:00:00.000001Z"), "write": write, "done": "replayed",
    })
    .to_string()
}

fn journal_in(place: &Path) -> Result<More> {
    let lines = [
        HEAD.to_owned(),
        entry("00000000000000a1", "k", json!({"words": ["SET", "k", "undone"], "length": 32, "truncated": false})),
        entry("00000000000000a2", "big", json!({"words": ["SET", "big", "xxx"], "length": 9000, "truncated": true})),
        entry("00000000000000a3", "list", Value::Null),
    ];
    std::fs::write(place.join("orders-00000001.jsonl"), lines.join("\n") + "\n")?;
    let tables = format!("[conflicts]\njournal = \"{}\"\n", place.display());
    Ok(More { tables, ..More::default() })
}

fn ask(daemon: &Daemon, arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(duet()).args(arguments).arg("--config").arg(daemon.config()).env_remove("DUET_CONFIG").output()?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn what_was_undone_is_a_new_update_in_both_regions() -> Result<()> {
    let place = tempfile::tempdir()?;
    let more = journal_in(place.path())?;
    let regions = Regions::start(Redis70, Redis70).await?;
    let daemon = regions.daemon_with(duet(), &more).await?;
    let (west, east) = regions.clients().await?;
    east.run("SET k kept").await?;
    regions.wait_equal().await?;

    let table = said(&ask(&daemon, &["conflicts"])?);
    for part in ["00000000000000a1", "SET k undone", "east 12:00:00.000", "3 conflicts in all: 3 replayed"] {
        ensure!(table.contains(part), "no {part} in\n{table}");
    }
    let undone = ask(&daemon, &["conflicts", "undo", "00000000000000a1"])?;
    let text = said(&undone);
    ensure!(undone.status.success() && text.contains("SET k undone") && text.contains("answer: OK"), "{text}");
    let arrived = async || Ok((east.text("GET k").await? == "undone").then_some(()));
    eventually("the undone write in the east", DEADLINE, arrived).await?;
    ensure!(west.text("GET k").await? == "undone");

    for (id, part) in [
        ("00000000000000a2", "only the beginning was kept: write it again at west"),
        ("00000000000000a3", "the key was made equal by its value"),
        ("00000000000000a4", "no conflict 00000000000000a4"),
    ] {
        let refused = ask(&daemon, &["conflicts", "undo", id])?;
        ensure!(refused.status.code() == Some(1) && said(&refused).contains(part), "{}", said(&refused));
    }
    let why = ask(&daemon, &["why", "k", "--json"])?;
    let told: Value = serde_json::from_slice(&why.stdout)?;
    ensure!(
        why.status.success() && told["same"] == true && told["conflicts"][0]["id"] == "00000000000000a1",
        "{told:#}"
    );
    ensure!(told["regions"][1]["value"][0] == "undone" && told["last_origin"]["region"] == "east", "{told:#}");
    Ok(())
}

#[tokio::test]
async fn why_finds_equal_values_in_different_encodings_and_shows_those_that_differ() -> Result<()> {
    let regions = Regions::start(Redis62, Valkey91).await?;
    let (west, east) = regions.clients().await?;
    for client in [&west, &east] {
        client.script("SET s 17\nRPUSH l a b c\nSADD set b a 3\nHSET h a 1 b 2\nZADD z 0.1 a 2 b").await?;
        client.script("XADD x 1-1 f v\nXGROUP CREATE x g 0\nSET t v\nPEXPIREAT t 4102444800000").await?;
    }
    west.script("SET kind 1\nRPUSH length a b\nSET value v\nSET expiry v EX 1000\nSET west 1").await?;
    east.script("RPUSH kind 1\nRPUSH length a\nSET value w\nSET expiry v").await?;
    let place = tempfile::tempdir()?;
    let file = place.path().join("pair.toml");
    std::fs::write(&file, regions.config(&More::default()))?;
    let why = |key: &str| Command::new(duet()).args(["why", key, "--config"]).arg(&file).output();
    for key in ["s", "l", "set", "h", "z", "x", "t", "absent"] {
        let told = why(key)?;
        ensure!(told.status.success() && said(&told).contains("both regions hold the same"), "{}", said(&told));
        ensure!(said(&told).contains("last conflicts are not known"), "no daemon runs: {}", said(&told));
    }
    for (key, what) in
        [("kind", "type"), ("length", "value"), ("value", "value"), ("expiry", "expiry"), ("west", "existence")]
    {
        let told = why(key)?;
        let text = said(&told);
        ensure!(told.status.code() == Some(1) && text.contains(&format!("DIFFER in {what}")), "{text}");
    }
    Ok(())
}
