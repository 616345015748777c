//! Writes that take from one key what they put into another one: what is wrong with the one is wrong with the other.

use std::collections::{BTreeMap, BTreeSet};

use super::Key;
use crate::engine::conflict::exchange::Name;

/// One execution of such a write.
#[derive(Debug)]
pub(super) struct Tie {
    /// Where it stands in the stream.
    pub(super) at: u64,
    /// The keys that it names.
    pub(super) keys: Vec<Key>,
    /// Those of them that it writes.
    pub(super) written: Vec<Name>,
}

/// Such writes as they were executed, by number, and by their keys: a queue that many work on has one for each item.
#[derive(Debug, Default)]
pub(super) struct Ties {
    all: BTreeMap<u64, Tie>,
    of: BTreeSet<(Key, u64)>,
    next: u64,
}

impl Ties {
    pub(super) fn push(&mut self, tie: Tie) {
        self.of.extend(tie.keys.iter().map(|key| (*key, self.next)));
        self.all.insert(self.next, tie);
        self.next += 1;
    }

    /// Whether there is one with this key.
    pub(super) fn has(&self, key: Key) -> bool {
        self.of.range((key, 0)..=(key, u64::MAX)).next().is_some()
    }

    /// The keys that such writes have put in doubt since this one was not as it should be, each write once.
    pub(super) fn take(&mut self, key: Key) -> BTreeSet<Name> {
        let numbers: Vec<u64> = self.of.range((key, 0)..=(key, u64::MAX)).map(|(_, number)| *number).collect();
        numbers.into_iter().filter_map(|number| self.remove(number)).flat_map(|tie| tie.written).collect()
    }

    /// Forgets the oldest, as far as they were executed up to `at`.
    pub(super) fn forget(&mut self, at: u64) {
        while let Some((number, tie)) = self.all.first_key_value()
            && tie.at <= at
        {
            self.remove(*number);
        }
    }

    /// Forgets all that were executed up to `at`.
    pub(super) fn cut(&mut self, at: u64) {
        let numbers: Vec<u64> = self.all.iter().filter(|(_, tie)| tie.at <= at).map(|(number, _)| *number).collect();
        numbers.into_iter().for_each(|number| _ = self.remove(number));
    }

    fn remove(&mut self, number: u64) -> Option<Tie> {
        let tie = self.all.remove(&number)?;
        tie.keys.iter().for_each(|key| _ = self.of.remove(&(*key, number)));
        Some(tie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u128) -> Key {
        Key::new(number).expect("not 0")
    }

    fn tie(at: u64, from: u128, to: u128) -> Tie {
        Tie { at, keys: vec![key(from), key(to)], written: vec![(0, vec![from as u8]), (0, vec![to as u8])] }
    }

    #[test]
    fn a_write_is_told_once_by_whichever_of_its_keys() {
        let mut ties = Ties::default();
        [tie(1, 1, 2), tie(2, 2, 3), tie(3, 2, 3), tie(4, 4, 4)].into_iter().for_each(|tie| ties.push(tie));
        let names = |numbers: &[u8]| numbers.iter().map(|number| (0, vec![*number])).collect::<BTreeSet<_>>();
        assert_eq!(ties.take(key(3)), names(&[2, 3]));
        assert_eq!(ties.take(key(2)), names(&[1, 2]));
        assert!(ties.take(key(1)).is_empty() && ties.take(key(5)).is_empty() && !ties.all.is_empty());
        assert!(ties.has(key(4)) && !ties.has(key(5)));
        assert_eq!(ties.take(key(4)), names(&[4]));
        assert!(ties.all.is_empty() && ties.of.is_empty());
    }

    #[test]
    fn what_is_forgotten_is_told_no_more() {
        let mut ties = Ties::default();
        [tie(5, 1, 2), tie(3, 1, 3), tie(7, 1, 4)].into_iter().for_each(|tie| ties.push(tie));
        ties.forget(4);
        assert_eq!(ties.all.len(), 3, "only the oldest ones");
        ties.cut(4);
        ties.forget(6);
        assert_eq!((ties.all.len(), ties.of.len()), (1, 2));
        assert_eq!(ties.take(key(1)).len(), 2);
    }
}
