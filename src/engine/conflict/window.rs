//! What one region executed of late: clients' writes, and ours, in the order of its stream.
//!
//! The link that reads the region's stream owns it. A write of a client stays in it until it is stable: until nothing can come
//! any more that was written without having seen it. Our own writes are looked at only where they meet such a one.

mod mending;
mod whole;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use super::claim::{is_of_several, replaces};
use super::exchange::{Exchange, Name, ReadAgain};
use super::log::{Entry, KeyLog, Place, Redo, Waits};
use super::order::Order;
use super::policy::Policies;
use super::record::Record;
use super::stamp::Stamp;
use super::writes::Write;
use crate::command::{Class, Spec, lookup};
use crate::engine::position::Position;
use crate::wire::resp::{Command, FrameReader};

pub use mending::by_value;
use whole::Span;

/// A key by its hash, 128 bits wide.
type Key = u128;

/// The request of a write.
#[derive(Debug, Clone)]
pub enum Held {
    /// It stands in the buffer that is being read.
    Here(Range<usize>),
    /// Bytes of its own.
    Own(Bytes),
}

/// A client's write, as it was read.
#[derive(Debug)]
pub struct Executed {
    /// Where it ends in the stream, bytes.
    pub at: u64,
    /// Its database.
    pub database: u32,
    /// What it is.
    pub spec: &'static Spec,
    /// The request.
    pub held: Held,
    /// How many requests these are.
    pub requests: u32,
    /// When it was written; not known for what an earlier session sent.
    pub stamp: Option<Stamp>,
    /// Up to where its region had executed the other one's writes then, in that one's stream; where the stamp is known.
    pub seen: u64,
    /// A deletion by the server itself that the other region is not told.
    pub silent: bool,
    /// Whether any update that is concurrent with it beats it: a deletion by the server itself, or what may be one.
    pub weak: bool,
    /// Up to where the region had seen the other one's writes.
    pub sees: u64,
}

/// A transaction of ours.
#[derive(Debug)]
pub struct Ours {
    /// Behind it in the region's stream, bytes.
    pub at: u64,
    /// What it executed.
    pub what: What,
}

/// What a transaction of ours executed.
#[derive(Debug)]
pub enum What {
    /// Writes of the other region.
    Writes(Part),
    /// A write that was executed again.
    Again {
        /// It.
        redo: Redo,
        /// Whether a client of this region wrote it.
        local: bool,
    },
    /// Writes that were executed again, it is not known in which form: each by its place, and whether a client of this
    /// region wrote it.
    Unknown(Vec<(u64, bool)>),
    /// The other region's value of a key.
    Value {
        /// The key.
        name: Name,
        /// Where in that region's stream the value was taken.
        at: u64,
        /// Up to where that region had executed this one's writes then.
        covered: u64,
        /// It is later than anything before this.
        floor: Option<Order>,
        /// This daemon took it, and has kept since what came before it. What an earlier one took may have replaced writes
        /// of the other region that nobody remembers.
        ours: bool,
    },
}

/// A part of the other region's writes that was executed here.
#[derive(Debug)]
pub struct Part {
    /// Those behind this place of that region's stream,
    pub since: u64,
    /// up to this one.
    pub high: Position,
    /// Up to where that region had seen this one's writes.
    pub saw: u64,
    /// When they were written.
    pub stamp: Stamp,
    /// What of them changed something here, each by [`shown`]; `None` where all of them did.
    pub shown: Option<Vec<u64>>,
}

/// What the window found out.
#[derive(Debug)]
pub enum Found {
    /// A conflict was resolved.
    Conflict(Record),
    /// Something was posted for one of the links.
    Posted,
    /// The value of a key is to be read.
    Wanted,
    /// Writes were forgotten before they were stable.
    Forgotten(u64),
    /// Other keys are held than before.
    Held,
}

/// One execution of a write that takes from one key what it puts into another.
#[derive(Debug)]
struct Tie {
    at: u64,
    keys: Vec<Key>,
    written: Vec<Name>,
}

