//! Several pairs on one machine. A process keeps one pair, so it is as many daemons.

use crate::copier::{Copier, ensure_same, wait_key};
use crate::load;
use crate::suite::{Run, Suite, ratio, seconds};
use crate::table::{head, many, median, row};
use crate::usage::Used;
use anyhow::Result;
use duet_chaos::flavor::Flavor;
use duet_chaos::pair::Regions;
use std::fmt;
use std::time::Instant;
use tokio::task::JoinSet;

/// So many pairs with a copier of their own.
struct Case {
    copier: Copier,
    pairs: u32,
}

impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} of {}", self.pairs, self.copier)
    }
}

/// Measures 1, 2 and 4 pairs and prints a table.
pub(crate) async fn measure(suite: &mut Suite) -> Result<()> {
    let writes = suite.size(1_000_000, 50_000);
    let copiers = [Copier::Native, Copier::Duet];
    let cases: Vec<Case> =
        [1, 2, 4].into_iter().flat_map(|pairs| copiers.clone().map(|copier| Case { copier, pairs })).collect();
    let measured = suite.in_turn("pairs", &cases, async |case| round(case, writes).await).await?;
    head(
        &format!("Pairs, each with a daemon: {} SETs of 64 bytes at each", many(writes)),
        &["", "writes/s of all together", "against native", "CPU per million writes", "memory of all daemons"],
    );
    for (at, (case, runs)) in cases.iter().zip(&measured).enumerate() {
        let all = f64::from(writes * case.pairs);
        let daemons: Vec<_> = runs.iter().filter_map(|run| run.used.copier).collect();
        let cpu = median(daemons.iter().map(|usage| usage.cpu_s)) / all * 1e6;
        let dash = || "-".to_owned();
        row(&[
            case.to_string(),
            many(all / seconds(runs)),
            format!("{:.2}", ratio(runs, &measured[at / 2 * 2])),
            if daemons.is_empty() { dash() } else { format!("{cpu:.2} s") },
            if daemons.is_empty() { dash() } else { crate::table::peak(&daemons) },
        ]);
    }
    Ok(())
}

async fn round(case: &Case, writes: u32) -> Result<Run> {
    let mut pairs = Vec::new();
    for _ in 0..case.pairs {
        let regions = Regions::start(Flavor::Redis70, Flavor::Redis70).await?;
        let running = case.copier.start(&regions).await?;
        running.streaming(&regions).await?;
        pairs.push((regions, running));
    }
    let used = || pairs.iter().map(|(regions, running)| Used::now(running, regions)).collect::<Result<Vec<_>>>();
    let (before, started, mut loads) = (used()?, Instant::now(), JoinSet::new());
    for (regions, _) in &pairs {
        let (port, west, east) = (regions.west.port(), regions.west.client().await?, regions.east.client().await?);
        loads.spawn(async move {
            load::sets(port, writes, load::VALUE).await?;
            west.run("SET the-last-key 1").await?;
            wait_key(&east, "the-last-key").await
        });
    }
    while let Some(ended) = loads.join_next().await {
        ended??;
    }
    let seconds = started.elapsed().as_secs_f64();
    let used = used()?.into_iter().zip(before).map(|(now, before)| now.since(before)).sum();
    for (regions, _) in &pairs {
        ensure_same(regions).await?;
    }
    Ok(Run { seconds, used })
}
