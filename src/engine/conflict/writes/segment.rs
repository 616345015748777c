//! Writes that follow each other in a region's stream, kept together: of each as little as can be.

use std::cell::Cell;
use std::ops::Range;

use bytes::Bytes;

use crate::command::{Spec, lookup};
use crate::engine::conflict::exchange::Name;
use crate::engine::conflict::order::Order;
use crate::engine::conflict::stamp::Stamp;
use crate::engine::conflict::window::{Key, shown_as};
use crate::wire::resp::{Command, FrameReader};

/// Bytes of requests behind which a segment ends: it is forgotten as a whole.
const FULL: usize = 64 * 1024;

/// What is known of a write beside its place, its key and its request. Of writes that follow each other it is mostly the same.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The database.
    pub database: u32,
    /// How many requests it is.
    pub requests: u32,
    /// When it was written; not known for what an earlier session sent.
    pub stamp: Option<Stamp>,
    /// Up to where its region had executed the other one's writes then, in that one's stream; where the stamp is known.
    pub seen: u64,
    /// A deletion by the server itself that the other region is not told.
    pub silent: bool,
    /// Whether any update that is concurrent with it beats it: a deletion by the server itself, or what may be one.
    pub weak: bool,
    /// For such a one: up to where its region had seen the other one's writes.
    pub sees: u64,
    /// For such a one: the latest of the writes that made what it removed, once its own region was looked at.
    pub behind: Cell<Option<Order>>,
}

impl Facts {
    /// Whether it can be said of both at once. What is found out later of a weak one is its own.
    fn is_as(&self, other: &Self) -> bool {
        let all = |facts: &Self| (facts.database, facts.requests, facts.stamp, facts.seen, facts.silent);
        !self.weak && !other.weak && all(self) == all(other)
    }
}

/// A client's write.
#[derive(Debug, Clone, Copy)]
pub struct Write<'a> {
    /// Where it ends in the region's stream, bytes: its name.
    pub at: u64,
    /// The only key that it names, where that is known.
    pub key: Option<Key>,
    /// The request, or more than one.
    pub bytes: &'a Bytes,
    /// Where in `bytes` it stands.
    pub place: (u32, u32),
    /// What else is known of it.
    pub facts: &'a Facts,
}

impl<'a> Write<'a> {
    /// Its request, or more than one.
    pub fn requests(&self) -> &'a [u8] {
        self.bytes.get(self.range()).unwrap_or_default()
    }

    /// The same, to keep.
    pub fn kept(&self) -> Bytes {
        self.bytes.slice(self.range())
    }

    fn range(&self) -> Range<usize> {
        self.place.0 as usize..self.place.1 as usize
    }

    /// By what it is known again, see [`shown_as`].
    pub fn shown(&self) -> Option<u64> {
        let mut reader = FrameReader::new();
        let (spec, command) = self.command(&mut reader)?;
        Some(shown_as(self.facts.database, &command, spec))
    }

    /// Its first request and what that is, found by `reader`, which is fresh.
    pub fn command<'b>(&'b self, reader: &'b mut FrameReader) -> Option<(&'static Spec, Command<'b>)> {
        let requests = self.requests();
        reader.next(requests).ok()??;
        let command = Command::new(requests, reader.arguments());
        Some((lookup(command.name())?, command))
    }

    /// The keys that it changes.
    pub fn written(&self) -> Vec<Name> {
        let mut reader = FrameReader::new();
        let Some((spec, command)) = self.command(&mut reader) else { return Vec::new() };
        spec.written(&command, self.facts.database).map(|(database, name)| (database, name.to_vec())).collect()
    }
}

/// Writes that follow each other.
#[derive(Debug)]
pub struct Segment {
    /// Where the first one ends in the stream, bytes.
    from: u64,
    /// Their requests.
    bytes: Bytes,
    /// Where each ends: in the stream, behind `from`; and in `bytes`.
    ends: Box<[(u32, u32)]>,
    keys: Box<[Option<Key>]>,
    /// What is known of each, by the first one for which it holds.
    facts: Box<[(u32, Facts)]>,
}

impl Segment {
    /// How many writes these are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of memory.
    pub fn size(&self) -> usize {
        size_of::<Self>()
            + self.bytes.len()
            + size_of_val(&*self.ends)
            + size_of_val(&*self.keys)
            + size_of_val(&*self.facts)
    }

    /// Where the last one ends in the stream.
    pub fn last(&self) -> u64 {
        self.ends.last().map_or(self.from, |(at, _)| self.from + u64::from(*at))
    }

    /// How many of them end at `place` or before.
    pub fn until(&self, place: u64) -> usize {
        self.ends.partition_point(|(at, _)| self.from + u64::from(*at) <= place)
    }

    /// Those from the one of this number on.
    pub fn after(&self, first: usize) -> impl Iterator<Item = Write<'_>> {
        let mut facts = self.facts.partition_point(|(from, _)| *from as usize <= first).saturating_sub(1);
        (first..self.len()).filter_map(move |index| {
            facts += usize::from(self.facts.get(facts + 1).is_some_and(|(from, _)| *from as usize <= index));
            let (at, end) = *self.ends.get(index)?;
            let begin = index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |(_, end)| *end);
            let (_, facts) = self.facts.get(facts)?;
            let key = *self.keys.get(index)?;
            Some(Write { at: self.from + u64::from(at), key, bytes: &self.bytes, place: (begin, end), facts })
        })
    }
}

/// Makes segments of writes as they are read.
#[derive(Debug, Default)]
pub struct Segments {
    done: Vec<Segment>,
    from: u64,
    bytes: Vec<u8>,
    ends: Vec<(u32, u32)>,
    keys: Vec<Option<Key>>,
    facts: Vec<(u32, Facts)>,
}

impl Segments {
    /// A write that ends at `at`, behind all before it.
    pub fn push(&mut self, at: u64, key: Option<Key>, requests: &[u8], facts: Facts) {
        if self.ends.is_empty() {
            self.from = at;
        }
        let behind = match u32::try_from(at.saturating_sub(self.from)) {
            Ok(behind) if self.bytes.len() < FULL => behind,
            Ok(_) | Err(_) => {
                self.close();
                self.from = at;
                0
            }
        };
        self.bytes.extend_from_slice(requests);
        if !self.facts.last().is_some_and(|(_, before)| before.is_as(&facts)) {
            self.facts.push((self.ends.len() as u32, facts));
        }
        // A request is shorter than 4 GiB, and is alone where it is longer than a segment.
        self.ends.push((behind, self.bytes.len() as u32));
        self.keys.push(key);
    }

    fn close(&mut self) {
        if self.ends.is_empty() {
            return;
        }
        self.done.push(Segment {
            from: self.from,
            // What is kept takes no more room than it needs; the buffers are used again.
            bytes: Bytes::copy_from_slice(&self.bytes),
            ends: self.ends.as_slice().into(),
            keys: self.keys.as_slice().into(),
            facts: self.facts.drain(..).collect(),
        });
        self.bytes.clear();
        self.bytes.shrink_to(2 * FULL);
        self.ends.clear();
        self.keys.clear();
    }

    /// What was pushed since the last time.
    pub fn take(&mut self) -> impl Iterator<Item = Segment> {
        self.close();
        self.done.drain(..)
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.done.is_empty() && self.ends.is_empty()
    }
}