/// The executions of one region.
#[derive(Debug)]
pub struct Window {
    region: usize,
    seed: u64,
    policies: Arc<Policies>,
    /// Clients' writes that are not in the logs yet hold what the server may have removed by itself.
    removed: bool,
    /// What was read of clients and is not handed over yet, and how many of it stand in the buffer that is being read.
    fresh: Vec<Executed>,
    sealed: usize,
    /// Our transactions that are not in the logs yet.
    ours: VecDeque<Ours>,
    /// Up to where clients' writes are in the logs.
    sorted: u64,
    /// How many clients' writes are not stable.
    unstable: usize,
    logs: HashMap<Key, (KeyLog, u32, Bytes)>,
    /// Local executions in the logs, oldest first.
    own: VecDeque<(u64, Key)>,
    /// Keys whose logs have changed since they were judged.
    touched: Vec<Key>,
    /// Keys whose values have arrived, and where these were taken.
    arrived: Vec<(Name, u64)>,
    /// Keys on which writes have been executed again.
    repaired: Vec<Name>,
    /// What was executed again of late, by its key, and is not in the logs yet.
    redone: HashMap<Key, Vec<Entry>>,
    /// Keys that must be made equal by their values, whatever their logs say.
    doubted: Vec<Name>,
    /// Executions of writes to several keys, oldest first.
    ties: VecDeque<Tie>,
    /// Clients' FLUSHDB, FLUSHALL and SWAPDB with the databases that they concern: they concern every key there.
    flushes: VecDeque<(Span, Entry)>,
    /// What was executed before it is of no interest: a copy of the other region has decided what came of it.
    cut: u64,
    /// Nothing is judged: the streams are not read up to where they ended when a session began.
    suspended: bool,
}

impl Window {
    /// An empty window of region 0 or 1 that is read from `from` on; `seed` makes the hashes of keys unforeseeable.
    pub fn new(region: usize, from: u64, seed: u64, policies: Arc<Policies>) -> Self {
        Self {
            region,
            seed,
            policies,
            removed: false,
            fresh: Vec::new(),
            sealed: 0,
            ours: VecDeque::new(),
            sorted: from,
            unstable: 0,
            logs: HashMap::new(),
            own: VecDeque::new(),
            touched: Vec::new(),
            doubted: Vec::new(),
            repaired: Vec::new(),
            redone: HashMap::new(),
            arrived: Vec::new(),
            ties: VecDeque::new(),
            flushes: VecDeque::new(),
            cut: 0,
            suspended: true,
        }
    }

    /// These keys are held since an earlier session.
    pub fn hold(&mut self, held: &BTreeMap<Name, Order>) {
        for ((database, name), latest) in held {
            let key = self.key(*database, name);
            let fresh = fresh(&self.policies, self.region, (*database, name));
            self.logs.entry(key).or_insert_with(fresh).0.held = Some(*latest);
        }
    }

    /// A dump of the other region, which holds this one's writes up to `at`, is copied here: the copy decides what came of all
    /// that was executed before. Tells whether that is news.
    pub fn cut(&mut self, at: u64) -> bool {
        if at <= self.cut {
            return false;
        }
        self.cut = at;
        self.sorted = self.sorted.max(at);
        self.ours.retain(|ours| ours.at > at);
        self.ties.retain(|tie| tie.at > at);
        self.flushes.retain(|(_, flush)| flush.at > at);
        self.own.retain(|(of, _)| *of > at);
        self.arrived.clear();
        self.repaired.clear();
        self.doubted.clear();
        for (log, ..) in self.logs.values_mut() {
            let entries = std::mem::take(&mut log.entries);
            let entries = entries.into_iter().filter(|entry| entry.at > at).collect();
            let KeyLog { ranking, removed, of_several, .. } = *log;
            *log = KeyLog { ranking, removed, of_several, entries, ..KeyLog::default() };
        }
        for (_, key) in &self.own {
            self.logs.get_mut(key).into_iter().for_each(|(log, ..)| log.unstable += 1);
        }
        self.logs.retain(|_, (log, ..)| log.unstable > 0);
        true
    }

    /// How many executions are kept.
    pub fn kept(&self) -> usize {
        self.unstable + self.own.len()
    }

