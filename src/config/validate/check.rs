//! `[check]`.

use clap::ValueEnum;

use super::super::Check;
use super::{ConfigError, Raw, Settings};
use crate::check::Item;

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
