//! What clients of one region wrote, as it went to the other region, in the order of the region's stream.
//!
//! A server puts into its stream only what changed something. So what our transactions execute at a region is not read
//! from that region's stream: the marker there says which part of the other stream the transaction holds, and that part
//! is kept here.

use std::cell::Cell;
use std::collections::VecDeque;

use bytes::Bytes;

use super::exchange::Name;
use super::order::Order;
use super::stamp::Stamp;
use super::window::{Key, shown};
use crate::command::Spec;
use crate::wire::resp::{Command, FrameReader};

/// Bytes of writes that are kept at most before anything has met them; beyond it they are forgotten, and that is said.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// As many writes at most, likewise.
pub const MOST_WRITES: usize = 1 << 20;

/// A client's write.
#[derive(Debug, Clone)]
pub struct Write {
    /// Where it ends in the region's stream, bytes: its name.
    pub at: u64,
    /// Its database.
    pub database: u32,
    /// What it is.
    pub spec: &'static Spec,
    /// The only key that it names, where that is known.
    pub key: Option<Key>,
    /// The request; more than one where `requests` says so.
    pub bytes: Bytes,
    /// How many requests these are.
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

impl Write {
    /// By what it is known again, see [`shown`].
    pub fn shown(&self) -> Option<u64> {
        Some(shown(self.database, self.command(&mut FrameReader::new())?.arg(1)))
    }

    /// Its first request, found by `reader`, which is fresh.
    pub fn command<'a>(&'a self, reader: &'a mut FrameReader) -> Option<Command<'a>> {
        reader.next(&self.bytes).ok()??;
        Some(Command::new(&self.bytes, reader.arguments()))
    }

    /// The keys that it changes.
    pub fn written(&self) -> Vec<Name> {
        let mut reader = FrameReader::new();
        let Some(command) = self.command(&mut reader) else { return Vec::new() };
        self.spec.written(&command, self.database).map(|(database, name)| (database, name.to_vec())).collect()
    }
}

/// The writes of one region that are not stable yet.
#[derive(Debug, Default)]
pub struct Writes {
    queue: VecDeque<Write>,
    bytes: usize,
    /// Everything before it was read.
    read: u64,
    /// What stands before it is not known, or not any more.
    known: u64,
}

impl Writes {
    /// The region is read from `from` on.
    pub fn begin(&mut self, from: u64) {
        if self.read < from {
            self.clear();
            self.known = from;
        }
        self.known = self.known.min(from);
        while self.queue.back().is_some_and(|write| write.at > from) {
            self.queue.pop_back().into_iter().for_each(|write| self.bytes -= size(&write));
        }
        self.read = from;
    }

    /// These were read, and everything before `read`.
    pub fn extend(&mut self, writes: impl Iterator<Item = Write>, read: u64) {
        for write in writes {
            self.bytes += size(&write);
            self.queue.push_back(write);
        }
        self.read = self.read.max(read);
    }

    /// Up to where clients' writes are not known, or not any more.
    pub fn known(&self) -> u64 {
        self.known
    }

    /// Whether everything before `place` was read.
    pub fn is_read(&self, place: u64) -> bool {
        self.read >= place
    }

    /// What was written behind `since` and up to `high`, as far as it is kept; `None` where it was not read up to there yet.
    pub fn part(&self, since: u64, high: u64) -> Option<impl Iterator<Item = &Write>> {
        self.is_read(high).then(|| self.after(since).take_while(move |write| write.at <= high))
    }

    /// What was written behind `place`.
    pub fn after(&self, place: u64) -> impl Iterator<Item = &Write> {
        let first = self.queue.partition_point(|write| write.at <= place);
        self.queue.range(first..)
    }

    /// Up to where nothing was written behind `place`, as far as that is known; `place` where it is not.
    pub fn quiet_from(&self, place: u64) -> u64 {
        if place < self.known {
            return place;
        }
        let quiet = self.after(place).next().map_or(self.read, |write| write.at - 1);
        quiet.max(place)
    }

    /// The write that ends at `at`.
    pub fn get(&self, at: u64) -> Option<&Write> {
        self.after(at.checked_sub(1)?).next().filter(|write| write.at == at)
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Drops what is stable. Tells how many were dropped that are not, for want of memory.
    pub fn forget(&mut self, stable: u64) -> usize {
        self.known = self.known.max(stable);
        while self.queue.front().is_some_and(|write| write.at <= stable) {
            self.queue.pop_front().into_iter().for_each(|write| self.bytes -= size(&write));
        }
        if self.queue.len() <= MOST_WRITES && self.bytes <= MOST_BYTES {
            return 0;
        }
        let forgotten = self.queue.len();
        self.clear();
        self.known = self.read;
        forgotten
    }

    fn clear(&mut self) {
        self.queue.clear();
        self.bytes = 0;
    }
}

fn size(write: &Write) -> usize {
    write.bytes.len() + size_of::<Write>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::lookup;

    fn write(at: u64) -> Write {
        let spec = lookup(b"DEL").expect("it is known");
        let bytes = Bytes::from_static(b"*2\r\n$3\r\ndel\r\n$1\r\nk\r\n");
        Write {
            at,
            database: 0,
            spec,
            key: None,
            bytes,
            requests: 1,
            stamp: None,
            seen: 0,
            silent: false,
            weak: false,
            sees: 0,
            behind: Cell::default(),
        }
    }

    fn places(writes: &Writes, since: u64, high: u64) -> Option<Vec<u64>> {
        writes.part(since, high).map(|part| part.map(|write| write.at).collect())
    }

    #[test]
    fn a_part_is_given_once_it_was_read_to_its_end() {
        let mut writes = Writes::default();
        writes.begin(10);
        writes.extend([20, 30, 40].map(write).into_iter(), 50);
        assert_eq!(places(&writes, 20, 40), Some(vec![30, 40]));
        assert_eq!(places(&writes, 20, 50), Some(vec![30, 40]));
        assert_eq!(places(&writes, 20, 60), None);
        assert_eq!(writes.get(30).map(|write| write.at), Some(30));
        assert!(writes.get(31).is_none());
    }

    #[test]
    fn what_is_read_again_is_there_once() {
        let mut writes = Writes::default();
        writes.begin(10);
        writes.extend([20, 30, 40].map(write).into_iter(), 50);
        writes.begin(20);
        assert_eq!(places(&writes, 10, 20), Some(vec![20]));
        assert_eq!(places(&writes, 10, 30), None);
        writes.extend([30, 40].map(write).into_iter(), 45);
        assert_eq!(places(&writes, 10, 45), Some(vec![20, 30, 40]));
    }

    #[test]
    fn what_is_stable_is_dropped_and_what_is_too_much_is_told() {
        let mut writes = Writes::default();
        writes.extend((1..=5).map(write), 5);
        assert_eq!((writes.forget(2), writes.len()), (0, 3));
        writes.extend((6..=6 + MOST_WRITES as u64).map(write), 6 + MOST_WRITES as u64);
        assert_eq!(writes.forget(2), MOST_WRITES + 4);
        assert_eq!(writes.len(), 0);
    }
}
