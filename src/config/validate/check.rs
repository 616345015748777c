//! `[check]` and `[guards]`.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::ValueEnum;

use super::super::{Check, Guards};
use super::{ConfigError, Raw, Settings, duration};
use crate::check::Item;
use crate::engine::guard::Limits;

const WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60 * 60);
const MARKER_BACK: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 60 * 60);

/// `[check]`
pub fn check(settings: &Settings, raw: &Raw) -> Result<Check, ConfigError> {
    let names = raw.check.ignore.split(',').map(str::trim).filter(|name| !name.is_empty());
    let item = |name: &str| {
        Item::from_str(name, true).map_err(|_| {
            let all: Vec<String> = Item::value_variants().iter().map(|item| item.name()).collect();
            let problem = format!("names no item of the precheck: `{}`", name.escape_debug());
            settings.error(
                "check.ignore",
                problem,
                format!("It takes names with commas between them: {}", all.join(", ")),
            )
        })
    };
    Ok(Check { ignored: names.map(item).collect::<Result<_, _>>()? })
}

/// `[guards]`
pub fn guards(settings: &Settings, raw: &Raw) -> Result<Guards, ConfigError> {
    let guards = &raw.guards;
    if guards.delete_percent > 100 {
        return Err(settings.error("guards.delete_percent", "is more than 100", "It takes 0 (never) to 100"));
    }
    let window = duration(settings, "guards.window", &guards.window, WINDOW)?;
    Ok(Guards {
        limits: Limits {
            flush_keys: guards.flush_keys,
            deletes: guards.deletes,
            delete_percent: guards.delete_percent,
            delete_floor: guards.delete_floor,
            window_ms: i64::try_from(window.as_millis()).unwrap_or(i64::MAX),
            echo: guards.echo,
        },
        marker_back: duration(settings, "guards.marker_back", &guards.marker_back, MARKER_BACK)?,
    })
}
