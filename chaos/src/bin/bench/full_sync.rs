//! Full sync: from the start of the copier until an empty target has every key of a full source.

use crate::copier::{Copier, ensure_same, poll};
use crate::suite::{Run, Suite, ratio};
use crate::table::many;
use crate::usage::Used;
use anyhow::Result;
use duet_chaos::client::Client;
use duet_chaos::flavor::Flavor;
use duet_chaos::pair::Regions;
use std::fmt;
use std::time::Instant;

/// Who copies, and how the source sends its dump.
struct Case {
    copier: Copier,
    diskless: &'static str,
}

impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { copier, diskless } = self;
        write!(out, "{copier}{}", if *diskless == "yes" { "" } else { ", dump on the source's disk" })
    }
}

/// What a source holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    /// Strings of 64 bytes.
    Strings,
    /// Hashes, lists, sets and sorted sets of 20 elements, and strings of 100 bytes, in equal parts.
    Mixed,
}

/// Keys set by one script.
const BATCH: u32 = 100_000;
/// 64 hexadecimal digits that do not compress: `DEBUG POPULATE` would fill up with zeros.
const STRINGS: &str = "for n = tonumber(ARGV[1]), tonumber(ARGV[2]) - 1 do \
    redis.call('SET', 'key:' .. n, redis.sha1hex(n) .. string.sub(redis.sha1hex('x' .. n), 1, 24)) end";
/// Elements are 16 hexadecimal digits and their number.
const MIXED: &str = "for n = tonumber(ARGV[1]), tonumber(ARGV[2]) - 1 do \
    local key, kind, digits = 'key:' .. n, n % 5, redis.sha1hex(n) .. redis.sha1hex('x' .. n) .. redis.sha1hex('y' .. n) \
    if kind == 0 then redis.call('SET', key, string.sub(digits, 1, 100)) else \
      local args = {} \
      for i = 1, 20 do \
        local element = string.sub(digits, i * 4, i * 4 + 15) .. i \
        if kind == 1 then args[#args + 1] = 'field' .. i end \
        if kind == 4 then args[#args + 1] = i * n end \
        args[#args + 1] = element \
      end \
      redis.call(({'HSET', 'RPUSH', 'SADD', 'ZADD'})[kind], key, unpack(args)) \
    end end";

impl Data {
    /// Sets so many keys.
    pub(crate) async fn fill(self, client: &Client, keys: u32) -> Result<()> {
        let script = match self {
            Self::Strings => STRINGS,
            Self::Mixed => MIXED,
        };
        for from in (0..keys).step_by(BATCH as usize) {
            let (from, to) = (from.to_string(), (from + BATCH).min(keys).to_string());
            client.args(&["EVAL", script, "0", &from, &to]).await?;
        }
        Ok(())
    }
}

/// Measures both kinds of data with every copier, and prints a table for each.
pub(crate) async fn measure(suite: &mut Suite) -> Result<()> {
    let case = |copier: &Copier| Case { copier: copier.clone(), diskless: "yes" };
    let mut cases: Vec<Case> = suite.copiers.iter().map(case).collect();
    cases.push(Case { copier: Copier::Native, diskless: "no" });
    for (data, keys, name, title) in [
        (Data::Strings, suite.size(2_000_000, 100_000), "strings", "strings of 64 bytes that do not compress"),
        (
            Data::Mixed,
            suite.size(200_000, 20_000),
            "mixed keys",
            "hashes, lists, sets, sorted sets of 20 elements, and strings of 100 bytes",
        ),
    ] {
        let run = async |case: &Case| round(&case.copier, case.diskless, data, keys).await;
        let measured = suite.in_turn(&format!("full sync, {name}"), &cases, run).await?;
        suite.print_runs(&format!("Full sync: {} {title}", many(keys)), &cases, &measured, keys);
        suite.remember_memory(measured[1].iter().map(|run| &run.used));
        let times = ratio(&measured[1], &measured[0]);
        suite.aims.at_most(format!("full sync of {} {name}: time", many(keys)), times, " × native", [2.0, 1.25]);
    }
    Ok(())
}

/// One copy of so many keys; `diskless` is the source's setting of that name.
pub(crate) async fn round(copier: &Copier, diskless: &str, data: Data, keys: u32) -> Result<Run> {
    let source: [&str; 2] = ["--repl-diskless-sync", diskless];
    let regions = Regions::start_with((Flavor::Redis70, &source), (Flavor::Redis70, &[])).await?;
    let (west, east) = regions.clients().await?;
    data.fill(&west, keys).await?;
    let (before, started) = (Used::before(&regions)?, Instant::now());
    let running = copier.start(&regions).await?;
    // The daemon's own keys come on top.
    poll(&east, "DBSIZE", |count| count >= i64::from(keys)).await?;
    running.says_streaming(&regions).await?;
    let run = Run { seconds: started.elapsed().as_secs_f64(), used: Used::now(&running, &regions)?.since(before) };
    running.streaming(&regions).await?;
    ensure_same(&regions).await?;
    Ok(run)
}
