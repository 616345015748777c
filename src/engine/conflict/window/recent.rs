//! Which keys clients wrote of late: as little as can be kept of a write that has met nothing.

use std::collections::VecDeque;

use super::Key;

/// The least number of buckets, and of places in the queue that is not given back.
const LEAST: usize = 1 << 10;

/// One write names one key.
#[derive(Debug, Clone, Copy)]
struct Mention {
    /// Where the write ends in the region's stream, bytes behind where its stretch begins.
    at: u32,
    /// A quarter of the key's hash: what it finds may be of another one, so who asks compares names.
    hash: u32,
    /// How many mentions ago a key of the same bucket was named; 0 where none was.
    back: u32,
}

/// Mentions of keys, oldest first. They are numbered; numbers are kept as their lower halves.
///
/// A bucket leads to its last mention, and each mention to the one before it: so nothing is to be done where mentions are
/// forgotten, and to note one costs a single place of memory out of order. A key that is named all the time makes its
/// bucket's way long; but it is at the front of it, and of the others few come that way.
#[derive(Debug, Default)]
pub(super) struct Recent {
    mentions: VecDeque<Mention>,
    /// How many mentions were forgotten: the number of the first one.
    first: u64,
    /// Stretches of the stream: the number of the first mention of each, and the place that its mentions count from.
    stretches: VecDeque<(u64, u64)>,
    /// The number of the last mention in each bucket: one that is not kept any more, where there is none. As many as a power
    /// of two.
    buckets: Vec<u32>,
}

impl Recent {
    /// A write that ends at `at` names this key. Writes come in the order of the stream.
    pub(super) fn push(&mut self, at: u64, key: Key) {
        if self.mentions.len() >= self.buckets.len() {
            self.sort_into((2 * self.buckets.len()).max(LEAST));
        }
        let number = self.first + self.mentions.len() as u64;
        let base = self.stretches.back().and_then(|(_, base)| u32::try_from(at.saturating_sub(*base)).ok());
        if base.is_none() {
            self.stretches.push_back((number, at));
        }
        let hash = part(key);
        let back = self.last_in_bucket(hash).map_or(0, |last| self.mentions.len() - last);
        self.mentions.push_back(Mention { at: base.unwrap_or(0), hash, back: back as u32 });
        let bucket = self.bucket(hash);
        self.buckets[bucket] = number as u32;
    }

    /// Where the writes end that name this key, or another one of the same hash: oldest first, each once.
    pub(super) fn of(&self, key: Key) -> Vec<u64> {
        let hash = part(key);
        let mut places: Vec<u64> = self
            .way(hash)
            .filter(|(_, named)| named.hash == hash)
            .map(|(index, named)| self.place(index, named))
            .collect();
        places.dedup();
        places.reverse();
        places
    }

    /// Whether this key is named, or another one of the same hash.
    pub(super) fn has(&self, key: Key) -> bool {
        let hash = part(key);
        self.way(hash).any(|(_, named)| named.hash == hash)
    }

    /// The mentions in the bucket of this hash, the last one first.
    fn way(&self, hash: u32) -> impl Iterator<Item = (usize, &Mention)> {
        let mut next = self.last_in_bucket(hash);
        std::iter::from_fn(move || {
            let index = next?;
            let named = self.mentions.get(index)?;
            next = if named.back == 0 { None } else { index.checked_sub(named.back as usize) };
            Some((index, named))
        })
    }

    /// Where the write ends in the stream.
    fn place(&self, index: usize, named: &Mention) -> u64 {
        let stretch = self.stretches.partition_point(|(first, _)| *first <= self.first + index as u64);
        let base = stretch.checked_sub(1).and_then(|stretch| self.stretches.get(stretch)).map_or(0, |(_, base)| *base);
        base + u64::from(named.at)
    }

    /// Forgets what ends at `stable` or before.
    pub(super) fn forget(&mut self, stable: u64) {
        while self.mentions.front().is_some_and(|first| self.place(0, first) <= stable) {
            self.mentions.pop_front();
            self.first += 1;
            if self.stretches.get(1).is_some_and(|(next, _)| *next <= self.first) {
                self.stretches.pop_front();
            }
        }
        if self.mentions.is_empty() {
            self.stretches.clear();
        }
        let used = self.mentions.len();
        if self.mentions.capacity() > LEAST && self.mentions.capacity() / 8 > used {
            self.mentions.shrink_to(2 * used);
        }
        if self.buckets.len() > LEAST && self.buckets.len() / 8 > used {
            self.sort_into((2 * used).next_power_of_two().max(LEAST));
        }
    }

