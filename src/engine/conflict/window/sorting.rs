//! What was read goes into the logs of the keys that something has met; of the rest it is noted which keys it names.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::HashMap;

use super::ties::Tie;
use super::{Key, Logged, Ours, Part, What, Window, fresh};
use crate::command::{Class, KeyUse, Spec};
use crate::engine::conflict::claim::{is_of_several, replaces};
use crate::engine::conflict::exchange::{Exchange, Name};
use crate::engine::conflict::log::{Entry, Place, Redo, Waits};
use crate::engine::conflict::order::Order;
use crate::engine::conflict::stamp::Stamp;
use crate::engine::conflict::writes::{Facts, Write};
use crate::wire::resp::{Command, FrameReader};

impl Window {
    /// Puts what was read into the logs of its keys, in the order of the stream, until about so many writes have lost. What our
    /// transactions hold must have been read at the other region.
    pub(super) fn sort_in(&mut self, exchange: &Exchange, most_lost: usize) {
        for (number, (database, name)) in exchange.settles().asked_behind(self.asked) {
            self.begun((*database, name), exchange);
            self.asked = number;
        }
        (self.removed, self.is_cut_short) = (false, false);
        let mut local = exchange.writes(self.region).after(self.sorted).peekable();
        loop {
            let until = self.ours.front().map_or(u64::MAX, |ours| ours.at);
            if let Some(write) = local.next_if(|write| write.at < until) {
                self.redo();
                self.sorted = write.at;
                let Facts { stamp, seen, .. } = *write.facts;
                self.execute(&write, By { at: write.at, local: true, saw: 0, seen, again: None, stamp }, exchange);
                continue;
            }
            if self.lost.len() >= most_lost {
                self.is_cut_short = true;
                return;
            }
            let Some(ours) = self.ours.pop_front() else { return self.redo() };
            if !matches!(ours.what, What::Again { .. }) {
                self.redo();
            }
            let unread = match ours.what {
                // Another history need not hold it at all.
                What::Writes(Part { high, .. }) => exchange.is_unread(1 - self.region, high),
                What::Again { .. } | What::Unknown { .. } | What::Value { .. } => false,
            };
            if unread {
                return self.ours.push_front(ours);
            }
            self.ours_in(ours, exchange);
        }
    }

    /// What was executed again goes into the logs.
    fn redo(&mut self) {
        if self.redone.is_empty() {
            return;
        }
        for (key, again) in self.redone.drain() {
            if let Some((log, ..)) = self.logs.get_mut(&key) {
                log.redone(again);
            }
        }
    }

    fn ours_in(&mut self, ours: Ours, exchange: &Exchange) {
        let Ours { at, what } = ours;
        match what {
            What::Writes(part) => self.part_in(at, &part, exchange),
            What::Again { redo, local } => {
                let Redo { stamp, id, seen, behind, database, request } = redo;
                // One that was executed again here before the other region had it at all may be sent with another stamp.
                let current = || exchange.writes(self.region).get(id).and_then(|write| write.facts.stamp);
                let stamp = local.then(current).flatten().unwrap_or(stamp);
                let facts = Facts {
                    database,
                    requests: 1,
                    stamp: Some(stamp),
                    seen,
                    silent: false,
                    weak: behind.is_some(),
                    sees: 0,
                    behind: Cell::new(behind),
                };
                let write = Write { at, key: None, bytes: &request, place: (0, request.len() as u32), facts: &facts };
                let by = By { at, local, saw: u64::MAX, seen, again: Some(id), stamp: Some(stamp) };
                self.execute(&write, by, exchange);
            }
            What::Unknown { executed, changed } => {
                for (id, local) in executed {
                    let region = if local { self.region } else { 1 - self.region };
                    let written = exchange.writes(region).get(id).map(|write| write.written()).unwrap_or_default();
                    for (database, name) in written {
                        let log = self.logs.get_mut(&self.key(database, &name));
                        log.into_iter().for_each(|(log, ..)| log.may_be_there(id, local));
                        self.doubted.push((database, name));
                    }
                }
                self.doubted.extend(changed);
            }
            What::Value { name: (database, name), at: taken_at, covered, floor, ours } => {
                let place = Place { region: self.region, database, key: &name };
                if let Some((log, ..)) = self.recall((database, &name), exchange) {
                    let doubts = log.replaced(place, at, (taken_at, covered, floor));
                    log.waits = Waits::Nothing;
                    if log.lacks_forgotten(covered) {
                        self.damaged.push((database, name.clone()));
                    }
                    self.doubted.extend(doubts);
                    self.touched.push(self.key(database, &name));
                }
                if ours {
                    self.arrived.push(((database, name), taken_at));
                } else {
                    self.doubted.push((database, name));
                }
            }
        }
    }

