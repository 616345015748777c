//! Big keys, read in pieces of bounded memory, both regions side by side.

use std::collections::BTreeMap;

use super::lane::{Lane, Request};
use super::streams;
use crate::error::Fault;
use crate::runtime::client::{Reply, bytes, elements, integer};
use crate::verify::{PartDifference, PartKind, Parts, Plan, of_parts};

/// Bytes of a string that are read together, and about as many of other values.
const PIECE: u64 = 1024 * 1024;
/// Pieces of a string that are asked for in one go.
const AT_ONCE: u64 = 4;
/// Elements of a piece.
const ELEMENTS: u64 = 2_000;

/// A key: database and name.
pub(super) type Key<'a> = (u32, &'a [u8]);

/// The parts of a big key of type `kind` in which the regions differ, up to `most`. `size` is what it takes of a server's
/// memory, bytes.
///
/// # Errors
/// As [`Lane::ask`].
pub(super) async fn differing(
    lane: &mut Lane,
    plan: &Plan,
    key: Key<'_>,
    kind: &str,
    size: u64,
    most: usize,
) -> Result<Vec<PartDifference>, Fault> {
    let _room = lane.room(AT_ONCE * PIECE).await;
    let mut found = Found { plan, most, parts: Vec::new() };
    match kind {
        "string" => string(lane, key, &mut found).await?,
        "list" => {
            let count = elements_of(lane, key, b"LLEN", size).await?;
            list(lane, key, count, &mut found).await?;
        }
        "set" | "hash" | "zset" => {
            let (command, scan): (&[u8], &[u8]) = match kind {
                "set" => (b"SCARD", b"SSCAN"),
                "hash" => (b"HLEN", b"HSCAN"),
                _ => (b"ZCARD", b"ZSCAN"),
            };
            let count = elements_of(lane, key, command, size).await?;
            let lengths = lengths(lane, key, command).await?;
            for side in [0, 1] {
                // What one side has and the other lacks shows in the other direction, too, unless nothing is lacking.
                if side == 0 || lengths[0] != lengths[1] || !found.parts.is_empty() {
                    unordered(lane, key, (kind, scan), (side, count), &mut found).await?;
                }
            }
            found.parts.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
            found.parts.dedup();
        }
        "stream" => {
            let count = elements_of(lane, key, b"XLEN", size).await?;
            streams::stream(lane, key, count, &mut found).await?;
        }
        _ => {}
    }
    Ok(found.parts)
}

/// Differing parts, up to a number.
pub(super) struct Found<'a> {
    plan: &'a Plan,
    most: usize,
    parts: Vec<PartDifference>,
}

impl Found<'_> {
    /// Compares two pieces. Tells whether enough was found.
    pub fn compare(&mut self, left: &Parts, right: &Parts) -> bool {
        let room = self.most.saturating_sub(self.parts.len());
        self.parts.extend(of_parts(left, right, self.plan).take(room));
        self.parts.len() >= self.most
    }
}

