//! Where the policy says that one region wins, its updates stay of concurrent ones, exactly: whatever the clocks say, and
//! whatever befell. An update that had seen another one beats it, whichever region made it.
//!
//! Not of keys that were made equal by a value: that is of the region that is believed to be in order. And not of keys that
//! expire: what a server deletes has a place in its region's stream like a client's write.

use std::collections::BTreeSet;

use crate::ledger::{Held, Ledger, Update, Weight, held, shown, value};
use crate::oracle::Place;
use crate::server::Keyspace;

/// Judges a region; `winner` is the region that wins, `taken` are the keys that were made equal by a value.
pub fn holds(region: &Keyspace, ledger: &Ledger, taken: &BTreeSet<Place>, winner: usize) -> Result<(), String> {
    for (unit, updates) in ledger.units.iter().filter(|(unit, _)| !taken.contains(&unit.0)) {
        if updates.iter().any(|update| update.weight == Weight::Server || expires(&update.held)) {
            continue;
        }
        let found = held(region, unit);
        let standing: Vec<&Update> =
            updates.iter().filter(|update| !updates.iter().any(|other| displaces(other, update, winner))).collect();
        if !standing.iter().any(|update| update.held == found) {
            let allowed: Vec<String> = standing.iter().map(|update| value(&update.held)).collect();
            return Err(format!("{} is {}, not {}", shown(unit), value(&found), allowed.join(" or ")));
        }
    }
    Ok(())
}

fn expires(held: &Held) -> bool {
    held.as_ref().is_some_and(|(_, expiry)| expiry.is_some())
}

/// Whether an update may not stand in the end because of another one.
fn displaces(other: &Update, update: &Update, winner: usize) -> bool {
    let wins = other.region == winner && other.is_concurrent(update);
    other.weight == Weight::Full && !std::ptr::eq(other, update) && (other.has_seen(update) || wins)
}
