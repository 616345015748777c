//! What is pending at each region: our writes to it that it has not echoed yet.
//!
//! Both links share one table. A check and the entry that it leaves are one step, because who calls holds the table: two
//! writes that are read at the same moment can't miss each other. What it holds follows what is in flight.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use bytes::Bytes;
use foldhash::fast::{FixedState, FoldHasher};

use super::claim::{Claim, Relation, Scope};
use super::since::{Arrival, Since};
use super::stamp::{Stamp, StampClock};
use super::verdict::Rival;

/// Writes that are pending at one region: beyond it the oldest are forgotten, and a conflict with them is not found.
const MOST_PENDING: usize = 500_000;

/// Writes pending for one key that are looked at; where there are more, their conflict is not resolved.
const MOST_RIVALS: usize = 4096;

/// A key of one database, as two independent 64-bit hashes of its name: what is pending is never looked at by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    name: u128,
    database: u32,
}

impl Key {
    /// The database that it is in.
    pub fn database(self) -> u32 {
        self.database
    }
}

/// Makes keys, from seeds that no client knows.
#[derive(Debug, Clone)]
pub struct KeyHasher {
    seeds: [FixedState; 2],
}

impl KeyHasher {
    /// A hasher with this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            seeds: [FixedState::with_seed(seed), FixedState::with_seed(seed.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15)],
        }
    }

    /// The key `name` of a database.
    pub fn key(&self, database: u32, name: &[u8]) -> Key {
        let [high, low] = [0, 1].map(|index| {
            let mut hasher: FoldHasher<'_> = self.seeds[index].build_hasher();
            hasher.write_u32(database);
            hasher.write(name);
            u128::from(hasher.finish())
        });
        Key { name: high << 64 | low, database }
    }

    /// An element of a key.
    pub fn element(&self, name: &[u8]) -> u64 {
        self.seeds[0].hash_one(name)
    }
}

/// The request of a pending write, as the peer executes it.
#[derive(Debug, Clone)]
pub enum Request {
    /// A place in the buffer that is being read.
    Place(Range<usize>),
    /// Bytes of their own.
    Bytes(Bytes),
}

impl Request {
    /// The bytes, with `buffer` being what is read now.
    pub fn bytes(&self, buffer: &[u8]) -> Bytes {
        match self {
            Self::Place(place) => Bytes::copy_from_slice(buffer.get(place.clone()).unwrap_or_default()),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }
}

/// A write of ours that a region has not echoed yet.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The database that its requests are for.
    pub database: u32,
    /// Its requests.
    pub request: Request,
    /// How many there are.
    pub requests: u32,
    /// When it was executed first.
    pub stamp: Stamp,
    /// What it claims.
    pub claims: Vec<(Scope, Claim)>,
}

#[derive(Debug)]
struct Entry {
    write: Pending,
    /// It is executed once more at its region, by order of the link that reads there: nobody will read it again.
    posted: bool,
}

#[derive(Debug, Default)]
struct Region {
    clock: StampClock,
    /// Everything that is pending, by its order: the first slot has the order `first`.
    slots: VecDeque<Option<Entry>>,
    first: u64,
    /// Which of it claims a key, in order.
    keys: HashMap<Key, Vec<u64>, foldhash::fast::FixedState>,
    /// Which of it claims a database or more.
    databases: Vec<u64>,
    /// What was sent, by transaction id and order.
    sent: VecDeque<(u64, u64)>,
    /// What was decided about the writes read here that a restart of their link would read again, by offset.
    decided: BTreeMap<u64, Decided>,
    /// A dump is copied onto the region: what its clients wrote since that was fixed.
    since: Option<Since>,
    /// What was posted and not taken yet, by order.
    mail: VecDeque<u64>,
    /// Writes whose request is a place in the buffer that is being read.
    unsealed: Vec<u64>,
}

/// What was decided about a write that was read at some offset.
#[derive(Debug, Clone)]
pub enum Decided {
    /// It is not sent.
    Drop,
    /// It is sent, followed by these.
    Followed(Vec<Pending>),
}

