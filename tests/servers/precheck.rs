//! `duet check`: each item that can be provoked is, on real servers; and what a start does with it.

use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::load::Mixed;
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::process::Process;
use duet_chaos::proxy::Proxy;
use duet_chaos::wait::eventually;
use serde_json::Value;
use std::process::Command;

/// What `duet check --json` says of this configuration, and its exit code.
async fn check(toml: &str, arguments: &[&str]) -> Result<(Value, i32)> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), toml)?;
    let mut command = Command::new(duet());
    command.args(["check", "--json", "--config"]).arg(file.path()).args(arguments).env_remove("DUET_CONFIG");
    // Proxies of this thread have to go on meanwhile.
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let text = String::from_utf8_lossy(&output.stdout);
    let told = serde_json::from_str(&text)
        .with_context(|| format!("no JSON: {text} {}", String::from_utf8_lossy(&output.stderr)))?;
    Ok((told, output.status.code().context("no exit code")?))
}

/// The row of an item about a region, a link or the pair.
fn row<'a>(told: &'a Value, item: &str, of: &str) -> Result<&'a Value> {
    let rows = told["rows"].as_array().context("no rows")?;
    rows.iter()
        .find(|row| row["item"] == item && row["of"] == of)
        .with_context(|| format!("no {item} of {of}: {told:#}"))
}

fn expect(told: &Value, item: &str, of: &str, result: &str, seen: &str) -> Result<()> {
    let row = row(told, item, of)?;
    ensure!(row["result"] == result && row["seen"].as_str().is_some_and(|text| text.contains(seen)), "{row:#}");
    ensure!(result == "ok" || row["remedy"].as_str().is_some_and(|text| text.split(' ').count() > 2), "{row:#}");
    Ok(())
}

/// The whole file: nobody listens to HTTP.
fn config(regions: &Regions, more: &More) -> String {
    regions.config(more)
}

