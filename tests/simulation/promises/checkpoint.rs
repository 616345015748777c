//! The checkpoint never passes a write that is not applied, nor stays behind one that is: at every marker the target
//! holds, of the keys that only the source's clients write, what the source held at that place of its stream.
//!
//! A key that was made equal by its value may hold what the source held earlier, but not before the place from which a
//! restart reads: what came after that is executed again.

use std::collections::BTreeSet;

use crate::oracle::{Past, Place};
use crate::server::Keyspace;

/// Places in a stream: history and offset.
#[derive(Debug, Clone, Copy)]
pub struct Reach {
    /// Where the link was looked at last.
    pub since: Option<(u64, u64)>,
    /// A restart reads from here.
    pub low: (u64, u64),
    /// The writes before this place were sent.
    pub high: (u64, u64),
}

/// Compares the keys that changed within reach; `taken` are those that were made equal by a value.
pub fn holds(past: &Past, reach: Reach, target: &Keyspace, taken: &BTreeSet<Place>) -> Result<(), String> {
    let Reach { since, low, high } = reach;
    for (place, states) in &past.keys {
        let stood = states.partition_point(|state| (state.0, state.1) <= high);
        let Some(&(number, offset, digest)) = states[..stood].last() else { continue };
        // A key that was not touched since the last look is looked at again only if it is about to be.
        if since.is_some_and(|since| (number, offset) <= since) && stood == states.len() {
            continue;
        }
        let held = target.digest(place.0, &place.1);
        let earlier = || {
            let before = states[..stood].partition_point(|state| (state.0, state.1) <= low);
            let stood_at_low = before.checked_sub(1).map_or(Keyspace::ABSENT, |at| states[at].2);
            held == stood_at_low || states[before..stood].iter().any(|state| state.2 == held)
        };
        if held != digest && !(taken.contains(place) && earlier()) {
            let name = String::from_utf8_lossy(&place.1);
            return Err(format!(
                "at {high:?} '{name}' in database {} is not as at {offset} (history {number})",
                place.0
            ));
        }
    }
    Ok(())
}
