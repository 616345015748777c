//! Big streams, in pieces: entries, then what a stream knows besides them, its groups and what is pending.

use super::lane::{Lane, Request};
use super::pieces::{Found, Key};
use crate::error::Fault;
use crate::runtime::client::{Reply, bytes, elements, integer, text};
use crate::verify::{PartKind, Parts, fields_text};

/// Pending entries that are read together.
const PENDING: usize = 1_000;

/// Compares a stream, `count` entries at a time.
///
/// # Errors
/// As [`Lane::ask`].
pub(super) async fn stream(lane: &mut Lane, key: Key<'_>, count: u64, found: &mut Found<'_>) -> Result<(), Fault> {
    if entries(lane, key, count, found).await? {
        return Ok(());
    }
    let counters = lane.features().stream_counters;
    let (mut left, mut right) = (Parts::new(), Parts::new());
    for (side, parts) in [(0, &mut left), (1, &mut right)] {
        state(lane, key, side, counters, parts).await?;
    }
    if found.compare(&left, &right) {
        return Ok(());
    }
    let names = |parts: &Parts| -> Vec<Vec<u8>> {
        parts.keys().filter(|(kind, _)| *kind == PartKind::Group).map(|(_, name)| name.clone()).collect()
    };
    let there = names(&right);
    for group in names(&left).into_iter().filter(|group| there.contains(group)) {
        if pending(lane, key, &group, found).await? {
            return Ok(());
        }
    }
    Ok(())
}

