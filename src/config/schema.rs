//! Which keys there are, and what kind of value each takes: read off the defaults, so that there is one list.

use config::{Map, Value, ValueKind};
use serde_json::Value as Json;

use super::ConfigError;
use super::raw::{Raw, RawPrefix, RawRegion};

/// Stands for any region's name.
pub const ANY_REGION: &str = "NAME";

/// How alike two keys must be for a suggestion (0 nothing, 1 the same).
const ALIKE: f64 = 0.6;

/// The settings of one file and the environment, before they are believed.
#[derive(Debug)]
pub struct Settings {
    /// Named in messages.
    pub file: String,
    /// Each value knows its variable when it came from one.
    pub tree: Map<String, Value>,
}

impl Settings {
    /// The file, or the variable that set the key at `path`; for a section, the first of its variables when it comes
    /// from nowhere else.
    pub fn place(&self, path: &str) -> String {
        let mut names = path.split('.');
        let first = names.next().and_then(|name| self.tree.get(name));
        let value = names.fold(first, |value, name| section(value?)?.get(name));
        value.and_then(variable_in).unwrap_or(&self.file).to_owned()
    }

    /// An error at the key `path`, wherever that was set.
    pub fn error(&self, path: &str, problem: impl Into<String>, remedy: impl Into<String>) -> ConfigError {
        ConfigError::at(self.place(path), path, problem, remedy)
    }

    /// Compares every key and its type with those that exist.
    ///
    /// # Errors
    /// The first unknown key, in alphabetical order, or the first value of a wrong type.
    pub fn check_keys(&self) -> Result<(), ConfigError> {
        self.check_section(&self.tree, &known(), "")
    }

    fn check_section(&self, tree: &Map<String, Value>, known: &Json, path: &str) -> Result<(), ConfigError> {
        let mut keys: Vec<_> = tree.iter().collect();
        keys.sort_by_key(|(key, _)| key.as_str());
        for (key, value) in keys {
            let here = joined(path, key);
            let expected = known.get(if path == "region" { ANY_REGION } else { key });
            match (expected, &value.kind) {
                (None, _) => return Err(self.unknown(value, &here, known)),
                (Some(Json::Object(_)), ValueKind::Table(table)) => {
                    self.check_section(table, expected.unwrap_or(&Json::Null), &here)?;
                }
                (Some(Json::Array(sections)), ValueKind::Array(items)) => {
                    self.check_sections(items, sections.first().unwrap_or(&Json::Null), &here)?;
                }
                (Some(expected), kind) => self.check_kind(value, &here, expected, kind)?,
            }
        }
        Ok(())
    }

    /// The sections of one name, as `[[conflicts.prefix]]`.
    fn check_sections(&self, items: &[Value], known: &Json, path: &str) -> Result<(), ConfigError> {
        for item in items {
            match &item.kind {
                ValueKind::Table(table) => self.check_section(table, known, path)?,
                kind => self.check_kind(item, path, &Json::Array(Vec::new()), kind)?,
            }
        }
        Ok(())
    }

    fn unknown(&self, value: &Value, path: &str, siblings: &Json) -> ConfigError {
        let place = variable_in(value).unwrap_or(&self.file);
        let what = if matches!(value.kind, ValueKind::Table(_)) { "section" } else { "key" };
        ConfigError::at(place, path, format!("is not a known {what}"), suggestion(path, siblings))
    }

    /// The message says what the value should be and never what it is: it may be a secret in the wrong place.
    fn check_kind(&self, value: &Value, path: &str, expected: &Json, kind: &ValueKind) -> Result<(), ConfigError> {
        let from_variable = value.origin().is_some();
        let (fits, wanted) = match (expected, kind) {
            (Json::Object(_), _) => (false, "a section: write its keys below a line `[...]` of its own"),
            (Json::Bool(_), ValueKind::String(text)) if from_variable => {
                (matches!(text.as_str(), "true" | "false"), "true or false")
            }
            (Json::Bool(_), kind) => (matches!(kind, ValueKind::Boolean(_)), "true or false, without quotes"),
            (Json::Number(_), ValueKind::String(text)) if from_variable => {
                (text.parse::<u64>().is_ok(), "a whole number, 0 or more")
            }
            (Json::Number(_), kind) => {
                (matches!(kind, ValueKind::I64(0..) | ValueKind::U64(_)), "a whole number, 0 or more, without quotes")
            }
            (Json::Array(_), _) => (false, "sections: write the keys of each below a line `[[...]]` of its own"),
            (Json::String(_) | Json::Null, kind) => (matches!(kind, ValueKind::String(_)), "a text in quotes"),
        };
        if fits {
            return Ok(());
        }
        let place = variable_in(value).unwrap_or(&self.file);
        Err(ConfigError::at(place, path, "has a value of the wrong type", format!("It takes {wanted}")))
    }
}

/// Every key with its default, as a tree; `null` where there is none. One region stands for all, and one of the
/// sections that there may be many of.
pub fn known() -> Json {
    let mut raw = Raw::default();
    raw.conflicts.prefix.push(RawPrefix::default());
    raw.region.insert(ANY_REGION.into(), RawRegion::default());
    serde_json::to_value(raw).expect("texts, numbers and maps with text keys always have a JSON form")
}

/// The paths of all keys of `tree`, sections left out.
pub fn paths(tree: &Json, path: &str) -> Vec<String> {
    match tree {
        Json::Object(section) => section.iter().flat_map(|(key, value)| paths(value, &joined(path, key))).collect(),
        Json::Array(sections) => sections.iter().flat_map(|section| paths(section, path)).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => vec![path.to_owned()],
    }
}

fn section(value: &Value) -> Option<&Map<String, Value>> {
    match &value.kind {
        ValueKind::Table(table) => Some(table),
        _ => None,
    }
}

fn variable_in(value: &Value) -> Option<&str> {
    match section(value) {
        None => value.origin(),
        Some(table) => {
            let variables: Option<Vec<_>> = table.values().map(variable_in).collect();
            variables?.into_iter().min()
        }
    }
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The same key in another section, else the most similar one beside it, else all that there are.
fn suggestion(path: &str, siblings: &Json) -> String {
    let key = path.rsplit('.').next().unwrap_or(path);
    let all = paths(&known(), "");
    if let Some(elsewhere) = all.iter().find(|known| known.rsplit('.').next() == Some(key)) {
        return format!("Did you mean `{elsewhere}`?");
    }
    let mut beside: Vec<&str> = siblings.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    beside.sort_by(|a, b| likeness(key, b).total_cmp(&likeness(key, a)));
    match beside.first() {
        Some(nearest) if likeness(key, nearest) >= ALIKE => format!("Did you mean `{nearest}`?"),
        _ => {
            beside.sort_unstable();
            format!("Known here: {}", beside.join(", "))
        }
    }
}

fn likeness(a: &str, b: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(a, b)
}
