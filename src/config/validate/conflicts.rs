//! `[conflicts]`, `[clock]` and `[deletes]`.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::super::conflicts::{Beyond, Clock, Conflicts, Deletes, Policy, PrefixPolicy, ServerDeletes};
use super::{ConfigError, Raw, Settings, choice, duration, required};

const JOURNAL_BYTES: RangeInclusive<u64> = 1_048_576..=17_179_869_184;
const SKEW_LIMIT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60 * 60);
/// Each is compared with every key that is in conflict.
const MOST_PREFIXES: usize = 1_000;

const EXPECTED: &str = "has a value that it does not take";

/// `[conflicts]`: a policy names regions, so it is read after them.
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
    Ok(Conflicts {
        policy: policy(settings, raw, "conflicts.policy", &conflicts.policy)?,
        prefixes: prefixes(settings, raw)?,
        journal,
        journal_bytes: conflicts.journal_bytes,
    })
}

/// `[clock]`
pub fn clock(settings: &Settings, raw: &Raw) -> Result<Clock, ConfigError> {
    let beyond = [("alarm", Beyond::Alarm), ("hold", Beyond::Hold)];
    Ok(Clock {
        skew_limit: duration(settings, "clock.skew_limit", &raw.clock.skew_limit, SKEW_LIMIT)?,
        beyond: choice(settings, "clock.beyond", &raw.clock.beyond, &beyond)?,
    })
}

/// `[deletes]`
pub fn deletes(settings: &Settings, raw: &Raw) -> Result<Deletes, ConfigError> {
    let choices = [
        ("events", ServerDeletes::Events),
        ("compare", ServerDeletes::Compare),
        ("propagate", ServerDeletes::Propagate),
    ];
    Ok(Deletes {
        expiry: choice(settings, "deletes.expiry", &raw.deletes.expiry, &choices)?,
        eviction: choice(settings, "deletes.eviction", &raw.deletes.eviction, &choices)?,
    })
}

fn prefixes(settings: &Settings, raw: &Raw) -> Result<Vec<PrefixPolicy>, ConfigError> {
    if raw.conflicts.prefix.len() > MOST_PREFIXES {
        let problem = format!("is there more than {MOST_PREFIXES} times");
        return Err(settings.error("conflicts.prefix", problem, "Use fewer, shorter prefixes"));
    }
    let key = "conflicts.prefix.prefix";
    let mut prefixes: Vec<PrefixPolicy> = Vec::new();
    for each in &raw.conflicts.prefix {
        let prefix = required(settings, key, each.prefix.as_deref(), "prefix = \"session:\"")?.to_owned();
        if prefix.is_empty() {
            return Err(settings.error(key, "is empty", "Set `conflicts.policy`, which holds for all other keys"));
        }
        if prefixes.iter().any(|earlier| earlier.prefix == prefix) {
            let problem = format!("is \"{}\" twice", prefix.escape_debug());
            return Err(settings.error(key, problem, "Keep one of them"));
        }
        let named = "conflicts.prefix.policy";
        let text = required(settings, named, each.policy.as_deref(), "policy = \"last-update-wins\"")?;
        prefixes.push(PrefixPolicy { prefix, policy: policy(settings, raw, named, text)? });
    }
    Ok(prefixes)
}

fn policy(settings: &Settings, raw: &Raw, path: &str, text: &str) -> Result<Policy, ConfigError> {
    match text {
        "last-update-wins" => return Ok(Policy::LastUpdateWins),
        "hold" => return Ok(Policy::Hold),
        _ => {}
    }
    let regions = [&raw.forward.source, &raw.forward.target].map(|name| name.as_deref().unwrap_or_default());
    let [source, target] = regions;
    let remedy = format!("It takes \"last-update-wins\" or \"hold\" or \"region:{source}\" or \"region:{target}\"");
    let Some(name) = text.strip_prefix("region:") else { return Err(settings.error(path, EXPECTED, remedy)) };
    let index = regions.iter().position(|region| *region == name);
    index.map(Policy::Region).ok_or_else(|| settings.error(path, "names no region of this pair", remedy))
}
