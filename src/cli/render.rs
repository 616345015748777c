//! A status for people.

use std::fmt::Write;
use std::time::Duration;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use crate::check::Outcome;
use crate::engine::conflict::departed::{DeletePolicy, Deletes};
use crate::observe::{
    ClockState, ClockStatus, ConflictCounts, Duty, FullSyncStatus, LinkStatus, RegionStatus, Status, VerifyState,
    VerifyStatus,
};

/// How many of the things that were set aside are shown for each link; `--json` has more.
const SET_ASIDE_SHOWN: usize = 5;

/// How many of the keys that are held are shown; `--json` has more.
const HELD_SHOWN: usize = 10;

/// The whole status: a headline, a table with a row for each link, then what needs words.
pub(super) fn table(status: &Status) -> String {
    let mut text = headline(status);
    text.push_str("\n\n");
    text.push_str(&links(&status.links));
    for link in &status.links {
        text.push_str(&words(link));
    }
    text.push_str(
        &status.regions.iter().filter(|region| region.duty.duty != Duty::Serving).map(duty).collect::<String>(),
    );
    text.push_str(&clock(&status.clock, &status.links));
    let conflicts = &status.conflicts;
    if conflicts.counts.total() + conflicts.unresolved > 0 {
        text.push_str(&format!("\nconflicts: {}", counts(&conflicts.counts)));
        if conflicts.unresolved > 0 {
            text.push_str(&format!(", {} unresolved", grouped(conflicts.unresolved)));
        }
    }
    if conflicts.held_now > 0 {
        text.push_str(&format!("\nheld until somebody decides: {} keys", grouped(conflicts.held_now)));
        for held in conflicts.held_keys.iter().take(HELD_SHOWN) {
            text.push_str(&format!("\n  database {}, key \"{}\"", held.database, plain(&held.key)));
        }
        text.push_str("\n  what to do: look with `duet why KEY`, decide with `duet resolve KEY --winner REGION`");
    }
    if let Some(drill) = status.drill.as_ref().filter(|drill| !drill.is_over()) {
        text.push_str(&format!("\ndrill of {}: {} (`duet drill status`)", plain(&drill.from), drill.step));
    }
    if let Some(precheck) = status.precheck.as_ref().filter(|precheck| precheck.result != Outcome::Ok) {
        text.push_str(&format!("\n{}: `duet check` says what and what to do", super::check::summary(precheck)));
    }
    text.push_str(&verification(&status.verify));
    if let Some(reason) = &status.journal.reason {
        let place = status.journal.place.as_deref().unwrap_or_default();
        text.push_str(&format!("\nconflicts cannot be recorded in {}: {}", plain(place), plain(reason)));
    }
    text
}

/// A region that clients are kept from, and on whose word.
fn duty(region: &RegionStatus) -> String {
    let said = |word: &Option<String>| plain(word.as_deref().unwrap_or("?"));
    let status = &region.duty;
    let (name, by, why) = (plain(&region.name), said(&status.by), said(&status.why));
    format!("\nregion {name} is {} since {:.0}, by {by}: {why}", status.duty, status.since)
}

/// The daemon's own verification, where it is switched on.
fn verification(verify: &VerifyStatus) -> String {
    if verify.state == VerifyState::Off {
        return String::new();
    }
    let covered = match verify.covered_within_s {
        Some(seconds) => format!("all keys seen within the last {}", duration(seconds)),
        None => "not all keys seen yet".to_owned(),
    };
    let going =
        verify.round.as_ref().map(|round| match (u128::from(round.seen) * 100).checked_div(round.total.into()) {
            Some(percent) => format!(", a round at {} %", percent.min(100)),
            None => String::new(),
        });
    let mut text = format!("\nverified: {covered}{}", going.unwrap_or_default());
    if verify.repaired > 0 {
        text.push_str(&format!(", {} keys made equal", grouped(verify.repaired)));
    }
    if verify.different > 0 {
        text.push_str(&format!(": {} KEYS DIFFER", grouped(verify.different)));
        for found in verify.findings.iter().take(HELD_SHOWN) {
            let (key, reason) = (plain(&found.key), plain(&found.reason));
            text.push_str(&format!("\n  database {}, key \"{key}\": {} {reason}", found.database, found.difference));
        }
        text.push_str("\n  what to do: `duet verify --output result.db` tells more, `duet repair` makes them equal");
    }
    if let Some(error) = &verify.error {
        text.push_str(&format!("\nverification failed: {}", plain(error)));
    }
    text
}

