//! Every conflict is on record, once: a unit has a record if, and only if, concurrent updates of it came to different
//! values.

use std::collections::{BTreeMap, BTreeSet};

use duet::engine::conflict::{Record, Unit as Part};

use crate::ledger::{Ledger, Unit, Update, Weight, shown};

/// Looks through the records of a run. Where a daemon was killed or a connection lost, a conflict may be found again, then
/// under the same id (`repeats`).
pub fn holds(records: &[Record], ledger: &Ledger, repeats: bool) -> Result<(), String> {
    let mut ids = BTreeSet::new();
    let mut recorded: BTreeMap<Unit, u64> = BTreeMap::new();
    for record in records {
        if ids.insert(record.id) {
            *recorded.entry(unit(record)).or_default() += 1;
        } else if !repeats {
            return Err(format!("the conflict {} is recorded twice", record.id));
        }
        if record.winner.region == record.loser.region {
            return Err(format!("the conflict {} has one side only", record.id));
        }
    }
    // The record of a deletion that met an element may speak of either.
    for (unit, updates) in ledger.units.iter().filter(|(unit, _)| !ledger.was_deleted(&unit.0)) {
        // Keys that servers delete by themselves: what of that is on record depends on what Duet is told of it.
        if unit.0.1.starts_with(b"session:") || updates.iter().any(|of| of.weight == Weight::Server) {
            continue;
        }
        let count = recorded.get(unit).copied().unwrap_or_default();
        let met = updates.iter().filter(|update| updates.iter().any(|other| update.is_concurrent(other)));
        let met: u64 = met.map(|update| update.commands).sum();
        let counts = |update: &Update| update.weight == Weight::Full;
        let differs = |update: &Update| {
            counts(update)
                && updates.iter().any(|other| counts(other) && update.is_concurrent(other) && update.held != other.held)
        };
        if count == 0 && updates.iter().any(differs) {
            return Err(format!("a conflict about {} is not on record", shown(unit)));
        }
        if count > met {
            return Err(format!("{} has {count} records of {met} concurrent updates", shown(unit)));
        }
    }
    Ok(())
}

fn unit(record: &Record) -> Unit {
    let element = match &record.unit {
        Part::Element(element) => Some(element.clone()),
        Part::Whole | Part::Lifetime | Part::Sequence => None,
    };
    ((record.database, record.key.clone()), element)
}