/// What both links of a pair know of what is in flight.
#[derive(Debug)]
pub struct Table {
    /// Makes keys.
    pub hasher: KeyHasher,
    regions: [Region; 2],
    forgotten: u64,
}

impl Table {
    /// An empty table; `ranks` are the places of the two regions among their names.
    pub fn new(seed: u64, ranks: [u8; 2]) -> Self {
        let region = |rank| Region {
            clock: StampClock::new(rank),
            keys: HashMap::with_hasher(FixedState::with_seed(seed ^ 1)),
            ..Region::default()
        };
        Self { hasher: KeyHasher::new(seed), regions: ranks.map(region), forgotten: 0 }
    }

    /// The stamp of a local write of `region` that was executed when its clock said `server_ms`.
    pub fn stamp(&mut self, region: usize, server_ms: i64) -> Stamp {
        self.regions[region].clock.stamp(server_ms)
    }

    /// The writes pending at `region` that a write with these claims crossed with, and that are not independent of it.
    pub fn rivals(&self, region: usize, claims: &[(Scope, Claim)]) -> Vec<Rival> {
        let pending = &self.regions[region];
        let mut rivals = Vec::new();
        if pending.slots.is_empty() {
            return rivals;
        }
        for (index, (scope, claim)) in claims.iter().enumerate() {
            let orders: Vec<u64> = match scope {
                Scope::Key(key) => {
                    let keys = pending.keys.get(key).map(Vec::as_slice).unwrap_or_default();
                    keys.iter().chain(&pending.databases).copied().collect()
                }
                Scope::Database(_) | Scope::Everything => (pending.first..pending.end()).collect(),
            };
            let skipped = orders.len().saturating_sub(MOST_RIVALS);
            if skipped > 0 {
                let stamp = Stamp::default();
                rivals.push(Rival { relation: Relation::Ordered, stamp, order: pending.end(), claim: index });
            }
            for order in orders.into_iter().skip(skipped) {
                let Some(Entry { write, .. }) = pending.entry(order) else { continue };
                let relations = write.claims.iter().filter(|(other, _)| meets(scope, other));
                let relation = relations.map(|(other, theirs)| narrowed(scope, other, claim.relation(theirs)));
                if let Some(relation) = relation.max_by_key(|relation| weight(*relation))
                    && relation != Relation::Independent
                {
                    rivals.push(Rival { relation, stamp: write.stamp, order, claim: index });
                }
            }
        }
        rivals.sort_by_key(|rival| rival.order);
        rivals
    }

    /// The pending write with this order.
    pub fn write(&self, region: usize, order: u64) -> Option<&Pending> {
        self.regions[region].entry(order).map(|entry| &entry.write)
    }

    /// A write goes to `region` with the transaction `id`.
    pub fn send(&mut self, region: usize, id: u64, write: Pending) {
        let order = self.enter(region, write, false);
        let pending = &mut self.regions[region];
        pending.sent.push_back((id, order));
        if pending.sent.len() > MOST_PENDING
            && let Some((_, oldest)) = pending.sent.pop_front()
        {
            self.forgotten += 1;
            self.remove(region, oldest);
        }
    }

    /// A write is to be executed once more at `region`: the link that writes there takes it as mail.
    pub fn post(&mut self, region: usize, write: Pending) {
        let order = self.enter(region, write, true);
        self.regions[region].mail.push_back(order);
    }

    /// The next write that the link to `region` has to execute once more, with its transaction `id`.
    pub fn take_mail(&mut self, region: usize, id: u64) -> Option<Pending> {
        let pending = &mut self.regions[region];
        let order = pending.mail.pop_front()?;
        pending.sent.push_back((id, order));
        pending.entry(order).map(|entry| entry.write.clone())
    }

    /// Whether there is mail for the link to `region`.
    pub fn has_mail(&self, region: usize) -> bool {
        !self.regions[region].mail.is_empty()
    }

    /// A dump of the other region has been fixed, which will be copied onto `region`. All that was sent to that other
    /// region is in it: nothing of that will be echoed after the dump. All that was to be sent to `region` is in it too.
    /// `live` tells whether the pair was in step before.
    pub fn begin_copy(&mut self, region: usize, live: bool) {
        self.echoed(1 - region, u64::MAX);
        self.forget(region, |_| true);
        self.regions[region].mail.clear();
        self.regions[region].sent.clear();
        self.regions[region].since = Some(Since::new(live));
    }

