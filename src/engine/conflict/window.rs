//! What one region executed of late: clients' writes, and ours, in the order of its stream.
//!
//! The link that reads the region's stream owns it. A write of a client stays in it until it is stable: until nothing can come
//! any more that was written without having seen it. Our own writes are looked at only where they meet such a one.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::claim::{is_of_several, replaces};
use super::exchange::{Exchange, Mail, Name};
use super::log::{Entry, Finding, KeyLog, Place, Redo, Remedy, Since, Waits};
use super::record::{Done, Record, Side, Unit as Decided};
use super::stamp::Stamp;
use crate::command::{Access, Class, KeyUse, Spec, lookup};
use crate::wire::resp::{Command, FrameReader, command as request};

/// Bytes of writes that are kept at most before anything has met them; beyond it they are forgotten, and that is said.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// As many writes at most, likewise.
const MOST_WRITES: usize = 1 << 20;

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

/// Whose execution it is.
#[derive(Debug, Clone, Copy)]
pub enum Origin {
    /// A client's of this region; `silent` for a deletion by the server itself that is not sent.
    Local {
        /// Whether the other region is not told.
        silent: bool,
    },
    /// The other region's, executed by us.
    Echo {
        /// Up to where that one had seen this region's writes.
        saw: u64,
        /// Its transaction holds that one's writes up to here.
        high: u64,
    },
    /// One of either region that was executed again.
    Redone {
        /// Where its first execution stands.
        id: u64,
        /// Whether a client of this region wrote it.
        local: bool,
        /// Where not: its first transaction held that region's writes up to here.
        high: u64,
    },
    /// The other region's value of a key.
    Value {
        /// Where in its stream the value was taken.
        at: u64,
        /// Up to where that region had executed this one's writes then.
        covered: u64,
        /// It is later than anything before this.
        floor: Option<Stamp>,
    },
}

/// One execution, as it was read.
#[derive(Debug)]
pub struct Executed {
    /// Where it stands in the stream, bytes; what follows stands behind it.
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
    /// Whose it is.
    pub origin: Origin,
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
    /// What was read and is not in the logs yet.
    raw: VecDeque<Executed>,
    /// How many of `raw` are not clients' writes.
    echoes: usize,
    /// From where in `raw` on the requests stand in the buffer that is being read.
    unsealed: usize,
    /// Bytes that `raw` keeps.
    bytes: usize,
    logs: HashMap<Key, (KeyLog, u32, Bytes)>,
    /// Local executions in the logs, oldest first.
    own: VecDeque<(u64, Key)>,
    /// Keys whose logs have changed since they were judged.
    touched: Vec<Key>,
    /// Executions of writes to several keys, oldest first.
    ties: VecDeque<Tie>,
    /// Clients' FLUSHDB, FLUSHALL and SWAPDB with the database that they concern: they concern every key of it.
    flushes: VecDeque<(Option<u32>, Entry)>,
    /// Nothing is judged: the streams are not read up to where they ended when a session began.
    suspended: bool,
}

impl Window {
    /// An empty window of region 0 or 1; `seed` makes the hashes of keys unforeseeable.
    pub fn new(region: usize, seed: u64) -> Self {
        Self {
            region,
            seed,
            raw: VecDeque::new(),
            echoes: 0,
            unsealed: 0,
            bytes: 0,
            logs: HashMap::new(),
            own: VecDeque::new(),
            touched: Vec::new(),
            ties: VecDeque::new(),
            flushes: VecDeque::new(),
            suspended: true,
        }
    }

    /// Whether our own executions are of interest: whether anything is there that they could meet.
    pub fn is_watching(&self) -> bool {
        !self.raw.is_empty() || !self.logs.is_empty() || !self.flushes.is_empty()
    }

    /// How many executions are kept.
    pub fn kept(&self) -> usize {
        self.raw.len() + self.own.len()
    }

    /// Something was executed.
    pub fn push(&mut self, executed: Executed) {
        self.echoes += usize::from(!matches!(executed.origin, Origin::Local { silent: false }));
        self.bytes += match &executed.held {
            Held::Here(range) => range.len(),
            Held::Own(bytes) => bytes.len(),
        } + size_of::<Executed>();
        self.raw.push_back(executed);
    }

    /// A long transaction of the other region ends: what was read of it since `from` holds that one's writes up to `high`.
    pub fn raise(&mut self, from: u64, high: u64) {
        for executed in self.raw.iter_mut().rev().take_while(|executed| executed.at > from) {
            if let Origin::Echo { high: known, .. } = &mut executed.origin {
                *known = high;
            }
        }
    }

    /// The buffer that was read is at its end: requests that stand in it become slices.
    pub fn seal(&mut self, chunk: &Bytes) {
        for executed in self.raw.range_mut(self.unsealed..) {
            if let Held::Here(range) = &executed.held {
                executed.held = Held::Own(chunk.slice(range.clone()));
            }
        }
        self.unsealed = self.raw.len();
    }

