use std::collections::HashMap;
use std::path::Path;

use secrecy::ExposeSecret;

use super::load::{checked, settings};
use super::*;

mod documents;
mod environment;
mod mistakes;
mod secrets;

const MINIMAL: &str = include_str!("../../conf/minimal.toml");

/// The smallest configuration, without a look at the network.
pub(crate) fn minimal() -> Config {
    with(MINIMAL, &[]).unwrap()
}

/// File and variables, checked as at a start, but for the addresses.
fn with(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variables: HashMap<_, _> =
        variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    checked(&settings("pair.toml", text, &variables)?)
}

/// The one message about the smallest configuration with `section`'s lines added or changed: `line` follows the
/// section's header.
fn message(section: &str, line: &str) -> String {
    let header = format!("[{section}]");
    let text = if MINIMAL.contains(&header) {
        MINIMAL.replacen(&header, &format!("{header}\n{line} #"), 1)
    } else {
        format!("{MINIMAL}\n{header}\n{line}\n")
    };
    with(&text, &[]).unwrap_err().to_string()
}

/// The message about the smallest configuration with one text replaced.
fn replaced(from: &str, to: &str) -> String {
    assert!(MINIMAL.contains(from), "{from}");
    with(&MINIMAL.replace(from, to), &[]).unwrap_err().to_string()
}

fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn the_minimal_file_works_as_it_stands() {
    let config = minimal();
    assert_eq!(config.pair.name.as_str(), "orders");
    assert_eq!(config.source().name.as_str(), "eu-west");
    assert_eq!(config.target().shards, [Shard { host: "127.0.0.1".into(), port: 7002 }]);
    assert_eq!(config.http.listen.unwrap().port(), 8780);
    assert_eq!(config.heartbeat.interval, Duration::from_millis(250));
}

#[test]
fn the_file_is_read_from_disk_and_its_addresses_resolve() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), MINIMAL).unwrap();
    assert_eq!(load(file.path()).unwrap().pair.name.as_str(), "orders");
    assert_eq!(http(file.path()).unwrap().listen.unwrap().port(), 8780);
}

#[test]
fn the_policy_of_a_key_is_that_of_the_longest_prefix_that_it_begins_with() {
    let prefixes = [("s", "hold"), ("session:", "region:us-east"), ("session:x", "last-update-wins")];
    let sections = prefixes
        .map(|(prefix, policy)| format!("[[conflicts.prefix]]\nprefix = \"{prefix}\"\npolicy = \"{policy}\"\n"));
    let text = format!("{MINIMAL}\n[conflicts]\npolicy = \"region:eu-west\"\n{}", sections.concat());
    let conflicts = with(&text, &[]).unwrap().conflicts;
    let policies = ["session:x1", "session:1", "s", "other", ""].map(|key| conflicts.policies().of(key.as_bytes()));
    assert_eq!(
        policies,
        [Policy::LastUpdateWins, Policy::Region(1), Policy::Hold, Policy::Region(0), Policy::Region(0)]
    );
    assert_eq!(minimal().conflicts.policies().of(b"any"), Policy::LastUpdateWins);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = load(Path::new("/nowhere/pair.toml")).unwrap_err().to_string();
    assert_says(&error, &["/nowhere/pair.toml: cannot be read: No such file", "--config"]);
}

#[test]
fn one_server_as_both_regions_and_a_name_that_does_not_resolve_are_found_at_the_start() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let place = file.path().display().to_string();
    std::fs::write(file.path(), MINIMAL.replace("127.0.0.1:7002", "localhost:7001")).unwrap();
    assert_says(
        &load(file.path()).unwrap_err().to_string(),
        &[&place, "`region.us-east.url` is the same server as region `eu-west` (127.0.0.1:7001)"],
    );
    std::fs::write(file.path(), MINIMAL.replace("127.0.0.1:7002", "nowhere.invalid:7002")).unwrap();
    assert_says(
        &load(file.path()).unwrap_err().to_string(),
        &[&place, "`region.us-east.url`", "`nowhere.invalid`, which does not resolve", "name service"],
    );
}
