//! `duet verify`: two equal regions on one machine, and with a long way to one of them.

use crate::copier::duet_binary;
use crate::full_sync::Data;
use crate::suite::Suite;
use crate::table::{head, many, median, row};
use crate::usage::Usage;
use anyhow::{Context, Result, ensure};
use duet_chaos::flavor::Flavor;
use duet_chaos::pair::{More, Regions};
use duet_chaos::proxy::Proxy;
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Delay of each direction, where the way is long.
const ONE_WAY: Duration = Duration::from_millis(40);
/// How often it is looked what the process has used.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How each row is called, whether the way is long, and the mode.
const CASES: [(&str, bool, &str); 3] = [
    ("loopback, everything", false, "full"),
    ("80 ms of round trip to one region, everything", true, "full"),
    ("loopback, digests", false, "digest"),
];

/// Measures each case in turn and prints a table.
pub(crate) async fn measure(suite: &mut Suite) -> Result<()> {
    let (rounds, keys) = (suite.rounds, suite.size(1_000_000, 100_000));
    let mut regions = Regions::start(Flavor::Redis70, Flavor::Redis70).await?;
    let (west, east) = regions.clients().await?;
    tokio::try_join!(Data::Strings.fill(&west, keys), Data::Strings.fill(&east, keys))?;
    let place = tempfile::tempdir()?;
    let config = place.path().join("pair.toml");
    head(
        &format!("Verify: {} strings of 64 bytes in each region", many(keys)),
        &["", "time", "keys/s", "CPU of Duet", "peak memory", "MB read"],
    );
    let mut times = Vec::new();
    for (name, is_far, mode) in CASES {
        regions.east_proxy = if is_far {
            let proxy = Proxy::start(&regions.east.address()).await?;
            proxy.delay(ONE_WAY);
            Some(proxy)
        } else {
            None
        };
        std::fs::write(&config, regions.config(&More::default()))?;
        let mut figures = Vec::new();
        for number in 0..rounds {
            eprintln!("verify: round {} of {rounds}, {name}", number + 1);
            figures.push(round(&config, mode, keys).await?);
        }
        let middle = |figure: fn(&(Value, Usage)) -> f64| median(figures.iter().map(figure));
        let seconds = middle(|(told, _)| told["seconds"].as_f64().unwrap_or_default());
        let peak = figures.iter().map(|(_, usage)| usage.peak_mb).fold(0.0, f64::max);
        row(&[
            name.to_owned(),
            format!("{seconds:.2} s"),
            many(f64::from(keys) / seconds),
            format!("{:.2} s", middle(|(_, usage)| usage.cpu_s)),
            format!("{peak:.0} MB"),
            format!("{:.0}", middle(|(told, _)| told["bytes"].as_f64().unwrap_or_default()) / 1e6),
        ]);
        times.push(seconds);
    }
    let (near, far) = (times[0], times[1]);
    suite.aims.at_least("verify: keys a second", f64::from(keys) / near, "", [100_000.0, 100_000.0]);
    suite.aims.at_most("verify over 80 ms of round trip: time", far / near, " × that of loopback", [1.3, 1.3]);
    Ok(())
}

async fn round(config: &Path, mode: &str, keys: u32) -> Result<(Value, Usage)> {
    let mut command = Command::new(duet_binary()?);
    command
        .args(["verify", "--json", "--mode", mode, "--config"])
        .arg(config)
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let child = command.spawn()?;
    let pid = child.id().context("it has ended")?;
    let mut output = std::pin::pin!(child.wait_with_output());
    let mut usage = None;
    let output = loop {
        tokio::select! {
            output = &mut output => break output?,
            () = tokio::time::sleep(LOOK_EVERY) => usage = Usage::of(pid).ok().or(usage),
        }
    };
    let told: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(told["verdict"] == "equal" && told["keys"] == keys, "{told:#}");
    Ok((told, usage.context("it has ended too soon to be measured")?))
}
