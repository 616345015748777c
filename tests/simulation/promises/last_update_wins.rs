//! Of concurrent updates of a unit the last one by true time stays, as far as clocks can tell them apart; an update that
//! had seen another one always beats it, and what a server deletes by itself never beats an update.

use std::fmt;

use crate::ledger::{Held, Ledger, shown, standing, value};
use crate::server::Keyspace;

/// How the units that both regions wrote ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Share {
    /// Units that both regions wrote.
    pub units: u64,
    /// Those that hold the last update by true time.
    pub last: u64,
    /// Those that hold another one that may stand within the bound.
    pub within: u64,
}

/// How far two updates have to be apart for the later one to win: a write is dated up to two heartbeats from its time,
/// heartbeats take their time on the way, and clocks differ.
pub fn bound_ms(heartbeat_ms: i64, skew_ms: i64) -> i64 {
    4 * heartbeat_ms + 100 + skew_ms
}

impl Share {
    /// Adds what another run came to.
    pub fn add(&mut self, other: Self) {
        self.units += other.units;
        self.last += other.last;
        self.within += other.within;
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { units, last, within } = self;
        let wrong = units - last - within;
        write!(f, "{units} ({last} at the last update, {within} within the bound, {wrong} at another)")
    }
}

/// Judges a region when all that expires soon has expired: of two updates that are `bound_ms` apart or less either may
/// stand. The share is told in any case.
pub fn holds(region: &Keyspace, ledger: &Ledger, bound_ms: i64, now_ms: i64) -> (Share, Result<(), String>) {
    let mut share = Share::default();
    let mut told = Ok(());
    for (unit, updates) in &ledger.units {
        let first = updates[0].region;
        if updates.iter().all(|update| update.region == first) {
            continue;
        }
        let is = |held: &Held| held.as_ref().filter(|(_, expiry)| expiry.is_none_or(|at| at > now_ms)).cloned();
        let found = is(&crate::ledger::held(region, unit));
        share.units += 1;
        if standing(updates, 0).any(|update| is(&update.held) == found) {
            share.last += 1;
        } else if standing(updates, bound_ms).any(|update| is(&update.held) == found) {
            share.within += 1;
        } else if told.is_ok() {
            let allowed: Vec<String> = standing(updates, bound_ms).map(|update| value(&update.held)).collect();
            let (unit, found) = (shown(unit), value(&found));
            told = Err(format!("{unit} is {found}, not {} (within {bound_ms} ms)", allowed.join(" or ")));
        }
    }
    (share, told)
}
