//! Many keys at once: which of them look different. It is quick and coarse; what looks different is looked at again.

use std::time::Instant;

use super::lane::{Lane, Request, milliseconds};
use super::pieces;
use crate::error::Fault;
use crate::runtime::client::{Reply, bytes, integer, text};
use crate::verify::{Mode, Plan, parts_of};
use crate::wire::rdb::Payload;

/// Values that are read together, by what they take of a server's memory, bytes.
pub(super) const TOGETHER: u64 = 4 * 1024 * 1024;
/// Keys of which one request asks whether they exist, or for their digests.
const NAMES: usize = 64;
/// The last version of the format that Redis and Valkey have in common.
const LAST_COMMON: u32 = 11;

/// Keys of one database that are compared together.
#[derive(Debug)]
pub(super) struct Batch {
    pub database: u32,
    pub names: Vec<Vec<u8>>,
}

/// What both sides say of a key before its value is read.
struct Outline<'a> {
    name: &'a [u8],
    kinds: [String; 2],
    /// What it takes of the server's memory, bytes.
    sizes: [u64; 2],
}

impl Outline<'_> {
    /// Bytes of the larger one.
    fn bytes(&self) -> u64 {
        self.sizes[0].max(self.sizes[1])
    }
}

/// What came of a batch.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Keys that look different.
    pub suspects: Vec<Vec<u8>>,
    /// Keys that were compared.
    pub keys: u64,
}

/// Compares the keys of a batch in both regions.
///
/// # Errors
/// As [`Lane::ask`].
pub(super) async fn compare(lane: &mut Lane, plan: &Plan, batch: &Batch) -> Result<Compared, Fault> {
    let mut compared = Compared::default();
    let outlines = outlines(lane, plan, batch, &mut compared).await?;
    match plan.mode {
        Mode::Outline => {}
        Mode::Length => lengths(lane, batch.database, &outlines, &mut compared).await?,
        Mode::Full | Mode::SkipBig | Mode::Digest => {
            let is_big = |outline: &Outline<'_>| outline.sizes.iter().any(|size| *size > plan.big_bytes);
            let (big, small): (Vec<_>, Vec<_>) = outlines.into_iter().partition(is_big);
            let by = |outline: &Outline<'_>, how| plan.mode == Mode::Digest && digested(lane, &outline.kinds[0]) == how;
            let (by_text, small): (Vec<_>, Vec<_>) = small.into_iter().partition(|key| by(key, Digested::Text));
            let (by_value, dumped): (Vec<_>, Vec<_>) = small.into_iter().partition(|key| by(key, Digested::Value));
            let by_text: Vec<&[u8]> = by_text.iter().map(|outline| outline.name).collect();
            texts(lane, batch.database, &by_text, &mut compared).await?;
            digests(lane, batch.database, &by_value, &mut compared).await?;
            values(lane, batch.database, &dumped, &mut compared).await?;
            for outline in big {
                if is_different(lane, plan, batch.database, &outline).await? {
                    compared.suspects.push(outline.name.to_vec());
                }
            }
        }
    }
    Ok(compared)
}

/// Which keys the other side lacks.
///
/// # Errors
/// As [`Lane::ask`].
pub(super) async fn missing(lane: &mut Lane, plan: &Plan, batch: &Batch, side: usize) -> Result<Vec<Vec<u8>>, Fault> {
    if !plan.filter.types.is_empty() {
        let requests: Vec<Request<'_>> = batch.names.iter().map(|name| vec![b"TYPE".as_slice(), name]).collect();
        let replies = lane.ask(batch.database, [&requests, &requests]).await?;
        let is_wanted = |reply: &Reply| plan.filter.types.contains(&text(reply));
        // What the other side's scan gives, whatever its type, is compared there.
        let is_left_out = |reply: &Reply| match lane.ends[1 - side].scanned_type(plan) {
            Some(_) => !is_wanted(reply),
            None => text(reply) == "none",
        };
        let told = batch.names.iter().zip(replies[side].iter().zip(&replies[1 - side]));
        let names = told.filter(|(_, (here, there))| is_wanted(here) && is_left_out(there));
        return Ok(names.map(|(name, _)| name.clone()).collect());
    }
    let groups: Vec<_> = batch.names.chunks(NAMES).collect();
    let requests: Vec<Request<'_>> = groups.iter().map(|names| variadic(&[b"EXISTS"], names)).collect();
    let replies = lane.ask_one(1 - side, batch.database, &requests).await?;
    let short: Vec<&Vec<u8>> = groups
        .iter()
        .zip(&replies)
        .filter(|(names, reply)| usize::try_from(integer(reply)) != Ok(names.len()))
        .flat_map(|(names, _)| names.iter())
        .collect();
    let requests: Vec<Request<'_>> = short.iter().map(|name| vec![b"EXISTS".as_slice(), name]).collect();
    let replies = lane.ask_one(1 - side, batch.database, &requests).await?;
    Ok(short.into_iter().zip(&replies).filter(|(_, reply)| integer(reply) == 0).map(|(name, _)| name.clone()).collect())
}

