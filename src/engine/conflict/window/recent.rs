//! Which keys clients wrote of late: as little as can be kept of a write that has met nothing.

use std::collections::VecDeque;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::Key;

/// One write names one key.
#[derive(Debug, Clone, Copy)]
struct Mention {
    /// Where the write ends in the region's stream, bytes.
    at: u64,
    /// Half of the key's hash: what it finds may be of another one, so who asks compares names.
    hash: u64,
    /// How many mentions ago the key was named before; 0 where that is not known.
    back: u32,
}

/// Mentions of keys, oldest first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    mentions: VecDeque<Mention>,
    /// How many mentions were forgotten: the number of the first one.
    first: u64,
    /// The number of the last mention of each key.
    last: HashTable<u64>,
}

impl Recent {
    /// A write that ends at `at` names this key. Writes come in the order of the stream.
    pub(super) fn push(&mut self, at: u64, key: Key) {
        let hash = half(key);
        let Self { mentions, first, last } = self;
        let number = *first + mentions.len() as u64;
        let hash_of = |number: &u64| mentions.get((number - *first) as usize).map_or(0, |mention| mention.hash);
        let back = match last.entry(hash, |of| hash_of(of) == hash, hash_of) {
            Entry::Occupied(mut last) => number - std::mem::replace(last.get_mut(), number),
            Entry::Vacant(none) => {
                none.insert(number);
                0
            }
        };
        mentions.push_back(Mention { at, hash, back: u32::try_from(back).unwrap_or(0) });
    }

    /// Where the writes end that name this key, or another one of the same hash: oldest first, each once.
    pub(super) fn of(&self, key: Key) -> Vec<u64> {
        let mut next = self.last_of(key);
        let mut places = Vec::new();
        while let Some((number, named)) = next.and_then(|number| Some((number, self.mention(number)?))) {
            places.push(named.at);
            next = if named.back == 0 { None } else { number.checked_sub(named.back.into()) };
        }
        places.dedup();
        places.reverse();
        places
    }

    /// Whether this key is named, or another one of the same hash.
    pub(super) fn has(&self, key: Key) -> bool {
        self.last_of(key).is_some()
    }

    /// The number of the last mention of this key.
    fn last_of(&self, key: Key) -> Option<u64> {
        let hash = half(key);
        self.last.find(hash, |number| self.mention(*number).is_some_and(|mention| mention.hash == hash)).copied()
    }

    /// The mention of this number; nothing where it is forgotten.
    fn mention(&self, number: u64) -> Option<&Mention> {
        self.mentions.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Forgets what ends at `stable` or before.
    pub(super) fn forget(&mut self, stable: u64) {
        while self.mentions.front().is_some_and(|mention| mention.at <= stable) {
            let Some(Mention { hash, .. }) = self.mentions.pop_front() else { break };
            let number = self.first;
            if let Ok(last) = self.last.find_entry(hash, |last| *last == number) {
                last.remove();
            }
            self.first += 1;
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

/// Keys' hashes are seeded, and as good as random in each half.
fn half(key: Key) -> u64 {
    key.get() as u64
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
    fn many_keys_grow_the_table() {
        let mut recent = Recent::default();
        // As hashes are: spread over all bits.
        let key =
            |number: u64| Key::from(NonZeroU64::new((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).expect("odd"));
        (0..10_000).for_each(|number| recent.push(number + 1, key(number % 5_000)));
        assert!((0..5_000).all(|number| recent.of(key(number)) == [number + 1, number + 5_001]));
        recent.forget(7_500);
        assert!((0..5_000).all(|number| recent.of(key(number)).len() == usize::from(number >= 2_500)));
    }
}
