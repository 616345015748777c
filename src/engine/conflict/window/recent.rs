//! Which keys clients wrote of late: as little as can be kept of a write that has met nothing.

use std::collections::VecDeque;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::Key;

/// A table or queue is given back where less than a quarter of more than so many places is used.
const ROOMY: usize = 1 << 14;

/// One write names one key.
#[derive(Debug, Clone, Copy)]
struct Mention {
    /// Where the write ends in the region's stream, bytes behind where its stretch begins.
    at: u32,
    /// A quarter of the key's hash: what it finds may be of another one, so who asks compares names.
    hash: u32,
    /// How many mentions ago the key was named before; 0 where that is not known.
    back: u32,
}

/// Mentions of keys, oldest first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    mentions: VecDeque<Mention>,
    /// How many mentions were forgotten: the number of the first one.
    first: u64,
    /// Stretches of the stream: the number of the first mention of each, and the place that its mentions count from.
    stretches: VecDeque<(u64, u64)>,
    /// The number of the last mention of each key, its lower half.
    last: HashTable<u32>,
}

impl Recent {
    /// A write that ends at `at` names this key. Writes come in the order of the stream.
    pub(super) fn push(&mut self, at: u64, key: Key) {
        let hash = part(key);
        let number = self.first + self.mentions.len() as u64;
        let base = self.stretches.back().map_or(at, |(_, base)| *base);
        let behind = u32::try_from(at.saturating_sub(base)).ok().filter(|_| !self.stretches.is_empty());
        if behind.is_none() {
            self.stretches.push_back((number, at));
        }
        let Self { mentions, first, last, .. } = self;
        let hash_of = |number: &u32| mentions.get(index(*first, *number)).map_or(0, |mention| mention.hash);
        let back = match last.entry(spread(hash), |of| hash_of(of) == hash, |number| spread(hash_of(number))) {
            Entry::Occupied(mut last) => (number as u32).wrapping_sub(std::mem::replace(last.get_mut(), number as u32)),
            Entry::Vacant(none) => {
                none.insert(number as u32);
                0
            }
        };
        mentions.push_back(Mention { at: behind.unwrap_or(0), hash, back });
    }

    /// Where the writes end that name this key, or another one of the same hash: oldest first, each once.
    pub(super) fn of(&self, key: Key) -> Vec<u64> {
        let mut next = self.last_of(key);
        let mut places = Vec::new();
        while let Some((index, named)) = next.and_then(|index| Some((index, self.mentions.get(index)?))) {
            places.push(self.place(index, named));
            next = if named.back == 0 { None } else { index.checked_sub(named.back as usize) };
        }
        places.dedup();
        places.reverse();
        places
    }

    /// Where a write ends in the stream.
    fn place(&self, index: usize, named: &Mention) -> u64 {
        let stretch = self.stretches.partition_point(|(first, _)| *first <= self.first + index as u64);
        let base = stretch.checked_sub(1).and_then(|stretch| self.stretches.get(stretch)).map_or(0, |(_, base)| *base);
        base + u64::from(named.at)
    }

    /// Whether this key is named, or another one of the same hash.
    pub(super) fn has(&self, key: Key) -> bool {
        self.last_of(key).is_some()
    }

    /// Which mention of this key is the last.
    fn last_of(&self, key: Key) -> Option<usize> {
        let hash = part(key);
        let is_it =
            |number: &u32| self.mentions.get(index(self.first, *number)).is_some_and(|mention| mention.hash == hash);
        self.last.find(spread(hash), is_it).map(|number| index(self.first, *number))
    }

    /// Forgets what ends at `stable` or before.
    pub(super) fn forget(&mut self, stable: u64) {
        while let Some(Mention { hash, .. }) = self.mentions.front().filter(|first| self.place(0, first) <= stable) {
            let number = self.first as u32;
            if let Ok(last) = self.last.find_entry(spread(*hash), |last| *last == number) {
                last.remove();
            }
            self.mentions.pop_front();
            self.first += 1;
            if self.stretches.get(1).is_some_and(|(next, _)| *next <= self.first) {
                self.stretches.pop_front();
            }
        }
        if self.mentions.is_empty() {
            self.stretches.clear();
        }
        self.give_back();
    }

    fn give_back(&mut self) {
        let Self { mentions, first, last, .. } = self;
        let used = mentions.len();
        if mentions.capacity() > ROOMY && mentions.capacity() / 4 > used {
            mentions.shrink_to(2 * used);
        }
        if last.capacity() > ROOMY && last.capacity() / 4 > used {
            let hash_of = |number: &u32| mentions.get(index(*first, *number)).map_or(0, |mention| mention.hash);
            last.shrink_to(2 * used, |number| spread(hash_of(number)));
        }
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

/// Where the mention stands whose number has this lower half, the first one having the number `first`.
fn index(first: u64, number: u32) -> usize {
    number.wrapping_sub(first as u32) as usize
}

/// Keys' hashes are seeded, and as good as random in each part.
fn part(key: Key) -> u32 {
    key.get() as u32
}

/// The table looks at the highest bits and the lowest.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
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
        assert!(recent.is_empty() && recent.of(one).is_empty() && recent.last.is_empty());
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
        assert!(recent.is_empty() && recent.stretches.is_empty() && recent.last.is_empty());
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
        assert!(recent.mentions.capacity() < ROOMY && recent.last.capacity() < ROOMY);
        assert!((0..50_000).all(|number| recent.of(key(number)).len() == usize::from(number >= 49_000)));
    }
}
