//! One key in one region, as `duet why` shows and compares it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde::Serialize;

use super::verify::place;
use crate::config::{Config, Region};
use crate::runtime::client::{Client, Reply, bytes, clock_us, elements, integer, text};
use crate::runtime::verify::{self, Lane, Limits};
use crate::verify::{Difference, Plan};

/// Elements of a value that are shown.
const SHOWN: usize = 10;
/// Longest part of an element that is shown, in bytes.
const SHOWN_BYTES: usize = 200;
/// Places that differ that are named.
const PLACES: usize = 10;

/// What a region holds of a key.
#[derive(Debug, Serialize)]
pub(super) struct Held {
    /// The region.
    pub region: String,
    /// As the server names it; "none" where there is no such key.
    #[serde(rename = "type")]
    pub kind: String,
    /// Bytes of a string, elements of anything else.
    pub length: i64,
    /// When it goes, by the region's clock.
    pub expires_at: Option<Timestamp>,
    /// The beginning of the value, escaped.
    pub value: Vec<String>,
}

/// Whether both regions hold the same, or why that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    /// In which ways they differ, and the first places.
    Differs {
        what: String,
        places: Vec<String>,
    },
    Unknown(String),
}

/// Compares `key` in both regions as `duet verify` does.
pub(super) async fn compare(config: &Config, database: u32, key: &[u8]) -> anyhow::Result<Verdict> {
    let plan = Plan::default();
    let limits = [0, 1].map(|_| Arc::new(Limits::new(&plan, None)));
    let mut lane = Lane::open(&config.regions, &limits).await?;
    let name = (database, key.to_vec());
    let (mut looks, _) = verify::look(&mut lane, &plan, std::slice::from_ref(&name), Duration::ZERO).await?;
    let seen = looks.remove(&name).context("the regions did not tell of the key")?;
    let differences = &seen.differences;
    if differences.is_empty() {
        return Ok(Verdict::Same);
    }
    if differences.iter().all(|difference| matches!(difference, Difference::Digest(_))) {
        let kind = &seen.sights[0].kind;
        return Ok(Verdict::Unknown(format!("values of type {kind} can be compared between equal versions only")));
    }
    let words: BTreeSet<_> = differences.iter().map(word).collect();
    let what = words.into_iter().collect::<Vec<_>>().join(" and ");
    Ok(Verdict::Differs { what, places: differences.iter().filter_map(place).take(PLACES).collect() })
}

fn word(difference: &Difference) -> &'static str {
    match difference {
        Difference::Missing { .. } => "existence",
        Difference::Type(_) => "type",
        Difference::Length(_) => "length",
        Difference::Ttl(_) => "expiry",
        Difference::Digest(_) | Difference::Part(_) => "value",
    }
}

/// Looks at `key` in `region`.
pub(super) async fn look(region: &Region, database: u32, key: &[u8]) -> anyhow::Result<Held> {
    let mut client = Client::connect(region, region.primary()).await?;
    client.call(&["SELECT", &database.to_string()]).await?;
    // In a transaction, so that what is left of the key's time and the clock are of one moment.
    let asked: [&[&[u8]]; 5] = [&[b"MULTI"], &[b"TYPE", key], &[b"PTTL", key], &[b"TIME"], &[b"EXEC"]];
    let replies = client.calls::<&[u8]>(&asked).await?;
    let Some([kind, left, time]) = replies.last().map(elements) else {
        bail!("{} did not tell of the key: {}", client.place(), refusal(&replies));
    };
    let kind = text(kind);
    let now_ms = clock_us(time).unwrap_or(0) / 1000;
    let left = integer(left);
    let expires_at = (left >= 0).then(|| Timestamp::from_millisecond(now_ms.saturating_add(left)).ok()).flatten();
    let (length, value) = shown(&mut client, &kind, key).await?;
    Ok(Held { region: region.name.to_string(), kind, length, expires_at, value })
}

/// The length of the value, and its beginning.
async fn shown(client: &mut Client, kind: &str, key: &[u8]) -> anyhow::Result<(i64, Vec<String>)> {
    let (last, count) = ((SHOWN - 1).to_string(), SHOWN.to_string());
    let (last, count) = (last.as_bytes(), count.as_bytes());
    let (length, begins): (&[u8], Vec<&[u8]>) = match kind {
        "string" => (b"STRLEN", vec![b"GETRANGE", key, b"0", b"199"]),
        "list" => (b"LLEN", vec![b"LRANGE", key, b"0", last]),
        "set" => (b"SCARD", vec![b"SSCAN", key, b"0", b"COUNT", count]),
        "hash" => (b"HLEN", vec![b"HSCAN", key, b"0", b"COUNT", count]),
        "zset" => (b"ZCARD", vec![b"ZRANGE", key, b"0", last, b"WITHSCORES"]),
        "stream" => (b"XLEN", vec![b"XREVRANGE", key, b"+", b"-", b"COUNT", b"3"]),
        _ => return Ok((0, Vec::new())),
    };
    let length = integer(&client.call(&[length, key]).await?);
    let reply = client.call(&begins).await?;
    let pairs = matches!(kind, "hash" | "zset");
    let found = if matches!(kind, "set" | "hash") { elements(&reply).get(1).unwrap_or(&Reply::Null) } else { &reply };
    let value = match kind {
        "string" => vec![piece(bytes(found))],
        "stream" => elements(found).iter().map(entry).collect(),
        _ if pairs => elements(found)
            .chunks(2)
            .take(SHOWN)
            .map(|pair| pair.iter().map(|part| piece(bytes(part))).collect::<Vec<_>>().join(": "))
            .collect(),
        _ => elements(found).iter().take(SHOWN).map(|part| piece(bytes(part))).collect(),
    };
    Ok((length, value))
}

/// An entry of a stream: its id and fields.
fn entry(entry: &Reply) -> String {
    let parts = elements(entry);
    let id = parts.first().map(text).unwrap_or_default();
    let fields = parts.get(1).map(elements).unwrap_or_default();
    let fields: Vec<_> = fields.iter().map(|part| piece(bytes(part))).collect();
    piece(format!("{id} {}", fields.join(" ")).as_bytes())
}

fn piece(bytes: &[u8]) -> String {
    let shown = bytes.get(..SHOWN_BYTES).unwrap_or(bytes);
    let dots = if shown.len() < bytes.len() { "..." } else { "" };
    format!("{}{dots}", shown.escape_ascii())
}

/// The first error among replies.
fn refusal(replies: &[Reply]) -> String {
    let error = replies.iter().find_map(|reply| match reply {
        Reply::Error(error) => Some(error.to_string()),
        _ => None,
    });
    error.unwrap_or_else(|| "an answer that is not understood".into())
}
