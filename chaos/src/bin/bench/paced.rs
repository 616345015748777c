//! A load at a steady pace of which writes are timed from before they are sent until the target shows them.
//!
//! The target tells by itself, as it tells caches: `CLIENT TRACKING ... BCAST` pushes the names of the keys that were
//! written, as soon as any client could read them. So nothing is asked again and again, and both ends of a time are read
//! from one clock.

use anyhow::{Context, Result, bail};
use duet_chaos::redis;
use duet_chaos::servers::Server;
use redis::{PushKind, Value};
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;

/// How often a batch is written; its last write is timed.
const BEAT: Duration = Duration::from_micros(200);
/// What the names of timed keys begin with.
const TIMED: &str = "timed:";
/// How long the target may show nothing before it is given up.
const SILENCE: Duration = Duration::from_secs(30);
/// Keys of the writes that are not timed.
const KEYS: u32 = 1_000_000;

/// What came of it.
pub(crate) struct Paced {
    /// Writes per second that the source took.
    pub(crate) rate: f64,
    /// Milliseconds until each timed write was visible.
    pub(crate) lags_ms: Vec<f64>,
}

/// Writes so many times a second at the source, and times what arrives at the target.
pub(crate) async fn run(source: &Server, target: &Server, per_second: u32, seconds: u32) -> Result<Paced> {
    let beats = seconds * u32::try_from(Duration::from_secs(1).as_micros() / BEAT.as_micros())?;
    let batch = per_second * seconds / beats;
    let mut tracking = connect(target.port())?;
    let line = ["CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", TIMED];
    redis::cmd(line[0]).arg(&line[1..]).exec(&mut tracking)?;
    tracking.set_read_timeout(Some(SILENCE))?;
    let port = source.port();
    let writing = spawn_blocking(move || write(port, beats, batch));
    let watching = spawn_blocking(move || watch(tracking, beats));
    let (sent, seen) = (writing.await??, watching.await??);
    let took = sent.last().zip(sent.first()).map_or(Duration::ZERO, |(last, first)| last.duration_since(*first));
    let lags = sent.iter().zip(&seen).map(|(sent, seen)| seen.duration_since(*sent).as_secs_f64() * 1e3);
    Ok(Paced { rate: f64::from(beats * batch) / took.as_secs_f64(), lags_ms: lags.collect() })
}

/// When each batch was sent.
fn write(port: u16, beats: u32, batch: u32) -> Result<Vec<Instant>> {
    let (mut connection, value) = (connect(port)?, "x".repeat(64));
    let mut sent = Vec::with_capacity(beats as usize);
    let started = Instant::now();
    for beat in 0..beats {
        std::thread::sleep((started + BEAT * beat).saturating_duration_since(Instant::now()));
        let mut commands = redis::pipe();
        for _ in 1..batch {
            commands.cmd("SET").arg(format!("key:{}", fastrand::u32(..KEYS))).arg(&value).ignore();
        }
        commands.cmd("SET").arg(format!("{TIMED}{beat}")).arg(&value).ignore();
        sent.push(Instant::now());
        commands.exec(&mut connection)?;
    }
    Ok(sent)
}

/// When the target told of each batch.
fn watch(mut tracking: redis::Connection, beats: u32) -> Result<Vec<Instant>> {
    let mut seen = vec![None; beats as usize];
    let mut missing = beats;
    while missing > 0 {
        let told = tracking.recv_response().with_context(|| format!("the target showed nothing for {SILENCE:?}"))?;
        let now = Instant::now();
        for key in invalidated(told)? {
            let number: usize = key.trim_start_matches(TIMED).parse()?;
            let place = seen.get_mut(number).with_context(|| format!("nobody wrote {key}"))?;
            if place.replace(now).is_none() {
                missing -= 1;
            }
        }
    }
    Ok(seen.into_iter().flatten().collect())
}

/// The keys that a push names.
fn invalidated(told: Value) -> Result<Vec<String>> {
    match told {
        Value::Push { kind: PushKind::Invalidate, data } => match data.into_iter().next() {
            Some(keys @ Value::Array(_)) => Ok(redis::from_redis_value(keys)?),
            other => bail!("expected names of keys, got {other:?}"),
        },
        other => bail!("expected an invalidation, got {other:?}"),
    }
}

fn connect(port: u16) -> Result<redis::Connection> {
    Ok(redis::Client::open(format!("redis://127.0.0.1:{port}/?protocol=resp3"))?.get_connection()?)
}