    /// A client wrote.
    pub fn push(&mut self, executed: Executed) {
        self.removed |= executed.weak;
        self.fresh.push(executed);
    }

    /// We repaired something.
    pub fn push_ours(&mut self, ours: Ours) {
        if ours.at > self.cut {
            self.ours.push_back(ours);
        }
    }

    /// We executed writes of the other region: all before `at` of this region's stream. That is of interest only where there
    /// is something that they could meet, or where not all of them changed something.
    pub fn push_writes(&mut self, at: u64, mut part: Part, exchange: &Exchange) {
        if at <= self.cut {
            return;
        }
        let (read, sent) = exchange.sent_part(1 - self.region, part.since, part.high);
        let requests: usize = sent.map(|write| write.requests as usize).sum();
        if read && requests == 0 && self.logs.is_empty() {
            // Heartbeats only, and no key that waits for anything: what is unstable need not be taken apart by keys.
            return;
        }
        if read && part.shown.as_ref().is_none_or(|shown| shown.len() == requests) {
            part.shown = None;
            if self.unstable == 0 && self.fresh.is_empty() && self.logs.is_empty() && self.flushes.is_empty() {
                return;
            }
        }
        self.ours.push_back(Ours { at, what: What::Writes(part) });
    }

    /// The buffer that was read is at its end: requests that stand in it become slices.
    pub fn seal(&mut self, chunk: &Bytes) {
        for executed in self.fresh.iter_mut().skip(self.sealed) {
            if let Held::Here(range) = &executed.held {
                executed.held = Held::Own(chunk.slice(range.clone()));
            }
        }
        self.sealed = self.fresh.len();
    }

    /// Judges what was read, up to `read`, unless that has to wait; everything that follows from it goes into `exchange` or to
    /// `found`.
    pub fn settle(&mut self, read: u64, exchange: &mut Exchange, found: &mut impl FnMut(Found)) {
        // What waits for something has to see all that is written: it may be stable, and forgotten, at once.
        if !self.ours.is_empty() || !self.logs.is_empty() || self.removed || !exchange.is_calm() {
            self.sort_in(exchange);
        }
        for (name, at) in self.arrived.drain(..) {
            exchange.arrived(self.region, &name, at).into_iter().for_each(|record| found(Found::Conflict(record)));
        }
        for name in self.repaired.drain(..) {
            exchange.repairs(self.region, name, false);
        }
        if !self.suspended {
            for ((database, name), at) in exchange.take_taken(self.region) {
                if self.taken(self.key(database, &name), at) {
                    self.doubted.push((database, name));
                }
            }
            self.doubted.append(&mut exchange.take_refused(self.region));
            for name in std::mem::take(&mut self.doubted) {
                self.doubt(&name, None, exchange, found);
            }
            self.judge(exchange, found);
            let judged = self.ours.front().map_or(read, |ours| read.min(ours.at - 1));
            exchange.advance(self.region, judged);
        }
        // Only now: what has become stable meanwhile may have met something in what was read with it.
        self.forget(exchange, found);
    }

    /// What was executed here before the session began, of writes that are finished and not read again: a log that has
    /// something from before is not whole.
    pub fn lacks(&mut self, parts: &[ReadAgain], exchange: &Exchange) {
        let known = exchange.writes(1 - self.region).known();
        for again in parts.iter().filter(|again| again.part.start < known) {
            for (database, name) in &again.names {
                let key = self.key(*database, name);
                if let Some((log, ..)) = self.logs.get_mut(&key) {
                    log.lacks |= log.entries.iter().any(|entry| entry.local && entry.at < again.at);
                }
            }
        }
    }

    /// A copy had put these values here before the session began, up to this place: which of them lack something is known no
    /// more, so keys that clients had written since the dump take the other region's.
    pub fn copied(&mut self, names: &mut Vec<(u64, Name)>, exchange: &mut Exchange) {
        if names.is_empty() {
            return;
        }
        self.sort_in(exchange);
        for (at, (database, name)) in names.drain(..) {
            let log = self.logs.get(&self.key(database, &name));
            if log.is_some_and(|(log, ..)| log.entries.iter().any(|entry| entry.local && entry.at <= at)) {
                exchange.damaged(self.region, (database, name));
            }
        }
    }

