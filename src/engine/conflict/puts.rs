//! Values that were put at a region, until nothing is missing there on their account.
//!
//! What such a value lacks and is known when it is put is executed again right behind it, in the same transaction; the rest
//! once it was seen in the region's stream where it stands. Where that stream breaks off before, nothing tells; then what is
//! known of it is executed again all the same before the region is copied: else it would be missing in both.

use std::collections::{BTreeMap, BTreeSet};

use super::exchange::{Exchange, Mail, Name, Value};
use super::log::{Entry, KeyLog, Place, Redo, Remedy, order};
use super::order::Order;
use super::window::{By, Key, entry, key_of};
use super::writes::Write;
use crate::command::KeyUse;
use crate::wire::resp::FrameReader;

/// A write: the rank of the region whose client wrote it, and where it stands in that region's stream.
type Id = (u8, u64);

/// A value that was, or is about to be, put at a region.
#[derive(Debug)]
pub struct Put {
    /// Its key, and that in short.
    name: Name,
    key: Key,
    /// It holds what the other region's clients wrote up to there.
    at: u64,
    /// It holds what this region's clients wrote up to there.
    covered: u64,
    /// It is later than anything before this.
    floor: Option<Order>,
    /// What the other region's clients wrote up to there had been sent before it.
    sent: u64,
    /// Where it stands in this region's stream, once that is known.
    seen: Option<u64>,
    /// What was executed again since.
    redone: BTreeSet<Id>,
}

/// The values that were put at one region, by the transactions that did it.
#[derive(Debug, Default)]
pub struct Puts(BTreeMap<u64, Put>);

impl Puts {
    /// The transaction `id` puts this value.
    pub fn put(&mut self, id: u64, put: Put) {
        self.0.insert(id, put);
    }

    /// The keys of these values.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.0.values().map(|put| &put.name)
    }

    /// Transactions from `first` on were not executed.
    pub fn were_not(&mut self, first: u64) {
        let _gone = self.0.split_off(&first);
    }

    /// The transaction `id` stands at `at` in the region's stream.
    pub fn seen(&mut self, id: u64, at: u64) {
        self.0.get_mut(&id).into_iter().for_each(|put| put.seen = Some(at));
    }

    /// What of this mail are writes was executed again, or will be.
    pub fn redone<'a>(&mut self, mail: impl IntoIterator<Item = &'a Mail>) {
        if self.0.is_empty() {
            return;
        }
        let redos = mail.into_iter().filter_map(|mail| if let Mail::Again(redos) = mail { Some(redos) } else { None });
        for redo in redos.flatten() {
            let name = (redo.database, key_of(&redo.request));
            for put in self.0.values_mut().filter(|put| put.name == name) {
                put.redone.insert((redo.stamp.rank, redo.id));
            }
        }
    }

    /// The region's stream is judged up to `judged`; of keys that `waits` says something is to be executed again.
    pub fn judged(&mut self, judged: u64, waits: impl Fn(&Name) -> bool) {
        self.0.retain(|_, put| put.seen.is_none_or(|seen| seen > judged) || waits(&put.name));
    }

    /// What is known to have been executed at `region` before these values came, and is in none of them: to be executed again,
    /// for each key in this order. Writes of several keys can't be.
    pub fn lack(self, region: usize, exchange: &Exchange) -> Vec<Mail> {
        // The last value of a key is what counts.
        let last: BTreeMap<Name, Put> = self.0.into_values().map(|put| (put.name.clone(), put)).collect();
        last.into_values().filter_map(|put| put.lacks(region, exchange)).map(Mail::Again).collect()
    }
}

impl Put {
    /// Of a value that is put behind all that the other region's clients wrote before `sent`.
    pub fn new(value: &Value, key: Key, sent: u64) -> Self {
        let Value { ref name, at, covered, floor, .. } = *value;
        Self { name: name.clone(), key, at, covered, floor, sent, seen: None, redone: BTreeSet::new() }
    }

    /// What is known to have been executed at `region` before it came, and is not in it, in the order in which it is to be
    /// executed again.
    pub fn lacks(&self, region: usize, exchange: &Exchange) -> Option<Vec<Redo>> {
        let (theirs, ours) = (exchange.writes(1 - region).after(self.at), exchange.writes(region).after(self.covered));
        let theirs = theirs.take_while(|write| write.at <= self.sent).filter(|write| !write.facts.silent);
        let ours = ours.take_while(|write| self.seen.is_none_or(|seen| write.at < seen));
        let wiped = theirs.filter_map(|write| self.wiped(&write, false));
        let wiped = wiped.chain(ours.filter_map(|write| self.wiped(&write, true)));
        let ranking = exchange.policies().ranking(&self.name.1, region);
        let above = |entry: &Entry| self.floor.is_none_or(|floor| order(ranking, entry) > floor);
        let log = KeyLog { ranking, entries: wiped.filter(above).collect(), ..KeyLog::default() };
        let (database, key) = (self.name.0, self.name.1.as_slice());
        match log.before_a_value(Place { region, database, key }) {
            Remedy::Again(redos) => Some(redos),
            Remedy::Value | Remedy::None => None,
        }
    }

    /// The write as the value has wiped it, if it was to its key and was not executed again since.
    fn wiped(&self, write: &Write<'_>, local: bool) -> Option<Entry> {
        if write.key.is_some_and(|key| key != self.key) {
            return None;
        }
        let (database, key) = (self.name.0, self.name.1.as_slice());
        let mut reader = FrameReader::new();
        let (spec, command) = write.command(&mut reader)?;
        let is_it = |used: &KeyUse<'_>| used.key == key && used.database.unwrap_or(write.facts.database) == database;
        let stamp = write.facts.stamp?;
        if !spec.keys(&command).any(|used| is_it(&used)) || self.redone.contains(&(stamp.rank, write.at)) {
            return None;
        }
        let by = By { at: write.at, local, saw: 0, seen: write.facts.seen, again: None, stamp: Some(stamp) };
        Some(Entry { wiped: true, ..entry(write, spec, &by) })
    }
}
