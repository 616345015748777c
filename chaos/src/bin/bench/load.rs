//! Loads of `redis-benchmark`, as the aims were set with it: pipelines of 64, 8 connections.

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

/// Bytes of a value.
pub(crate) const VALUE: usize = 64;
/// Commands in a pipeline, and bytes.
const PIPELINE: usize = 64;
const MOST_PIPELINED: usize = 1 << 20;
/// The commands of the mix.
pub(crate) const MIX: &str = "set,incr,lpush,hset,sadd,zadd";
/// Random keys.
const KEYS: u32 = 1_000_000;

/// `SET`s of values of so many bytes.
pub(crate) async fn sets(port: u16, writes: u32, bytes: usize) -> Result<()> {
    // Big values need no pipeline to keep a server busy, and much memory in one.
    let pipeline = (MOST_PIPELINED / bytes).clamp(1, PIPELINE);
    benchmark(port, writes, &format!("-d {bytes} -P {pipeline} -t set")).await
}

/// The same on keys that begin with a name, so that two regions write different ones.
pub(crate) async fn named_sets(port: u16, name: &str, writes: u32) -> Result<()> {
    benchmark(port, writes, &format!("-P {PIPELINE} SET {name}:__rand_int__ {}", "x".repeat(VALUE))).await
}

/// Six commands one after the other, each a sixth of the writes.
pub(crate) async fn mix(port: u16, writes: u32) -> Result<()> {
    let kinds = u32::try_from(MIX.split(',').count())?;
    ensure!(writes.is_multiple_of(kinds), "{writes} writes are not to be divided by {kinds}");
    benchmark(port, writes / kinds, &format!("-d {VALUE} -P {PIPELINE} -t {MIX}")).await
}

async fn benchmark(port: u16, writes: u32, what: &str) -> Result<()> {
    let line = format!("-p {port} -r {KEYS} -n {writes} -c 8 -q {what}");
    let output = Command::new("redis-benchmark").args(line.split(' ')).output().await;
    let output = output.context("cannot run redis-benchmark: run `make setup`")?;
    ensure!(output.status.success(), "redis-benchmark: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
