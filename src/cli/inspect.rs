//! One key in one region, as `duet why` shows and compares it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use jiff::Timestamp;
use serde::Serialize;

use crate::config::Region;
use crate::runtime::client::{Client, Reply, bytes, elements, integer, text};

/// Elements of a value that are shown.
const SHOWN: usize = 10;
/// Longest part of an element that is shown, in bytes.
const SHOWN_BYTES: usize = 200;
/// A larger value is not compared, by the server's own estimate in bytes: it would keep the server busy.
const MOST_COMPARED: i64 = 16 * 1024 * 1024;
/// What stands behind a payload: the version of the format and a checksum.
const TRAILER: usize = 10;

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
    #[serde(skip)]
    content: Content,
}

/// What is compared.
#[derive(Debug)]
enum Content {
    None,
    TooBig(i64),
    Payload { payload: Vec<u8>, whole: Option<Vec<Vec<u8>>> },
}

/// Whether both regions hold the same, or why that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    Differs(&'static str),
    Unknown(String),
}

/// Looks at `key` in `region`.
pub(super) async fn look(region: &Region, database: u32, key: &[u8]) -> anyhow::Result<Held> {
    let mut client = Client::connect(region, region.primary()).await?;
    client.call(&["SELECT", &database.to_string()]).await?;
    // In a transaction, so that what is left of the key's time and the clock are of one moment.
    let asked: [&[&[u8]]; 6] =
        [&[b"MULTI"], &[b"TYPE", key], &[b"PTTL", key], &[b"TIME"], &[b"MEMORY", b"USAGE", key], &[b"EXEC"]];
    let replies = client.calls::<&[u8]>(&asked).await?;
    let Some([kind, left, time, size]) = replies.last().map(elements) else {
        bail!("{} did not tell of the key: {}", client.place(), refusal(&replies));
    };
    let kind = text(kind);
    let now_ms = match elements(time) {
        [seconds, micros] => integer(seconds).saturating_mul(1000).saturating_add(integer(micros) / 1000),
        _ => 0,
    };
    let left = integer(left);
    let expires_at = (left >= 0).then(|| Timestamp::from_millisecond(now_ms.saturating_add(left)).ok()).flatten();
    let (length, value) = shown(&mut client, &kind, key).await?;
    let content = match (kind.as_str(), integer(size)) {
        ("none", _) => Content::None,
        (_, size) if size > MOST_COMPARED => Content::TooBig(size),
        _ => content(&mut client, &kind, key).await?,
    };
    Ok(Held { region: region.name.to_string(), kind, length, expires_at, value, content })
}

/// Whether both hold the same value and expiry.
pub(super) fn compare(one: &Held, other: &Held) -> Verdict {
    if one.kind != other.kind {
        return Verdict::Differs("type");
    }
    if one.length != other.length {
        return Verdict::Differs("length");
    }
    if !close(one.expires_at, other.expires_at) {
        return Verdict::Differs("expiry");
    }
    match (&one.content, &other.content) {
        (Content::None, Content::None) => Verdict::Same,
        (Content::Payload { payload, whole }, Content::Payload { payload: there, whole: whole_there }) => {
            let body = |payload: &[u8]| payload[..payload.len().saturating_sub(TRAILER)].to_vec();
            match (whole, whole_there) {
                _ if body(payload) == body(there) => Verdict::Same,
                (Some(whole), Some(whole_there)) if whole == whole_there => Verdict::Same,
                (Some(_), Some(_)) => Verdict::Differs("value"),
                _ => {
                    Verdict::Unknown(format!("values of type {} can be compared between equal versions only", one.kind))
                }
            }
        }
        (Content::TooBig(size), _) | (_, Content::TooBig(size)) => {
            Verdict::Unknown(format!("the value has about {size} bytes, which is too much to compare"))
        }
        (Content::None, _) | (_, Content::None) => Verdict::Differs("type"),
    }
}

/// Both regions count the same moment down, and each answer took a moment of its own.
fn close(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.as_millisecond().abs_diff(other.as_millisecond()) <= 100,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
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

/// The payload, and the elements in an order that does not depend on how they are stored.
async fn content(client: &mut Client, kind: &str, key: &[u8]) -> anyhow::Result<Content> {
    let payload = match client.call(&[b"DUMP", key]).await? {
        Reply::Null => return Ok(Content::None),
        payload => bytes(&payload).to_vec(),
    };
    let request: &[&[u8]] = match kind {
        "string" => &[b"GET", key],
        "list" => &[b"LRANGE", key, b"0", b"-1"],
        "set" => &[b"SMEMBERS", key],
        "hash" => &[b"HGETALL", key],
        "zset" => &[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"],
        "stream" => &[b"XRANGE", key, b"-", b"+"],
        _ => return Ok(Content::Payload { payload, whole: None }),
    };
    let reply = client.call(request).await?;
    let parts = || elements(&reply).iter().map(|part| bytes(part).to_vec());
    let whole = match kind {
        "string" => vec![bytes(&reply).to_vec()],
        "set" => parts().collect::<BTreeSet<_>>().into_iter().collect(),
        "hash" => {
            let fields: BTreeMap<_, _> = elements(&reply).chunks(2).map(|pair| pair_of(pair, false)).collect();
            fields.into_iter().flat_map(|(field, value)| [field, value]).collect()
        }
        "zset" => elements(&reply).chunks(2).map(|pair| pair_of(pair, true)).flat_map(|(a, b)| [a, b]).collect(),
        "stream" => {
            let groups = client.call(&[b"XINFO".as_slice(), b"GROUPS", key]).await?;
            elements(&reply)
                .iter()
                .flat_map(entry_parts)
                .chain(elements(&groups).iter().flat_map(group_parts))
                .collect()
        }
        _ => parts().collect(),
    };
    Ok(Content::Payload { payload, whole: Some(whole) })
}

/// A pair of an answer; a score as a number, since versions write it in different ways.
fn pair_of(pair: &[Reply], score: bool) -> (Vec<u8>, Vec<u8>) {
    let part = |index: usize| pair.get(index).map(|part| bytes(part).to_vec()).unwrap_or_default();
    let second = part(1);
    let number = std::str::from_utf8(&second).ok().and_then(|text| text.parse::<f64>().ok());
    match number.filter(|_| score) {
        Some(number) => (part(0), number.to_bits().to_be_bytes().to_vec()),
        None => (part(0), second),
    }
}

/// The id and the fields of an entry of a stream.
fn entry_parts(entry: &Reply) -> Vec<Vec<u8>> {
    let fields = elements(entry).get(1).map(elements).unwrap_or_default();
    elements(entry).iter().take(1).chain(fields).map(|part| bytes(part).to_vec()).collect()
}

/// What all versions tell of a group: name, consumers, pending entries, last delivered id.
fn group_parts(group: &Reply) -> Vec<Vec<u8>> {
    let told = elements(group).iter().take(8);
    told.map(|part| if let Reply::Integer(number) = part { number.to_string().into() } else { bytes(part).to_vec() })
        .collect()
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
