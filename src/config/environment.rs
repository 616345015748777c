//! `DUET__SECTION__KEY=value` as a source of settings.

use std::collections::HashMap;

use config::{Map, Source, Value, ValueKind};

/// What a variable of ours begins with; sections and key are separated by the same two underscores.
pub const PREFIX: &str = "DUET__";

/// The variables of ours, each with the key that it sets.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    settings: Map<String, Value>,
}

impl Environment {
    /// Takes all variables; those without our prefix and those that are empty count as not set. A region's name in a
    /// variable, where `_` may stand for `-` and case does not matter, becomes the one of `regions` that it matches.
    pub fn new(variables: &HashMap<String, String>, regions: &[String]) -> Self {
        let settings = variables
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(name, value)| {
                let path = path_of(name)?;
                Some((key_of(path, regions), Value::new(Some(name), ValueKind::String(value.clone()))))
            })
            .collect();
        Self { settings }
    }

    /// The value of `forward.source` or `forward.target`, to know the names of regions before anything else.
    pub fn forward_region(variables: &HashMap<String, String>, key: &str) -> Option<String> {
        let wanted = ["forward".to_owned(), key.to_owned()];
        variables
            .iter()
            .find(|(name, value)| path_of(name).is_some_and(|path| path == wanted) && !value.is_empty())
            .map(|(_, value)| value.clone())
    }
}

impl Source for Environment {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.settings.clone())
    }
}

/// The variable that sets `path`.
pub fn variable_of(path: &str) -> String {
    format!("{PREFIX}{}", path.to_ascii_uppercase().replace('.', "__").replace('-', "_"))
}

/// The parts of the key that the variable `name` sets, in lower case; `None` when it isn't one of ours.
pub fn path_of(name: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix(PREFIX)?;
    Some(rest.split("__").map(str::to_ascii_lowercase).collect())
}

fn key_of(mut path: Vec<String>, regions: &[String]) -> String {
    if path.first().is_some_and(|section| section == "region")
        && let Some(written) = path.get_mut(1)
        && let Some(name) = regions.iter().find(|name| plain(name) == plain(written))
    {
        written.clone_from(name);
    }
    path.join(".")
}

fn plain(region: &str) -> String {
    region.to_ascii_lowercase().replace('-', "_")
}
