//! Duet beside the servers' own replication, in the same run, on the same machine.
//!
//! - [`increments`]: a load at the source, until the target has its last key
//! - [`full_sync`]: a full source and an empty target, until the target has every key
//! - [`wan`]: a paced load over 80 ms of round trip
//! - [`watched`]: the same load with nothing asked of the daemon, and with everything
//! - [`conflicts`]: both sides written at once, with every tenth write in conflict and with none
//! - [`verify`]: two equal regions compared

mod conflicts;
mod copier;
mod full_sync;
mod increments;
mod table;
mod verify;
mod wan;
mod watched;

use anyhow::Result;
use clap::{Parser, ValueEnum};

/// Measures Duet beside native replication and prints Markdown.
#[derive(Parser)]
struct Args {
    /// Small sizes: shows that it works, measures little
    #[arg(long)]
    quick: bool,
    /// Rounds of each measurement; medians are shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// What to measure; everything when absent
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Increments,
    FullSync,
    Wan,
    Conflicts,
    Verify,
    Watched,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let wanted = |part: Part| args.only.is_empty() || args.only.contains(&part);
    println!("{}\n", table::machine()?);
    if wanted(Part::Increments) {
        increments::measure(args.rounds, if args.quick { 200_000 } else { 3_000_000 }).await?;
    }
    if wanted(Part::FullSync) {
        full_sync::measure(args.rounds, if args.quick { 100_000 } else { 2_000_000 }).await?;
    }
    if wanted(Part::Wan) {
        wan::measure(if args.quick { 4 } else { 20 }).await?;
    }
    if wanted(Part::Conflicts) {
        conflicts::measure(args.rounds, if args.quick { 50_000 } else { 1_000_000 }).await?;
    }
    if wanted(Part::Verify) {
        verify::measure(args.rounds, if args.quick { 100_000 } else { 1_000_000 }).await?;
    }
    if wanted(Part::Watched) {
        watched::measure(args.rounds, if args.quick { 200_000 } else { 3_000_000 }).await?;
    }
    Ok(())
}
