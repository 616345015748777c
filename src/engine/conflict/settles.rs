//! Keys whose values are being made equal: the value of one region is read, its place in that region's stream found, and
//! then it is put at the other one.
//!
//! What clients of that one wrote, and the value lacks, is executed again once it has been read in that region's stream.
//! Should the stream break off before, it is lost in both. So a value that is known waits until the stream was read up to a
//! fence that is set there then: what can be lost is what was written in that moment, not what a lagging link has not read
//! for minutes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Included, Unbounded};

use bytes::Bytes;

use super::exchange::{Name, Placed, Value};
use super::log::Met;
use super::order::Order;
use super::stamp::Stamp;

/// How long the value of a key is let alone after it was taken for the `n`th time in a row, milliseconds: doubling.
const FIRST_PAUSE_MS: i64 = 20;
/// The longest such pause.
const LONGEST_PAUSE_MS: i64 = 2_000;
/// Keys whose values are on their way at the same time: over a long distance many are, so that it is not the way that counts.
const MOST_VALUES: usize = 512;
/// Of these are read at once.
const MOST_AT_ONCE: usize = 64;
/// How often the value of a key is read again since a later write of the whole key is executed again where it was read: both
/// regions may write it all the time.
const MOST_WAITED: u32 = 8;
/// While so many bytes of values are on their way no more are read.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// Keys that one call looks at: there may be as many as both regions wrote while they were apart.
const MOST_LOOKED_AT: usize = 1_024;

/// The latest write that a region knows.
pub type Latest = (Order, Stamp);

/// A value that somebody has to read at a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name: to be written into the region's nonce in the same transaction.
    pub id: u64,
    /// The key.
    pub name: Name,
}

/// A key whose value is to be made equal.
#[derive(Debug)]
struct Settle {
    /// When it was asked for, by number.
    asked: u64,
    /// Which regions can't repair it by themselves, with the latest write that they know.
    doubted: [Option<Latest>; 2],
    not_before_ms: Option<i64>,
    rounds: u32,
    /// How often a value was not taken since a later write is executed again.
    waited: u32,
    taking: Option<Taking>,
    /// What met, where that is to be put on record once the value has arrived.
    met: Option<Met>,
}

impl Settle {
    /// Whether it was let alone for long enough since its value was taken last.
    fn is_due(&mut self, now_ms: i64) -> bool {
        let pause = if self.rounds > 1 { FIRST_PAUSE_MS << (self.rounds - 1).min(10) } else { 0 };
        *self.not_before_ms.get_or_insert(now_ms + pause.min(LONGEST_PAUSE_MS)) <= now_ms
    }

    /// The region that gives the value: one that is in order; of two that are not, the one with the later write.
    fn giver(&self, name: &Name, damaged: [&BTreeSet<Name>; 2]) -> usize {
        match self.doubted {
            _ if damaged[0].contains(name) => 1,
            _ if damaged[1].contains(name) => 0,
            [Some(ours), Some(theirs)] => usize::from(theirs > ours),
            [Some(_), None] => 1,
            [None, _] => 0,
        }
    }
}

/// A value on its way.
#[derive(Debug)]
struct Taking {
    id: u64,
    from: usize,
    read: Option<(Option<Bytes>, Option<i64>)>,
    placed: Option<Placed>,
    posted: bool,
    /// Of the value, once it was read.
    bytes: usize,
}

/// All such keys.
#[derive(Debug, Default)]
pub struct Settles {
    all: BTreeMap<Name, Settle>,
    /// They by the numbers under which they were asked for.
    asked: BTreeMap<u64, Name>,
    /// Those whose values are on their way, by the numbers of these.
    taking: BTreeMap<u64, Name>,
    /// Bytes of those that were read.
    bytes: usize,
    /// Up to where each region was looked at.
    looked_at: [Option<Name>; 2],
    fences: [Fence; 2],
}

/// Values that are put at a region once its stream was read up to a fence.
#[derive(Debug, Default)]
struct Fence {
    values: VecDeque<Value>,
    /// The fence that was set, or is being set, and for how many of them that was. The others wait for the next one.
    set: Option<(u64, usize)>,
    /// It could not be set: not again before this time, milliseconds.
    not_before_ms: i64,
    /// The stream has broken off: what of it may still come says nothing of now.
    broken: bool,
}

