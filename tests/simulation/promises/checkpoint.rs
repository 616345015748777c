//! The checkpoint never passes a write that is not applied, nor stays behind one that is: at every marker the target
//! holds, of the keys that only the source's clients write, what the source held at that place of its stream.

use crate::oracle::Past;
use crate::server::Keyspace;

/// Compares the keys that changed after `since` up to `high` (history, offset).
pub fn holds(past: &Past, since: Option<(u64, u64)>, high: (u64, u64), target: &Keyspace) -> Result<(), String> {
    for ((database, key), states) in &past.keys {
        let Some(&(number, offset, digest)) = states.iter().rev().find(|state| (state.0, state.1) <= high) else {
            continue;
        };
        let next = states.iter().find(|state| (state.0, state.1) > high);
        // A key that was not touched since the last look is looked at again only if it is about to be.
        if since.is_some_and(|since| (number, offset) <= since) && next.is_none() {
            continue;
        }
        if target.digest(*database, key) != digest {
            let name = String::from_utf8_lossy(key);
            return Err(format!(
                "at {high:?} '{name}' in database {database} is not as at {offset} (history {number})"
            ));
        }
    }
    Ok(())
}
