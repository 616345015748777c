//! Reads what a server holds, in canonical form.

use super::{Contents, Entry, RESERVED};
use crate::client::{Client, text};
use crate::flavor::Flavor;
use crate::servers::Server;
use anyhow::{Context, Result, bail};
use redis::Value;
use std::collections::BTreeMap;

/// Keys that are read in one pipeline.
const BATCH: usize = 256;

/// Reads every database of a server.
pub(super) async fn contents(server: &Server) -> Result<Contents> {
    let mut contents = Contents::new();
    let keyspace = server.client().await?.text("INFO keyspace").await?;
    for line in keyspace.lines() {
        let Some((database, _)) = line.strip_prefix("db").and_then(|rest| rest.split_once(':')) else { continue };
        let database: i64 = database.parse()?;
        let client = server.client_in(database).await?;
        let keys = keys(&client).await?;
        for batch in keys.chunks(BATCH) {
            for (key, entry) in entries(&client, server.flavor(), batch).await? {
                contents.insert((database, key), entry);
            }
        }
    }
    Ok(contents)
}

/// The libraries of functions by name, with their code.
pub(super) async fn functions(server: &Server) -> Result<BTreeMap<String, String>> {
    let libraries = array(server.client().await?.run("FUNCTION LIST WITHCODE").await?)?;
    let mut found = BTreeMap::new();
    for library in libraries {
        let fields = fields(library)?;
        let field = |name: &str| text(fields.get(name).with_context(|| format!("a library without {name}"))?);
        found.insert(field("library_name")?, field("library_code")?);
    }
    Ok(found)
}

async fn keys(client: &Client) -> Result<Vec<Vec<u8>>> {
    let mut found = std::collections::BTreeSet::new();
    let mut cursor = "0".to_owned();
    loop {
        let reply = array(client.run(&format!("SCAN {cursor} COUNT 1000")).await?)?;
        let [next, keys] = <[Value; 2]>::try_from(reply).ok().context("SCAN answered something else")?;
        for key in array(keys)? {
            found.insert(bytes(key)?);
        }
        cursor = text(&next)?;
        if cursor == "0" {
            return Ok(found.into_iter().filter(|key| !key.starts_with(RESERVED)).collect());
        }
    }
}

/// Types and expiry times in one pipeline, values in a second. Keys that have expired meanwhile are left out.
async fn entries(client: &Client, flavor: Flavor, keys: &[Vec<u8>]) -> Result<Vec<(Vec<u8>, Entry)>> {
    let expiry: &[u8] = if flavor.at_least_seven() { b"PEXPIRETIME" } else { b"PTTL" };
    let mut ask: Vec<Vec<&[u8]>> = vec![vec![b"TIME"]];
    ask.extend(keys.iter().flat_map(|key| [vec![b"TYPE".as_slice(), key], vec![expiry, key]]));
    let mut told = client.pipeline(&ask).await?.into_iter();
    let now = milliseconds(told.next().context("no reply to TIME")?)?;
    let mut known = Vec::new();
    for key in keys {
        let kind = text(&told.next().context("no reply to TYPE")?)?;
        let expires = told.next().context("no reply about the expiry")?;
        let Value::Int(expires) = expires else { bail!("expiry of {}: {expires:?}", key.escape_ascii()) };
        let since = if flavor.at_least_seven() { 0 } else { now };
        if kind != "none" {
            known.push((key, kind, (expires >= 0).then_some(since + expires)));
        }
    }
    let ask = known.iter().map(|(key, kind, _)| value_command(kind, key)).collect::<Result<Vec<_>>>()?;
    let values = client.pipeline(&ask).await?;
    let mut entries = Vec::new();
    for ((key, kind, expires_ms), value) in known.into_iter().zip(values) {
        let mut entry = entry(kind, value, expires_ms).with_context(|| format!("key {}", key.escape_ascii()))?;
        if entry.kind == "hash" && flavor.has_field_expiry() {
            entry.field_expiry_ms = field_expiry(client, key).await?;
        }
        entries.push((key.clone(), entry));
    }
    Ok(entries)
}

