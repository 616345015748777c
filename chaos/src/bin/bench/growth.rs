//! How the cost grows: with the size of values, with the size of a transaction, with the number of keys, with the share of
//! writes that meet one of the other region. Tables, and the same as pictures.

use crate::aims::Aims;
use crate::conflicts;
use crate::copier::Copier;
use crate::full_sync::{self, Data};
use crate::increments;
use crate::load;
use crate::picture::Picture;
use crate::suite::{Run, Suite, seconds};
use crate::table::{head, line, many, median, row};
use anyhow::Result;
use duet_chaos::pair::More;
use std::fmt;
use std::path::Path;

/// More rounds would take the time of everything else.
const MOST_ROUNDS: usize = 3;
/// Bytes of all values of a run.
const VOLUME: usize = 512 << 20;
/// Writes of a run, but for that volume.
const WRITES: usize = 1_000_000;

/// One point: who copies, and what the cost depends on.
struct Point {
    copier: Copier,
    at: u32,
}

impl fmt::Display for Point {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}, {}", self.at, self.copier)
    }
}

/// What is measured, as people call it.
struct Names {
    file: &'static str,
    title: &'static str,
    across: &'static str,
    each: &'static str,
}

/// Measures all four, prints tables, and draws into `pictures`.
pub(crate) async fn measure(suite: &Suite, pictures: &Path) -> Result<()> {
    std::fs::create_dir_all(pictures)?;
    let suite = &Suite {
        rounds: suite.rounds.min(MOST_ROUNDS),
        quick: suite.quick,
        copiers: suite.copiers.clone(),
        aims: Aims::default(),
    };
    values(suite, pictures).await?;
    batches(suite, pictures).await?;
    keys(suite, pictures).await?;
    conflicting(suite, pictures).await
}

async fn values(suite: &Suite, pictures: &Path) -> Result<()> {
    let sizes: Vec<u32> = (4..=20).step_by(2).map(|bits| 1 << bits).collect();
    let writes =
        |bytes: u32| (suite.size(VOLUME, VOLUME / 32) / bytes as usize).min(suite.size(WRITES, WRITES / 20)) as u32;
    let points = points(suite, &sizes);
    let run = async |point: &Point| {
        let (bytes, writes) = (point.at as usize, writes(point.at));
        increments::run(&point.copier, &More::default(), async |port| load::sets(port, writes, bytes).await).await
    };
    let measured = suite.in_turn("value size", &points, run).await?;
    let names = Names {
        file: "growth-value-size.svg",
        title: "SETs at full load, by the size of their values",
        across: "bytes of a value",
        each: "write",
    };
    report(suite, &names, pictures, &points, &measured, |point| writes(point.at))
}

async fn batches(suite: &Suite, pictures: &Path) -> Result<()> {
    let writes = suite.size(WRITES, WRITES / 20) as u32;
    let sizes = [1, 4, 16, 64, 256, 512, 1024, 4096];
    let points: Vec<Point> = sizes.into_iter().map(|at| Point { copier: Copier::Duet, at }).collect();
    let run = async |point: &Point| {
        let more = More { tables: format!("[apply]\nbatch_commands = {}\n", point.at), ..More::default() };
        increments::run(&point.copier, &more, async |port| load::sets(port, writes, load::VALUE).await).await
    };
    let measured = suite.in_turn("batch size", &points, run).await?;
    let names = Names {
        file: "growth-batch-size.svg",
        title: "SETs of 64 bytes at full load, by apply.batch_commands",
        across: "most commands of a transaction",
        each: "write",
    };
    report(suite, &names, pictures, &points, &measured, |_| writes)
}

async fn keys(suite: &Suite, pictures: &Path) -> Result<()> {
    let counts: Vec<u32> = (4..=suite.size(7, 5)).map(|digits| 10_u32.pow(digits)).collect();
    let points = points(suite, &counts);
    let run = async |point: &Point| full_sync::round(&point.copier, "yes", Data::Strings, point.at).await;
    let measured = suite.in_turn("keys", &points, run).await?;
    let names = Names {
        file: "growth-keys.svg",
        title: "Full sync of strings of 64 bytes, by their number",
        across: "keys",
        each: "key",
    };
    report(suite, &names, pictures, &points, &measured, |point| point.at)
}

async fn conflicting(suite: &Suite, pictures: &Path) -> Result<()> {
    let writes = suite.size(500_000, 20_000);
    let points: Vec<Point> =
        [0, 1, 5, 10, 25, 50, 100].into_iter().map(|at| Point { copier: Copier::Duet, at }).collect();
    let run = async |point: &Point| conflicts::share(point.at, writes).await;
    let measured = suite.in_turn("conflicts", &points, run).await?;
    let names = Names {
        file: "growth-conflicts.svg",
        title: "Both sides at once, by the share of writes on keys that both write",
        across: "percent of the writes",
        each: "write",
    };
    report(suite, &names, pictures, &points, &measured, |_| 2 * writes)
}

/// Native and Duet at each of them.
fn points(suite: &Suite, at: &[u32]) -> Vec<Point> {
    let both = |copier: &Copier| at.iter().map(move |at| Point { copier: copier.clone(), at: *at }).collect::<Vec<_>>();
    suite.copiers.iter().flat_map(both).collect()
}

/// Prints a table of microseconds for each write or key, and draws it. Native stands beside it where it was measured.
fn report(
    suite: &Suite,
    names: &Names,
    pictures: &Path,
    points: &[Point],
    measured: &[Vec<Run>],
    count: impl Fn(&Point) -> u32,
) -> Result<()> {
    let Names { file, title, across, each } = names;
    head(
        &format!("{title}; medians of {}", suite.rounds),
        &[
            "",
            across,
            &format!("µs for each {each}"),
            &format!("µs of Duet's CPU for each {each}"),
            "memory of the copier",
        ],
    );
    let mut lines: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    let mut put = |name: String, point: (f64, f64)| match lines.iter_mut().find(|line| line.0 == name) {
        Some((_, points)) => points.push(point),
        None => lines.push((name, vec![point])),
    };
    for (point, runs) in points.iter().zip(measured) {
        let all = f64::from(count(point));
        let time = seconds(runs) / all * 1e6;
        let used: Vec<_> = runs.iter().filter_map(|run| run.used.copier).collect();
        let cpu = median(used.iter().map(|used| used.cpu_s)) / all * 1e6;
        put(format!("{}: time", point.copier), (f64::from(point.at), time));
        if point.copier == Copier::Duet && cpu > 0.0 {
            put("Duet: CPU".to_owned(), (f64::from(point.at), cpu));
        }
        let dash = || "-".to_owned();
        row(&[
            point.copier.to_string(),
            many(point.at),
            format!("{time:.2}"),
            if used.is_empty() { dash() } else { format!("{cpu:.2}") },
            if used.is_empty() { dash() } else { crate::table::peak(&used) },
        ]);
    }
    let up = format!("microseconds for each {each}");
    let by_factors = points.iter().all(|point| point.at > 0);
    let file = pictures.join(file);
    line(&format!("\n![{title}]({})", file.display()));
    Picture { title, across: (across, by_factors), up: &up, lines }.draw(&file)
}
