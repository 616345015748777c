//! What is done about keys that were not executed in order, or that are in doubt for another reason.

use std::collections::BTreeSet;

use super::{Found, Key, MOST_RECORDS, Window, fresh};
use crate::engine::conflict::exchange::{Exchange, MOST_HELD, Mail, Name};
use crate::engine::conflict::log::{Finding, KeyLog, Met, Place, Remedy, Waits, hash};
use crate::engine::conflict::order::Order;
use crate::engine::conflict::record::{Done, Record, Side, Unit as Decided};
use crate::engine::conflict::stamp::Stamp;

/// Keys that are judged in one go: after regions were apart there are as many as both wrote.
const MOST_JUDGED: usize = 1_024;

impl Window {
    /// Judges logs that have changed: all, or so many that what is found can be told. Those that change meanwhile are judged
    /// behind them.
    pub(super) fn judge(&mut self, exchange: &mut Exchange, found: &mut impl FnMut(Found)) {
        let region = self.region;
        let mut doubts: Vec<(Name, Option<Met>)> = Vec::new();
        let mut tied: Vec<(Key, Option<Met>)> = Vec::new();
        if self.due.len() == 0 {
            let mut touched = std::mem::take(&mut self.touched);
            touched.sort_unstable();
            touched.dedup();
            self.due = touched.into_iter();
        }
        let (mut keys, mut records) = (0, 0);
        while keys < MOST_JUDGED && records < MOST_RECORDS {
            let Some(key) = self.due.next() else { break };
            keys += 1;
            let Some((log, database, name)) = self.logs.get_mut(&key) else { continue };
            let (database, name) = (*database, name.clone());
            let place = Place { region, database, key: &name };
            let holds = self.policies.holds(&name) && keeps(log, exchange, region);
            let is_taking = exchange.settles().is_taking(database, &name);
            // A key that both regions write all the time has many writes: it is judged once what it waits for has come.
            let put_off = !holds && (log.waits != Waits::Nothing || is_taking && !log.of_several);
            let (mut lost, mut named) = (false, Vec::new());
            let mut judged = |finding| match finding {
                Finding::Lost(record) => {
                    (lost, records) = (true, records + 1);
                    found(Found::Conflict(if holds { record.undecided() } else { record }));
                }
                Finding::Doubt(name) => named.push(name),
            };
            let remedy = if put_off { Remedy::None } else { log.judge(place, &mut judged) };
            // What is put off may be wrong, and may be told when those that were written from it are forgotten.
            let is_wrong = put_off || log.waits != Waits::Nothing || !matches!(remedy, Remedy::None);
            let is_tied = is_wrong && self.ties.has(key);
            let met = if holds || is_tied || !named.is_empty() { log.met(region) } else { None };
            doubts.extend(named.into_iter().map(|name| (name, met)));
            if is_tied {
                tied.push((key, met));
            }
            if holds && (lost || !matches!(remedy, Remedy::None)) {
                if !lost {
                    found(Found::Conflict(undecided(met, log, region, (database, &name))));
                }
                // A write of the whole key that had seen both has let it go already.
                if !matches!(remedy, Remedy::None) || !log.is_let_go() {
                    log.hold(Order::WEAKEST);
                }
            }
            if log.held.is_some() || exchange.held(region).contains_key(&(database, name.to_vec())) {
                keep(log, exchange, region, (database, name.to_vec()), found);
                if log.held.is_some() {
                    continue;
                }
            }
            if log.take_overtaken() {
                exchange.refused(1 - region, (database, name.to_vec()));
            }
            if log.waits != Waits::Nothing || is_taking {
                continue;
            }
            let remedy = if log.doubted.is_some() { log.mend(place) } else { remedy };
            if matches!(remedy, Remedy::None) {
                if std::mem::take(&mut log.vanished) {
                    let pin = log.pin.take().unwrap_or_else(|| exchange.pin(region));
                    exchange.compare_lives((database, name.to_vec()), region, pin);
                    found(Found::Wanted);
                }
                log.pin.take().into_iter().for_each(|pin| exchange.unpin(pin));
                if log.unstable == 0 && !exchange.settles().has(database, &name) {
                    self.logs.remove(&key);
                }
            } else {
                perform(log, place, remedy, exchange, found);
            }
        }
        for (key, met) in tied {
            doubts.extend(self.ties.take(key).into_iter().map(|name| (name, met)));
        }
        for (name, met) in doubts {
            self.doubt(name, met, exchange, found);
        }
    }

    /// Counts the executions in the logs; if they are too many, all are forgotten.
    pub(super) fn count(&mut self, exchange: &mut Exchange) {
        self.logged = self.logs.values().map(|(log, ..)| log.entries.len()).sum();
        if self.logged > exchange.most_logged() / 2 {
            self.forget_logs(exchange);
        }
    }

    /// Forgets what was executed on all keys that have met something: they take the other region's values, once that has
    /// executed what is forgotten here.
    pub(super) fn forget_logs(&mut self, exchange: &mut Exchange) {
        let mut all_before = 0;
        for (log, database, name) in self.logs.values_mut().filter(|(log, ..)| log.held.is_none()) {
            if log.entries.iter().all(|entry| entry.wiped) {
                continue;
            }
            let (before, is_news) = log.forget_all(self.region);
            all_before = before.max(all_before);
            // Until it is asked for.
            log.pin.get_or_insert_with(|| exchange.pin(self.region));
            if is_news {
                self.doubted.push((*database, name.to_vec()));
            }
        }
        exchange.forgot(self.region, all_before);
        self.logged = 0;
    }

