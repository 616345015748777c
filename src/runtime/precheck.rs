//! The precheck of a start: what it finds is logged and on the board, and what nothing else would stop holds the links.
//!
//! It never ends the process, and a server that can't be reached holds nothing: the links show that by themselves.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::check::gather;
use super::shared::Pair;
use crate::check::rights::acl_line;
use crate::check::{Facts, Outcome, Precheck, Wanted, rows};
use crate::error::{Fault, Kind};

/// How long links wait for the precheck at most.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the rate of writes is measured; the links don't wait for that.
const SAMPLE: Duration = Duration::from_secs(2);
/// How often it is looked again while a server is away, or while the links are held.
const AGAIN: Duration = Duration::from_secs(5);

/// Looks until both servers were seen and nothing holds the links, or the daemon stops.
pub async fn run(pair: &Pair) {
    let looks = async {
        loop {
            let config = pair.config();
            let facts = gather(&config, Wanted::of(&config, &[], true), Duration::ZERO).await;
            let whole = facts.both().is_some();
            let holds = show(pair, &facts);
            if whole && !holds {
                break;
            }
            sleep(AGAIN).await;
        }
        let config = pair.config();
        let facts = gather(&config, Wanted::of(&config, &[], false), SAMPLE).await;
        show(pair, &facts);
    };
    tokio::select! {
        () = looks => {}
        () = pair.shutdown.cancelled() => {}
        () = pair.superseded.cancelled() => {}
    }
}

/// Puts what was found on the board; tells whether it holds the links.
fn show(pair: &Pair, facts: &Facts) -> bool {
    let precheck = of(facts);
    let holds = precheck.holds().is_some();
    log(pair.precheck.replace(precheck).as_deref(), pair);
    pair.prechecked.notify_waiters();
    holds
}

/// The whole precheck of what was seen.
pub fn of(facts: &Facts) -> Precheck {
    let acl = facts.regions.iter().enumerate().map(|(index, region)| {
        let user = region.server.as_ref().map_or("", |server| server.rights.user.as_str());
        acl_line(user, facts.has_scripts(index))
    });
    let acl = acl.collect();
    Precheck::new(rows(facts), acl)
}

/// Logs rows that were not there before.
fn log(before: Option<&Precheck>, pair: &Pair) {
    let Some(now) = pair.precheck.get() else { return };
    for row in now.rows.iter().filter(|row| row.result != Outcome::Ok) {
        if before.is_some_and(|before| before.rows.contains(row)) {
            continue;
        }
        let (item, of, seen, remedy) = (row.item.name(), &row.of, &row.seen, row.remedy.as_deref());
        match (row.ignored, row.result) {
            (true, _) => tracing::info!(item, of, seen, "precheck: ignored, as check.ignore says"),
            (false, Outcome::Failed) => tracing::error!(item, of, seen, remedy, "precheck: failed"),
            (false, Outcome::Warning | Outcome::Ok) => tracing::warn!(item, of, seen, remedy, "precheck: warning"),
        }
    }
}

/// Waits for the first precheck, for a while.
///
/// # Errors
/// A [`Fault`] of kind `Precheck` when it found what holds the links.
pub async fn passed(pair: &Arc<Pair>) -> Result<(), Fault> {
    let first = async {
        loop {
            let told = pair.prechecked.notified();
            if let Some(precheck) = pair.precheck.get() {
                return precheck;
            }
            told.await;
        }
    };
    match timeout(PATIENCE, first).await {
        Ok(precheck) => match precheck.holds() {
            Some(row) => Err(Fault::new(Kind::Precheck, format!("{} ({}): {}", row.item.name(), row.of, row.seen))),
            None => Ok(()),
        },
        Err(_) => Ok(()),
    }
}