fn variadic<'a>(words: &[&'a [u8]], names: &'a [Vec<u8>]) -> Request<'a> {
    words.iter().copied().chain(names.iter().map(Vec::as_slice)).collect()
}

/// Asks for what is known without reading values; keys that differ in it are suspects.
async fn outlines<'a>(
    lane: &mut Lane,
    plan: &Plan,
    batch: &'a Batch,
    compared: &mut Compared,
) -> Result<Vec<Outline<'a>>, Fault> {
    let by_size = matches!(plan.mode, Mode::Full | Mode::SkipBig | Mode::Digest);
    let by_type = matches!(plan.mode, Mode::Length | Mode::Outline | Mode::Digest) || !plan.filter.types.is_empty();
    let per_key = usize::from(by_size) + usize::from(by_type) + usize::from(plan.ttl);
    let expiry = [0, 1].map(|side| lane.ends[side].expiry_command());
    let asked = expiry.map(|expiry| {
        let mut requests: Vec<Request<'_>> = Vec::with_capacity(batch.names.len() * per_key + 1);
        for name in &batch.names {
            if by_type {
                requests.push(vec![b"TYPE", name]);
            }
            if by_size {
                requests.push(vec![b"MEMORY", b"USAGE", name]);
            }
            if plan.ttl {
                requests.push(vec![expiry, name]);
            }
        }
        requests.push(vec![b"TIME"]);
        requests
    });
    let replies = lane.ask(batch.database, [&asked[0], &asked[1]]).await?;
    let now_ms = [0, 1].map(|side| replies[side].last().map_or(0, milliseconds));
    let mut outlines = Vec::with_capacity(batch.names.len());
    for (at, name) in batch.names.iter().enumerate() {
        let told = [0, 1].map(|side| {
            let mut told = replies[side][at * per_key..(at + 1) * per_key].iter();
            let kind = if by_type { told.next().map(text) } else { None };
            let size = if by_size { told.next() } else { None };
            let exists = match (&kind, size) {
                (Some(kind), _) => kind != "none",
                (None, Some(size)) => !matches!(size, Reply::Null),
                (None, None) => true,
            };
            let expires = plan.ttl.then(|| told.next().map_or(-2, integer));
            let expires = expires.and_then(|told| lane.ends[side].expires_at(told, now_ms[side]));
            (exists, kind.unwrap_or_default(), size.map_or(0, |size| integer(size).unsigned_abs()), expires)
        });
        let [(here, kind, size, expires), (there, kind_there, size_there, expires_there)] = told;
        if (!here && !there) || !plan.filter.has_types([&kind, &kind_there]) {
            continue;
        }
        compared.keys += 1;
        if here != there || kind != kind_there || !plan.close(expires, expires_there) {
            compared.suspects.push(name.clone());
        } else {
            outlines.push(Outline { name, kinds: [kind, kind_there], sizes: [size, size_there] });
        }
    }
    Ok(outlines)
}

/// The command that tells how long a value is.
pub(super) fn length_command(kind: &str) -> Option<&'static [u8]> {
    Some(match kind {
        "string" => b"STRLEN",
        "list" => b"LLEN",
        "set" => b"SCARD",
        "zset" => b"ZCARD",
        "hash" => b"HLEN",
        "stream" => b"XLEN",
        _ => return None,
    })
}

