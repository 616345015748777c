//! What one region executed of late: clients' writes, and ours, in the order of its stream.
//!
//! The link that reads the region's stream owns it. A write of a client stays in it until it is stable: until nothing can come
//! any more that was written without having seen it. Our own writes are looked at only where they meet such a one: until then
//! all that is kept of a client's write is which keys it names ([`recent`]), and only what has met something has a log.

mod mending;
mod recent;
mod sorting;
mod ties;
mod whole;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::num::NonZeroU128;
use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use super::exchange::{Exchange, Name, Placed, ReadAgain};
use super::log::{Entry, KeyLog, Place, Redo, Waits};
use super::order::Order;
use super::policy::Policies;
use super::record::Record;
use super::stamp::Stamp;
use super::writes::{Facts, Segments};
use crate::command::{Spec, lookup};
use crate::engine::position::Position;
use crate::wire::resp::{Command, FrameReader};

pub use mending::by_value;
use recent::Recent;
pub use sorting::{By, entry};
use ties::Ties;
use whole::Span;

/// A key by its hash, 128 bits wide, the same in the windows of both regions.
pub type Key = NonZeroU128;

/// Records of what lost that one go may make before it ends.
const MOST_RECORDS: usize = 4_096;

/// The log of a key, with its database and name.
type Logged = (KeyLog, u32, Bytes);

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
    /// Writes that were executed again, it is not known in which form.
    Unknown {
        /// Each by its place, and whether a client of this region wrote it.
        executed: Vec<(u64, bool)>,
        /// The keys that were changed: a write of whole databases names none.
        changed: Vec<Name>,
    },
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
    /// What of them changed something here, each by [`shown_as`]; `None` where all of them did.
    pub shown: Option<Vec<u64>>,
    /// The keys that were deleted in it, each by itself, where an earlier session has sent it.
    pub deleted: Vec<Name>,
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