    /// Hands what clients wrote over to `exchange`; everything before `read` was read.
    pub fn hand_over(&mut self, read: u64, exchange: &mut Exchange) {
        self.sealed = 0;
        let writes = self.fresh.drain(..).filter_map(|executed| {
            let Executed { at, database, spec, held, requests, stamp, seen, silent, weak, sees } = executed;
            let Held::Own(bytes) = held else { return None };
            let behind = Cell::default();
            Some(Write { at, database, spec, bytes, requests, stamp, seen, silent, weak, sees, behind })
        });
        exchange.wrote(self.region, writes, read);
        self.unstable = exchange.writes(self.region).len();
    }

    /// The place of the latest write of the whole key that was executed here.
    pub fn floor(&mut self, exchange: &Exchange, (database, name): (u32, &[u8]), at: u64) -> Option<Order> {
        self.sort_in(exchange);
        self.logs.get(&self.key(database, name)).and_then(|(log, ..)| log.floor(at))
    }

    /// A session begins somewhere: nothing is judged until [`Self::resume`].
    pub fn suspend(&mut self) {
        self.suspended = true;
    }

    /// Whether it waits for [`Self::resume`].
    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Everything that was on its way when the session began has been read: what was waited for has come, or never will.
    pub fn resume(&mut self, exchange: &mut Exchange) {
        self.sort_in(exchange);
        if !self.ours.is_empty() {
            return;
        }
        self.suspended = false;
        let region = self.region;
        for (key, (log, ..)) in &mut self.logs {
            log.date(|entry| exchange.made(region, entry.id));
            log.waits = Waits::Nothing;
            log.sort_held();
            self.touched.push(*key);
        }
    }