    /// The copy onto `region` was given up: it will be made again, so what it had sent crosses with nothing.
    pub fn abandon_copy(&mut self, region: usize) {
        self.end_copy(region);
        self.forget(region, |write| write.stamp == Stamp::OF_A_DUMP);
    }

    fn forget(&mut self, region: usize, which: impl Fn(&Pending) -> bool) {
        let pending = &self.regions[region];
        let orders: Vec<u64> = (pending.first..pending.end())
            .filter(|order| pending.entry(*order).is_some_and(|entry| which(&entry.write)))
            .collect();
        for order in orders {
            self.remove(region, order);
        }
    }

    /// The copy onto `region` is done.
    pub fn end_copy(&mut self, region: usize) {
        self.regions[region].since = None;
    }

    /// A client of `region` wrote this; `buffer` is what is read now.
    pub fn wrote(&mut self, region: usize, write: &Pending, buffer: &[u8]) {
        if let Some(since) = &mut self.regions[region].since {
            let request = Request::Bytes(write.request.bytes(buffer));
            since.wrote(&Pending { request, ..write.clone() });
        }
    }

    /// Whether the clients of `region` wrote more since the dump was fixed than is kept.
    pub fn has_written_too_much(&self, region: usize) -> bool {
        self.regions[region].since.as_ref().is_some_and(Since::is_too_much)
    }

    /// A value of the dump goes to `region` under the name `name`, with the transaction `id`.
    pub fn arrives(&mut self, region: usize, id: u64, database: u32, name: &[u8]) -> Arrival {
        let key = self.hasher.key(database, name);
        let since = self.regions[region].since.as_mut();
        let arrival = since.map_or(Arrival::Below(Vec::new()), |since| since.arrives(key));
        if matches!(arrival, Arrival::Below(_)) {
            self.put(region, id, key);
        }
        arrival
    }

    /// A key that the source lacks is to be deleted at `region`, with the transaction `id`. Tells whether it may be: not
    /// when a client wrote it since.
    pub fn departs(&mut self, region: usize, id: u64, database: u32, name: &[u8]) -> bool {
        let key = self.hasher.key(database, name);
        let written = self.regions[region].since.as_ref().is_some_and(|since| since.has(key));
        if !written {
            self.put(region, id, key);
        }
        !written
    }

    /// Something as old as the dump takes the place of `key`.
    fn put(&mut self, region: usize, id: u64, key: Key) {
        let claims = vec![(Scope::Key(key), Claim::Whole)];
        let (database, request) = (key.database, Request::Bytes(Bytes::new()));
        self.send(region, id, Pending { database, request, requests: 0, stamp: Stamp::OF_A_DUMP, claims });
    }

    /// `region` has echoed the transaction `id`, and with it all before.
    pub fn echoed(&mut self, region: usize, id: u64) {
        while let Some((sent, order)) = self.regions[region].sent.front().copied()
            && sent <= id
        {
            self.regions[region].sent.pop_front();
            if let Some(stamp) = self.remove(region, order) {
                self.regions[region].clock.has_seen(stamp);
            }
        }
    }

    /// The link to `region` begins a session: what it had sent after the transaction `executed` never arrived. Mail among
    /// it is posted again; everything else will be read again.
    pub fn begin(&mut self, region: usize, executed: u64) {
        let mut again = Vec::new();
        while let Some((sent, order)) = self.regions[region].sent.back().copied()
            && sent > executed
        {
            self.regions[region].sent.pop_back();
            if self.regions[region].entry(order).is_some_and(|entry| entry.posted) {
                again.push(order);
            } else {
                self.remove(region, order);
            }
        }
        again.into_iter().for_each(|order| self.regions[region].mail.push_front(order));
    }

    /// What was decided about the write that was read at `offset` of `region`'s stream, if it is read again.
    pub fn decided(&self, region: usize, offset: u64) -> Option<&Decided> {
        self.regions[region].decided.get(&offset)
    }