async fn lengths(lane: &mut Lane, (database, name): Key<'_>, command: &[u8]) -> Result<[u64; 2], Fault> {
    let request: [Request<'_>; 1] = [vec![command, name]];
    let replies = lane.ask(database, [&request, &request]).await?;
    Ok(replies.map(|replies| replies.first().map_or(0, integer).unsigned_abs()))
}

/// How many elements make a piece.
async fn elements_of(lane: &mut Lane, key: Key<'_>, command: &[u8], size: u64) -> Result<u64, Fault> {
    let [left, right] = lengths(lane, key, command).await?;
    let each = size / left.max(right).max(1);
    Ok((PIECE / each.max(1)).clamp(1, ELEMENTS))
}

async fn string(lane: &mut Lane, (database, name): Key<'_>, found: &mut Found<'_>) -> Result<(), Fault> {
    let mut from = 0;
    loop {
        let places: Vec<(String, String)> =
            (0..AT_ONCE).map(|at| from + at * PIECE).map(|at| (at.to_string(), (at + PIECE - 1).to_string())).collect();
        let requests: Vec<Request<'_>> = places
            .iter()
            .map(|(from, to)| vec![b"GETRANGE".as_slice(), name, from.as_bytes(), to.as_bytes()])
            .collect();
        let [left, right] = lane.ask(database, [&requests, &requests]).await?;
        for (left, right) in left.iter().zip(&right) {
            let (left, right) = (bytes(left), bytes(right));
            if left != right {
                let piece = |text: &[u8]| Parts::from([((PartKind::Text, from.to_be_bytes().to_vec()), text.to_vec())]);
                if found.compare(&piece(left), &piece(right)) {
                    return Ok(());
                }
            }
            if left.len() < PIECE as usize && right.len() < PIECE as usize {
                return Ok(());
            }
            from += PIECE;
        }
    }
}

async fn list(lane: &mut Lane, (database, name): Key<'_>, count: u64, found: &mut Found<'_>) -> Result<(), Fault> {
    let mut from = 0;
    loop {
        let (first, last) = (from.to_string(), (from + count - 1).to_string());
        let request: [Request<'_>; 1] = [vec![b"LRANGE", name, first.as_bytes(), last.as_bytes()]];
        let [left, right] = lane.ask(database, [&request, &request]).await?;
        let [left, right] = [&left, &right].map(|replies| replies.first().map(elements).unwrap_or_default());
        if left != right {
            let piece = |items: &[Reply]| -> Parts {
                let named = items.iter().zip(from..);
                named.map(|(item, at)| ((PartKind::Item, at.to_be_bytes().to_vec()), bytes(item).to_vec())).collect()
            };
            if found.compare(&piece(left), &piece(right)) {
                return Ok(());
            }
        }
        if left.is_empty() && right.is_empty() {
            return Ok(());
        }
        from += count;
    }
}

/// Goes through the elements of one side, and asks the other one for them.
async fn unordered(
    lane: &mut Lane,
    (database, name): Key<'_>,
    (kind, scan): (&str, &[u8]),
    (side, count): (usize, u64),
    found: &mut Found<'_>,
) -> Result<(), Fault> {
    let count = count.to_string();
    let mut cursor = b"0".to_vec();
    loop {
        let request: [Request<'_>; 1] = [vec![scan, name, &cursor, b"COUNT", count.as_bytes()]];
        let replies = lane.ask_one(side, database, &request).await?;
        let [next, listed] = replies.first().map(elements).unwrap_or_default() else { return Ok(()) };
        let next = bytes(next).to_vec();
        let mut here = listed_parts(kind, elements(listed));
        let names: Vec<Vec<u8>> = here.keys().map(|(_, name)| name.clone()).collect();
        let mut there = asked_parts(lane, (database, name), kind, (1 - side, &names)).await?;
        if kind == "hash" && lane.features().field_ttl {
            for (side, parts) in [(side, &mut here), (1 - side, &mut there)] {
                field_times(lane, (database, name), (side, &names), parts).await?;
            }
        }
        let (left, right) = if side == 0 { (&here, &there) } else { (&there, &here) };
        if found.compare(left, right) || next == b"0" {
            return Ok(());
        }
        cursor = next;
    }
}

/// What a scan has listed.
fn listed_parts(kind: &str, listed: &[Reply]) -> Parts {
    match kind {
        "set" => listed.iter().map(|member| ((PartKind::Member, bytes(member).to_vec()), Vec::new())).collect(),
        _ => listed
            .chunks_exact(2)
            .map(|pair| match kind {
                "hash" => ((PartKind::Field, bytes(&pair[0]).to_vec()), bytes(&pair[1]).to_vec()),
                _ => ((PartKind::Score, bytes(&pair[0]).to_vec()), score(&pair[1])),
            })
            .collect(),
    }
}

/// The same elements at the other side, as far as they are there.
async fn asked_parts(
    lane: &mut Lane,
    (database, key): Key<'_>,
    kind: &str,
    (side, names): (usize, &[Vec<u8>]),
) -> Result<Parts, Fault> {
    if names.is_empty() {
        return Ok(Parts::new());
    }
    let requests: Vec<Request<'_>> = match kind {
        "hash" => vec![[b"HMGET".as_slice(), key].into_iter().chain(names.iter().map(Vec::as_slice)).collect()],
        "set" => names.iter().map(|name| vec![b"SISMEMBER".as_slice(), key, name]).collect(),
        _ => names.iter().map(|name| vec![b"ZSCORE".as_slice(), key, name]).collect(),
    };
    let replies = lane.ask_one(side, database, &requests).await?;
    let replies = if kind == "hash" { replies.first().map(elements).unwrap_or_default() } else { &replies };
    let mut parts = BTreeMap::new();
    for (name, reply) in names.iter().zip(replies) {
        match (kind, reply) {
            ("set", Reply::Integer(1)) => parts.insert((PartKind::Member, name.clone()), Vec::new()),
            ("hash", Reply::BulkString(value)) => parts.insert((PartKind::Field, name.clone()), value.to_vec()),
            ("zset", Reply::BulkString(_)) => parts.insert((PartKind::Score, name.clone()), score(reply)),
            _ => None,
        };
    }
    Ok(parts)
}

/// Adds when fields expire.
async fn field_times(
    lane: &mut Lane,
    (database, key): Key<'_>,
    (side, names): (usize, &[Vec<u8>]),
    parts: &mut Parts,
) -> Result<(), Fault> {
    if names.is_empty() {
        return Ok(());
    }
    let count = names.len().to_string();
    let request: Request<'_> = [b"HPEXPIRETIME".as_slice(), key, b"FIELDS", count.as_bytes()]
        .into_iter()
        .chain(names.iter().map(Vec::as_slice))
        .collect();
    let replies = lane.ask_one(side, database, &[request]).await?;
    for (name, at) in names.iter().zip(replies.first().map(elements).unwrap_or_default()) {
        if let at @ 0.. = integer(at) {
            parts.insert((PartKind::FieldTtl, name.clone()), at.to_string().into_bytes());
        }
    }
    Ok(())
}

/// A score in digits that are the same for the same number.
fn score(reply: &Reply) -> Vec<u8> {
    let number = std::str::from_utf8(bytes(reply)).ok().and_then(|text| text.parse::<f64>().ok());
    number.map_or_else(|| bytes(reply).to_vec(), crate::verify::score_text)
}
