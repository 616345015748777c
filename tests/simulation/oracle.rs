//! What should be: known from the clients' writes alone, without Duet.

use std::collections::{BTreeMap, BTreeSet};

use duet::engine::conflict::Record;
use duet::engine::origin::{Marker, Phase};

use crate::ledger::Ledger;
use crate::promises::{self, checkpoint::Reach};
use crate::server::{Keyspace, Server, Text};

/// A key in a database.
pub type Place = (u32, Text);

/// What the clients of one region did, place by place in its stream.
#[derive(Debug, Default)]
pub struct Past {
    /// For each key that the region owns: the digests of its value and the offsets from which each stood.
    pub keys: BTreeMap<Place, Vec<(u64, u64, u64)>>,
    /// Where the last write of a client ended: history and offset.
    pub last: (u64, u64),
    /// Names of the region's histories, each with a number that is the same for those that continue each other.
    names: BTreeMap<String, u64>,
    number: u64,
}

/// What is known without Duet.
#[derive(Debug)]
pub struct Oracle {
    /// The data that clients' writes give when they are executed one after the other in one place.
    pub expected: Keyspace,
    /// Sums and items that must arrive exactly once.
    pub sums: BTreeMap<Place, i64>,
    pub pushed: BTreeMap<Place, Vec<Text>>,
    /// What clients decided that both write the same keys.
    pub ledger: Ledger,
    /// The conflicts that daemons told of.
    pub records: Vec<Record>,
    /// Keys whose values daemons have read to make them equal.
    pub taken: BTreeSet<Place>,
    pub past: [Past; 2],
    /// The keys of the markers of the links from each region.
    pub markers: [Text; 2],
    /// The position up to which each link was found in order, to look only at what came after it.
    checked: [Option<(u64, u64)>; 2],
    copying: [bool; 2],
    /// Clients have emptied or swapped whole databases.
    pub flushed: bool,
    /// Heartbeats that were written in each region.
    pub beats: [u64; 2],
    /// The only promise that is looked at, to see that it notices by itself.
    pub only: Option<&'static str>,
    /// The first promise that was broken, and how.
    pub broken: Option<String>,
}

impl Past {
    /// The history that is in force, by its number.
    pub fn learn(&mut self, name: &str, continues: bool) {
        if !self.names.contains_key(name) {
            if !continues {
                self.number += 1;
            }
            self.names.insert(name.to_owned(), self.number);
        }
    }

    /// A server was replaced by one that has everything up to `offset` only. Gives that place, by the number of its history.
    fn lose(&mut self, offset: u64, name: &str) -> (u64, u64) {
        let behind = (self.number, offset);
        self.last = self.last.min(behind);
        self.keys.values_mut().for_each(|stood| stood.retain(|(number, offset, _)| (*number, *offset) <= behind));
        self.keys.retain(|_, stood| !stood.is_empty());
        self.learn(name, false);
        behind
    }

    /// The number of a history.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.names.get(name).copied()
    }
}

impl Oracle {
    /// Nothing written yet.
    pub fn new(markers: [Text; 2]) -> Self {
        Self {
            expected: Keyspace::default(),
            sums: BTreeMap::new(),
            pushed: BTreeMap::new(),
            ledger: Ledger::default(),
            records: Vec::new(),
            taken: BTreeSet::new(),
            past: [Past::default(), Past::default()],
            markers,
            checked: [None; 2],
            copying: [false; 2],
            flushed: false,
            beats: [0; 2],
            only: None,
            broken: None,
        }
    }

    /// A promise was broken: the first is kept, of those that are looked at.
    pub fn fail(&mut self, what: String) {
        if self.only.is_none_or(|only| only.split(',').any(|promise| what.starts_with(promise))) {
            self.broken.get_or_insert(what);
        }
    }

    /// A client of region `index` has written these keys that the region owns.
    pub fn wrote(&mut self, index: usize, server: &Server, keys: &[Place]) {
        let past = &mut self.past[index];
        let Some(number) = past.number(&server.history.id) else { return };
        past.last = (number, server.history.offset);
        for key in keys {
            let digest = server.keys.digest(key.0, &key.1);
            past.keys.entry(key.clone()).or_default().push((number, server.history.offset, digest));
        }
    }

    /// The server of region `index` was replaced by one with the history `name`, which lacks everything behind `offset`.
    pub fn lose(&mut self, index: usize, offset: u64, name: &str) {
        let behind = self.past[index].lose(offset, name);
        self.ledger.lose(index, behind);
        self.checked = [None; 2];
    }

    /// The link from region `source` has left a marker: everything before it must be there.
    pub fn committed(&mut self, source: usize, servers: [&Server; 2]) {
        let target = servers[1 - source];
        let Some(marker) = target.keys.text(&self.markers[source]).and_then(Marker::parse) else { return };
        crate::trace(|| format!("commit from {source} at {}: {marker}", target.history.offset));
        if marker.phase != Phase::Streaming {
            self.copying[source] = true;
            return;
        }
        if std::mem::take(&mut self.copying[source]) {
            self.checked[source] = None;
        }
        let past = &self.past[source];
        let Some(number) = past.number(marker.high.replication_id.as_str()) else { return };
        let high = (number, marker.high.offset);
        let since = self.checked[source].filter(|since| *since <= high);
        let reach = Reach { since, low: (number, marker.low.offset), high };
        let told = promises::checkpoint::holds(past, reach, &target.keys, &self.taken);
        self.checked[source] = Some(high);
        if let Err(what) = told {
            self.fail(format!("checkpoint: {what}"));
        }
    }

    /// How much of the other region's stream the region `index` has executed: history and offset.
    pub fn seen(&self, index: usize, servers: &[Server; 2]) -> (u64, u64) {
        let marker = servers[index].keys.text(&self.markers[1 - index]).and_then(Marker::parse);
        let marker = marker.filter(|marker| marker.phase == Phase::Streaming);
        let place = |marker: Marker| {
            let number = self.past[1 - index].number(marker.high.replication_id.as_str())?;
            Some((number, marker.high.offset))
        };
        marker.and_then(place).unwrap_or_default()
    }

    /// Whether the links have left markers behind all that clients wrote.
    pub fn is_settled(&self, servers: &[Server; 2]) -> bool {
        (0..2).all(|source| self.high(source, servers).is_some_and(|high| high >= self.past[source].last))
    }

    /// How far the link from `source` has come in the history in force, if it can go on from there.
    pub fn high(&self, source: usize, servers: &[Server; 2]) -> Option<(u64, u64)> {
        let marker = servers[1 - source].keys.text(&self.markers[source]).and_then(Marker::parse)?;
        let id = marker.high.replication_id.as_str();
        let continues = servers[source].history.after(id, marker.high.offset + 1).is_some();
        let number = self.past[source].number(id)?;
        (marker.phase == Phase::Streaming && continues).then_some((number, marker.high.offset))
    }
}
