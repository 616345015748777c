//! Increments: from the start of a load at the source until the target has its last key.

use crate::copier::{Copier, ensure_same, wait_key};
use crate::load;
use crate::suite::{Run, Suite, ratio};
use crate::table::{many, median};
use crate::usage::Used;
use anyhow::Result;
use duet_chaos::flavor::Flavor;
use duet_chaos::pair::{More, Regions};
use std::time::Instant;

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sets,
    Mix,
}

/// Measures both loads with every copier, and prints a table for each.
pub(crate) async fn measure(suite: &mut Suite) -> Result<()> {
    let writes = suite.size(3_000_000, 240_000);
    let copiers = suite.copiers.clone();
    for (kind, title) in [(Kind::Sets, "SETs of 64 bytes"), (Kind::Mix, load::MIX)] {
        let measured = suite
            .in_turn(&format!("increments, {title}"), &copiers, async |copier| round(copier, kind, writes).await)
            .await?;
        suite.print_runs(
            &format!("Increments: {} writes ({title}), pipelines of 64, 8 connections", many(writes)),
            &copiers,
            &measured,
            writes,
        );
        let duet = &measured[1];
        let cpu = median(duet.iter().filter_map(|run| run.used.copier).map(|usage| usage.cpu_s));
        suite.remember_memory(duet.iter().map(|run| &run.used));
        suite.aims.at_most(format!("increments, {title}: time"), ratio(duet, &measured[0]), " × native", [1.5, 1.1]);
        let cpu = cpu / f64::from(writes) * 1e6;
        suite.aims.at_most(format!("increments, {title}: CPU of Duet per million writes"), cpu, " s", [1.5, 0.7]);
    }
    Ok(())
}

async fn round(copier: &Copier, kind: Kind, writes: u32) -> Result<Run> {
    run(copier, &More::default(), async |port| match kind {
        Kind::Sets => load::sets(port, writes, load::VALUE).await,
        Kind::Mix => load::mix(port, writes).await,
    })
    .await
}

/// One load at the port of the source, until the target has a key that was written last; `more` is Duet's configuration.
pub(crate) async fn run(copier: &Copier, more: &More, load: impl AsyncFnOnce(u16) -> Result<()>) -> Result<Run> {
    // What a slow copier has not taken yet is kept: a source that cuts it off instead would measure nothing.
    let patient = ["--client-output-buffer-limit", "replica", "0", "0", "0"];
    let regions = Regions::start_with((Flavor::Redis70, &patient), (Flavor::Redis70, &patient)).await?;
    let (west, east) = regions.clients().await?;
    let running = copier.start_with(&regions, more).await?;
    running.streaming(&regions).await?;
    let (before, started) = (Used::now(&running, &regions)?, Instant::now());
    load(regions.west.port()).await?;
    west.run("SET the-last-key 1").await?;
    wait_key(&east, "the-last-key").await?;
    let run = Run { seconds: started.elapsed().as_secs_f64(), used: Used::now(&running, &regions)?.since(before) };
    ensure_same(&regions).await?;
    Ok(run)
}