    /// Sorts all mentions into so many buckets.
    fn sort_into(&mut self, buckets: usize) {
        self.buckets.clear();
        self.buckets.resize(buckets, (self.first as u32).wrapping_sub(1));
        self.buckets.shrink_to(buckets);
        for index in 0..self.mentions.len() {
            let Some(Mention { hash, .. }) = self.mentions.get(index).copied() else { break };
            let bucket = self.bucket(hash);
            let back = self.last_in_bucket(hash).map_or(0, |last| index - last);
            self.buckets[bucket] = (self.first as u32).wrapping_add(index as u32);
            if let Some(mention) = self.mentions.get_mut(index) {
                mention.back = back as u32;
            }
        }
    }

    fn bucket(&self, hash: u32) -> usize {
        hash as usize & self.buckets.len().saturating_sub(1)
    }

    /// Which mention is the last in the bucket of this hash. What is so old that its number came round again is not of
    /// this key, as a rule, and of use to nobody.
    fn last_in_bucket(&self, hash: u32) -> Option<usize> {
        let number = *self.buckets.get(self.bucket(hash))?;
        Some(number.wrapping_sub(self.first as u32) as usize).filter(|index| *index < self.mentions.len())
    }

    /// How many mentions are kept.
    pub(super) fn len(&self) -> usize {
        self.mentions.len()
    }

    /// Whether none is.
    pub(super) fn is_empty(&self) -> bool {
        self.mentions.is_empty()
    }
}

/// Keys' hashes are seeded, and as good as random in each part.
fn part(key: Key) -> u32 {
    key.get() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU64;

    #[test]
    fn a_key_is_found_where_it_was_named_until_that_is_forgotten() {
        let mut recent = Recent::default();
        let [one, two, three, four] = [1, 2, 3, 4].map(|key| Key::new(key).expect("not 0"));
        for (at, key) in [(10, one), (20, two), (30, one), (30, one), (40, three)] {
            recent.push(at, key);
        }
        assert_eq!((recent.of(one), recent.of(two), recent.of(four)), (vec![10, 30], vec![20], vec![]));
        recent.forget(20);
        assert_eq!((recent.of(one), recent.of(two), recent.len()), (vec![30], vec![], 3));
        assert_eq!([one, two, three, four].map(|key| recent.has(key)), [true, false, true, false]);
        recent.push(50, one);
        assert_eq!(recent.of(one), [30, 50]);
        recent.forget(50);
        assert!(recent.is_empty() && recent.of(one).is_empty());
        recent.push(60, one);
        assert_eq!(recent.of(one), [60]);
    }

    #[test]
    fn places_are_told_however_far_they_are_from_each_other() {
        let mut recent = Recent::default();
        let [one, two] = [1, 2].map(|key| Key::new(key).expect("not 0"));
        let places: Vec<u64> = (0..6).map(|step| 7 + step * (u64::from(u32::MAX) - 3)).collect();
        places.iter().for_each(|at| recent.push(*at, one));
        recent.push(places[5], two);
        assert!(recent.stretches.len() > 2);
        for first in 0..6 {
            assert_eq!((recent.of(one), recent.of(two)), (places[first..].to_vec(), vec![places[5]]));
            recent.forget(places[first]);
        }
        assert!(recent.is_empty() && recent.stretches.is_empty());
    }

    #[test]
    fn many_keys_grow_the_table() {
        let mut recent = Recent::default();
        // As hashes are: spread over all bits.
        let key =
            |number: u64| Key::from(NonZeroU64::new((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).expect("odd"));
        (0..10_000).for_each(|number| recent.push(number + 1, key(number % 5_000)));
        assert!((0..5_000).all(|number| recent.of(key(number)) == [number + 1, number + 5_001]));
        recent.forget(7_500);
        assert!((0..5_000).all(|number| recent.of(key(number)).len() == usize::from(number >= 2_500)));
        (0..100_000).for_each(|number| recent.push(number + 10_001, key(number % 50_000)));
        recent.forget(109_000);
        assert!(recent.mentions.capacity() < 5_000 && recent.buckets.len() < 5_000);
        assert!((0..50_000).all(|number| recent.of(key(number)).len() == usize::from(number >= 49_000)));
    }
}