    fn part_in(&mut self, at: u64, part: &Part, exchange: &Exchange) {
        let nothing = self.logs.is_empty() && self.recent.is_empty() && self.flushes.is_empty();
        if nothing && part.shown.is_none() {
            return;
        }
        let lacking = part.shown.as_ref().map(|shown| {
            let (_, sent) = exchange.sent_part(1 - self.region, part.since, part.high);
            lacking(shown, sent)
        });
        let (_, sent) = exchange.sent_part(1 - self.region, part.since, part.high);
        for write in sent {
            self.execute(
                &write,
                By { at, local: false, saw: part.saw, seen: part.saw, again: None, stamp: Some(part.stamp) },
                exchange,
            );
            let Some(Lacking { clients, all }) = lacking.as_ref().and_then(|of| of.get(&write.shown()?)) else {
                continue;
            };
            if write.facts.weak {
                // What was gone already needed no removal. Of what an earlier session has sent it is not known whether the
                // server's own deletions were among it.
                if self.suspended && *all > 0 {
                    self.doubted.append(&mut write.written());
                }
            } else if *clients > 0 {
                self.had_no_effect(&write, part.saw);
            }
        }
        self.deleted_first(part, exchange);
    }

    /// Before a write that built on a key which its own server had removed, an earlier session has deleted it here, where
    /// clients may have written it by then. Of that deletion no write tells where the server's own is not read again.
    fn deleted_first(&mut self, part: &Part, exchange: &Exchange) {
        for name in &part.deleted {
            let is_it = |of: &Name| of == name;
            let (_, sent) = exchange.sent_part(1 - self.region, part.since, part.high);
            let is_deletion = |write: &Write<'_>| {
                let mut reader = FrameReader::new();
                write.command(&mut reader).is_some_and(|(spec, _)| spec.is_deletion())
            };
            let known = sent.filter(is_deletion);
            let known: usize = known.map(|write| write.written().iter().filter(|of| is_it(of)).count()).sum();
            if part.deleted.iter().filter(|of| is_it(of)).count() > known {
                self.doubted.push(name.clone());
            }
        }
    }

    /// A write changed something in its region, and nothing here. Where nothing that its region had not seen explains that,
    /// this region held something else: a key that expired before it was prolonged.
    fn had_no_effect(&mut self, write: &Write<'_>, saw: u64) {
        for (database, name) in write.written() {
            let key = self.key(database, &name);
            let mut log = self.logs.get_mut(&key).map(|(log, ..)| log);
            log.iter_mut().for_each(|log| log.had_no_effect(write.at));
            if !log.is_some_and(|log| log.entries.iter().any(|entry| entry.local && entry.id > saw)) {
                self.doubted.push((database, name));
            }
        }
    }

    /// A write was executed.
    fn execute(&mut self, write: &Write<'_>, by: By, exchange: &Exchange) {
        if let Some(key) = write.key.filter(|_| by.again.is_none())
            && self.has_met_nothing(write, &by, key)
        {
            return if by.local {
                self.recent.push(by.at, key)
            };
        }
        let mut reader = FrameReader::new();
        let Some((spec, command)) = write.command(&mut reader) else { return };
        if spec.class == Class::Database {
            self.recall_all(exchange);
            return self.whole_database(entry(write, spec, &by));
        }
        let is_again = by.again.is_some();
        let of_several = !is_again && is_of_several(spec, &command);
        if of_several {
            self.tie(write, spec, by.at, &command);
        }
        let is_special = of_several || self.is_special(write);
        for used in spec.keys(&command) {
            let database = used.database.unwrap_or(write.facts.database);
            let key = self.key(database, used.key);
            if by.local && !is_again && !is_special && !self.logs.contains_key(&key) {
                self.recent.push(by.at, key);
                continue;
            }
            let replaces = write.facts.requests == 1 && replaces(&command, spec, &used);
            let behind = self.note(
                || Entry { replaces, of_several, ..entry(write, spec, &by) },
                is_again,
                by.local && !is_again,
                (database, used.key),
                exchange,
            );
            if write.facts.weak && by.local {
                write.facts.behind.set(Some(behind));
            }
        }
    }

    /// Whether a write of one key is told from that alone to have met nothing, as nearly all are.
    fn has_met_nothing(&self, write: &Write<'_>, by: &By, key: Key) -> bool {
        !self.is_special(write) && !self.logs.contains_key(&key) && (by.local || !self.recent.has(key))
    }

    /// Whether something else than another write of its key may matter to a write.
    fn is_special(&self, write: &Write<'_>) -> bool {
        self.suspended && write.facts.stamp.is_none()
            || write.facts.weak
            || write.facts.silent
            || !self.flushes.is_empty()
    }

    /// Puts a write into the log of one of its keys, which begins here for one that a client wrote; another one is of no
    /// interest where nothing was there before. Gives behind what it counts, for a deletion by the server itself.
    fn note(
        &mut self,
        entry: impl FnOnce() -> Entry,
        again: bool,
        is_new: bool,
        name: (u32, &[u8]),
        exchange: &Exchange,
    ) -> Order {
        let key = self.key(name.0, name.1);
        if !self.has_log(key, name, exchange) && !is_new {
            return Order::WEAKEST;
        }
        let entry = entry();
        let (log, ..) = self.logs.entry(key).or_insert_with(fresh(&self.policies, self.region, name));
        if again {
            self.redone.entry(key).or_insert_with(|| Vec::with_capacity(1)).push(entry);
            log.waits = if log.waits == Waits::Again { Waits::Nothing } else { log.waits };
            self.repaired.push((name.0, name.1.to_vec()));
            self.touched.push(key);
            return Order::WEAKEST;
        }
        if !is_new || entry.silent || log.waits != Waits::Nothing || log.held.is_some() {
            self.touched.push(key);
        }
        if is_new {
            self.own.push(Reverse((entry.at, key)));
            log.unstable += 1;
        }
        self.logged += 1;
        log.gives = exchange.settles().is_taking(name.0, name.1);
        // Of a key that is to be held the record says so, which is not known yet. And what is read while a session begins is
        // read once more where it does not come that far.
        let place = Place { region: self.region, database: name.0, key: name.1 };
        let behind = log.append((!self.suspended && !self.policies.holds(name.1)).then_some(place), entry);
        self.lost.extend(log.take_lost());
        behind
    }

    /// Whether a key has a log, or one begins with what clients wrote to it of late, or with their flushes.
    pub(super) fn has_log(&mut self, key: Key, name: (u32, &[u8]), exchange: &Exchange) -> bool {
        self.recall(name, exchange).is_some() || self.was_flushed(key, name.0, name.1)
    }

    /// The log of a key, which begins with what clients wrote to it of late; nothing where that is nothing.
    pub(super) fn recall(&mut self, (database, name): (u32, &[u8]), exchange: &Exchange) -> Option<&mut Logged> {
        let key = self.key(database, name);
        if self.logs.contains_key(&key) {
            return self.logs.get_mut(&key);
        }
        let places = self.recent.of(key);
        if places.is_empty() {
            return None;
        }
        let written = places.into_iter().filter_map(|at| exchange.writes(self.region).get(at));
        let mut log = fresh(&self.policies, self.region, (database, name))();
        for write in written {
            let mut reader = FrameReader::new();
            let Some((spec, command)) = write.command(&mut reader) else { continue };
            let Facts { stamp, seen, .. } = *write.facts;
            let by = By { at: write.at, local: true, saw: 0, seen, again: None, stamp };
            let is_it =
                |used: &KeyUse<'_>| used.key == name && used.database.unwrap_or(write.facts.database) == database;
            for used in spec.keys(&command).filter(is_it) {
                let replaces = write.facts.requests == 1 && replaces(&command, spec, &used);
                log.0.append(None, Entry { replaces, ..entry(&write, spec, &by) });
            }
        }
        if log.0.entries.is_empty() {
            return None;
        }
        // What others cover is of no interest any more.
        log.0.unstable = log.0.entries.len();
        self.logged += log.0.entries.len();
        self.own.extend(log.0.entries.iter().map(|entry| Reverse((entry.at, key))));
        Some(self.logs.entry(key).or_insert(log))
    }

    /// The log of a key, be there anything in it or not.
    pub(super) fn begun(&mut self, name: (u32, &[u8]), exchange: &Exchange) -> &mut Logged {
        self.recall(name, exchange);
        let key = self.key(name.0, name.1);
        self.logs.entry(key).or_insert_with(fresh(&self.policies, self.region, name))
    }

    /// Begins the logs of all keys that clients wrote of late: what comes concerns each of them.
    fn recall_all(&mut self, exchange: &Exchange) {
        if self.recent.is_empty() {
            return;
        }
        let sorted = self.sorted;
        for write in exchange.writes(self.region).after(0).take_while(|write| write.at <= sorted) {
            let mut reader = FrameReader::new();
            let Some((spec, command)) = write.command(&mut reader) else { continue };
            for used in spec.keys(&command) {
                self.recall((used.database.unwrap_or(write.facts.database), used.key), exchange);
            }
        }
    }

    fn tie(&mut self, write: &Write<'_>, spec: &Spec, at: u64, command: &Command<'_>) {
        let used = spec.keys(command);
        let keys = used.map(|used| self.key(used.database.unwrap_or(write.facts.database), used.key)).collect();
        let written = spec.written(command, write.facts.database);
        let written = written.map(|(database, name)| (database, name.to_vec())).collect();
        self.ties.push(Tie { at, keys, written });
    }
}