/// Entries, side by side. Tells whether enough was found.
async fn entries(lane: &mut Lane, (database, name): Key<'_>, count: u64, found: &mut Found<'_>) -> Result<bool, Fault> {
    let count = count.to_string();
    let mut from = b"-".to_vec();
    loop {
        let request: [Request<'_>; 1] = [vec![b"XRANGE", name, &from, b"+", b"COUNT", count.as_bytes()]];
        let [left, right] = lane.ask(database, [&request, &request]).await?;
        let full = |replies: &[Reply]| replies.first().map(elements).unwrap_or_default().len() as u64;
        let wanted: u64 = count.parse().unwrap_or(1);
        let pieces = [&left, &right].map(|replies| piece(replies));
        // Up to where both pieces say everything.
        let last = |parts: &[(Id, Vec<u8>)]| parts.last().map(|(id, _)| *id);
        let ends = [(&left, &pieces[0]), (&right, &pieces[1])]
            .map(|(replies, parts)| if full(replies) >= wanted { last(parts) } else { None });
        let end = ends.into_iter().flatten().min();
        let part = |piece: &[(Id, Vec<u8>)]| -> Parts {
            let within = piece.iter().filter(|(id, _)| end.is_none_or(|end| *id <= end));
            within.map(|(id, fields)| ((PartKind::Entry, shown(*id)), fields.clone())).collect()
        };
        if pieces[0] != pieces[1] && found.compare(&part(&pieces[0]), &part(&pieces[1])) {
            return Ok(true);
        }
        let Some(end) = end else { return Ok(false) };
        from = shown(behind(end));
    }
}

type Id = (u64, u64);

fn shown((ms, number): Id) -> Vec<u8> {
    format!("{ms}-{number}").into_bytes()
}

/// The id behind this one.
fn behind((ms, number): Id) -> Id {
    match number.checked_add(1) {
        Some(next) => (ms, next),
        None => (ms.saturating_add(1), 0),
    }
}

fn id(reply: &Reply) -> Id {
    let text = text(reply);
    let (ms, number) = text.split_once('-').unwrap_or((&text, "0"));
    (ms.parse().unwrap_or(0), number.parse().unwrap_or(0))
}

fn piece(replies: &[Reply]) -> Vec<(Id, Vec<u8>)> {
    let entries = replies.first().map(elements).unwrap_or_default();
    let entry = |entry: &Reply| match elements(entry) {
        [at, fields] => Some((id(at), fields_text(elements(fields).iter().map(bytes)))),
        _ => None,
    };
    entries.iter().filter_map(entry).collect()
}

/// The last id, counters, groups and consumers of one side.
async fn state(
    lane: &mut Lane,
    (database, name): Key<'_>,
    side: usize,
    counters: bool,
    parts: &mut Parts,
) -> Result<(), Fault> {
    let requests: [Request<'_>; 2] = [vec![b"XINFO", b"STREAM", name], vec![b"XINFO", b"GROUPS", name]];
    let replies = lane.ask_one(side, database, &requests).await?;
    let [about, groups] = replies.as_slice() else { return Ok(()) };
    let mut counter = |field: &str, shown: &str| {
        if let Some(told) = field_of(about, field) {
            parts.insert((PartKind::Counter, shown.as_bytes().to_vec()), told);
        }
    };
    counter("last-generated-id", "last id");
    if counters {
        counter("entries-added", "entries added");
        counter("max-deleted-entry-id", "largest deleted id");
    }
    for group in elements(groups) {
        let Some(group_name) = field_of(group, "name") else { continue };
        let last = field_of(group, "last-delivered-id").unwrap_or_default();
        parts.insert((PartKind::Group, group_name.clone()), last);
        let request: [Request<'_>; 1] = [vec![b"XINFO", b"CONSUMERS", name, &group_name]];
        let replies = lane.ask_one(side, database, &request).await?;
        for consumer in replies.first().map(elements).unwrap_or_default() {
            let pending = field_of(consumer, "pending").is_some_and(|pending| pending != b"0");
            if let Some(consumer) = field_of(consumer, "name").filter(|_| counters || pending) {
                parts.insert((PartKind::Consumer, fields_text([&group_name, &consumer])), Vec::new());
            }
        }
    }
    Ok(())
}

/// The value of a field in a flat array of names and values.
fn field_of(reply: &Reply, field: &str) -> Option<Vec<u8>> {
    let pair = elements(reply).chunks_exact(2).find(|pair| bytes(&pair[0]) == field.as_bytes())?;
    Some(match &pair[1] {
        Reply::Integer(number) => number.to_string().into_bytes(),
        other => bytes(other).to_vec(),
    })
}

/// What is pending in a group. Tells whether enough was found.
async fn pending(
    lane: &mut Lane,
    (database, name): Key<'_>,
    group: &[u8],
    found: &mut Found<'_>,
) -> Result<bool, Fault> {
    let count = PENDING.to_string();
    let mut from = b"-".to_vec();
    loop {
        let request: [Request<'_>; 1] = [vec![b"XPENDING", name, group, &from, b"+", count.as_bytes()]];
        let [left, right] = lane.ask(database, [&request, &request]).await?;
        let listed = |replies: &[Reply]| -> Vec<(Id, Vec<u8>)> {
            let entries = replies.first().map(elements).unwrap_or_default();
            let entry = |entry: &Reply| match elements(entry) {
                [at, consumer, _, deliveries] => {
                    let state = [bytes(consumer), b" ", integer(deliveries).to_string().as_bytes()].concat();
                    Some((id(at), state))
                }
                _ => None,
            };
            entries.iter().filter_map(entry).collect()
        };
        let pieces = [listed(&left), listed(&right)];
        let ends = pieces.each_ref().map(|piece| piece.last().filter(|_| piece.len() >= PENDING).map(|(id, _)| *id));
        let end = ends.into_iter().flatten().min();
        let part = |piece: &[(Id, Vec<u8>)]| -> Parts {
            let within = piece.iter().filter(|(id, _)| end.is_none_or(|end| *id <= end));
            let named = |at: Id| [group, b" ", &shown(at)].concat();
            within.map(|(at, state)| ((PartKind::Pending, named(*at)), state.clone())).collect()
        };
        if found.compare(&part(&pieces[0]), &part(&pieces[1])) {
            return Ok(true);
        }
        let Some(end) = end else { return Ok(false) };
        from = shown(behind(end));
    }
}
