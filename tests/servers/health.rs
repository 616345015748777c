//! `/syncz` and the agent port of the real program: what they answer, and how fast while the links have other work.

use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::port::Port;
use duet_chaos::wait::eventually;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Between two probes: a thousand in a second.
const BEAT: Duration = Duration::from_millis(1);
/// What the 99th percentile must keep, on a machine that runs other tests in the meantime. Alone it is far below.
const BOUND: Duration = Duration::from_millis(250);
/// Probes at least.
const LEAST: u32 = 1_000;
const PROBE: &str = "/syncz?region=east&max_lag_ms=500";

async fn syncz(daemon: &Daemon, region: &str) -> Result<(u16, Value)> {
    let answer = daemon.get(&format!("/syncz?region={region}&max_lag_ms=500")).await?;
    Ok((answer.code, serde_json::from_str(&answer.body)?))
}

/// Waits until `/syncz` answers for the region with this code and state.
async fn wait_syncz(daemon: &Daemon, region: &str, code: u16, state: &str) -> Result<Value> {
    let mut last = Value::Null;
    let what = format!("{region} to be {state}");
    let waited = eventually(&what, DEADLINE, async || {
        let (found, body) = syncz(daemon, region).await?;
        last = body;
        Ok((found == code && last["state"] == state).then_some(()))
    });
    waited.await.with_context(|| format!("{last:#}"))?;
    Ok(last)
}

/// A thousand probes a second until `ended`, and at least as many; each over a connection of its own, as balancers do it.
async fn probe(port: u16, mut ended: impl AsyncFnMut() -> Result<bool>) -> Result<Vec<Duration>> {
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut probes = JoinSet::new();
    for number in 1.. {
        beats.tick().await;
        probes.spawn(async move {
            let asked = Instant::now();
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
            let request = format!("GET {PROBE} HTTP/1.1\r\nHost: duet\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            ensure!(answer.contains("max_lag_ms"), "{answer}");
            Ok(asked.elapsed())
        });
        if number >= LEAST && number % 100 == 0 && ended().await? {
            break;
        }
    }
    let mut took = Vec::new();
    while let Some(probe) = probes.join_next().await {
        took.push(probe??);
    }
    took.sort();
    Ok(took)
}

fn within_bound(what: &str, took: &[Duration]) -> Result<()> {
    let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied().unwrap_or_default();
    eprintln!("{what}: {} probes, p50 {:?}, p99 {:?}, slowest {:?}", took.len(), at(0.5), at(0.99), at(0.9999));
    ensure!(at(0.99) < BOUND, "{what}: the 99th percentile is {:?}", at(0.99));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thousand_probes_a_second_are_answered_during_a_full_sync_and_with_a_dead_link() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    regions.west.client().await?.run("DEBUG POPULATE 500000 key 64").await?;
    let daemon = Daemon::start(duet(), &regions.config(&More::default()))?;
    let copying = |status: &Value| status["links"][0]["state"] == "full_sync";
    daemon.wait_for("the full sync", DEADLINE, copying).await?;
    let (code, body) = syncz(&daemon, "east").await?;
    ensure!(code == 503 && body["state"] == "full_sync", "{body:#}");
    let port = daemon.url().rsplit(':').next().context("no port")?.parse()?;
    let took = probe(port, async || Ok(daemon.link("forward").await?["state"] != "full_sync")).await?;
    within_bound("during a full sync", &took)?;

    daemon.wait_streaming(DEADLINE).await?;
    wait_syncz(&daemon, "east", 200, "in_step").await?;
    regions.west_proxy.iter().for_each(|proxy| proxy.blackhole());
    let took = probe(port, async || Ok(true)).await?;
    within_bound("with a dead link", &took)
}

#[tokio::test]
async fn a_region_that_is_lost_is_out_and_the_other_one_serves_alone() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    let daemon = regions.daemon(duet()).await?;
    for region in ["west", "east"] {
        wait_syncz(&daemon, region, 200, "in_step").await?;
    }
    regions.west_proxy.iter().for_each(|proxy| proxy.blackhole());
    let west = wait_syncz(&daemon, "west", 503, "unreachable").await?;
    ensure!(west["error_code"] == "unreachable" && west["reason"].is_string(), "{west:#}");
    let east = wait_syncz(&daemon, "east", 200, "alone").await?;
    ensure!(east["lag_ms"].as_u64() > Some(100), "it is behind, and says so: {east:#}");
    regions.west_proxy.iter().for_each(|proxy| proxy.thaw());
    for region in ["west", "east"] {
        wait_syncz(&daemon, region, 200, "in_step").await?;
    }
    Ok(())
}

#[tokio::test]
async fn questions_are_answered_by_get_head_and_the_agent_port_and_mistakes_get_a_sentence() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let agent = Port::free()?;
    let health = format!("[health]\nagent_listen = \"127.0.0.1:{}\"\n", agent.number());
    let daemon = regions.daemon_with(duet(), &More { tables: health, ..More::default() }).await?;
    wait_syncz(&daemon, "east", 200, "in_step").await?;
    for (path, part) in [
        ("/syncz", "region"),
        ("/syncz?region=mars", "it has west and east"),
        ("/syncz?region=east&max_lag_ms=soon", "max_lag_ms: invalid digit"),
    ] {
        let answer = daemon.get(path).await?;
        ensure!(answer.code == 400 && answer.body.contains(part), "{path}: {answer:?}");
    }
    let ask = async |question: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", agent.number())).await?;
        stream.write_all(question.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    ensure!(ask("east 500\n").await? == "ready up\n", "a start counts as a return");
    ensure!(ask("mars\n").await?.starts_with("fail #\"mars\" is no region"));
    ensure!(ask("\n").await?.starts_with("fail #set agent-send"));
    Ok(())
}
