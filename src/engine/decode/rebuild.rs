//! The requests that rebuild a value from its elements, at a target that can't restore it as a whole.

use crate::wire::rdb::{Dialect, Element, Key, StreamCounters, StreamId};
use crate::wire::resp::push_command;
use std::borrow::Cow;

/// The largest number of elements in one request.
const ELEMENTS: usize = 512;

/// About how many bytes of arguments are put into one request. An element that is longer has a request of its own.
const BYTES: usize = 64 * 1024;

/// The name of the group that brings an empty stream into being, and is removed at once.
const PASSING_GROUP: &str = "duet";

/// What the target's commands can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetFeatures {
    /// `XSETID .. ENTRIESADDED .. MAXDELETEDID` and `XGROUP CREATE .. ENTRIESREAD` (7.0).
    pub stream_counters: bool,
    /// `XGROUP CREATECONSUMER` (6.2).
    pub create_consumer: bool,
    /// `HPEXPIREAT` (Redis 7.4, Valkey 9.0).
    pub field_expiry: bool,
}

impl TargetFeatures {
    /// What a server of `dialect` can do, by its version (major, minor, patch).
    pub fn of_server(dialect: Dialect, server_version: (u32, u32, u32)) -> Self {
        let (major, minor, _) = server_version;
        Self {
            stream_counters: major >= 7,
            create_consumer: (major, minor) >= (6, 2),
            field_expiry: match dialect {
                Dialect::Redis => (major, minor) >= (7, 4),
                Dialect::Valkey => major >= 9,
            },
        }
    }
}

/// What rebuilding took, and what the target can't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rebuilt {
    /// How many requests were appended, each with one reply.
    pub requests: usize,
    /// How many fields had an expiry time that the target has no command for, and were written without.
    pub field_expiries_lost: usize,
    /// How many consumers were left out that have no pending entries, because the target has no command for them.
    pub consumers_lost: usize,
}

/// Appends to `out` the requests that write `elements`, the next of the value of `key`, to the selected database.
///
/// The `first` ones replace what the key held. Call it again with each further piece, in order, and then set the key's
/// expiry, which this leaves out.
///
/// What no command can write is left out: entries that are pending at a consumer but were deleted from their stream
/// (`XCLAIM` answers only the ids that it found), and when consumers were last seen.
pub fn requests(out: &mut Vec<u8>, key: &Key, elements: &[Element], first: bool, features: TargetFeatures) -> Rebuilt {
    let mut rebuild = Rebuild { out, key: &key.name, features, open: None, rebuilt: Rebuilt::default() };
    let text = matches!(elements.first(), Some(Element::Text(_)));
    if first && !text {
        // In small letters: what a server deletes by itself stands in its stream in capitals.
        rebuild.request(&[b"del", &key.name]);
    }
    for (at, element) in elements.iter().enumerate() {
        rebuild.element(element, first && at == 0);
    }
    rebuild.close();
    rebuild.rebuilt
}

/// Requests in the making.
struct Rebuild<'a, 'o> {
    out: &'o mut Vec<u8>,
    key: &'a [u8],
    features: TargetFeatures,
    open: Option<Batch<'a>>,
    rebuilt: Rebuilt,
}

/// A request that more elements can be added to.
struct Batch<'a> {
    of: BatchOf<'a>,
    arguments: Vec<Cow<'a, [u8]>>,
    elements: usize,
    bytes: usize,
    /// Fields of the request that expire.
    expiring: Vec<(&'a [u8], i64)>,
}

/// What a request's elements have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BatchOf<'a> {
    Items,
    Members,
    Scores,
    Fields,
    Claims { group: &'a [u8], consumer: &'a [u8], delivered_at_ms: i64, deliveries: u64 },
}

