//! A result for people, and for programs.

use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::collect::Collected;
use crate::cli::render::{grouped, plain};
use crate::observe::escaped;
use crate::verify::{Difference, Finding, Sight, Summary, Verdict, page};

/// Keys in the table.
const ROWS: usize = 50;
/// Differing parts of a key in the table, and in JSON.
const PARTS: usize = 3;
const PARTS_OF_JSON: usize = 100;
/// Bytes of a part that are shown.
const PART_BYTES: usize = 40;

/// For people.
pub(super) fn text(collected: &Collected, output: Option<&Path>) -> String {
    let Collected { summary, findings, undecided } = collected;
    let mut text = headline(summary);
    if !findings.is_empty() {
        text.push_str(&format!("\n\n{}", table(summary, findings)));
    }
    let shown = findings.len().min(ROWS) as u64;
    if summary.different > shown {
        let more = grouped(summary.different - shown);
        match output {
            Some(path) => text.push_str(&format!("\nand {more} more: all are in {}", path.display())),
            None => text.push_str(&format!("\nand {more} more: give --output FILE to have all")),
        }
    }
    for (database, name) in undecided.iter().take(ROWS) {
        let key = escaped(name);
        text.push_str(&format!(
            "\nnever seen still: database {database}, key \"{key}\"; try again, or with more --patience"
        ));
    }
    if summary.suspected > 0 && !summary.fenced && summary.error.is_none() {
        text.push_str(
            "\nThe links did not move, or were not waited for: what was on its way may be among the differences.",
        );
    }
    text
}

fn headline(summary: &Summary) -> String {
    let [source, target] = &summary.regions;
    let counts = format!(
        "{} keys in {:.1} s, {} keys/s, {} MB read",
        grouped(summary.keys),
        summary.seconds,
        grouped(summary.keys_per_second() as u64),
        grouped(summary.bytes / 1_000_000)
    );
    match summary.verdict() {
        Verdict::Equal => format!("{source} and {target} are equal: {counts}"),
        Verdict::Different => {
            let classes: Vec<_> =
                summary.classes.iter().map(|(class, count)| format!("{} {class}", grouped(*count))).collect();
            let (count, classes) = (grouped(summary.different), classes.join(", "));
            format!("{source} and {target} DIFFER in {count} keys ({classes}): {counts}")
        }
        Verdict::Unfinished => format!("not known whether {source} and {target} are equal: {counts} so far"),
    }
}

fn table(summary: &Summary, findings: &[Finding]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    let [source, target] = summary.regions.each_ref().map(|region| plain(region));
    table.set_header(["db", "key", "difference", &source, &target, "where", "why"]);
    for finding in findings.iter().take(ROWS) {
        table.add_row([
            finding.name.0.to_string(),
            escaped(&finding.name.1),
            finding.class.to_string(),
            side(&finding.sights[0]),
            side(&finding.sights[1]),
            places(finding),
            plain(&finding.reason),
        ]);
    }
    table.to_string()
}

fn side(sight: &Sight) -> String {
    if sight.exists() { format!("{} {}", plain(&sight.kind), grouped(sight.length)) } else { "-".to_owned() }
}

/// The first differing parts.
fn places(finding: &Finding) -> String {
    let mut parts: Vec<String> = finding.differences.iter().filter_map(place).collect();
    let more = parts.len().saturating_sub(PARTS);
    parts.truncate(PARTS);
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    parts.join("\n")
}

/// Where a key differs, and what each region has there; the first stands left.
pub(in crate::cli) fn place(difference: &Difference) -> Option<String> {
    Some(match difference {
        Difference::Part(part) => {
            let [left, right] = part.values.each_ref().map(|value| match value {
                Some(value) => piece(value),
                None => "-".to_owned(),
            });
            let name = part.shown_name();
            format!("{} {}: {left} | {right}", part.kind, piece(name.as_bytes()))
        }
        Difference::Ttl(times) => {
            let [left, right] = times.map(|at| at.map_or_else(|| "for ever".to_owned(), time));
            format!("until {left} | {right}")
        }
        Difference::Length([left, right]) => format!("length {left} | {right}"),
        Difference::Missing { .. } | Difference::Type(_) | Difference::Digest(_) => return None,
    })
}

fn time(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms).map_or_else(|_| at_ms.to_string(), |at| at.to_string())
}

fn piece(bytes: &[u8]) -> String {
    let shown = bytes.get(..PART_BYTES).unwrap_or(bytes);
    let dots = if shown.len() < bytes.len() { ".." } else { "" };
    format!("{}{dots}", String::from_utf8_lossy(shown).escape_debug())
}

/// For programs.
pub(super) fn json(collected: &Collected) -> String {
    let Collected { summary, findings, undecided } = collected;
    let mut shown = serde_json::to_value(summary).unwrap_or_default();
    shown["verdict"] = serde_json::to_value(summary.verdict()).unwrap_or_default();
    shown["keys_per_second"] = json!(summary.keys_per_second() as u64);
    shown["findings"] = findings.iter().map(finding).collect();
    shown["undecided_keys"] = undecided.iter().map(|(database, name)| key(*database, name)).collect();
    format!("{shown:#}")
}

fn key(database: u32, name: &[u8]) -> Value {
    let mut shown = json!({ "database": database, "key": name.escape_ascii().to_string() });
    if shown["key"].as_str().map(str::as_bytes) != Some(name) {
        shown["key_base64"] = json!(STANDARD.encode(name));
    }
    shown
}

fn finding(finding: &Finding) -> Value {
    let mut shown = key(finding.name.0, &finding.name.1);
    shown["difference"] = json!(finding.class);
    shown["cause"] = json!(finding.cause);
    shown["reason"] = json!(finding.reason);
    shown["types"] = json!(finding.sights.each_ref().map(|sight| &sight.kind));
    shown["lengths"] = json!(finding.sights.each_ref().map(|sight| sight.length));
    shown["expires_at_ms"] = json!(finding.sights.each_ref().map(|sight| sight.expires_at_ms));
    shown["looks"] = json!(finding.looks);
    let parts = finding.differences.iter().filter_map(|difference| match difference {
        Difference::Part(part) => Some(json!({
            "kind": part.kind,
            "name": part.shown_name(),
            "values": part.values.each_ref().map(|value| value.as_ref().map(|value| value.escape_ascii().to_string())),
        })),
        _ => None,
    });
    shown["parts"] = parts.take(PARTS_OF_JSON).collect();
    shown["parts_total"] =
        json!(finding.differences.iter().filter(|difference| matches!(difference, Difference::Part(_))).count());
    shown
}

/// Writes the page.
pub(super) fn write_page(path: &Path, collected: &Collected) -> anyhow::Result<()> {
    let page = page::page(&collected.summary, &collected.findings);
    std::fs::write(path, page).with_context(|| format!("{} can't be written", path.display()))
}
