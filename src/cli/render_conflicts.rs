//! Conflicts for people.

use std::sync::Arc;

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;

use super::render::{counts, grouped, plain};
use crate::engine::conflict::Done;
use crate::http;
use crate::journal::{Entry, SideEntry, WriteEntry};

/// Longest losing write that is shown, in characters; `--json` has more.
const SHOWN: usize = 120;

/// A row for each; empty where there is none.
pub(super) fn table(conflicts: &[Arc<Entry>]) -> String {
    if conflicts.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["found (UTC)", "id", "db", "key", "unit", "stays", "lost", "done", "losing write"]);
    for entry in conflicts {
        table.add_row([
            day_and_time(entry.time),
            entry.id.to_string(),
            entry.database.to_string(),
            plain(&entry.key),
            unit(entry),
            side(&entry.winner),
            side(&entry.loser),
            entry.done.to_string(),
            writes(entry),
        ]);
    }
    format!("{table}\n")
}

/// What there is beside the rows.
pub(super) fn summary(answer: &http::Conflicts) -> String {
    let mut text = format!("{} conflicts in all: {}", grouped(answer.total), counts(&answer.counts));
    let more = answer.matching.saturating_sub(answer.conflicts.len());
    if more > 0 {
        text.push_str(&format!(
            "\n{} older ones that fit are not shown: raise --limit, or narrow what is asked for",
            grouped(more as u64)
        ));
    }
    if answer.dropped > 0 {
        text.push_str(&format!("\n{} records are no longer kept", grouped(answer.dropped)));
    }
    text
}

/// One conflict in one line.
pub(super) fn line(entry: &Entry) -> String {
    format!(
        "{} {} db {} {} ({}): {} stays, {} lost, {}: {}",
        day_and_time(entry.time),
        entry.id,
        entry.database,
        plain(&entry.key),
        unit(entry),
        side(&entry.winner),
        side(&entry.loser),
        entry.done,
        writes(entry),
    )
}

/// A region and when it wrote: to the microsecond, which may decide.
pub(super) fn side(side: &SideEntry) -> String {
    let time = side.time.map_or_else(|| "by itself".to_owned(), |time| time.strftime("%H:%M:%S%.6f").to_string());
    format!("{} {time}", plain(&side.region))
}

/// A moment to the millisecond, in UTC.
pub(super) fn day_and_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// A request as it could be typed, shortened.
pub(super) fn write(write: Option<&WriteEntry>) -> String {
    let Some(write) = write else { return "(a value)".into() };
    let quoted = |word: &String| match word.contains(' ') || word.is_empty() {
        true => format!("\"{word}\""),
        false => word.clone(),
    };
    let text = plain(&write.words.iter().map(quoted).collect::<Vec<_>>().join(" "));
    let cut = write.truncated || text.chars().count() > SHOWN;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if cut {
        shown.push_str(&format!("... ({} bytes)", grouped(write.length as u64)));
    }
    shown
}

/// The losing write; both, where neither was given up.
fn writes(entry: &Entry) -> String {
    let losing = write(entry.write.as_ref());
    match &entry.against {
        Some(against) if entry.done == Done::Held => format!("{losing} | {}", write(Some(against))),
        Some(_) | None => losing,
    }
}

fn unit(entry: &Entry) -> String {
    match &entry.unit.name {
        Some(name) => format!("{} {}", entry.unit.kind, plain(name)),
        None => entry.unit.kind.to_string(),
    }
}
