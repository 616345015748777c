//! File and environment, read and checked.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use config::{FileFormat, Source};

use super::environment::{Environment, PREFIX, path_of};
use super::raw::Raw;
use super::resolve::check_addresses;
use super::schema::Settings;
use super::{Admin, Config, ConfigError, Http, validate};

/// Longest configuration file, in bytes.
const FILE_BYTES: u64 = 1024 * 1024;

const KEY_RULE: &str = "Compare it with conf/full.toml: keys are of the letters a-z, digits and `_`";

/// Reads `file` and the environment of the process, checks everything, reads password files and resolves addresses.
///
/// # Errors
/// The first thing that is wrong; exit with [`super::EXIT_CONFIG`].
pub fn load(file: &Path) -> Result<Config, ConfigError> {
    let settings = read(file)?;
    let config = checked(&settings)?;
    check_addresses(&settings, &config)?;
    Ok(config)
}

/// Checks `text` as [`load`] checks a file, without the environment and the network; `file` is only named.
///
/// # Errors
/// As [`load`], but for addresses.
pub fn parse(file: &str, text: &str) -> Result<Config, ConfigError> {
    checked(&settings(file, text, &HashMap::new())?)
}

/// Reads `http.listen` alone: who asks for the status needs no password and no name service.
///
/// # Errors
/// As [`load`], as far as keys, types and `[http]` are concerned.
pub fn http(file: &Path) -> Result<Http, ConfigError> {
    let settings = read(file)?;
    let raw = raw(&settings)?;
    validate::http(&settings, &raw)
}

/// Reads `[admin]` and `[http]` alone, as [`http`].
///
/// # Errors
/// As [`load`], as far as keys, types, `[admin]` and `[http]` are concerned.
pub fn admin(file: &Path) -> Result<(Admin, Http), ConfigError> {
    let settings = read(file)?;
    let raw = raw(&settings)?;
    Ok((validate::admin(&settings, &raw)?, validate::http(&settings, &raw)?))
}

fn read(file: &Path) -> Result<Settings, ConfigError> {
    settings(&file.display().to_string(), &text_of(file)?, &process_environment()?)
}

/// The tree of `text` and `variables`; `file` is only named.
pub(super) fn settings(file: &str, text: &str, variables: &HashMap<String, String>) -> Result<Settings, ConfigError> {
    let table = text.parse::<toml::Table>().map_err(|error| syntax_error(file, text, &error))?;
    if let Some(key) = table.keys().find(|key| !is_plain(key)) {
        return Err(ConfigError::at(file, key, "is not a known key", KEY_RULE));
    }
    let is_odd = |name: &&String| path_of(name).is_some_and(|path| !path.iter().all(|key| is_plain(key)));
    if let Some(name) = variables.keys().find(is_odd) {
        return Err(ConfigError::whole(name, "names no key", KEY_RULE));
    }
    let environment = Environment::new(variables, &region_names(&table, variables));
    let merged = config::Config::builder()
        .add_source(config::File::from_str(text, FileFormat::Toml))
        .add_source(environment)
        .build()
        .and_then(|merged| merged.collect());
    let tree = merged.map_err(|_| {
        ConfigError::whole(file, "cannot be combined with the environment", "Look for a section that is set as a key")
    })?;
    Ok(Settings { file: file.to_owned(), tree })
}

/// Everything but the addresses, which only the network knows.
pub(super) fn checked(settings: &Settings) -> Result<Config, ConfigError> {
    validate::config(settings, raw(settings)?)
}

fn raw(settings: &Settings) -> Result<Raw, ConfigError> {
    settings.check_keys()?;
    let mut builder = config::Config::builder();
    for (key, value) in &settings.tree {
        builder = builder.set_override(key, value.clone()).map_err(|_| misfit(settings))?;
    }
    builder.build().and_then(config::Config::try_deserialize).map_err(|_| misfit(settings))
}

/// The `config` crate reads other characters as places in a list, and makes room up to there.
fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// Only for what slips through the check of keys and types. The cause may quote a secret, so it isn't shown.
fn misfit(settings: &Settings) -> ConfigError {
    ConfigError::whole(&*settings.file, "does not have the form of a configuration", "Compare it with conf/full.toml")
}

fn region_names(table: &toml::Table, variables: &HashMap<String, String>) -> Vec<String> {
    let section = |name: &str| table.get(name).and_then(toml::Value::as_table);
    let mut names: Vec<String> = section("region").into_iter().flat_map(|regions| regions.keys().cloned()).collect();
    for key in ["source", "target"] {
        let in_file = section("forward").and_then(|forward| forward.get(key)).and_then(toml::Value::as_str);
        names.extend(Environment::forward_region(variables, key).or_else(|| in_file.map(str::to_owned)));
    }
    names
}

/// The parser's own display quotes the line, which may hold a password: only its number and the reason are taken.
fn syntax_error(file: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let reason = error.message().split(['\n', '`', '"']).next().unwrap_or_default();
    let reason = reason.trim_end().trim_end_matches(", expected");
    ConfigError::whole(format!("{file}, line {line}"), format!("is not TOML ({reason})"), "Correct this line")
}

fn text_of(file: &Path) -> Result<String, ConfigError> {
    let place = file.display().to_string();
    let unreadable = |error: std::io::Error| {
        ConfigError::whole(&*place, format!("cannot be read: {error}"), "Give --config the path of a readable file")
    };
    let mut text = String::new();
    File::open(file).and_then(|opened| opened.take(FILE_BYTES + 1).read_to_string(&mut text)).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES {
        return Err(ConfigError::whole(place, "is longer than 1 MiB", "Is it the right file?"));
    }
    Ok(text)
}

fn process_environment() -> Result<HashMap<String, String>, ConfigError> {
    let mut variables = HashMap::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        if !name.starts_with(PREFIX) {
            continue;
        }
        match value.into_string() {
            Ok(value) => variables.insert(name, value),
            Err(_) => return Err(ConfigError::whole(name, "is not UTF-8", "Correct or unset this variable")),
        };
    }
    Ok(variables)
}
