//! Both regions loaded at once with different keys, as a share of the sum of two one-way runs. Beside it, what the machine
//! itself allows: two pairs of native replication at once, against each alone.

use crate::copier::{Copier, ensure_same, wait_key};
use crate::load;
use crate::suite::Suite;
use crate::table::{head, many, median, row};
use crate::usage::Usage;
use anyhow::{Context, Result};
use duet_chaos::flavor::Flavor;
use duet_chaos::pair::Regions;
use duet_chaos::servers::Server;
use std::fmt;
use std::time::Instant;

/// Which regions are loaded, and who copies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    NativeOne,
    NativeTwo,
    West,
    East,
    Both,
}

const CASES: [Case; 5] = [Case::NativeOne, Case::NativeTwo, Case::West, Case::East, Case::Both];

impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NativeOne => "native, one pair",
            Self::NativeTwo => "native, two pairs at once",
            Self::West => "Duet, west to east",
            Self::East => "Duet, east to west",
            Self::Both => "Duet, both at once",
        })
    }
}

/// Writes per second of all loads together, and what the daemon used for it.
#[derive(Clone, Copy)]
struct Round {
    rate: f64,
    duet: Option<Usage>,
}

/// Measures each case in turn and prints a table.
pub(crate) async fn measure(suite: &mut Suite) -> Result<()> {
    let writes = suite.size(1_500_000, 100_000);
    let measured = suite.in_turn("both at once", &CASES, async |case| round(*case, writes).await).await?;
    let columns = ["", "writes/s of all together", "share of the sum of one-way runs", "CPU of Duet", "memory of Duet"];
    head(&format!("Both regions at once: {} SETs of 64 bytes each", many(writes)), &columns);
    let [native_one, native_two, west, east, both] = &measured[..] else { unreachable!("one of each case") };
    let share = |rounds: &[Round], one: &[Round], other: &[Round]| {
        let sums = one.iter().zip(other).map(|(one, other)| one.rate + other.rate);
        median(rounds.iter().zip(sums).map(|(round, sum)| round.rate / sum))
    };
    let shares = [None, Some(share(native_two, native_one, native_one)), None, None, Some(share(both, west, east))];
    for ((case, rounds), share) in CASES.iter().zip(&measured).zip(shares) {
        let duets: Vec<Usage> = rounds.iter().filter_map(|round| round.duet).collect();
        duets.iter().for_each(|usage| suite.aims.memory(usage.peak_mb));
        let dash = || "-".to_owned();
        row(&[
            case.to_string(),
            many(median(rounds.iter().map(|round| round.rate))),
            share.map_or_else(dash, |share| format!("{share:.2}")),
            if duets.is_empty() { dash() } else { crate::table::cpu(&duets) },
            if duets.is_empty() { dash() } else { crate::table::peak(&duets) },
        ]);
    }
    let reached = share(both, west, east);
    suite.aims.at_least("both regions at once: share of the sum of two one-way runs", reached, "", [0.6, 0.8]);
    Ok(())
}

async fn round(case: Case, writes: u32) -> Result<Round> {
    let start = async || Regions::start(Flavor::Redis70, Flavor::Redis70).await;
    match case {
        Case::NativeOne => native(&[start().await?], writes).await,
        Case::NativeTwo => native(&[start().await?, start().await?], writes).await,
        Case::West | Case::East | Case::Both => duet(&start().await?, case, writes).await,
    }
}

async fn native(pairs: &[Regions], writes: u32) -> Result<Round> {
    for regions in pairs {
        Copier::Native.start(regions).await?.streaming(regions).await?;
    }
    let started = Instant::now();
    match pairs {
        [one, other] => drop(tokio::try_join!(
            carried(&one.west, &one.east, "west", writes),
            carried(&other.west, &other.east, "west", writes)
        )?),
        pairs => {
            for regions in pairs {
                carried(&regions.west, &regions.east, "west", writes).await?;
            }
        }
    }
    Ok(Round { rate: f64::from(writes) * pairs.len() as f64 / started.elapsed().as_secs_f64(), duet: None })
}

async fn duet(regions: &Regions, case: Case, writes: u32) -> Result<Round> {
    let running = Copier::Duet.start(regions).await?;
    running.streaming(regions).await?;
    let before = running.usage()?.context("no daemon")?;
    let started = Instant::now();
    let to_east = carried(&regions.west, &regions.east, "west", writes);
    let to_west = carried(&regions.east, &regions.west, "east", writes);
    let loads = match case {
        Case::West => to_east.await.map(|()| 1.0)?,
        Case::East => to_west.await.map(|()| 1.0)?,
        Case::Both | Case::NativeOne | Case::NativeTwo => tokio::try_join!(to_east, to_west).map(|_| 2.0)?,
    };
    let rate = f64::from(writes) * loads / started.elapsed().as_secs_f64();
    let duet = running.usage()?.map(|usage| usage.since(before));
    ensure_same(regions).await?;
    Ok(Round { rate, duet })
}

/// A load at one server, until the other has its last key.
async fn carried(source: &Server, target: &Server, name: &str, writes: u32) -> Result<()> {
    load::named_sets(source.port(), name, writes).await?;
    source.client().await?.run(&format!("SET the-last-key:{name} 1")).await?;
    wait_key(&target.client().await?, &format!("the-last-key:{name}")).await
}