async fn lengths(
    lane: &mut Lane,
    database: u32,
    outlines: &[Outline<'_>],
    compared: &mut Compared,
) -> Result<(), Fault> {
    let known: Vec<_> =
        outlines.iter().filter_map(|outline| Some((outline.name, length_command(&outline.kinds[0])?))).collect();
    let requests: Vec<Request<'_>> = known.iter().map(|(name, command)| vec![*command, name]).collect();
    let [left, right] = lane.ask(database, [&requests, &requests]).await?;
    for ((name, _), (left, right)) in known.iter().zip(left.iter().zip(&right)) {
        if left != right {
            compared.suspects.push(name.to_vec());
        }
    }
    Ok(())
}

/// Compares values as `DUMP` gives them.
async fn values(
    lane: &mut Lane,
    database: u32,
    outlines: &[Outline<'_>],
    compared: &mut Compared,
) -> Result<(), Fault> {
    let features = lane.features();
    let mut rest = outlines;
    while !rest.is_empty() {
        let mut bytes_together = 0;
        let fits = |outline: &&Outline<'_>| {
            bytes_together += outline.bytes();
            bytes_together <= TOGETHER
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (together, later) = rest.split_at(count);
        rest = later;
        let requests: Vec<Request<'_>> =
            together.iter().map(|outline| vec![b"DUMP".as_slice(), outline.name]).collect();
        let _room = lane.room(together.iter().map(Outline::bytes).sum()).await;
        let [left, right] = lane.ask(database, [&requests, &requests]).await?;
        let now_ms = now_ms();
        for (outline, (left, right)) in together.iter().zip(left.iter().zip(&right)) {
            let parts = |payload: &Reply| parts_of(bytes(payload), features, now_ms);
            let same = match (left, right) {
                (Reply::BulkString(left), Reply::BulkString(right)) if is_same_payload(left, right) => true,
                (Reply::BulkString(_), Reply::BulkString(_)) => match (parts(left), parts(right)) {
                    (Ok(left), Ok(right)) => left == right,
                    _ => false,
                },
                _ => left == right,
            };
            if !same {
                compared.suspects.push(outline.name.to_vec());
            }
        }
    }
    Ok(())
}

/// Whether two payloads hold the same, byte for byte: the versions of the format may differ as long as both families have the
/// type in common.
fn is_same_payload(left: &[u8], right: &[u8]) -> bool {
    let (Some(left), Some(right)) = (Payload::parse(left), Payload::parse(right)) else { return false };
    let dialects = left.dialect() == right.dialect() || left.rdb_version.min(right.rdb_version) <= LAST_COMMON;
    left.body == right.body && left.type_code == right.type_code && dialects
}

/// This machine's clock, Unix milliseconds.
pub(super) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// How both servers give a digest of a value that says everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digested {
    /// By `DIGEST`.
    Text,
    /// By `DEBUG DIGEST-VALUE`, which leaves out groups of streams, and the times of fields.
    Value,
    /// Not.
    No,
}

fn digested(lane: &Lane, kind: &str) -> Digested {
    match kind {
        "string" if lane.digests.strings => Digested::Text,
        "stream" => Digested::No,
        "hash" if lane.features().field_ttl => Digested::No,
        _ if lane.digests.values => Digested::Value,
        _ => Digested::No,
    }
}

/// Compares strings by their digests.
async fn texts(lane: &mut Lane, database: u32, names: &[&[u8]], compared: &mut Compared) -> Result<(), Fault> {
    let requests: Vec<Request<'_>> = names.iter().map(|name| vec![b"DIGEST".as_slice(), name]).collect();
    let [left, right] = lane.ask(database, [&requests, &requests]).await?;
    for (name, (left, right)) in names.iter().zip(left.iter().zip(&right)) {
        // It may be of another type by now.
        if left != right || matches!(left, Reply::Error(_)) {
            compared.suspects.push(name.to_vec());
        }
    }
    Ok(())
}

/// Compares values of any type by their digests.
async fn digests(
    lane: &mut Lane,
    database: u32,
    outlines: &[Outline<'_>],
    compared: &mut Compared,
) -> Result<(), Fault> {
    let names: Vec<Vec<u8>> = outlines.iter().map(|outline| outline.name.to_vec()).collect();
    let groups: Vec<_> = names.chunks(NAMES).collect();
    let requests: Vec<Request<'_>> = groups.iter().map(|names| variadic(&[b"DEBUG", b"DIGEST-VALUE"], names)).collect();
    let [left, right] = lane.ask(database, [&requests, &requests]).await?;
    let told = |replies: &[Reply]| -> Vec<String> {
        replies.iter().flat_map(|reply| crate::runtime::client::elements(reply).iter().map(text)).collect()
    };
    let (left, right) = (told(&left), told(&right));
    for (at, name) in names.into_iter().enumerate() {
        if left.get(at).is_none() || left.get(at) != right.get(at) {
            compared.suspects.push(name);
        }
    }
    Ok(())
}

/// Whether a big key is different: its pieces, or its length where big keys are not read.
async fn is_different(lane: &mut Lane, plan: &Plan, database: u32, outline: &Outline<'_>) -> Result<bool, Fault> {
    let began = Instant::now();
    let kind: Request<'_> = vec![b"TYPE", outline.name];
    let [left, right] = lane.ask(database, [std::slice::from_ref(&kind), std::slice::from_ref(&kind)]).await?;
    let kinds = [left, right].map(|replies| replies.first().map(text).unwrap_or_default());
    if kinds[0] != kinds[1] {
        return Ok(true);
    }
    let Some(command) = length_command(&kinds[0]) else { return Ok(false) };
    let length: Request<'_> = vec![command, outline.name];
    let [left, right] = lane.ask(database, [std::slice::from_ref(&length), std::slice::from_ref(&length)]).await?;
    if left != right || plan.mode == Mode::SkipBig {
        return Ok(left != right);
    }
    if plan.mode == Mode::Digest && kinds[0] == "string" && lane.digests.strings {
        let request: Request<'_> = vec![b"DIGEST", outline.name];
        let [left, right] =
            lane.ask(database, [std::slice::from_ref(&request), std::slice::from_ref(&request)]).await?;
        return Ok(left != right);
    }
    let size = outline.bytes();
    let found = pieces::differing(lane, plan, (database, outline.name), &kinds[0], size, 1).await?;
    tracing::debug!(size, took = ?began.elapsed(), "a big key was compared in pieces");
    Ok(!found.is_empty())
}
