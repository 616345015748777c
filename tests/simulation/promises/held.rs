//! Under the policy `hold` regions may differ in keys that a daemon holds, and in no others.

use std::collections::BTreeSet;

use crate::oracle::Place;
use crate::server::{Keyspace, Text};

/// Compares both regions, the keys that are `held` aside.
pub fn holds(regions: [&Keyspace; 2], prefix: &[u8], held: &BTreeSet<Place>) -> Result<(), String> {
    let [a, b] = regions;
    let counts = |database, key: &Text| !key.starts_with(prefix) && !held.contains(&(database, key.clone()));
    a.difference(b, counts).map_or(Ok(()), |what| Err(format!("a / b, and not held: {what}")))
}

/// A restart of the daemon lets none of them go.
pub fn lasts(before: &BTreeSet<Place>, after: &BTreeSet<Place>) -> Result<(), String> {
    match before.difference(after).next() {
        None => Ok(()),
        Some((database, key)) => {
            let name = String::from_utf8_lossy(key);
            Err(format!("'{name}' in database {database} is not held any more after a restart"))
        }
    }
}
