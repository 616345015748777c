//! Where the policy says that one region wins, its updates stay of concurrent ones, exactly: whatever the clocks say, and
//! whatever befell. An update that had seen another one beats it, whichever region made it.

use crate::ledger::{Held, Ledger, Update, Weight, held, shown, value};
use crate::server::Keyspace;

/// Judges a region when all that expires soon has expired; `winner` is the region that wins.
pub fn holds(region: &Keyspace, ledger: &Ledger, winner: usize, now_ms: i64) -> Result<(), String> {
    for (unit, updates) in ledger.units.iter().filter(|(unit, _)| !unit.0.1.starts_with(b"session")) {
        let is = |held: &Held| held.as_ref().filter(|(_, expiry)| expiry.is_none_or(|at| at > now_ms)).cloned();
        let found = is(&held(region, unit));
        let standing: Vec<&Update> =
            updates.iter().filter(|update| !updates.iter().any(|other| displaces(other, update, winner))).collect();
        if !standing.iter().any(|update| is(&update.held) == found) {
            let allowed: Vec<String> = standing.iter().map(|update| value(&update.held)).collect();
            return Err(format!("{} is {}, not {}", shown(unit), value(&found), allowed.join(" or ")));
        }
    }
    Ok(())
}

/// Whether an update may not stand in the end because of another one. What a server did by itself displaces nothing.
fn displaces(other: &Update, update: &Update, winner: usize) -> bool {
    let wins = other.region == winner && update.weight == Weight::Full && other.is_concurrent(update);
    other.weight == Weight::Full && !std::ptr::eq(other, update) && (other.has_seen(update) || wins)
}
