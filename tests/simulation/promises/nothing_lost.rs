//! After silence a region holds exactly what the clients' writes come to.

use crate::ledger::{Held, Ledger, Weight, held, shown, value};
use crate::server::{Keyspace, Text};

/// Compares a region with what is expected.
pub fn holds(region: &Keyspace, expected: &Keyspace, prefix: &[u8]) -> Result<(), String> {
    // Nothing that is expected is left out.
    let is_expected = |database, key: &Text| expected.0[database as usize].contains_key(key);
    let difference =
        region.difference(expected, |database, key| !key.starts_with(prefix) || is_expected(database, key));
    difference.map_or(Ok(()), |what| Err(format!("held / expected: {what}")))
}

/// Of what one region's clients alone decided, a region that both write holds their last word, whatever befell.
pub fn of_one_side(region: &Keyspace, ledger: &Ledger, now_ms: i64) -> Result<(), String> {
    for (unit, updates) in &ledger.units {
        let Some(last) = updates.last() else { continue };
        if updates.iter().any(|update| update.region != last.region || update.weight != Weight::Full) {
            continue;
        }
        let is = |held: &Held| held.as_ref().filter(|(_, expiry)| expiry.is_none_or(|at| at > now_ms)).cloned();
        let (found, expected) = (is(&held(region, unit)), is(&last.held));
        if found != expected {
            return Err(format!("{} is {} instead of {}", shown(unit), value(&found), value(&expected)));
        }
    }
    Ok(())
}