/// The executions of one region.
#[derive(Debug)]
pub struct Window {
    region: usize,
    seed: u64,
    policies: Arc<Policies>,
    /// Clients' writes that are not in the logs yet hold what the server may have removed by itself.
    removed: bool,
    /// What was read of clients and is not handed over yet.
    fresh: Segments,
    /// Our transactions that are not in the logs yet.
    ours: VecDeque<Ours>,
    /// Up to where clients' writes are in the logs.
    sorted: u64,
    /// How many clients' writes are not stable.
    unstable: usize,
    /// Clients' writes that are not stable, and are in no log.
    recent: Recent,
    logs: HashMap<Key, Logged>,
    /// Local executions in the logs, oldest first.
    own: BinaryHeap<Reverse<(u64, Key)>>,
    /// Not all that could be was sorted in.
    is_cut_short: bool,
    /// How many executions went into the logs since those in them were counted last, with those that were there then.
    logged: usize,
    /// Records of writes that lost, and that nothing more is to be known of.
    lost: Vec<Record>,
    /// Keys whose logs have changed since they were judged.
    touched: Vec<Key>,
    /// Those of them that are being judged, each once: more is not read before.
    due: std::vec::IntoIter<Key>,
    /// Up to which number keys whose values are being taken have logs.
    asked: u64,
    /// Keys whose values have arrived, and where these were taken.
    arrived: Vec<(Name, u64)>,
    /// Keys on which writes have been executed again.
    repaired: Vec<Name>,
    /// What was executed again of late, by its key, and is not in the logs yet.
    redone: HashMap<Key, Vec<Entry>>,
    /// Keys whose values, as they were put here, lack writes that were forgotten: these can't be given.
    damaged: Vec<Name>,
    /// Keys that must be made equal by their values, whatever their logs say.
    doubted: Vec<Name>,
    /// Executions of writes to several keys.
    ties: Ties,
    /// Clients' FLUSHDB, FLUSHALL and SWAPDB with the databases that they concern: they concern every key there.
    flushes: VecDeque<(Span, Entry)>,
    /// Both regions have moved or emptied whole databases in such a way that it matters in which order, or nobody can tell.
    disordered: bool,
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
            fresh: Segments::default(),
            ours: VecDeque::new(),
            sorted: from,
            unstable: 0,
            recent: Recent::default(),
            logs: HashMap::new(),
            own: BinaryHeap::new(),
            is_cut_short: false,
            logged: 0,
            lost: Vec::new(),
            touched: Vec::new(),
            due: Vec::new().into_iter(),
            asked: 0,
            damaged: Vec::new(),
            doubted: Vec::new(),
            repaired: Vec::new(),
            redone: HashMap::new(),
            arrived: Vec::new(),
            ties: Ties::default(),
            flushes: VecDeque::new(),
            disordered: false,
            cut: 0,
            suspended: true,
        }
    }

    /// The keys that are held since an earlier session, or were not let go by a copy.
    pub fn hold(&mut self, exchange: &Exchange) {
        for ((database, name), latest) in exchange.held(self.region) {
            self.begun((*database, name), exchange).0.held = Some(*latest);
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
        self.ties.cut(at);
        self.flushes.retain(|(_, flush)| flush.at > at);
        self.own.retain(|Reverse((of, _))| *of > at);
        self.recent.forget(at);
        self.disordered = false;
        self.arrived.clear();
        self.repaired.clear();
        self.doubted.clear();
        self.damaged.clear();
        for (log, ..) in self.logs.values_mut() {
            let entries = std::mem::take(&mut log.entries);
            let entries = entries.into_iter().filter(|entry| entry.at > at).collect();
            let KeyLog { ranking, removed, of_several, wiped, .. } = *log;
            *log = KeyLog { ranking, removed, of_several, wiped, entries, ..KeyLog::default() };
        }
        for Reverse((_, key)) in &self.own {
            self.logs.get_mut(key).into_iter().for_each(|(log, ..)| log.unstable += 1);
        }
        self.logs.retain(|_, (log, ..)| log.unstable > 0);
        true
    }

    /// How many executions are kept.
    pub fn kept(&self) -> usize {
        self.unstable + self.own.len() + self.recent.len()
    }

    /// A client wrote: a request, or several, which end at `at` and name only `key` where that is given.
    pub fn push(&mut self, at: u64, key: Option<Key>, requests: &[u8], facts: Facts) {
        self.removed |= facts.weak;
        self.fresh.push(at, key, requests, facts);
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
        let requests: usize = sent.map(|write| write.facts.requests as usize).sum();
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

    /// Whether something is left to be sorted in, or judged: before more is read, [`Self::settle`] is to be called again.
    pub fn is_behind(&self) -> bool {
        self.is_cut_short || self.due.len() > 0
    }

    /// Sorts in what was read, or a part of it; judged is nothing yet.
    pub fn take_in(&mut self, exchange: &mut Exchange, found: &mut impl FnMut(Found)) {
        // What waits for something has to see all that is written: it may be stable, and forgotten, at once.
        if !self.ours.is_empty() || !self.logs.is_empty() || self.removed || !exchange.settles().is_empty() {
            self.sort_in(exchange, MOST_RECORDS);
        }
        if self.logged > exchange.most_logged() {
            self.count(exchange);
        }
        std::mem::take(&mut self.lost).into_iter().for_each(|record| found(Found::Conflict(record)));
    }

    /// Judges what was read, up to `read`, unless that has to wait, or a part of it; everything that follows from it goes into
    /// `exchange` or to `found`.
    pub fn settle(&mut self, read: u64, exchange: &mut Exchange, found: &mut impl FnMut(Found)) {
        self.take_in(exchange, found);
        for (name, at) in self.arrived.drain(..) {
            exchange.arrived(self.region, &name, at).into_iter().for_each(|record| found(Found::Conflict(record)));
        }
        if std::mem::take(&mut self.disordered) {
            exchange.disordered();
        }
        for name in self.damaged.drain(..) {
            exchange.damaged(self.region, name);
        }
        for name in self.repaired.drain(..) {
            exchange.repairs(self.region, name, false);
        }
        if !self.suspended {
            for ((database, name), at) in exchange.take_taken(self.region) {
                if self.taken((database, &name), at, exchange) {
                    self.doubted.push((database, name));
                }
            }
            self.doubted.append(&mut exchange.take_refused(self.region));
            for name in std::mem::take(&mut self.doubted) {
                self.doubt(name, None, exchange, found);
            }
            self.judge(exchange, found);
            if !self.is_behind() && self.touched.is_empty() {
                let judged = self.ours.front().map_or(read, |ours| read.min(ours.at - 1));
                exchange.advance(self.region, judged);
            }
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
                if let Some((log, ..)) = self.recall((*database, name), exchange) {
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
        self.sort_in(exchange, usize::MAX);
        for (at, (database, name)) in names.drain(..) {
            let log = self.recall((database, &name), exchange);
            if log.is_some_and(|(log, ..)| log.entries.iter().any(|entry| entry.local && entry.at <= at)) {
                exchange.damaged(self.region, (database, name));
            }
        }
    }

    /// Hands what clients wrote over to `exchange`; everything before `read` was read.
    pub fn hand_over(&mut self, read: u64, exchange: &mut Exchange) {
        exchange.wrote(self.region, self.fresh.take(), read);
        self.unstable = exchange.writes(self.region).len();
    }

    /// What is known of the value of a key as it was at `at`, where that holds the other region's writes up to `covered`.
    pub fn placed(&mut self, exchange: &Exchange, (database, name): (u32, &[u8]), at: u64, covered: u64) -> Placed {
        self.sort_in(exchange, usize::MAX);
        let log = self.recall((database, name), exchange).map(|(log, ..)| &*log);
        let (floor, is_latest) = log.map_or((None, true), |log| (log.floor(at), log.holds_latest(at)));
        if !is_latest {
            // Judging it was put off while its value was on its way.
            self.touched.push(self.key(database, name));
        }
        Placed { at, covered, floor, is_latest }
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
        self.sort_in(exchange, MOST_RECORDS);
        if !self.ours.is_empty() {
            return;
        }
        self.suspended = false;
        let region = self.region;
        for (key, (log, database, name)) in &mut self.logs {
            let deleted = |entry: &Entry| (entry.local && entry.weak).then(|| shown(*database, name));
            let untold = log.date(|entry| exchange.transactions(region).made(entry.id, deleted(entry)));
            // Whether a key is to be held is no question where only one region wrote it.
            if untold && (!self.policies.holds(name) || log.entries.iter().any(|entry| !entry.local)) {
                self.doubted.push((*database, name.to_vec()));
            }
            log.waits = Waits::Nothing;
            log.sort_held();
            self.touched.push(*key);
        }
    }

    /// A key by its hash.
    pub fn key(&self, database: u32, name: &[u8]) -> Key {
        let hash = xxh3_128_with_seed(name, self.seed ^ u64::from(database).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        NonZeroU128::new(hash).unwrap_or(NonZeroU128::MAX)
    }

    /// Our value was put at the other region. Tells whether ours is another one by now.
    fn taken(&mut self, (database, name): (u32, &[u8]), at: u64, exchange: &Exchange) -> bool {
        let region = self.region;
        let Some((log, ..)) = self.recall((database, name), exchange) else { return false };
        let changed = log.taken(Place { region, database, key: name }, at);
        if log.waits == Waits::Value {
            log.waits = Waits::Nothing;
        }
        self.touched.push(self.key(database, name));
        changed
    }

    /// Drops what is stable.
    fn forget(&mut self, exchange: &mut Exchange, found: &mut impl FnMut(Found)) {
        let stable = exchange.stable(self.region);
        self.ties.forget(stable);
        while self.flushes.front().is_some_and(|(_, flush)| flush.at <= stable) {
            self.flushes.pop_front();
        }
        self.recent.forget(stable);
        while self.own.peek().is_some_and(|Reverse((at, _))| *at <= stable) {
            let Some(Reverse((_, key))) = self.own.pop() else { break };
            let Some((log, database, name)) = self.logs.get_mut(&key) else { continue };
            log.unstable = log.unstable.saturating_sub(1);
            log.stable += 1;
            if log.waits != Waits::Nothing || self.suspended || exchange.settles().has(*database, name) {
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
            // What is in the logs would hold the memory.
            self.forget_logs(exchange);
            found(Found::Forgotten(forgotten as u64));
        }
        self.unstable = exchange.writes(self.region).len();
    }
}

/// Makes the log of a key of `region` that has none.
fn fresh<'a>(policies: &'a Policies, region: usize, (database, name): (u32, &'a [u8])) -> impl FnOnce() -> Logged + 'a {
    move || {
        // Most have no more than what met.
        let entries = Vec::with_capacity(2);
        let log = KeyLog { ranking: policies.ranking(name, region), entries, ..KeyLog::default() };
        (log, database, Bytes::copy_from_slice(name))
    }
}

/// The first argument of a request.
pub fn key_of(bytes: &[u8]) -> Vec<u8> {
    let mut reader = FrameReader::new();
    match reader.next(bytes) {
        Ok(Some(_)) => Command::new(bytes, reader.arguments()).arg(1).to_vec(),
        Ok(None) | Err(_) => Vec::new(),
    }
}

/// By what a request is known again in the stream of the region that executed it: its first argument.
pub fn shown(database: u32, first: &[u8]) -> u64 {
    xxh3_64_with_seed(first, database.into())
}

/// The same for any request: one on a list is known by all that it says, for servers write those into their streams as they
/// were executed, and each by itself.
pub fn shown_as(database: u32, command: &Command<'_>, spec: &Spec) -> u64 {
    let first = shown(database, command.arg(1));
    if !spec.is_of_list() {
        return first;
    }
    let name = command.name().len() as u64;
    command.args().skip(2).fold(first.wrapping_add(name), |hash, argument| xxh3_64_with_seed(argument, hash))
}

/// What the first request in `bytes` is.
pub fn spec_of(bytes: &[u8]) -> Option<&'static Spec> {
    let mut reader = FrameReader::new();
    reader.next(bytes).ok()??;
    lookup(Command::new(bytes, reader.arguments()).name())
}