    /// Judges what was read, unless that has to wait; everything that follows from it goes into `exchange` or to `found`.
    pub fn settle(&mut self, exchange: &mut Exchange, found: &mut impl FnMut(Found)) {
        if self.echoes > 0 || !exchange.is_calm() {
            self.sort_in(exchange);
        }
        for ((database, name), at) in exchange.take_taken(self.region) {
            if self.taken(self.key(database, &name), at) {
                self.doubt(database, &name, exchange, found);
            }
        }
        if !self.suspended {
            for (database, name) in exchange.take_refused(self.region) {
                self.doubt(database, &name, exchange, found);
            }
            self.judge(exchange, found);
            exchange.advance(self.region);
        }
        // Only now: what has become stable meanwhile may have met something in what was read with it.
        self.forget(exchange.stable(self.region), found);
    }

    /// Clients' writes to a key that were sent and may have changed nothing at the other region, so that its stream does not
    /// hold them: those later than `order` that may be executed twice.
    pub fn unseen(&mut self, exchange: &Exchange, (database, name): (u32, &[u8]), since: Since) -> Vec<Redo> {
        self.sort_in(exchange);
        match self.logs.get(&self.key(database, name)) {
            Some((log, ..)) => log.resets(Place { region: self.region, database, key: name }, since),
            None => Vec::new(),
        }
    }

    /// The keys that clients wrote in this part of the stream.
    pub fn written(&mut self, exchange: &Exchange, part: Range<u64>) -> Vec<Name> {
        self.sort_in(exchange);
        let of_part = self.own.iter().filter(|(at, _)| part.start < *at && *at <= part.end);
        let names = of_part.filter_map(|(_, key)| self.logs.get(key));
        names.map(|(_, database, name)| (*database, name.to_vec())).collect()
    }

    /// The stamp of the latest write of the whole key that was executed here.
    pub fn floor(&mut self, exchange: &Exchange, (database, name): (u32, &[u8]), at: u64) -> Option<Stamp> {
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
        self.suspended = false;
        self.sort_in(exchange);
        let region = self.region;
        for (key, (log, ..)) in &mut self.logs {
            log.entries.retain_mut(|entry| {
                entry.stamp = entry.stamp.or_else(|| exchange.stamp_of(region, entry.at));
                entry.stamp.is_some()
            });
            log.waits = Waits::Nothing;
            self.touched.push(*key);
        }
        let of_log = |(log, database, name): &(KeyLog, u32, Bytes)| {
            let families = log.entries.iter().rev().filter(|entry| entry.local).map(|entry| entry.spec.family());
            let family = families.into_iter().find(|family| *family != 0)?;
            Some(((*database, name.to_vec()), family))
        };
        exchange.compare(region, self.logs.values().filter_map(of_log).collect());
    }