    /// A key must be made equal by its value, whatever its log says, and so must those that were written from it; where two
    /// writes of it and another one met, this is on record by them.
    pub(super) fn doubt(
        &mut self,
        name: Name,
        met: Option<Met>,
        exchange: &mut Exchange,
        found: &mut impl FnMut(Found),
    ) {
        // A chain of such keys may be as long as the stream.
        let mut names = vec![name];
        while let Some(name) = names.pop() {
            names.extend(self.doubt_one(&name, met, exchange, found));
        }
    }

    /// The same of the key alone. Gives those that were written from it.
    fn doubt_one(
        &mut self,
        name: &Name,
        met: Option<Met>,
        exchange: &mut Exchange,
        found: &mut impl FnMut(Found),
    ) -> BTreeSet<Name> {
        let (database, name) = (name.0, name.1.as_slice());
        let key = self.key(database, name);
        self.has_log(key, (database, name), exchange);
        let (log, ..) = self.logs.entry(key).or_insert_with(fresh(&self.policies, self.region, (database, name)));
        if self.policies.holds(name) && keeps(log, exchange, self.region) {
            if log.held.is_none() {
                found(Found::Conflict(undecided(log.met(self.region).or(met), log, self.region, (database, name))));
                // What it was that differs need not be known.
                log.hold(exchange.latest(self.region));
                keep(log, exchange, self.region, (database, name.to_vec()), found);
            }
        } else if log.waits != Waits::Value || exchange.settles().has_given(self.region, database, name) {
            let place = Place { region: self.region, database, key: name };
            let unrecorded = met.filter(|_| !log.has_met(place));
            log.doubt(unrecorded);
            if log.waits == Waits::Nothing && !exchange.settles().is_taking(database, name) {
                let remedy = log.mend(place);
                perform(log, place, remedy, exchange, found);
            }
        }
        self.ties.take(key)
    }
}

/// Whether a key that is to be held when two writes meet can be.
fn keeps(log: &KeyLog, exchange: &Exchange, region: usize) -> bool {
    log.held.is_some() || exchange.held(region).len() < MOST_HELD
}

/// Takes down whether a key is held, for the sessions and daemons to come; nothing is on its way for one that is.
fn keep(log: &mut KeyLog, exchange: &mut Exchange, region: usize, name: Name, found: &mut impl FnMut(Found)) {
    let (is_news, are_others) = exchange.set_held(region, name, log.held, log.pin.take());
    if is_news {
        found(Found::Posted);
    }
    if are_others {
        found(Found::Held);
    }
}

/// The record of a key that is held, where no single write lost against another one. What is not known of a side is as
/// late as the latest that is.
fn undecided(met: Option<Met>, log: &KeyLog, region: usize, (database, key): (u32, &[u8])) -> Record {
    let last = log.entries.iter().filter_map(|entry| Some((entry.stamp?, entry.id))).max().unwrap_or_default();
    by_value(region, database, key, met.unwrap_or(Met { sides: [last; 2] })).undecided()
}

/// Has done about a key what its log asks for: writes are executed again, or the other region's value is asked for. That is
/// on record by what met, if it is not by a write that lost.
fn perform(log: &mut KeyLog, place: Place<'_>, remedy: Remedy, exchange: &mut Exchange, found: &mut impl FnMut(Found)) {
    let Place { region, database, key } = place;
    let name = (database, key.to_vec());
    log.pin.get_or_insert_with(|| exchange.pin(region));
    match remedy {
        Remedy::None => {}
        Remedy::Again(redos) => {
            log.waits = Waits::Again;
            exchange.repairs(region, name, true);
            exchange.post(region, Mail::Again(redos));
            found(Found::Posted);
        }
        Remedy::Value => {
            log.waits = Waits::Value;
            (log.rounds, log.mended) = (log.rounds + 1, 0);
            let met = log.doubted.take().and_then(|met| *met);
            let stamp = log.entries.iter().filter_map(|entry| entry.stamp).max().unwrap_or(Stamp::WEAKEST);
            // An update beats what the server removed: the region that has not removed the key gives its value.
            let removed = log.entries.iter().any(|entry| entry.local && entry.weak);
            let latest = if removed { Order::WEAKEST } else { log.latest() };
            exchange.ask(region, name, (latest, stamp), (log.rounds, met));
            found(Found::Wanted);
        }
    }
}

/// The record of a key that was made equal by its value, since these met.
pub fn by_value(region: usize, database: u32, key: &[u8], met: Met) -> Record {
    let side = |of: usize| Side { region: of, stamp: met.sides[of].0 };
    Record {
        id: hash(&met.sides.map(|(_, id)| id), database, key),
        found_at: region,
        database,
        key: key.to_vec(),
        unit: Decided::Sequence,
        winner: side(1 - region),
        loser: side(region),
        write: Vec::new(),
        length: 0,
        done: Done::Reconciled,
        against: Vec::new(),
        against_length: 0,
    }
}
