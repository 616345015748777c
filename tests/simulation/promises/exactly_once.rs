//! Counters have the exact sum, and lists hold each pushed item exactly once.

use std::collections::BTreeMap;

use crate::oracle::{Oracle, Place};
use crate::server::{Keyspace, Text, Value};

/// Counts in one region.
pub fn holds(region: &Keyspace, oracle: &Oracle) -> Result<(), String> {
    for ((database, key), sum) in &oracle.sums {
        let held = match region.0[*database as usize].get(key).map(|entry| &entry.value) {
            Some(Value::Text(text)) => String::from_utf8_lossy(text).parse().unwrap_or(i64::MIN),
            _ => 0,
        };
        if held != *sum {
            return Err(format!("counter '{}': {held} instead of {sum}", String::from_utf8_lossy(key)));
        }
    }
    oracle.pushed.iter().try_for_each(|(place, items)| counted(region, place, items))
}

fn counted(region: &Keyspace, (database, key): &Place, items: &[Text]) -> Result<(), String> {
    let mut held: BTreeMap<&Text, u32> = BTreeMap::new();
    if let Some(Value::List(list)) = region.0[*database as usize].get(key).map(|entry| &entry.value) {
        list.iter().for_each(|item| *held.entry(item).or_default() += 1);
    }
    match items.iter().find(|item| held.remove(item) != Some(1)) {
        None if held.is_empty() => Ok(()),
        Some(item) => {
            Err(format!("'{}' is not once in '{}'", String::from_utf8_lossy(item), String::from_utf8_lossy(key)))
        }
        None => Err(format!("'{}' holds items that nobody pushed", String::from_utf8_lossy(key))),
    }
}
