//! conf/full.toml is the reference: it is held to the code.

use std::collections::BTreeSet;

use super::super::schema::{ANY_REGION, known, paths};
use super::*;

const FULL: &str = include_str!("../../../conf/full.toml");

/// The file as JSON, both regions under the name that stands for any.
fn keys(text: &str) -> serde_json::Value {
    let table: toml::Table = text.parse().unwrap();
    let mut json = serde_json::to_value(table).unwrap();
    let regions = json["region"].as_object_mut().unwrap();
    let mut all = serde_json::Map::new();
    for (_, region) in std::mem::take(regions) {
        all.extend(region.as_object().unwrap().clone());
    }
    regions.insert(ANY_REGION.into(), all.into());
    singled(json)
}

/// With the first of several sections in the place of all of them, so that its keys have a path.
fn singled(mut json: serde_json::Value) -> serde_json::Value {
    if let Some(prefix) = json.pointer_mut("/conflicts/prefix") {
        *prefix = prefix[0].take();
    }
    json
}

/// The file with its commented keys set: a `#`, a key, an equals sign; or a section of many.
fn uncommented() -> String {
    let is_key = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        line.contains(" = ") && key.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
    };
    let lines = FULL.lines().map(|line| match line.strip_prefix("# ") {
        Some(key) if is_key(key) || key.starts_with("[[") => key,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_full_file_has_every_key_and_no_other() {
    let written: BTreeSet<_> = paths(&keys(&uncommented()), "").into_iter().collect();
    let existing: BTreeSet<_> = paths(&known(), "").into_iter().collect();
    assert_eq!(written, existing);
}

#[test]
fn the_full_file_says_the_defaults() {
    let written = keys(FULL);
    let defaults = singled(known());
    for path in paths(&defaults, "") {
        let pointer = format!("/{}", path.replace('.', "/"));
        let default = defaults.pointer(&pointer).unwrap();
        if default.is_null() {
            continue;
        }
        assert_eq!(written.pointer(&pointer), Some(default), "{path}");
    }
    let mut full = with(FULL, &[]).unwrap();
    full.http = minimal().http;
    assert_eq!(format!("{full:?}"), format!("{:?}", minimal()), "the full file means what the smallest one means");
}

/// Each key stands below a comment, in the first section of its kind.
#[test]
fn every_key_of_the_full_file_is_explained() {
    let lines: Vec<_> = FULL.split("[region.us-east]").next().unwrap().lines().collect();
    for (before, line) in lines.iter().zip(lines.iter().skip(1)) {
        if line.contains(" = ") && !line.starts_with('#') && !line.starts_with("target") {
            assert!(before.starts_with("# "), "{line} has no comment before it");
        }
    }
}