impl<'a> Rebuild<'a, '_> {
    fn element(&mut self, element: &'a Element, replaces: bool) {
        match element {
            Element::Text(text) => {
                let command = if replaces { &b"SET"[..] } else { b"APPEND" };
                self.request(&[command, self.key, text]);
            }
            Element::Item(item) => self.add(BatchOf::Items, [item[..].into()]),
            Element::Member(member) => self.add(BatchOf::Members, [member[..].into()]),
            Element::Scored { member, score } => {
                self.add(BatchOf::Scores, [digits(*score).into_bytes().into(), member[..].into()]);
            }
            Element::Field { name, value, expires_at_ms } => self.field(name, value, *expires_at_ms),
            Element::Entry { id, fields } => {
                let id = id.to_string();
                let mut arguments: Vec<&[u8]> = vec![b"XADD", self.key, id.as_bytes()];
                arguments.extend(fields.iter().flat_map(|(field, value)| [&field[..], &value[..]]));
                self.request(&arguments);
            }
            Element::StreamState { length, last, counters } => self.stream_state(*length, *last, *counters),
            Element::Group { name, last, entries_read } => self.group(name, *last, *entries_read),
            Element::Consumer { group, name, .. } if self.features.create_consumer => {
                self.request(&[b"XGROUP", b"CREATECONSUMER", self.key, group, name]);
            }
            Element::Consumer { pending: 0, .. } => self.rebuilt.consumers_lost += 1,
            // XCLAIM brings it into being.
            Element::Consumer { .. } => {}
            Element::Pending { group, consumer, id, delivered_at_ms, deliveries } => {
                let (delivered_at_ms, deliveries) = (*delivered_at_ms, *deliveries);
                let claims = BatchOf::Claims { group, consumer, delivered_at_ms, deliveries };
                self.add(claims, [id.to_string().into_bytes().into()]);
            }
        }
    }

    fn field(&mut self, name: &'a [u8], value: &'a [u8], expires_at_ms: Option<i64>) {
        self.add(BatchOf::Fields, [name.into(), value.into()]);
        match (expires_at_ms, &mut self.open) {
            (Some(time), Some(batch)) if self.features.field_expiry => batch.expiring.push((name, time)),
            (Some(_), _) => self.rebuilt.field_expiries_lost += 1,
            (None, _) => {}
        }
    }

    fn stream_state(&mut self, length: u64, last: StreamId, counters: Option<StreamCounters>) {
        if length == 0 {
            self.request(&[b"XGROUP", b"CREATE", self.key, PASSING_GROUP.as_bytes(), b"0", b"MKSTREAM"]);
            self.request(&[b"XGROUP", b"DESTROY", self.key, PASSING_GROUP.as_bytes()]);
        }
        let last = last.to_string();
        match counters {
            Some(counters) if self.features.stream_counters => {
                let (added, deleted) = (counters.entries_added.to_string(), counters.max_deleted.to_string());
                let counters = [b"ENTRIESADDED", added.as_bytes(), b"MAXDELETEDID", deleted.as_bytes()];
                self.request(&[&[b"XSETID", self.key, last.as_bytes()], &counters[..]].concat());
            }
            _ => self.request(&[b"XSETID", self.key, last.as_bytes()]),
        }
    }

    fn group(&mut self, name: &'a [u8], last: StreamId, entries_read: Option<u64>) {
        let last = last.to_string();
        let create = [b"XGROUP", b"CREATE", self.key, name, last.as_bytes()];
        match entries_read {
            Some(read) if self.features.stream_counters => {
                self.request(&[&create[..], &[b"ENTRIESREAD", read.to_string().as_bytes()]].concat());
            }
            _ => self.request(&create),
        }
    }

    /// Adds arguments to the open request, or to a new one when it is full or of something else.
    fn add<const N: usize>(&mut self, of: BatchOf<'a>, arguments: [Cow<'a, [u8]>; N]) {
        let bytes: usize = arguments.iter().map(|argument| argument.len()).sum();
        let fits = |batch: &Batch<'_>| batch.of == of && batch.elements < ELEMENTS && batch.bytes + bytes <= BYTES;
        if !self.open.as_ref().is_some_and(fits) {
            self.close();
        }
        let batch = self.open.get_or_insert_with(|| Batch {
            of,
            arguments: Vec::new(),
            elements: 0,
            bytes: 0,
            expiring: Vec::new(),
        });
        batch.arguments.extend(arguments);
        batch.elements += 1;
        batch.bytes += bytes;
    }

    /// Appends the open request.
    fn close(&mut self) {
        let Some(Batch { of, arguments, expiring, .. }) = self.open.take() else { return };
        let elements: Vec<&[u8]> = arguments.iter().map(|argument| &argument[..]).collect();
        let with_key = |command: &'static str| [&[command.as_bytes(), self.key], &elements[..]].concat();
        match of {
            BatchOf::Items => self.append(&with_key("RPUSH")),
            BatchOf::Members => self.append(&with_key("SADD")),
            BatchOf::Scores => self.append(&with_key("ZADD")),
            BatchOf::Fields => self.append(&with_key("HSET")),
            BatchOf::Claims { group, consumer, delivered_at_ms, deliveries } => {
                let (time, count) = (delivered_at_ms.to_string(), deliveries.to_string());
                let who = [b"XCLAIM", self.key, group, consumer, b"0"];
                let how = [b"TIME", time.as_bytes(), b"RETRYCOUNT", count.as_bytes(), b"FORCE", b"JUSTID"];
                self.append(&[&who[..], &elements[..], &how[..]].concat());
            }
        }
        for same_time in expiring.chunk_by(|(_, one), (_, other)| one == other) {
            let Some((_, time)) = same_time.first() else { continue };
            let (time, count) = (time.to_string(), same_time.len().to_string());
            let head = [b"HPEXPIREAT", self.key, time.as_bytes(), b"FIELDS", count.as_bytes()];
            let names: Vec<&[u8]> = same_time.iter().map(|(name, _)| *name).collect();
            self.append(&[&head[..], &names[..]].concat());
        }
    }

    /// Appends a request of its own, after the open one.
    fn request(&mut self, arguments: &[&[u8]]) {
        self.close();
        self.append(arguments);
    }

    fn append(&mut self, arguments: &[&[u8]]) {
        push_command(self.out, arguments);
        self.rebuilt.requests += 1;
    }
}

/// A score in the fewest digits that are read as the same number.
fn digits(score: f64) -> String {
    let size = score.abs();
    match size != 0.0 && size.is_finite() && !(1e-5..1e17).contains(&size) {
        true => format!("{score:e}"),
        false => score.to_string(),
    }
}

#[cfg(test)]
mod tests;