/// How far the clocks of both regions are apart, in one line; and what to do, where that is too far.
fn clock(clock: &ClockStatus, links: &[LinkStatus]) -> String {
    let (Some(offset), Some(bound), Some(forward)) = (clock.offset_ms, clock.bound_ms, links.first()) else {
        return "\nclocks: not known".to_owned();
    };
    let (ahead, behind) =
        if offset < 0 { (&forward.source, &forward.target) } else { (&forward.target, &forward.source) };
    let (ahead, behind, limit) = (plain(ahead), plain(behind), clock.limit_ms);
    let mut text =
        format!("\nclocks: {ahead} is {} ms (± {bound} ms) ahead of {behind}, limit {limit} ms", offset.abs());
    if let Some(bound) = clock.stamp_bound_ms {
        text.push_str(&format!("; a write's time is right within {bound} ms"));
    }
    match clock.state {
        ClockState::Unknown | ClockState::Agree => {}
        ClockState::Skewed => text.push_str("; SKEWED"),
        ClockState::Held => text.push_str("; HELD"),
    }
    if let Some(remedy) = &clock.remedy {
        text.push_str(&format!("\n  what to do: {}", plain(remedy)));
    }
    text
}

/// How conflicts ended.
pub(super) fn counts(conflicts: &ConflictCounts) -> String {
    let ConflictCounts { replayed, dropped, reconciled, held, .. } = conflicts;
    let held = if *held > 0 { format!(", {held} held") } else { String::new() };
    format!("{replayed} replayed, {dropped} dropped, {reconciled} reconciled{held}")
}

fn headline(status: &Status) -> String {
    let ready = if status.ready { "ready" } else { "NOT READY" };
    let up = duration(status.uptime_s);
    format!("pair {}: {ready} (duet {}, up {up})", plain(&status.pair), plain(&status.version))
}

fn links(links: &[LinkStatus]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["link", "from", "to", "state", "since", "lag", "applied", "echoes", "set aside", "reconnects"]);
    for link in links {
        let state = if link.stalled { format!("{}, stalled", link.state) } else { link.state.to_string() };
        let number = |number: u64| Cell::new(grouped(number)).set_alignment(CellAlignment::Right);
        let lag = link.lag_ms.map_or_else(|| "-".to_owned(), lag);
        table.add_row([
            Cell::new(link.direction),
            Cell::new(plain(&link.source)),
            Cell::new(plain(&link.target)),
            Cell::new(state),
            Cell::new(duration(link.since_s)),
            Cell::new(lag).set_alignment(CellAlignment::Right),
            number(link.writes_applied),
            number(link.echoes_dropped),
            number(link.set_aside),
            number(link.reconnects),
        ]);
    }
    table.to_string()
}

fn words(link: &LinkStatus) -> String {
    let mut text = String::new();
    if let Some(deletes) = deletes(link.deletes) {
        text.push_str(&format!("\n{}: {deletes}", plain(&link.source)));
    }
    if let Some(progress) = &link.full_sync {
        text.push_str(&format!("\n{}: full sync, {}", link.direction, full_sync(progress)));
    }
    if let Some(reason) = &link.reason {
        text.push_str(&format!("\n{}: {}", link.direction, plain(reason)));
        if let Some(remedy) = &link.remedy {
            text.push_str(&format!("\n  what to do: {}", plain(remedy)));
        }
    }
    for (what, count) in &link.set_aside_by_kind {
        text.push_str(&format!("\n{}: {} set aside: {}", link.direction, grouped(*count), plain(what)));
    }
    for item in link.set_aside_recent.iter().rev().take(SET_ASIDE_SHOWN) {
        let (what, why, key) = (plain(&item.what), plain(&item.why), plain(&item.key));
        text.push_str(&format!("\n  database {}, key \"{key}\": {what}, {why}", item.database));
    }
    text
}

/// How deletions by the source itself are told from those of its clients, where they are not.
fn deletes(DeletePolicy { expiry, eviction }: DeletePolicy) -> Option<String> {
    let word = |deletes| match deletes {
        Deletes::Events => "events",
        Deletes::Compare => "compare",
        Deletes::Propagate => "propagate",
    };
    let told = expiry == Deletes::Events && eviction == Deletes::Events;
    let text =
        || format!("deletes by the server: expiry {}, eviction {} (the log says why)", word(expiry), word(eviction));
    (!told).then(text)
}

fn full_sync(progress: &FullSyncStatus) -> String {
    let (done, total, rate) = (progress.keys_done, progress.keys_total, progress.keys_per_s);
    let mut text = format!("{} keys", grouped(done));
    if let Some(percent) = (u128::from(done) * 100).checked_div(u128::from(total)) {
        text.push_str(&format!(" of {} ({percent} %)", grouped(total)));
    }
    text.push_str(&format!(", {} keys/s", grouped(rate)));
    if let Some(left) = progress.seconds_left {
        text.push_str(&format!(", {} left", duration(left)));
    }
    text
}

fn lag(milliseconds: u64) -> String {
    if milliseconds < 10_000 { format!("{milliseconds} ms") } else { duration(milliseconds / 1000) }
}

/// The two largest units, which is as exact as a person reads.
fn duration(seconds: u64) -> String {
    let seconds = match seconds {
        0..3_600 => seconds,
        3_600..86_400 => seconds - seconds % 60,
        _ => seconds - seconds % 3_600,
    };
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

/// 1234567 as 1,234,567.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a server said may hold control characters: they must not reach a terminal.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            write!(shown, "{}", character.escape_default()).expect("a String takes everything");
        } else {
            shown.push(character);
        }
    }
    shown
}