#[tokio::test]
async fn servers_that_are_fit_pass_on_every_version() -> Result<()> {
    for flavor in Flavor::ALL {
        let fit = ["--repl-backlog-size", "256mb", "--repl-backlog-ttl", "0", "--appendonly", "yes"];
        let regions = Regions::start_with((flavor, &fit), (flavor, &fit)).await?;
        let (told, code) = check(&config(&regions, &More::default()), &["--sample", "0s"]).await?;
        ensure!(code == 0 && told["result"] == "ok", "{flavor:?}: {told:#}");
        expect(&told, "rights", "west", "ok", "allowed")?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_one_server_is_told_with_its_remedy() -> Result<()> {
    let west = [
        "--maxmemory-policy",
        "allkeys-lru",
        "--maxmemory",
        "1gb",
        "--min-replicas-to-write",
        "0",
        "--databases",
        "40",
    ];
    let regions = Regions::start_with((Valkey91, &west), (Redis62, &["--maxmemory", "4mb"])).await?;
    let (client, east) = regions.clients().await?;
    east.run("SET duet:mine 1").await?;
    client.script("HSET hash f v\nHEXPIRE hash 1000 FIELDS 1 f\nSELECT 20\nSET k 1\nSELECT 0").await?;
    client.run("DEBUG POPULATE 60000 filler 100").await?;
    client.run("CONFIG SET min-replicas-to-write 1").await?;
    let (told, code) = check(&config(&regions, &More::default()), &[]).await?;
    ensure!(code == 2 && told["result"] == "failed", "{told:#}");
    for (item, of, result, seen) in [
        ("eviction", "west", "warning", "allkeys-lru"),
        ("persistence", "west", "warning", "neither"),
        ("backlog", "east", "warning", "default"),
        ("backlog_ttl", "west", "warning", "60 min"),
        ("min_replicas", "west", "warning", "min-replicas-to-write 1"),
        ("keyspace_events", "west", "ok", "adds Exeg"),
        ("reserved_prefix", "east", "warning", "duet:mine"),
        ("commands", "west > east", "warning", "HEXPIRE (1 calls)"),
        ("databases", "west > east", "failed", "database 20"),
        ("dialect", "west > east", "warning", "rebuilt"),
        ("memory_room", "west > east", "failed", "room for"),
        ("version", "west", "ok", "Valkey 9.1"),
        ("clocks", "orders", "ok", "limit 500 ms"),
        ("same_server", "orders", "ok", "two"),
    ] {
        expect(&told, item, of, result, seen)?;
    }
    let ignored = ["databases", "memory_room"].map(|item| ["--ignore", item]).concat();
    let (told, code) = check(&config(&regions, &More::default()), &ignored).await?;
    ensure!(code == 1 && row(&told, "databases", "west > east")?["ignored"] == true, "{told:#}");
    Ok(())
}

#[tokio::test]
async fn rights_are_asked_for_each_command_without_the_right_to_ask() -> Result<()> {
    for flavor in [Redis62, Redis70, Valkey91] {
        let regions = Regions::start(flavor, flavor).await?;
        let (_, east) = regions.clients().await?;
        let user = More { east: "username = \"duet\"\npassword = \"secret\"".to_owned(), ..More::default() };
        let (told, _) = check(&config(&regions, &More::default()), &[]).await?;
        let line = told["acl"][1].as_str().context("no ACL line")?.replace("PASSWORD", "secret");
        east.run(&line).await?;
        let (told, _) = check(&config(&regions, &user), &[]).await?;
        expect(&told, "rights", "east", "ok", "allowed").with_context(|| format!("{flavor:?}"))?;
        let daemon = regions.daemon_with(duet(), &user).await?;
        drop(daemon);
        // Nothing of what is asked about is done.
        ensure!(east.int("EXISTS check:duet").await? == 0);

        east.run("ACL SETUSER duet -psync -xadd -incr").await?;
        let (told, code) = check(&config(&regions, &user), &[]).await?;
        ensure!(code == 2, "{told:#}");
        for right in ["+psync", "+xadd", "+incr"] {
            expect(&told, "rights", "east", "failed", right).with_context(|| format!("{flavor:?}"))?;
        }
        east.run("ACL SETUSER duet +psync +xadd +incr resetkeys ~duet:*").await?;
        expect(&check(&config(&regions, &user), &[]).await?.0, "rights", "east", "failed", "~*")?;
        // The same with the right to ask.
        if flavor != Redis62 {
            east.run("ACL SETUSER duet +acl|dryrun +acl|whoami allkeys -psync -client|kill").await?;
            let (told, _) = check(&config(&regions, &user), &[]).await?;
            expect(&told, "rights", "east", "failed", "+client|kill")?;
            expect(&told, "rights", "east", "failed", "+psync")?;
        }
        east.run("ACL SETUSER duet >other <secret").await?;
        expect(&check(&config(&regions, &user), &[]).await?.0, "password", "east", "failed", "WRONGPASS")?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_both_together_is_told() -> Result<()> {
    let mut regions = Regions::start(Redis70, Redis70).await?;
    let (west, east) = regions.clients().await?;
    west.script("SET a 1\nSET b 1").await?;
    east.script("SET b 2\nSET c 2\nCLIENT SETNAME sentinel-1a2b3c-cmd").await?;
    let (told, _) = check(&config(&regions, &More::default()), &[]).await?;
    expect(&told, "existing_keys", "west > east", "failed", "1 are in both")?;
    expect(&told, "sentinel", "east", "warning", "1 connections")?;
    east.run(&format!("REPLICAOF 127.0.0.1 {}", regions.west.port())).await?;
    let linked =
        async || Ok((east.info("replication", "master_link_status").await?.as_deref() == Some("up")).then_some(()));
    eventually("the replica to be in step", DEADLINE, linked).await?;
    let (told, code) = check(&config(&regions, &More::default()), &[]).await?;
    ensure!(code == 2);
    expect(&told, "role", "east", "failed", "a replica of 127.0.0.1")?;
    expect(&told, "same_data", "orders", "failed", "one history")?;
    let again = Proxy::start(&regions.west.address()).await?;
    let once = config(&regions, &More::default()).replace(&regions.east.address(), &again.address().to_string());
    expect(&check(&once, &[]).await?.0, "same_server", "orders", "failed", "one process")?;
    regions.east.stop(duet_chaos::servers::Ending::NoSave).await?;
    let (told, code) = check(&config(&regions, &More::default()), &[]).await?;
    ensure!(code == 2);
    expect(&told, "reachable", "east", "failed", "can't be reached")
}

#[tokio::test]
async fn the_backlog_is_measured_against_the_writes_of_now() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let _daemon = regions.daemon(duet()).await?;
    // A server uses no smaller limit than its backlog, and tells the one that was set.
    let west = regions.west.client().await?;
    west.run("CONFIG SET client-output-buffer-limit \"replica 20kb 0 0\"").await?;
    let load = Mixed::start(&regions.west, "busy", 2000).await?;
    let (told, _) = check(&config(&regions, &More::default()), &[]).await?;
    load.stop().await?;
    expect(&told, "backlog", "west", "warning", "forces a full sync")?;
    expect(&told, "output_buffer", "west", "warning", "20.0 KiB")?;
    expect(&told, "another_duet", "orders", "ok", "this pair's Duet runs")
}

#[tokio::test]
async fn a_start_shows_what_it_found_and_is_held_by_another_pair_on_the_same_servers() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let mut first = regions.daemon(duet()).await?;
    let precheck = |status: &Value| status["precheck"]["result"] == "warning";
    first.wait_for("the precheck in the status", DEADLINE, precheck).await?;
    let other = config(&regions, &More::default()).replace("name = \"orders\"", "name = \"stock\"");
    let second = Daemon::start(duet(), &other)?;
    let held = |status: &Value| {
        let links = status["links"].as_array().is_some_and(|links| links.iter().all(|link| link["state"] == "held"));
        links && status["links"][0]["error_code"] == "precheck_failed"
    };
    second.wait_for("both links to be held", DEADLINE, held).await?;
    ensure!(second.output().contains("the pair `orders`"), "{}", second.log_end());
    first.terminate().await?;
    second.wait_streaming(DEADLINE).await?;
    Ok(())
}

#[tokio::test]
async fn a_start_goes_on_when_a_server_is_away() -> Result<()> {
    let mut regions = Regions::start(Redis70, Redis70).await?;
    regions.east.stop(duet_chaos::servers::Ending::Save).await?;
    let mut daemon = Daemon::start(duet(), &config(&regions, &More::default()))?;
    let away = |status: &Value| {
        let failed = status["precheck"]["result"] == "failed";
        failed && status["links"][0]["error_code"] == "unreachable"
    };
    daemon.wait_for("the precheck to tell that the server is away", DEADLINE, away).await?;
    ensure!(daemon.is_running()?);
    regions.east.resume().await?;
    daemon.wait_streaming(DEADLINE).await?;
    let better = |status: &Value| status["precheck"]["result"] == "warning";
    daemon.wait_for("the precheck to look again", DEADLINE, better).await.map(drop)
}

/// A module that does nothing, without the header of any server: the first word of the context is where functions are asked for.
const MODULE: &str = r#"
typedef int (*Api)(const char *, void **);
int RedisModule_OnLoad(void *context, void **words, int count) {
  (void)words; (void)count;
  Api api = (Api)((void **)context)[0];
  void (*name)(void *, const char *, int, int) = 0;
  if (api("RedisModule_SetModuleAttribs", (void **)&name)) return 1;
  name(context, "looksee", 1, 1);
  return 0;
}
"#;

fn module(place: &std::path::Path) -> Result<String> {
    let (source, object) = (place.join("looksee.c"), place.join("looksee.so"));
    std::fs::write(&source, MODULE)?;
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&object, &source]).output()?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Ok(object.to_str().context("no UTF-8")?.to_owned())
}