    fn key(&self, database: u32, name: &[u8]) -> Key {
        xxh3_128_with_seed(name, self.seed ^ u64::from(database).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Puts what was read into the logs of its keys, in the order of the stream. What our transactions hold must have been
    /// read at the other region.
    fn sort_in(&mut self, exchange: &Exchange) {
        for (database, name) in exchange.settling() {
            let key = self.key(database, name);
            let fresh = fresh(&self.policies, self.region, (database, name));
            self.logs.entry(key).or_insert_with(fresh);
        }
        self.removed = false;
        let mut local = exchange.writes(self.region).after(self.sorted).peekable();
        loop {
            let until = self.ours.front().map_or(u64::MAX, |ours| ours.at);
            if let Some(write) = local.next_if(|write| write.at < until) {
                self.redo();
                self.sorted = write.at;
                let Write { at, stamp, seen, .. } = *write;
                self.execute(write, By { at, local: true, saw: 0, seen, again: None, stamp });
                continue;
            }
            let Some(ours) = self.ours.pop_front() else { return self.redo() };
            if !matches!(ours.what, What::Again { .. }) {
                self.redo();
            }
            let unread = match ours.what {
                // Another history need not hold it at all.
                What::Writes(Part { high, .. }) => exchange.is_unread(1 - self.region, high),
                What::Again { .. } | What::Unknown(_) | What::Value { .. } => false,
            };
            if unread {
                return self.ours.push_front(ours);
            }
            self.ours_in(ours, exchange);
        }
    }

    /// What was executed again goes into the logs.
    fn redo(&mut self) {
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
                let Some(spec) = spec_of(&request) else { return };
                let write = Write {
                    at,
                    database,
                    spec,
                    bytes: request,
                    requests: 1,
                    stamp: Some(stamp),
                    seen,
                    silent: false,
                    weak: behind.is_some(),
                    sees: 0,
                    behind: Cell::new(behind),
                };
                self.execute(&write, By { at, local, saw: u64::MAX, seen, again: Some(id), stamp: Some(stamp) });
            }
            What::Unknown(executed) => {
                for (id, local) in executed {
                    let region = if local { self.region } else { 1 - self.region };
                    self.doubted.extend(exchange.writes(region).get(id).into_iter().flat_map(Write::written));
                }
            }
            What::Value { name: (database, name), at: taken_at, covered, floor, ours } => {
                let key = self.key(database, &name);
                if let Some((log, ..)) = self.logs.get_mut(&key) {
                    let place = Place { region: self.region, database, key: &name };
                    self.doubted.extend(log.replaced(place, taken_at, covered, floor));
                    log.waits = Waits::Nothing;
                    self.touched.push(key);
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
        if self.logs.is_empty() && self.flushes.is_empty() && part.shown.is_none() {
            return;
        }
        let mut shown = part.shown.as_deref();
        let (_, sent) = exchange.sent_part(1 - self.region, part.since, part.high);
        for write in sent {
            self.execute(
                write,
                By { at, local: false, saw: part.saw, seen: part.saw, again: None, stamp: Some(part.stamp) },
            );
            let Some(rest) = shown else { continue };
            let name = write.shown();
            match rest.iter().position(|of| Some(*of) == name) {
                Some(found) => shown = rest.get(found + 1..),
                // What was gone already needed no removal. Of what an earlier session has sent it is not known whether the
                // server's own deletions were among it.
                None if write.weak => {
                    if self.suspended {
                        self.doubted.append(&mut write.written());
                    }
                }
                None => self.had_no_effect(write, part.saw),
            }
        }
    }

    /// A write changed something in its region, and nothing here. Where nothing that its region had not seen explains that,
    /// this region held something else: a key that expired before it was prolonged.
    fn had_no_effect(&mut self, write: &Write, saw: u64) {
        for (database, name) in write.written() {
            let log = self.logs.get(&self.key(database, &name));
            if !log.is_some_and(|(log, ..)| log.entries.iter().any(|entry| entry.local && entry.id > saw)) {
                self.doubted.push((database, name));
            }
        }
    }

    /// A write was executed.
    fn execute(&mut self, write: &Write, by: By) {
        let mut reader = FrameReader::new();
        if !matches!(reader.next(&write.bytes), Ok(Some(_))) {
            return;
        }
        let command = Command::new(&write.bytes, reader.arguments());
        if write.spec.class == Class::Database {
            return self.whole_database(entry(write, &by));
        }
        let of_several = by.again.is_none() && is_of_several(write.spec, &command);
        if of_several {
            self.tie(write, by.at, &command);
        }
        for used in write.spec.keys(&command) {
            let database = used.database.unwrap_or(write.database);
            let replaces = write.requests == 1 && replaces(&command, write.spec, &used);
            let new = Entry { replaces, of_several, ..entry(write, &by) };
            let behind = self.note(new, by.again.is_some(), database, used.key);
            if write.weak && by.local {
                write.behind.set(Some(behind));
            }
        }
    }

    /// Gives behind what it counts, for a deletion by the server itself.
    fn note(&mut self, entry: Entry, again: bool, database: u32, name: &[u8]) -> Order {
        let key = self.key(database, name);
        let is_new = entry.local && !again;
        if !self.logs.contains_key(&key) && !self.was_flushed(key, database, name) && !is_new {
            return Order::WEAKEST;
        }
        let fresh = fresh(&self.policies, self.region, (database, name));
        let (log, ..) = self.logs.entry(key).or_insert_with(fresh);
        let was_held = log.held.is_some();
        if again {
            self.redone.entry(key).or_default().push(entry);
            log.waits = if log.waits == Waits::Again { Waits::Nothing } else { log.waits };
            self.repaired.push((database, name.to_vec()));
            self.touched.push(key);
        } else if is_new {
            if entry.silent || log.waits != Waits::Nothing || was_held {
                self.touched.push(key);
            }
            self.own.push_back((entry.at, key));
            log.unstable += 1;
            return log.append(entry);
        } else {
            self.touched.push(key);
            return log.append(entry);
        }
        Order::WEAKEST
    }

    fn tie(&mut self, write: &Write, at: u64, command: &Command<'_>) {
        let used = write.spec.keys(command);
        let keys = used.map(|used| self.key(used.database.unwrap_or(write.database), used.key)).collect();
        let written = write.spec.written(command, write.database);
        let written = written.map(|(database, name)| (database, name.to_vec())).collect();
        self.ties.push_back(Tie { at, keys, written });
    }

    /// The keys that writes of several keys have put in doubt since this one was not as it should be, each write once.
    fn tied(&mut self, key: Key) -> Vec<Name> {
        let mut written = Vec::new();
        self.ties.retain_mut(|tie| {
            let tied = tie.keys.contains(&key);
            if tied {
                written.append(&mut tie.written);
            }
            !tied
        });
        written
    }

    /// Our value was put at the other region. Tells whether ours is another one by now.
    fn taken(&mut self, key: Key, at: u64) -> bool {
        let Some((log, database, name)) = self.logs.get_mut(&key) else { return false };
        let changed = log.taken(Place { region: self.region, database: *database, key: name }, at);
        if log.waits == Waits::Value {
            log.waits = Waits::Nothing;
        }
        self.touched.push(key);
        changed
    }

    /// Drops what is stable.
    fn forget(&mut self, exchange: &mut Exchange, found: &mut impl FnMut(Found)) {
        let stable = exchange.stable(self.region);
        while self.ties.front().is_some_and(|tie| tie.at <= stable) {
            self.ties.pop_front();
        }
        while self.flushes.front().is_some_and(|(_, flush)| flush.at <= stable) {
            self.flushes.pop_front();
        }
        while self.own.front().is_some_and(|(at, _)| *at <= stable) {
            let Some((_, key)) = self.own.pop_front() else { break };
            let Some((log, database, name)) = self.logs.get_mut(&key) else { continue };
            log.unstable = log.unstable.saturating_sub(1);
            log.stable += 1;
            if log.waits != Waits::Nothing || self.suspended || exchange.is_settling(*database, name) {
                continue;
            }
            if log.unstable == 0 && log.pin.is_none() && log.held.is_none() {
                self.logs.remove(&key);
            } else if log.stable * 2 >= log.entries.len() {
                log.forget(stable);
            }
        }
        let forgotten = exchange.forget(self.region);
        if forgotten > 0 {
            found(Found::Forgotten(forgotten as u64));
        }
        self.unstable = exchange.writes(self.region).len();
    }
}

/// Makes the log of a key of `region` that has none.
fn fresh<'a>(
    policies: &'a Policies,
    region: usize,
    (database, name): (u32, &'a [u8]),
) -> impl FnOnce() -> (KeyLog, u32, Bytes) + 'a {
    move || {
        let log = KeyLog { ranking: policies.ranking(name, region), ..KeyLog::default() };
        (log, database, Bytes::copy_from_slice(name))
    }
}

/// How a write was executed.
struct By {
    /// Where that stands in the region's stream.
    at: u64,
    /// Whether a client of this region wrote it.
    local: bool,
    /// Up to where its region had seen this one's writes.
    saw: u64,
    /// What the region of its client had seen of the other one, whichever that is.
    seen: u64,
    /// Its name, where it was executed once more.
    again: Option<u64>,
    stamp: Option<Stamp>,
}

fn entry(write: &Write, by: &By) -> Entry {
    let By { at, local, saw, seen, again, stamp } = *by;
    // The rest of its transaction may have been written before.
    let saw = if write.weak && !local { saw.max(write.sees) } else { saw };
    Entry {
        stamp,
        id: again.unwrap_or(write.at),
        at,
        first: at,
        again: again.is_some(),
        local,
        saw,
        seen,
        database: write.database,
        spec: write.spec,
        bytes: write.bytes.clone(),
        requests: write.requests,
        wiped: false,
        silent: write.silent,
        weak: write.weak,
        behind: write.behind.get().unwrap_or(Order::WEAKEST),
        doubtful: write.weak && write.stamp.is_none() && again.is_none(),
        recorded: local || write.weak,
        told: false,
        replaces: false,
        of_several: false,
    }
}

/// By what a request is known again in the stream of the region that executed it.
pub fn shown(database: u32, command: &Command<'_>) -> u64 {
    xxh3_64_with_seed(command.arg(1), database.into())
}

/// What the first request in `bytes` is.
pub fn spec_of(bytes: &[u8]) -> Option<&'static Spec> {
    let mut reader = FrameReader::new();
    reader.next(bytes).ok()??;
    lookup(Command::new(bytes, reader.arguments()).name())
}