impl Settles {
    /// `region` can't repair this key by itself; `number` is larger than any before.
    pub fn ask(&mut self, number: u64, region: usize, name: Name, latest: Latest, (rounds, met): (u32, Option<Met>)) {
        let Self { all, asked, .. } = self;
        let settle = all.entry(name).or_insert_with_key(|name| {
            asked.insert(number, name.clone());
            Settle {
                asked: number,
                doubted: [None; 2],
                not_before_ms: None,
                rounds,
                waited: 0,
                taking: None,
                met: None,
            }
        });
        settle.doubted[region] = Some(latest);
        settle.rounds = settle.rounds.max(rounds);
        settle.met = settle.met.or(met);
    }

    /// The keys.
    pub fn names(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.all.keys().map(|(database, name)| (*database, name.as_slice()))
    }

    /// The keys that were asked for behind this number, each with its own.
    pub fn asked_behind(&self, number: u64) -> impl Iterator<Item = (u64, &Name)> {
        self.asked.range((Excluded(number), Unbounded)).map(|(number, name)| (*number, name))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether this is one: until its value has arrived, neither region repairs it.
    pub fn has(&self, database: u32, name: &[u8]) -> bool {
        self.get(database, name).is_some()
    }

    /// Whether its value is on its way: then it is too late to repair the region that gives it.
    pub fn is_taking(&self, database: u32, name: &[u8]) -> bool {
        self.get(database, name).is_some_and(|settle| settle.taking.is_some())
    }

    /// Whether its value as it was at some place of the stream of `region` is: what is found to be wrong with it now may be of
    /// later than that.
    pub fn has_given(&self, region: usize, database: u32, name: &[u8]) -> bool {
        let taking = self.get(database, name).and_then(|settle| settle.taking.as_ref());
        taking.is_some_and(|taking| taking.from == region && taking.placed.is_some())
    }

    fn get(&self, database: u32, name: &[u8]) -> Option<&Settle> {
        // As a rule there is none, and no name has to be made for it.
        if self.is_empty() { None } else { self.all.get(&(database, name.to_vec())) }
    }

    /// Gives all of them up. Tells for each which regions could not repair it.
    pub fn give_up(&mut self) -> impl Iterator<Item = (Name, [bool; 2])> + use<> {
        let all = std::mem::take(self).all;
        all.into_iter().map(|(name, settle)| (name, settle.doubted.map(|doubted| doubted.is_some())))
    }

    /// Values that are to be read at `region` now, each by a number that `next` makes; `now_ms` counts from anywhere, and
    /// never back. Keys that are `damaged` in a region are not taken from there, and those that are to be repaired in it are
    /// not yet. And whether more are to be read later.
    pub fn wanted(
        &mut self,
        region: usize,
        now_ms: i64,
        damaged: [&BTreeSet<Name>; 2],
        repairs: &BTreeSet<(usize, Name)>,
        next: &mut u64,
    ) -> (Vec<Wanted>, bool) {
        if self.fences[1 - region].broken {
            // What can't be put is not read.
            return (Vec::new(), false);
        }
        let Self { all, taking: on_their_way, looked_at, bytes, .. } = self;
        let room =
            if *bytes < MOST_BYTES { MOST_VALUES.saturating_sub(on_their_way.len()).min(MOST_AT_ONCE) } else { 0 };
        let mut wanted = Vec::new();
        let mut later = all.len() > on_their_way.len().max(MOST_LOOKED_AT);
        let from = looked_at[region].clone();
        let (behind, before) = match &from {
            Some(last) => ((Excluded(last), Unbounded), Some((Unbounded, Included(last)))),
            None => ((Unbounded, Unbounded), None),
        };
        let mut looked = 0;
        for range in [Some(behind), before].into_iter().flatten() {
            let mut last = None;
            for (name, settle) in all.range_mut::<Name, _>(range) {
                if wanted.len() >= room || looked >= MOST_LOOKED_AT {
                    later = true;
                    break;
                }
                looked += 1;
                last = Some(name);
                if settle.taking.is_some() {
                    continue;
                }
                let is_due = settle.is_due(now_ms);
                let gives = settle.giver(name, damaged) == region;
                if !is_due || gives && repairs.contains(&(region, name.clone())) {
                    later = true;
                } else if gives {
                    *next += 1;
                    let id = *next;
                    settle.taking =
                        Some(Taking { id, from: region, read: None, placed: None, posted: false, bytes: 0 });
                    wanted.push(Wanted { id, name: name.clone() });
                }
            }
            if let Some(last) = last {
                looked_at[region] = Some(last.clone());
            }
        }
        on_their_way.extend(wanted.iter().map(|wanted| (wanted.id, wanted.name.clone())));
        (wanted, later)
    }

    /// The fence that is to be set at `region` now, if values wait for one. Otherwise, whether one is to be set later.
    pub fn fence(&mut self, region: usize, now_ms: i64, next: &mut u64) -> (Option<u64>, bool) {
        if !self.wants_fence(region) {
            return (None, false);
        }
        let fence = &mut self.fences[region];
        if now_ms < fence.not_before_ms {
            return (None, true);
        }
        *next += 1;
        fence.set = Some((*next, fence.values.len()));
        (Some(*next), false)
    }

    /// The fence could not be set at `region`: another one will be, after a while.
    pub fn not_set(&mut self, region: usize, now_ms: i64) {
        let fence = &mut self.fences[region];
        (fence.set, fence.not_before_ms) = (None, now_ms + LONGEST_PAUSE_MS);
    }

    /// The nonce `number` was read in the stream of `region`. Gives the values that may be put there now.
    pub fn passed(&mut self, region: usize, number: u64) -> impl Iterator<Item = Value> {
        let Fence { values, set, .. } = &mut self.fences[region];
        let passed = set.take_if(|(fence, _)| *fence == number).map_or(0, |(_, count)| count);
        values.drain(..passed)
    }

    /// Whether values wait for a fence at `region` that was not set yet.
    pub fn wants_fence(&self, region: usize) -> bool {
        let Fence { values, set, broken, .. } = &self.fences[region];
        !values.is_empty() && set.is_none() && !broken
    }

    /// The key whose value is taken under this number.
    pub fn name_of(&self, id: u64) -> Option<&Name> {
        self.taking.get(&id)
    }

    /// The region that gives the value `id`.
    pub fn giver(&self, id: u64) -> Option<usize> {
        Some(self.all.get(self.taking.get(&id)?)?.taking.as_ref()?.from)
    }

    /// The value `id` is an earlier one than the latest that its region has executed: tells whether to wait until that was
    /// executed again. A region that can't repair the key by itself would not.
    pub fn waits_for_latest(&mut self, id: u64) -> bool {
        let Some(from) = self.giver(id) else { return false };
        let Some(settle) = self.taking.get(&id).and_then(|name| self.all.get_mut(name)) else { return false };
        let waits = settle.doubted[from].is_none() && settle.waited < MOST_WAITED;
        settle.waited += u32::from(waits);
        waits
    }

    /// The value `id` is not taken, but one of the same key later: at once, or where it could not be read after a while.
    pub fn not_taken(&mut self, id: u64, could_not_be_read_ms: Option<i64>) {
        let settle = self.taking.remove(&id).and_then(|name| self.all.get_mut(&name));
        if let Some(settle) = settle {
            self.bytes -= settle.taking.take().map_or(0, |taking| taking.bytes);
            if let Some(now_ms) = could_not_be_read_ms {
                settle.not_before_ms = Some(now_ms + LONGEST_PAUSE_MS);
            }
        }
    }

    /// The stream of `region` has broken off: nothing is put there until a session begins, and neither are these, which were
    /// about to be.
    pub fn breaks_off(&mut self, region: usize, unsent: impl Iterator<Item = Value>) {
        let fence = &mut self.fences[region];
        fence.broken = true;
        fence.set = None;
        let values: Vec<Value> = fence.values.drain(..).chain(unsent).collect();
        for Value { name, .. } in values {
            let taking = self.all.get(&name).and_then(|settle| settle.taking.as_ref());
            taking.map(|taking| taking.id).into_iter().for_each(|id| self.not_taken(id, None));
        }
    }

    /// The value `id` was read: as DUMP gives it, and when it expires. Once its place is known, too, it waits for a fence.
    pub fn read(&mut self, id: u64, payload: Option<Bytes>, expires_at_ms: Option<i64>) {
        let bytes = payload.as_ref().map_or(0, Bytes::len);
        let Some(taking) = self.taking_mut(id) else { return };
        (taking.read, taking.bytes) = (Some((payload, expires_at_ms)), bytes);
        self.bytes += bytes;
        self.whole(id);
    }

    /// The nonce `id` was found. Once the value was read, too, it waits for a fence.
    pub fn placed(&mut self, id: u64, placed: Placed) {
        let Some(taking) = self.taking_mut(id) else { return };
        taking.placed = Some(placed);
        self.whole(id);
    }

    fn taking_mut(&mut self, id: u64) -> Option<&mut Taking> {
        self.all.get_mut(self.taking.get(&id)?)?.taking.as_mut()
    }

    fn whole(&mut self, id: u64) -> Option<()> {
        let name = self.taking.get(&id)?.clone();
        let taking = self.taking_mut(id)?;
        let Placed { at, covered, floor, .. } = taking.placed?;
        let (payload, expires_at_ms) = taking.read.take()?;
        taking.posted = true;
        let to = 1 - taking.from;
        let value = Value { name, payload, expires_at_ms, at, covered, floor };
        if self.fences[to].broken {
            self.not_taken(id, None);
        } else {
            self.fences[to].values.push_back(value);
        }
        Some(())
    }

    /// The value of a key that was taken at `at` has arrived. Tells whether it was asked for, and what met, where that is to
    /// be on record.
    pub fn arrived(&mut self, name: &Name, at: u64) -> Option<Option<Met>> {
        let taking = self.all.get(name)?.taking.as_ref()?;
        if !taking.posted || taking.placed.is_none_or(|placed| placed.at != at) {
            return None;
        }
        self.taking.remove(&taking.id);
        self.bytes -= taking.bytes;
        let settle = self.all.remove(name)?;
        self.asked.remove(&settle.asked);
        Some(settle.met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `keys` keys all values are wanted, each once, however many there are; gives in how many calls.
    fn takes_all(keys: u32) -> usize {
        let (mut settles, mut next) = (Settles::default(), 0);
        for key in 0..keys {
            next += 1;
            let name = (0, key.to_be_bytes().to_vec());
            settles.ask(next, key as usize % 2, name, (Order::WEAKEST, Stamp::WEAKEST), (1, None));
        }
        assert_eq!(settles.asked_behind(0).count(), keys as usize);
        let (none, repairs) = (BTreeSet::new(), BTreeSet::new());
        let mut calls = 0;
        while !settles.is_empty() {
            calls += 1;
            assert!(calls < 10_000, "{} are left", settles.names().count());
            for region in [0, 1] {
                let (wanted, later) = settles.wanted(region, 0, [&none, &none], &repairs, &mut next);
                assert!(wanted.len() <= MOST_AT_ONCE);
                assert!(later || settles.names().count() <= MOST_AT_ONCE);
                for Wanted { id, name } in wanted {
                    assert!(settles.is_taking(0, &name.1) && settles.giver(id) == Some(region));
                    settles.read(id, None, None);
                    settles.placed(id, Placed { at: id, covered: 0, floor: None, is_latest: true });
                    let fence = settles.fence(1 - region, 0, &mut next).0.expect("a value waits for it");
                    let passed: Vec<Name> = settles.passed(1 - region, fence).map(|value| value.name).collect();
                    assert_eq!(passed, std::slice::from_ref(&name));
                    assert!(settles.arrived(&name, id + 1).is_none() && settles.arrived(&name, id).is_some());
                }
            }
        }
        assert!(settles.asked.is_empty() && settles.taking.is_empty());
        calls
    }

    #[test]
    fn each_value_is_taken_once_and_a_call_looks_at_a_part_of_many_keys() {
        assert_eq!((takes_all(1), takes_all(60)), (1, 1));
        assert!(takes_all(20_000) <= 2 * 20_000 / MOST_AT_ONCE);
    }

    #[test]
    fn no_more_is_read_while_many_bytes_are_on_their_way() {
        let (mut settles, mut next) = (Settles::default(), 1_000);
        for key in 0..1_000_u32 {
            let name = (0, key.to_be_bytes().to_vec());
            settles.ask(1 + u64::from(key), 1, name, (Order::WEAKEST, Stamp::WEAKEST), (1, None));
        }
        let (none, repairs) = (BTreeSet::new(), BTreeSet::new());
        let mut wanted = |settles: &mut Settles| settles.wanted(0, 0, [&none, &none], &repairs, &mut next).0;
        let all: Vec<Wanted> = (0..10).flat_map(|_| wanted(&mut settles)).collect();
        assert_eq!(all.len(), MOST_VALUES);
        let (large, others) = all.split_at(1);
        let large = large.first().expect("there are some");
        others.iter().for_each(|one| settles.not_taken(one.id, None));
        settles.read(large.id, Some(Bytes::from(vec![0; MOST_BYTES])), None);
        assert!(wanted(&mut settles).is_empty());
        settles.placed(large.id, Placed { at: 7, covered: 0, floor: None, is_latest: true });
        settles.arrived(&large.name, 7).expect("it was asked for");
        assert_eq!((wanted(&mut settles).len(), settles.bytes), (MOST_AT_ONCE, 0));
    }

    #[test]
    fn a_value_is_put_once_the_stream_was_read_up_to_a_fence_that_was_set_when_it_was_known() {
        let (mut settles, mut next) = (Settles::default(), 10);
        let (none, repairs) = (BTreeSet::new(), BTreeSet::new());
        let known = |settles: &mut Settles, key: &[u8], next: &mut u64| {
            settles.ask(1, 1, (0, key.to_vec()), (Order::WEAKEST, Stamp::WEAKEST), (1, None));
            let (values, _) = settles.wanted(0, 0, [&none, &none], &repairs, next);
            let [Wanted { id, .. }] = values[..] else { panic!("{values:?}") };
            assert_eq!(settles.fence(0, 0, next), (None, false), "the value is for the other region");
            assert!(!settles.wants_fence(0));
            settles.read(id, None, None);
            settles.placed(id, Placed { at: id, covered: 0, floor: None, is_latest: true });
        };
        let passed = |settles: &mut Settles, fence: u64| -> Vec<Vec<u8>> {
            settles.passed(1, fence).map(|value| value.name.1).collect()
        };
        known(&mut settles, b"a", &mut next);
        let first = settles.fence(1, 0, &mut next).0.expect("one waits");
        known(&mut settles, b"b", &mut next);
        assert_eq!(settles.fence(1, 0, &mut next), (None, false), "one at a time");
        assert!(passed(&mut settles, first - 1).is_empty(), "it was set for something else");
        assert_eq!(passed(&mut settles, first), [b"a"]);
        assert!(settles.wants_fence(1), "the other one waits still");
        let second = settles.fence(1, 0, &mut next).0.expect("the other one waits");
        settles.not_set(1, 5);
        assert_eq!(settles.fence(1, 6, &mut next), (None, true), "not at once again");
        assert!(passed(&mut settles, second).is_empty());
        let third = settles.fence(1, 5 + LONGEST_PAUSE_MS, &mut next).0.expect("after a while");
        assert_eq!(passed(&mut settles, third), [b"b"]);
        known(&mut settles, b"c", &mut next);
        let fourth = settles.fence(1, 5 + LONGEST_PAUSE_MS, &mut next).0.expect("one waits");
        settles.breaks_off(1, std::iter::empty());
        assert!(passed(&mut settles, fourth).is_empty() && !settles.wants_fence(1) && settles.bytes == 0);
        assert_eq!(settles.wanted(0, 0, [&none, &none], &repairs, &mut next), (vec![], false));
        assert_eq!(settles.fence(0, 0, &mut next), (None, false));
        assert_eq!(settles.give_up().count(), 3);
        assert!(!settles.fences[1].broken, "a session has begun");
    }

    #[test]
    fn what_could_not_be_read_is_let_alone_for_a_while() {
        let (mut settles, mut next) = (Settles::default(), 1);
        let name = (0, b"k".to_vec());
        settles.ask(1, 0, name.clone(), (Order::WEAKEST, Stamp::WEAKEST), (1, None));
        let none = BTreeSet::new();
        let repairs = BTreeSet::from([(1, name.clone())]);
        assert_eq!(settles.wanted(1, 5, [&none, &none], &repairs, &mut next), (vec![], true));
        let mut wanted = |settles: &mut Settles, now_ms| {
            settles.wanted(1, now_ms, [&none, &none], &BTreeSet::new(), &mut next).0.first().map(|wanted| wanted.id)
        };
        let id = wanted(&mut settles, 5).expect("it is free");
        settles.not_taken(id, Some(5));
        assert!(!settles.is_taking(0, &name.1) && settles.name_of(id).is_none());
        assert_eq!(wanted(&mut settles, 4 + LONGEST_PAUSE_MS), None);
        assert_eq!(wanted(&mut settles, 5 + LONGEST_PAUSE_MS), Some(id + 1));
    }
}