    fn key(&self, database: u32, name: &[u8]) -> Key {
        xxh3_128_with_seed(name, self.seed ^ u64::from(database).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Puts what was read into the logs of its keys.
    fn sort_in(&mut self, exchange: &Exchange) {
        self.echoes = 0;
        self.unsealed = 0;
        self.bytes = 0;
        for (database, name) in exchange.settling() {
            let key = self.key(database, name);
            let fresh = || (KeyLog::default(), database, Bytes::copy_from_slice(name));
            self.logs.entry(key).or_insert_with(fresh);
        }
        for executed in std::mem::take(&mut self.raw) {
            let Held::Own(bytes) = &executed.held else { continue };
            let bytes = bytes.clone();
            let mut reader = FrameReader::new();
            if !matches!(reader.next(&bytes), Ok(Some(_))) {
                continue;
            }
            let command = Command::new(&bytes, reader.arguments());
            if executed.spec.class == Class::Database {
                self.whole_database(&executed, bytes.clone());
                continue;
            }
            if is_of_several(executed.spec, &command) {
                self.tie(&executed, &command);
            }
            for used in executed.spec.keys(&command) {
                let database = used.database.unwrap_or(executed.database);
                let replaces = executed.requests == 1 && replaces(&command, executed.spec, &used);
                self.note(&executed, database, used.key, replaces, &bytes);
            }
        }
    }

    fn note(&mut self, executed: &Executed, database: u32, name: &[u8], replaces: bool, bytes: &Bytes) {
        let key = self.key(database, name);
        let entry = Entry { replaces, ..entry(executed, bytes.clone()) };
        let is_local = matches!(executed.origin, Origin::Local { .. });
        if !self.logs.contains_key(&key) {
            let flushed = self.was_flushed(key, database, name, if is_local { 0 } else { entry.saw });
            if !is_local && !flushed {
                return;
            }
        }
        let fresh = || (KeyLog::default(), database, Bytes::copy_from_slice(name));
        let (log, ..) = self.logs.entry(key).or_insert_with(fresh);
        match executed.origin {
            Origin::Redone { .. } => {
                log.redone(entry);
                log.waits = if log.waits == Waits::Again { Waits::Nothing } else { log.waits };
                self.touched.push(key);
            }
            Origin::Value { at, covered, floor } => {
                log.replaced(at, covered, floor);
                log.waits = Waits::Nothing;
                self.touched.push(key);
            }
            Origin::Echo { .. } => {
                log.append(entry);
                self.touched.push(key);
            }
            Origin::Local { silent } => {
                log.append(entry);
                log.unstable += 1;
                self.own.push_back((executed.at, key));
                if silent || log.waits != Waits::Nothing {
                    self.touched.push(key);
                }
            }
        }
    }

    fn tie(&mut self, executed: &Executed, command: &Command<'_>) {
        let name = |used: &KeyUse<'_>| (used.database.unwrap_or(executed.database), used.key.to_vec());
        let names: Vec<(Name, Access)> = executed.spec.keys(command).map(|used| (name(&used), used.access)).collect();
        let keys = names.iter().map(|((database, name), _)| self.key(*database, name)).collect();
        let written = names.into_iter().filter(|(_, access)| *access != Access::Read).map(|(name, _)| name).collect();
        self.ties.push_back(Tie { at: executed.at, keys, written });
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

    /// Begins the log of a key with the flushes by clients of this region that came before, but for what `saw` had seen.
    /// Tells whether there were any.
    fn was_flushed(&mut self, key: Key, database: u32, name: &[u8], saw: u64) -> bool {
        let concerns = |of: &Option<u32>| of.is_none_or(|of| of == database);
        let unseen = self.flushes.iter().filter(|(of, flush)| concerns(of) && flush.at > saw);
        let entries: Vec<Entry> = unseen.map(|(_, flush)| deletion(flush, name)).collect();
        if entries.is_empty() {
            return false;
        }
        self.own.extend(entries.iter().map(|entry| (entry.at, key)));
        let log = KeyLog { unstable: entries.len(), entries, ..KeyLog::default() };
        self.logs.insert(key, (log, database, Bytes::copy_from_slice(name)));
        true
    }

    /// A database, or all of them, was emptied, or two changed places.
    fn whole_database(&mut self, executed: &Executed, bytes: Bytes) {
        let database = (executed.spec.name == "FLUSHDB").then_some(executed.database);
        let flush = entry(executed, bytes);
        for (key, (log, of, name)) in &mut self.logs {
            if database.is_some_and(|database| database != *of) {
                continue;
            }
            let of_key = deletion(&flush, name);
            log.append(of_key);
            if flush.local {
                log.unstable += 1;
                self.own.push_back((executed.at, *key));
            }
            self.touched.push(*key);
        }
        if flush.local {
            self.flushes.push_back((database, flush));
        }
    }

    /// Our value was put at the other region. Tells whether ours is another one by now.
    fn taken(&mut self, key: Key, at: u64) -> bool {
        let Some((log, ..)) = self.logs.get_mut(&key) else { return false };
        let changed = log.taken(at);
        if log.waits == Waits::Value {
            log.waits = Waits::Nothing;
        }
        self.touched.push(key);
        changed
    }

    /// A key must be made equal by its value, whatever its log says.
    fn doubt(&mut self, database: u32, name: &[u8], exchange: &mut Exchange, found: &mut impl FnMut(Found)) {
        let key = self.key(database, name);
        let fresh = || (KeyLog::default(), database, Bytes::copy_from_slice(name));
        let (log, ..) = self.logs.entry(key).or_insert_with(fresh);
        if log.waits != Waits::Value {
            ask(log, self.region, database, name, exchange);
            found(Found::Wanted);
        }
        for (database, name) in self.tied(key) {
            self.doubt(database, &name, exchange, found);
        }
    }

    /// Drops what is stable.
    fn forget(&mut self, stable: u64, found: &mut impl FnMut(Found)) {
        while self.raw.front().is_some_and(|executed| executed.at <= stable) {
            if let Some(executed) = self.raw.pop_front() {
                self.unsealed = self.unsealed.saturating_sub(1);
                self.bytes = self.bytes.saturating_sub(size_of::<Executed>() + length(&executed));
            }
        }
        while self.ties.front().is_some_and(|tie| tie.at <= stable) {
            self.ties.pop_front();
        }
        while self.flushes.front().is_some_and(|(_, flush)| flush.at <= stable) {
            self.flushes.pop_front();
        }
        while self.own.front().is_some_and(|(at, _)| *at <= stable) {
            let Some((_, key)) = self.own.pop_front() else { break };
            let Some((log, ..)) = self.logs.get_mut(&key) else { continue };
            log.unstable = log.unstable.saturating_sub(1);
            log.stable += 1;
            if log.waits != Waits::Nothing || self.suspended {
                continue;
            }
            if log.unstable == 0 && log.pin.is_none() {
                self.logs.remove(&key);
            } else if log.stable * 2 >= log.entries.len() {
                log.forget(stable);
            }
        }
        if self.raw.len() > MOST_WRITES || self.bytes > MOST_BYTES {
            found(Found::Forgotten(self.raw.len() as u64));
            self.raw.clear();
            self.unsealed = 0;
            self.bytes = 0;
            self.echoes = 0;
        }
    }

    /// Judges the logs that have changed.
    fn judge(&mut self, exchange: &mut Exchange, found: &mut impl FnMut(Found)) {
        let region = self.region;
        let mut doubts: Vec<Name> = Vec::new();
        let mut tied: Vec<Key> = Vec::new();
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for key in touched {
            let Some((log, database, name)) = self.logs.get_mut(&key) else { continue };
            let (database, name) = (*database, name.clone());
            let place = Place { region, database, key: &name };
            let remedy = log.judge(place, |finding| match finding {
                Finding::Lost(record) => found(Found::Conflict(record)),
                Finding::Doubt { database, key } => doubts.push((database, key.to_vec())),
            });
            if log.waits != Waits::Nothing || !matches!(remedy, Remedy::None) {
                tied.push(key);
            }
            if log.waits != Waits::Nothing || exchange.is_settling(database, &name) {
                continue;
            }
            match remedy {
                Remedy::None => {
                    log.pin.take().into_iter().for_each(|pin| exchange.unpin(pin));
                    if log.unstable == 0 {
                        self.logs.remove(&key);
                    }
                }
                Remedy::Again(redos) => {
                    log.pin.get_or_insert_with(|| exchange.pin(region));
                    log.waits = Waits::Again;
                    exchange.post(region, Mail::Again(redos));
                    found(Found::Posted);
                }
                Remedy::Value => {
                    ask(log, region, database, &name, exchange);
                    found(Found::Wanted);
                }
            }
        }
        doubts.extend(tied.into_iter().flat_map(|key| self.tied(key)));
        for (database, name) in doubts {
            self.doubt(database, &name, exchange, found);
        }
    }
}

/// Asks for the other region's value.
fn ask(log: &mut KeyLog, region: usize, database: u32, name: &[u8], exchange: &mut Exchange) {
    log.pin.get_or_insert_with(|| exchange.pin(region));
    log.waits = Waits::Value;
    log.rounds += 1;
    let latest = log.entries.iter().filter_map(|entry| entry.stamp).max().unwrap_or(Stamp::WEAKEST);
    exchange.ask(region, (database, name.to_vec()), latest, log.rounds);
}

/// The record of a key that was made equal by its value.
pub fn by_value(region: usize, database: u32, key: &[u8], id: u64, stamps: [Stamp; 2]) -> Record {
    Record {
        id,
        found_at: region,
        database,
        key: key.to_vec(),
        unit: Decided::Sequence,
        winner: Side { region: 1 - region, stamp: stamps[1 - region] },
        loser: Side { region, stamp: stamps[region] },
        write: Vec::new(),
        length: 0,
        done: Done::Reconciled,
    }
}

fn entry(executed: &Executed, bytes: Bytes) -> Entry {
    let (local, saw, high) = match executed.origin {
        Origin::Local { .. } => (true, 0, 0),
        Origin::Echo { saw, high } => (false, saw, high),
        Origin::Redone { local, high, .. } => (local, u64::MAX, high),
        Origin::Value { .. } => (false, u64::MAX, u64::MAX),
    };
    Entry {
        stamp: executed.stamp,
        id: if let Origin::Redone { id, .. } = executed.origin { id } else { executed.at },
        at: executed.at,
        local,
        saw,
        high,
        spec: executed.spec,
        bytes,
        requests: executed.requests,
        wiped: false,
        silent: matches!(executed.origin, Origin::Local { silent: true }),
        recorded: local,
        told: false,
        replaces: false,
    }
}

/// What the emptying of its database does to a key. Two databases that change places are no such thing: what a key held
/// has another name then, and no single write tells it.
fn deletion(flush: &Entry, name: &[u8]) -> Entry {
    let swaps = flush.spec.name == "SWAPDB";
    Entry {
        spec: lookup(b"DEL").unwrap_or(flush.spec),
        bytes: request(&[b"del".as_slice(), name]).into(),
        requests: if swaps { 2 } else { 1 },
        replaces: !swaps,
        ..flush.clone()
    }
}

fn length(executed: &Executed) -> usize {
    match &executed.held {
        Held::Here(range) => range.len(),
        Held::Own(bytes) => bytes.len(),
    }
}