#[tokio::test]
async fn modules_and_clusters_are_seen_and_a_start_with_a_cluster_halts() -> Result<()> {
    let place = tempfile::tempdir()?;
    let module = module(place.path())?;
    for flavor in [Redis70, Valkey91] {
        let bus = duet_chaos::port::Port::free()?.number().to_string();
        let east = ["--cluster-enabled", "yes", "--cluster-port", &bus];
        let regions = Regions::start_with((flavor, &["--loadmodule", &module]), (flavor, &east)).await?;
        let (told, code) = check(&config(&regions, &More::default()), &[]).await?;
        ensure!(code == 2, "{told:#}");
        expect(&told, "modules", "west", "warning", "looksee")?;
        expect(&told, "cluster", "east", "failed", "cluster").with_context(|| format!("{flavor:?}"))?;
        // A start finds the cluster by itself, says so, and lives.
        let daemon = Daemon::start(duet(), &config(&regions, &More::default()))?;
        let halted = |status: &Value| status["links"][0]["error_code"] == "cluster";
        daemon.wait_for("the link to halt", DEADLINE, halted).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_sentinel_and_clocks_that_are_apart_are_seen() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    let port = duet_chaos::port::Port::free()?;
    let _sentinel = Process::start("redis-server", |place| {
        let file = place.join("sentinel.conf");
        let watched = format!("port {}\nsentinel monitor west 127.0.0.1 {} 1\n", port.number(), regions.west.port());
        std::fs::write(&file, watched)?;
        Ok(vec![file.display().to_string(), "--sentinel".to_owned()])
    })?;
    let west = regions.west.client().await?;
    let watching = async || Ok(west.text("CLIENT LIST").await?.contains("name=sentinel-").then_some(()));
    eventually("Sentinel to watch", DEADLINE, watching).await?;
    regions.east_proxy.as_ref().context("no proxy")?.clock_ahead(5_000);
    let (told, _) = check(&config(&regions, &More::default()), &[]).await?;
    expect(&told, "sentinel", "west", "warning", "connections of Sentinel")?;
    expect(&told, "sentinel", "east", "ok", "none")?;
    expect(&told, "clocks", "orders", "warning", "ahead")
}