/// How many requests that name a first argument changed nothing, so that they are not shown.
#[derive(Default)]
struct Lacking {
    /// If all that a server may have deleted by itself is among them.
    clients: i64,
    all: i64,
}

/// What of these writes is not shown, by first argument: which of several on one key is of no interest, and in which order
/// the rest stands.
fn lacking<'a>(shown: &[u64], sent: impl Iterator<Item = Write<'a>>) -> HashMap<u64, Lacking> {
    let mut lacking: HashMap<u64, Lacking> = HashMap::new();
    for write in sent {
        let Some(name) = write.shown() else { continue };
        let Lacking { clients, all } = lacking.entry(name).or_default();
        let requests = i64::from(write.facts.requests);
        *all += requests;
        *clients += if write.facts.weak { 0 } else { requests };
    }
    for name in shown {
        if let Some(Lacking { clients, all }) = lacking.get_mut(name) {
            (*clients, *all) = (*clients - 1, *all - 1);
        }
    }
    lacking
}

/// How a write was executed.
pub struct By {
    /// Where that stands in the region's stream.
    pub at: u64,
    /// Whether a client of this region wrote it.
    pub local: bool,
    /// Up to where its region had seen this one's writes.
    pub saw: u64,
    /// What the region of its client had seen of the other one, whichever that is.
    pub seen: u64,
    /// Its name, where it was executed once more.
    pub again: Option<u64>,
    /// When it was made.
    pub stamp: Option<Stamp>,
}

/// The entry of a log.
pub fn entry(write: &Write<'_>, spec: &'static Spec, by: &By) -> Entry {
    let Facts { database, requests, silent, weak, sees, ref behind, .. } = *write.facts;
    let By { at, local, saw, seen, again, stamp } = *by;
    // The rest of its transaction may have been written before.
    let saw = if weak && !local { saw.max(sees) } else { saw };
    Entry {
        stamp,
        undated: false,
        id: again.unwrap_or(write.at),
        at,
        first: at,
        again: again.is_some(),
        local,
        saw,
        seen,
        database,
        spec,
        bytes: write.kept(),
        requests,
        wiped: false,
        silent,
        weak,
        behind: behind.get().unwrap_or(Order::WEAKEST),
        doubtful: weak && write.facts.stamp.is_none() && again.is_none(),
        recorded: local || weak,
        told: false,
        replaces: false,
        of_several: false,
    }
}
