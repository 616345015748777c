//! Duet beside the servers' own replication, in the same run, on the same machine; beside another copier too, where the
//! path of its program is given.
//!
//! - [`full_sync`]: a full source and an empty target, until the target has every key
//! - [`increments`]: a load at the source, until the target has its last key
//! - [`both`]: both regions loaded at once
//! - [`latency`]: a paced load, from write to visible; on loopback and over 80 ms of round trip
//! - [`pairs`]: several pairs on one machine
//! - [`conflicts`]: both sides written at once, with every tenth write in conflict and with none
//! - [`verify`]: two equal regions compared
//! - [`watched`]: the same load with nothing asked of the daemon, and with everything
//! - [`growth`]: how the cost grows, as tables and pictures
//! - [`profile`]: what the daemon's time goes to; by its name only, since it needs `perf`

mod aims;
mod both;
mod conflicts;
mod copier;
mod document;
mod full_sync;
mod growth;
mod increments;
mod latency;
mod load;
mod paced;
mod pairs;
mod picture;
mod profile;
mod shake;
mod suite;
mod table;
mod usage;
mod verify;
mod watched;

use crate::aims::Aims;
use crate::copier::Copier;
use crate::suite::Suite;
use anyhow::Result;
use clap::{Parser, ValueEnum};
use std::path::{Path, PathBuf};

/// Measures Duet beside native replication and prints Markdown.
#[derive(Parser)]
struct Args {
    /// Small sizes: shows that it works, measures little
    #[arg(long)]
    quick: bool,
    /// Rounds of each measurement; medians are shown [default: 5, 1 with --quick]
    #[arg(long)]
    rounds: Option<usize>,
    /// What to measure; everything but the profile (which needs perf) when absent
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// The program of RedisShake version 4, to be measured with the same data
    #[arg(long, value_name = "PATH")]
    redis_shake: Option<PathBuf>,
    /// Where pictures are drawn
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    pictures: PathBuf,
    /// A document whose figures are to be replaced by these
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    FullSync,
    Increments,
    Both,
    Latency,
    Far,
    Pairs,
    Conflicts,
    Verify,
    Watched,
    Growth,
    Profile,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let mut copiers = vec![Copier::Native, Copier::Duet];
    copiers.extend(args.redis_shake.map(Copier::RedisShake));
    let rounds = args.rounds.unwrap_or(if args.quick { 1 } else { 5 });
    let mut suite = Suite { rounds, quick: args.quick, copiers, aims: Aims::default() };
    table::line(&table::machine(rounds)?);
    for part in Part::value_variants() {
        if args.only.contains(part) || args.only.is_empty() && *part != Part::Profile {
            measure(*part, &mut suite, &args.pictures).await?;
        }
    }
    suite.aims.print();
    args.into.map_or(Ok(()), |file| document::renew(&file, &table::printed()))
}

async fn measure(part: Part, suite: &mut Suite, pictures: &Path) -> Result<()> {
    match part {
        Part::FullSync => full_sync::measure(suite).await,
        Part::Increments => increments::measure(suite).await,
        Part::Both => both::measure(suite).await,
        Part::Latency => latency::measure(suite).await,
        Part::Far => latency::measure_far(suite).await,
        Part::Pairs => pairs::measure(suite).await,
        Part::Conflicts => conflicts::measure(suite).await,
        Part::Verify => verify::measure(suite).await,
        Part::Watched => watched::measure(suite).await,
        Part::Growth => growth::measure(suite, pictures).await,
        Part::Profile => profile::measure(suite, pictures).await,
    }
}
