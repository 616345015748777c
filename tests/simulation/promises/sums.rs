//! What both regions add to comes to the exact sum, when nobody sets or deletes it.

use crate::ledger::{Ledger, held, shown};
use crate::server::Keyspace;

/// Adds up in one region.
pub fn holds(region: &Keyspace, ledger: &Ledger) -> Result<(), String> {
    for (unit, sum) in ledger.sums.iter().filter(|(unit, _)| !ledger.flushed.contains(&unit.0.0)) {
        let found = held(region, unit).map_or("nothing".to_owned(), |(text, _)| String::from_utf8_lossy(&text).into());
        if found != sum.to_string() {
            return Err(format!("{}: {found} instead of {sum}", shown(unit)));
        }
    }
    Ok(())
}
