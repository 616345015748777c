//! Both regions against each other, and against what clients were told.

use super::Finding;
use crate::workload::Outcome;
use crate::world::World;
use anyhow::Result;
use duet_chaos::compare::{Contents, contents};
use duet_chaos::pair::{expiry_tolerance_ms, settle};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How many lines of what is wrong are kept.
const SHOWN: usize = 20;

/// By how much times to live may differ where a server is a Redis 6.2: it sends them relative to its clock, and what was
/// written while the daemon was away, or no heartbeat could be, is dated between two moments that are known.
const RELATIVE_MS: i64 = 90_000;
/// The same once its clock has stepped by 5 minutes.
const STEPPED_MS: i64 = 310_000;

/// What a region holds once both are equal, and what was found on the way.
pub struct Settled {
    pub contents: Option<Contents>,
    pub findings: Vec<Finding>,
}

/// Waits until both regions are equal and looks whether that is what clients were told. `earlier` is what earlier rounds had
/// left behind; `stepped` says that the clock of a Redis 6.2 has.
///
/// # Errors
/// When a region can't be read.
pub async fn look(
    world: &World,
    outcome: &Outcome,
    earlier: &Contents,
    stepped: bool,
    deadline: Duration,
) -> Result<Settled> {
    let begun = Instant::now();
    let (west, east) = tokio::join!(world.regions[0].server.lock(), world.regions[1].server.lock());
    let daemon = world.daemon.lock().await;
    let tolerance = match expiry_tolerance_ms(&west, &east) {
        0 => 0,
        _ if stepped => STEPPED_MS,
        _ => RELATIVE_MS,
    };
    let equal = settle(&west, &east, &daemon, tolerance, deadline).await;
    let took = format!("{:.1} s", begun.elapsed().as_secs_f64());
    if let Err(error) = equal {
        let wrong = format!("{error:#}").lines().take(SHOWN * 3).map(str::to_owned).collect();
        return Ok(Settled { contents: None, findings: vec![Finding::new(2, wrong, took)] });
    }
    let held = contents(&west).await?;
    let mut told = outcome.ledger.judge(&held);
    told.truncate(SHOWN);
    let (sure, maybe) = outcome.ledger.count();
    let figures = format!("{sure} acknowledged, {maybe} unknown");
    let mut old = changed(earlier, &held, &outcome.ledger.deleted());
    old.truncate(SHOWN);
    let findings = vec![
        Finding::new(2, Vec::new(), format!("{} keys after {took}", held.len())),
        Finding::new(3, told, figures),
        Finding::new(4, old, format!("{} keys", earlier.len())),
    ];
    Ok(Settled { contents: Some(held), findings })
}

/// Keys of earlier rounds that changed although nobody wrote them.
fn changed(earlier: &Contents, now: &Contents, deleted: &BTreeSet<String>) -> Vec<String> {
    let was_deleted = |key: &[u8]| deleted.contains(&*String::from_utf8_lossy(key));
    let differs = earlier.iter().filter(|(key, entry)| !was_deleted(&key.1) && now.get(*key) != Some(*entry));
    differs
        .map(|(key, entry)| {
            let now = now.get(key).map(|entry| (&entry.kind, entry.items.len()));
            format!("{}: {} of {} before, {now:?} now", key.1.escape_ascii(), entry.kind, entry.items.len())
        })
        .collect()
}

/// What a round's own keys hold, to be looked at again after the next one. Keys that expire are left out.
pub fn own(contents: &Contents, round: usize) -> Contents {
    let prefix = format!("r{round}:");
    let own = contents.iter().filter(|(key, entry)| key.1.starts_with(prefix.as_bytes()) && entry.expires_ms.is_none());
    own.map(|(key, entry)| (key.clone(), entry.clone())).collect()
}
