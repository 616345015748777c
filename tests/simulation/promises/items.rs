//! What was put into a list is there once, and what was taken away by name is not.

use crate::ledger::{Ledger, shown};
use crate::server::{Keyspace, Value};

/// Looks in one region.
pub fn holds(region: &Keyspace, ledger: &Ledger) -> Result<(), String> {
    for (unit, item) in ledger.items.iter().filter(|(unit, _)| !ledger.flushed.contains(&unit.0.0)) {
        let ((database, key), name) = unit;
        let found = match region.0[*database as usize].get(key).map(|entry| &entry.value) {
            Some(Value::List(items)) => items.iter().filter(|of| Some(*of) == name.as_ref()).count(),
            _ => 0,
        };
        let expected = usize::from(item.taken.is_none());
        if found != expected {
            return Err(format!("{} is there {found} times instead of {expected}", shown(unit)));
        }
    }
    Ok(())
}
