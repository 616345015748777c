//! Latency: a paced load, from the write at the source until it is visible at the target; on loopback, and with 80 ms of
//! round trip to the target.

use crate::copier::Copier;
use crate::paced;
use crate::suite::Suite;
use crate::table::{USED, head, many, median, percentile, row, used};
use crate::usage::Used;
use anyhow::Result;
use duet_chaos::flavor::Flavor;
use duet_chaos::pair::Regions;
use duet_chaos::proxy::Proxy;
use std::time::Duration;

/// Delay of each direction, where the way is long.
const ONE_WAY: Duration = Duration::from_millis(40);
/// The rates of the loads on loopback.
const RATES: [u32; 2] = [5_000, 50_000];
/// The rate over the long way.
const FAR_RATE: u32 = 50_000;
/// A lag above it is not kept up with, in milliseconds; and how far from the delay itself the goal is.
const FAR_LAG_MS: [f64; 2] = [250.0, 10.0];

struct Round {
    p50_ms: f64,
    p99_ms: f64,
    rate: f64,
    used: Used,
}

/// Loopback, both rates.
pub(crate) async fn measure(suite: &mut Suite) -> Result<()> {
    for rate in RATES {
        let measured = table(suite, rate, Duration::ZERO).await?;
        let added = |figure: fn(&Round) -> f64| {
            median(measured[1].iter().zip(&measured[0]).map(|(duet, native)| figure(duet) - figure(native)))
        };
        for (name, added, wanted) in [
            ("median", added(|round| round.p50_ms), [0.5, 0.1]),
            ("99th percentile", added(|round| round.p99_ms), [2.0, 0.5]),
        ] {
            // What was aimed at is at the first rate.
            if rate == RATES[0] {
                suite.aims.at_most(format!("latency added at {} writes/s: {name}", many(rate)), added, " ms", wanted);
            }
        }
    }
    Ok(())
}

/// 80 ms of round trip.
pub(crate) async fn measure_far(suite: &mut Suite) -> Result<()> {
    let measured = table(suite, FAR_RATE, ONE_WAY).await?;
    let one_way_ms = ONE_WAY.as_secs_f64() * 1e3;
    for (name, figure) in
        [("median", (|round| round.p50_ms) as fn(&Round) -> f64), ("99th percentile", |round| round.p99_ms)]
    {
        let beyond = median(measured[1].iter().map(figure)) - one_way_ms;
        let measure =
            format!("80 ms of round trip, {} writes/s: lag beyond the 40 ms of the way, {name}", many(FAR_RATE));
        suite.aims.at_most(measure, beyond, " ms", [FAR_LAG_MS[0] - one_way_ms, FAR_LAG_MS[1]]);
    }
    Ok(())
}

/// Measures each copier and prints a table.
async fn table(suite: &mut Suite, rate: u32, one_way: Duration) -> Result<Vec<Vec<Round>>> {
    let seconds = suite.size(10, 2);
    let copiers = suite.copiers.clone();
    let way =
        if one_way.is_zero() { "loopback".to_owned() } else { format!("{} ms of round trip", 2 * one_way.as_millis()) };
    let what = format!("{way}, {} writes/s", many(rate));
    let measured = suite.in_turn(&what, &copiers, async |copier| round(copier, rate, seconds, one_way).await).await?;
    let columns = ["", "taken by the source", "median", "99th percentile"];
    let title = format!("Write to visible, {way}: {} writes/s offered for {seconds} s", many(rate));
    head(&title, &[&columns[..], &USED].concat());
    for (copier, rounds) in copiers.iter().zip(&measured) {
        let middle = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure));
        let mut cells = vec![
            copier.to_string(),
            format!("{}/s", many(middle(|round| round.rate))),
            format!("{:.2} ms", middle(|round| round.p50_ms)),
            format!("{:.2} ms", middle(|round| round.p99_ms)),
        ];
        cells.extend(used(&rounds.iter().map(|round| round.used).collect::<Vec<_>>()));
        row(&cells);
    }
    suite.remember_memory(measured[1].iter().map(|round| &round.used));
    Ok(measured)
}

async fn round(copier: &Copier, rate: u32, seconds: u32, one_way: Duration) -> Result<Round> {
    let mut regions = Regions::start(Flavor::Redis70, Flavor::Redis70).await?;
    if !one_way.is_zero() {
        // The far side is where the data goes to: a replica reads from its primary over the long line, others write over it.
        let far = if *copier == Copier::Native { &regions.west } else { &regions.east };
        let proxy = Proxy::start(&far.address()).await?;
        proxy.delay(one_way);
        match copier {
            Copier::Native => regions.west_proxy = Some(proxy),
            Copier::Duet | Copier::RedisShake(_) => regions.east_proxy = Some(proxy),
        }
    }
    let running = copier.start(&regions).await?;
    running.streaming(&regions).await?;
    let before = Used::now(&running, &regions)?;
    let paced = paced::run(&regions.west, &regions.east, rate, seconds).await?;
    Ok(Round {
        p50_ms: percentile(&paced.lags_ms, 0.5),
        p99_ms: percentile(&paced.lags_ms, 0.99),
        rate: paced.rate,
        used: Used::now(&running, &regions)?.since(before),
    })
}
