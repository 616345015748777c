//! `[conflicts]`.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::super::conflicts::Conflicts;
use super::{ConfigError, Raw, Settings};

const JOURNAL_BYTES: RangeInclusive<u64> = 1_048_576..=17_179_869_184;

/// `[conflicts]`
pub fn conflicts(settings: &Settings, raw: &Raw) -> Result<Conflicts, ConfigError> {
    let conflicts = &raw.conflicts;
    let journal = match conflicts.journal.as_deref() {
        Some("") => {
            let remedy = "Give the path of a directory, or remove the key";
            return Err(settings.error("conflicts.journal", "is empty", remedy));
        }
        journal => journal.map(PathBuf::from),
    };
    if !JOURNAL_BYTES.contains(&conflicts.journal_bytes) {
        let problem = format!("is {}, which is out of its bounds", conflicts.journal_bytes);
        let remedy = format!("It takes {} to {}", JOURNAL_BYTES.start(), JOURNAL_BYTES.end());
        return Err(settings.error("conflicts.journal_bytes", problem, remedy));
    }
    Ok(Conflicts { journal, journal_bytes: conflicts.journal_bytes })
}