fn value_command<'a>(kind: &str, key: &'a [u8]) -> Result<Vec<&'a [u8]>> {
    Ok(match kind {
        "string" => vec![b"GET", key],
        "list" => vec![b"LRANGE", key, b"0", b"-1"],
        "set" => vec![b"SMEMBERS", key],
        "zset" => vec![b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"],
        "hash" => vec![b"HGETALL", key],
        "stream" => vec![b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"],
        other => bail!("the oracle does not know the type {other} of {}", key.escape_ascii()),
    })
}

fn entry(kind: String, value: Value, expires_ms: Option<i64>) -> Result<Entry> {
    let mut entry = Entry { kind, items: Vec::new(), counters: None, expires_ms, field_expiry_ms: BTreeMap::new() };
    entry.items = match entry.kind.as_str() {
        "string" => vec![bytes(value)?],
        "list" => all_bytes(value)?,
        "set" => sorted(all_bytes(value)?),
        "hash" => sorted(pairs(value)?.into_iter().map(|(field, value)| [field, value].join(&b'=')).collect()),
        "zset" => {
            let mut items = Vec::new();
            for (member, score) in pairs(value)? {
                // Versions print the same number with different digits.
                let score: f64 = String::from_utf8_lossy(&score).parse()?;
                items.push([member, score.to_string().into_bytes()].join(&b'='));
            }
            items
        }
        _ => {
            let stream = fields(value)?;
            entry.counters = counters(&stream)?;
            stream_items(&stream)?
        }
    };
    Ok(entry)
}

/// What Redis 7 counts beside the entries; older servers do not.
fn counters(stream: &BTreeMap<String, Value>) -> Result<Option<String>> {
    let (Some(added), Some(deleted)) = (stream.get("entries-added"), stream.get("max-deleted-entry-id")) else {
        return Ok(None);
    };
    Ok(Some(format!("{} added, {} deleted", text(added)?, text(deleted)?)))
}

/// Entries, the last id, groups, consumers and pending entries of `XINFO STREAM .. FULL`. Times of delivery are left
/// out: a claim that travels sets them anew.
fn stream_items(stream: &BTreeMap<String, Value>) -> Result<Vec<Vec<u8>>> {
    let field = |name: &str| stream.get(name).cloned().with_context(|| format!("a stream without {name}"));
    let mut items = vec![format!("last id {}", text(&field("last-generated-id")?)?).into_bytes()];
    for entry in array(field("entries")?)? {
        let [id, pairs] = <[Value; 2]>::try_from(array(entry)?).ok().context("an entry of another form")?;
        items.push([vec![bytes(id)?], all_bytes(pairs)?].concat().join(&b' '));
    }
    for group in array(field("groups")?)? {
        items.extend(group_items(&fields(group)?)?);
    }
    Ok(items)
}

fn group_items(group: &BTreeMap<String, Value>) -> Result<Vec<Vec<u8>>> {
    let field = |name: &str| group.get(name).cloned().with_context(|| format!("a group without {name}"));
    let name = text(&field("name")?)?;
    let mut items = vec![format!("group {name} at {}", text(&field("last-delivered-id")?)?).into_bytes()];
    for pending in array(field("pending")?)? {
        let [id, consumer, _, count] =
            <[Value; 4]>::try_from(array(pending)?).ok().context("pending of another form")?;
        items.push(format!("{name} pending {} {} {}", text(&id)?, text(&consumer)?, text(&count)?).into_bytes());
    }
    let mut consumers = Vec::new();
    for consumer in array(field("consumers")?)? {
        let consumer = fields(consumer)?;
        let consumer = consumer.get("name").context("a consumer without name")?;
        consumers.push(format!("{name} consumer {}", text(consumer)?).into_bytes());
    }
    items.extend(sorted(consumers));
    Ok(items)
}

async fn field_expiry(client: &Client, key: &[u8]) -> Result<BTreeMap<Vec<u8>, i64>> {
    let names = all_bytes(client.args(&[b"HKEYS", key]).await?)?;
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let count = names.len().to_string();
    let mut ask: Vec<&[u8]> = vec![b"HPEXPIRETIME", key, b"FIELDS", count.as_bytes()];
    ask.extend(names.iter().map(Vec::as_slice));
    let times = array(client.args(&ask).await?)?;
    let times = names.iter().zip(times).filter_map(|(name, time)| match time {
        Value::Int(time) if time >= 0 => Some((name.clone(), time)),
        _ => None,
    });
    Ok(times.collect())
}

fn sorted(mut items: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    items.sort_unstable();
    items
}

fn array(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(items) => Ok(items),
        other => bail!("expected an array, got {other:?}"),
    }
}

fn bytes(value: Value) -> Result<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        other => bail!("expected bytes, got {other:?}"),
    }
}

fn all_bytes(value: Value) -> Result<Vec<Vec<u8>>> {
    array(value)?.into_iter().map(bytes).collect()
}

fn pairs(value: Value) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let flat = all_bytes(value)?;
    Ok(flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
}

/// A flat array of names and values, as RESP2 writes a map.
fn fields(value: Value) -> Result<BTreeMap<String, Value>> {
    let mut flat = array(value)?.into_iter();
    let mut fields = BTreeMap::new();
    while let (Some(name), Some(value)) = (flat.next(), flat.next()) {
        fields.insert(text(&name)?, value);
    }
    Ok(fields)
}

fn milliseconds(time: Value) -> Result<i64> {
    let parts = all_bytes(time)?;
    let [seconds, micros] = parts.as_slice() else { bail!("TIME answered {parts:?}") };
    let number = |digits: &[u8]| -> Result<i64> { Ok(std::str::from_utf8(digits)?.parse()?) };
    Ok(number(seconds)? * 1_000 + number(micros)? / 1_000)
}
