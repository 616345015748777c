//! What clients of one region wrote, as it went to the other region, in the order of the region's stream.
//!
//! A server puts into its stream only what changed something. So what our transactions execute at a region is not read
//! from that region's stream: the marker there says which part of the other stream the transaction holds, and that part
//! is kept here.

mod segment;

use std::collections::VecDeque;

pub use segment::{Facts, Segment, Segments, Write};

/// Bytes of memory that a region's writes take at most while they are not stable; beyond it they are forgotten, and that
/// is said.
const MOST_BYTES: usize = 256 * 1024 * 1024;
/// As many writes at most, likewise.
pub const MOST_WRITES: usize = 1 << 22;

/// The writes of one region that are not stable yet.
#[derive(Debug, Default)]
pub struct Writes {
    segments: VecDeque<Segment>,
    /// How many writes there are in all segments, and bytes of memory.
    all: usize,
    bytes: usize,
    /// How many writes of the first segment are forgotten: it stays until all are.
    gone: usize,
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
        while self.segments.back().is_some_and(|last| last.last() > from) {
            let Some(last) = self.segments.pop_back() else { break };
            self.bytes -= last.size();
            self.all -= last.len();
            let mut before = Segments::default();
            let read = last.after(0).take_while(|write| write.at <= from);
            read.for_each(|write| before.push(write.at, write.key, write.requests(), write.facts.clone()));
            before.take().for_each(|before| self.push(before));
        }
        self.gone = self.gone.min(self.segments.front().map_or(0, Segment::len));
        self.read = from;
    }

    /// These were read, and everything before `read`.
    pub fn extend(&mut self, segments: impl Iterator<Item = Segment>, read: u64) {
        segments.for_each(|segment| self.push(segment));
        self.read = self.read.max(read);
    }

    fn push(&mut self, segment: Segment) {
        self.bytes += segment.size();
        self.all += segment.len();
        self.segments.push_back(segment);
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
    pub fn part(&self, since: u64, high: u64) -> Option<impl Iterator<Item = Write<'_>>> {
        self.is_read(high).then(|| self.after(since).take_while(move |write| write.at <= high))
    }

    /// What was written behind `place`.
    pub fn after(&self, place: u64) -> impl Iterator<Item = Write<'_>> {
        let first = self.segments.partition_point(|segment| segment.last() <= place);
        let gone = if first == 0 { self.gone } else { 0 };
        let mut begin = self.segments.get(first).map_or(0, |segment| segment.until(place)).max(gone);
        self.segments.range(first..).flat_map(move |segment| segment.after(std::mem::take(&mut begin)))
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
    pub fn get(&self, at: u64) -> Option<Write<'_>> {
        self.after(at.checked_sub(1)?).next().filter(|write| write.at == at)
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.all - self.gone
    }

    /// Drops what is stable. Tells how many were dropped that are not, for want of memory.
    pub fn forget(&mut self, stable: u64) -> usize {
        self.known = self.known.max(stable);
        while self.segments.front().is_some_and(|first| first.last() <= stable) {
            let Some(first) = self.segments.pop_front() else { break };
            self.bytes -= first.size();
            self.all -= first.len();
            self.gone = 0;
        }
        self.gone = self.segments.front().map_or(0, |first| first.until(stable)).max(self.gone);
        if self.len() <= MOST_WRITES && self.bytes <= MOST_BYTES {
            return 0;
        }
        let forgotten = self.len();
        self.clear();
        self.known = self.read;
        forgotten
    }

    fn clear(&mut self) {
        self.segments.clear();
        (self.all, self.bytes, self.gone) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn segments(places: impl Iterator<Item = u64>) -> Segments {
        let mut segments = Segments::default();
        for at in places {
            let facts = Facts {
                database: 0,
                requests: 1,
                stamp: None,
                seen: at / 100,
                silent: false,
                weak: false,
                sees: 0,
                behind: Cell::default(),
            };
            segments.push(
                at,
                None,
                format!("*2\r\n$3\r\ndel\r\n${}\r\n{at}\r\n", at.to_string().len()).as_bytes(),
                facts,
            );
        }
        segments
    }

    fn extend(writes: &mut Writes, places: impl Iterator<Item = u64>, read: u64) {
        writes.extend(segments(places).take(), read);
    }

    fn places(writes: &Writes, since: u64, high: u64) -> Option<Vec<u64>> {
        let is_right = |write: &Write<'_>| write.written() == [(0, write.at.to_string().into_bytes())];
        let part = writes.part(since, high)?;
        Some(
            part.inspect(|write| assert!(is_right(write) && write.facts.seen == write.at / 100))
                .map(|write| write.at)
                .collect(),
        )
    }

    #[test]
    fn a_part_is_given_once_it_was_read_to_its_end() {
        let mut writes = Writes::default();
        writes.begin(10);
        extend(&mut writes, [20, 30, 40].into_iter(), 50);
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
        extend(&mut writes, [20, 30, 40].into_iter(), 50);
        writes.begin(20);
        assert_eq!(places(&writes, 10, 20), Some(vec![20]));
        assert_eq!(places(&writes, 10, 30), None);
        extend(&mut writes, [30, 40].into_iter(), 45);
        assert_eq!(places(&writes, 10, 45), Some(vec![20, 30, 40]));
        assert_eq!(writes.len(), 3);
    }

    #[test]
    fn many_writes_are_found_by_their_places_whatever_is_forgotten_of_them() {
        let mut writes = Writes::default();
        // Of several segments each, and with places that are too far from each other for one.
        for begin in [1, 10_001, 20_001, 1 << 40] {
            extend(&mut writes, begin..begin + 10_000, begin + 10_000);
        }
        assert!(writes.segments.len() > 10, "{}", writes.segments.len());
        let all = |writes: &Writes| places(writes, 0, (1 << 40) + 10_000).expect("it was read").len();
        assert_eq!((all(&writes), writes.len()), (40_000, 40_000));
        let size = writes.bytes;
        for stable in [0, 1, 2_500, 12_345, 12_346, 30_000] {
            assert_eq!(writes.forget(stable), 0);
            assert_eq!((all(&writes), writes.len()), (40_000 - stable as usize, 40_000 - stable as usize));
            assert!(writes.get(stable).is_none(), "{stable}");
            assert_eq!(writes.get((1 << 40) + stable / 4).map(|write| write.at), Some((1 << 40) + stable / 4));
        }
        assert!(writes.bytes < size / 3 && size < 40_000 * 60, "{} {size}", writes.bytes);
        writes.begin((1 << 40) + 99);
        assert_eq!((places(&writes, 0, (1 << 40) + 99).map(|all| all.len()), writes.len()), (Some(100), 100));
        writes.begin(25_000);
        assert_eq!((writes.len(), writes.segments.len()), (0, 0));
    }

    #[test]
    fn what_is_stable_is_dropped_and_what_is_too_much_is_told() {
        let mut writes = Writes::default();
        extend(&mut writes, 1..=5, 5);
        assert_eq!((writes.forget(2), writes.len()), (0, 3));
        extend(&mut writes, 6..=6 + MOST_WRITES as u64, 6 + MOST_WRITES as u64);
        assert_eq!(writes.forget(2), MOST_WRITES + 4);
        assert_eq!(writes.len(), 0);
    }
}