    /// Remembers what was decided, until it can't be read again.
    pub fn decide(&mut self, region: usize, offset: u64, decided: Decided) {
        self.regions[region].decided.insert(offset, decided);
    }

    /// What lies before `offset` of `region`'s stream will not be read again.
    pub fn checkpoint(&mut self, region: usize, offset: u64) {
        let decided = &mut self.regions[region].decided;
        while decided.first_entry().is_some_and(|first| *first.key() <= offset) {
            decided.pop_first();
        }
    }

    /// The history of `region` is another one: offsets mean something else.
    pub fn new_history(&mut self, region: usize) {
        self.regions[region].decided.clear();
    }

    /// Resolves requests that are places from `chunk`, the buffer that was being read for writes to `region`.
    pub fn seal(&mut self, region: usize, chunk: &Bytes) {
        let pending = &mut self.regions[region];
        for order in std::mem::take(&mut pending.unsealed) {
            let index = order.checked_sub(pending.first).and_then(|index| usize::try_from(index).ok());
            if let Some(Some(Entry { write, .. })) = index.and_then(|index| pending.slots.get_mut(index))
                && let Request::Place(range) = &write.request
            {
                write.request = Request::Bytes(chunk.slice(range.clone()));
            }
        }
    }

    /// Writes pending at `region`, and gaps between them.
    pub fn pending(&self, region: usize) -> usize {
        self.regions[region].slots.len()
    }

    /// Writes that were forgotten because too many were pending.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn enter(&mut self, region: usize, write: Pending, posted: bool) -> u64 {
        let pending = &mut self.regions[region];
        let order = pending.end();
        for (scope, _) in &write.claims {
            match scope {
                Scope::Key(key) => pending.keys.entry(*key).or_default().push(order),
                Scope::Database(_) | Scope::Everything => pending.databases.push(order),
            }
        }
        if matches!(write.request, Request::Place(_)) {
            pending.unsealed.push(order);
        }
        pending.slots.push_back(Some(Entry { write, posted }));
        order
    }

    fn remove(&mut self, region: usize, order: u64) -> Option<Stamp> {
        let pending = &mut self.regions[region];
        let index = usize::try_from(order.checked_sub(pending.first)?).ok()?;
        let Entry { write, .. } = pending.slots.get_mut(index)?.take()?;
        while let Some(None) = pending.slots.front() {
            pending.slots.pop_front();
            pending.first += 1;
        }
        for (scope, _) in &write.claims {
            match scope {
                Scope::Key(key) => {
                    if let Some(orders) = pending.keys.get_mut(key) {
                        orders.retain(|other| *other != order);
                        if orders.is_empty() {
                            pending.keys.remove(key);
                        }
                    }
                }
                Scope::Database(_) | Scope::Everything => pending.databases.retain(|other| *other != order),
            }
        }
        Some(write.stamp)
    }
}

impl Region {
    fn entry(&self, order: u64) -> Option<&Entry> {
        let index = usize::try_from(order.checked_sub(self.first)?).ok()?;
        self.slots.get(index)?.as_ref()
    }

    /// The order that the next write will have.
    fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }
}

/// Whether two claims can mean the same.
fn meets(ours: &Scope, theirs: &Scope) -> bool {
    match (ours, theirs) {
        (Scope::Key(ours), Scope::Key(theirs)) => ours == theirs,
        (Scope::Database(ours), Scope::Database(theirs)) => ours == theirs,
        (Scope::Database(database), Scope::Key(key)) | (Scope::Key(key), Scope::Database(database)) => {
            key.database == *database
        }
        (Scope::Everything, _) | (_, Scope::Everything) => true,
    }
}

/// How a write stands to another of a narrower scope: what covers one key does not cover a database.
fn narrowed(ours: &Scope, theirs: &Scope, relation: Relation) -> Relation {
    let wider = !matches!(ours, Scope::Key(_)) && matches!(theirs, Scope::Key(_));
    if wider && relation == Relation::Covered { Relation::Resettable } else { relation }
}

fn weight(relation: Relation) -> u8 {
    match relation {
        Relation::Independent => 0,
        Relation::Covered => 1,
        Relation::Resettable => 2,
        Relation::Ordered => 3,
    }
}
