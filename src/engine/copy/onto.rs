//! A region that is copied onto while its clients write.
//!
//! The dump holds nothing of what they write after it was fixed. So the link that reads the region tells every write, and
//! the copy asks before it puts a value there, or deletes what was not in the dump:
//!
//! * nothing was written to the key: the value is put there;
//! * a write has replaced the value: it is left out, for the region has a newer one;
//! * otherwise the value is put there with the writes on top of it, in one transaction.
//!
//! A write that is read while a value for its key is on its way was executed before that value arrives, and is
//! overwritten by it: the link that copies puts the value there again, with this and all later such writes on top, until
//! one such arrival has met no write. So the order of writes to a key stays as it was.
//!
//! Where that can't be done, the key is made equal by the other region's value once the copy is done: for writes of several
//! keys, those that fail on top of the value, those that meet a value that was too long to be kept, and all that are read when
//! the copy is over. What only adds to a value that was too long is executed once more all the same as soon as the value was
//! seen: should the other region's not be had any more, since this one is copied before, nothing of that is missing.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::engine::conflict::Fleeting;
use crate::wire::resp::command;

/// Values, and their bytes, that may be ahead of what the other link has seen of them.
const MOST_AHEAD: usize = 16_384;
const MOST_HELD: usize = 8 * 1024 * 1024;
/// Writes that a value is put below before it is left to its value in the other region: a key that is written all the time
/// would be sent again all the time, with more each time.
const MOST_MET: usize = 16;
/// The most bytes of writes that are kept.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// A key: database and name.
type Key = (u32, Vec<u8>);

/// What is known of both regions; whoever reads a stream or puts values holds one of them meanwhile.
pub type SharedOnto = Arc<Mutex<Onto>>;

/// A write of a client, as it is executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Its database.
    pub database: u32,
    /// Its requests.
    pub request: Bytes,
    /// How many they are.
    pub requests: u32,
    /// Whether it sets a time to live, which may be over when it is executed once more.
    pub expires: bool,
    /// Whether it adds to what is there, or takes from it, and so may be executed late.
    pub adds: bool,
}

impl Write {
    /// `requests` requests in `database` that set no time to live, and don't add to anything.
    pub fn of(database: u32, request: impl Into<Bytes>, requests: u32) -> Self {
        Self { database, request: request.into(), requests, expires: false, adds: false }
    }
}

/// What a write does to its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It sets or removes the whole value.
    Replaces,
    /// It changes the value.
    Changes,
    /// It empties the database.
    Flushes,
    /// It empties all databases.
    FlushesAll,
}

/// What becomes of a value of the dump.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is put there, and these writes on top of it.
    Below(Vec<Write>),
    /// It is left out.
    LeftOut,
}

/// What is known of one region.
#[derive(Debug, Default)]
pub struct Onto {
    copy: Option<Written>,
    /// Values on their way, by key; a copy may be done before the last of them is echoed.
    arriving: HashMap<Key, Arriving>,
    sent: VecDeque<(u64, Key)>,
    /// Bytes of all these values.
    held: usize,
    /// Keys whose values met a write and are to be put there again.
    mail: VecDeque<Key>,
    /// Writes that were overwritten by values that were not kept, and are to be executed once more.
    lost: VecDeque<Vec<Write>>,
    /// Keys that are to be made equal by their values.
    doubted: BTreeSet<Key>,
    /// Clients' writes up to this place of the region's stream were told.
    told: u64,
    /// Up to where the dump holds what was written here.
    covered: u64,
    /// A copy is intended or under way: keys that clients wrote before its dump was fixed, and that it has not held so far.
    before: Option<BTreeSet<Key>>,
    /// Keys of the dump of which nothing may be here, for their time was over: for the link that copies.
    pub fleeting: Fleeting,
    /// The same keys, for the link that reads here: what clients of this region build on nothing, too.
    pub fleeting_here: Fleeting,
}

/// A value on its way.
#[derive(Debug)]
struct Arriving {
    /// The last transaction that carries it.
    id: u64,
    /// It met a write, and is to be sent again.
    again: bool,
    /// What puts it there; nothing where that is too long to be kept, or a write has replaced it.
    value: Option<Write>,
    /// A write has replaced it: the first of what it met.
    replaced: bool,
    /// What it met; where it is not kept, only what may be executed late.
    met: Vec<Write>,
}

/// What was written to one key since the dump was fixed.
#[derive(Debug)]
enum Since {
    /// A write has set or removed the whole value: what followed is there, and nothing comes below it.
    Replaced,
    /// These have changed it.
    Changed(Vec<Write>),
}

/// What was written since the dump was fixed.
#[derive(Debug, Default)]
struct Written {
    keys: HashMap<Key, Since>,
    flushed: HashSet<u32>,
    all_flushed: bool,
    bytes: usize,
}

impl Onto {
    /// A dump was fixed that will be copied here, and holds what was written here up to `covered`. What was to be executed
    /// once more is in it, for all that was read here had reached the other region.
    pub fn begin(&mut self, covered: u64) {
        let before = self.before.take();
        *self = Self { copy: Some(Written::default()), told: covered, covered, before, ..Self::default() };
    }

    /// A dump is about to be asked for. What the other link brings from here until then may be deleted there before the dump
    /// is fixed, and then it is not in it.
    pub fn announce(&mut self) {
        self.before.get_or_insert_default();
    }

    /// The region was found empty, and by the time that it tells of what is written here it holds these keys: they are in the
    /// dump, or nobody has seen who wrote them.
    pub fn finds(&mut self, keys: impl Iterator<Item = Key>) {
        self.before.get_or_insert_default().extend(keys);
    }

    /// A key of the dump that expires at `expires_at_ms` is put here; the source's clock says `now_ms`.
    pub fn expires(&mut self, database: u32, name: &[u8], expires_at_ms: i64, now_ms: i64) {
        for fleeting in [&mut self.fleeting, &mut self.fleeting_here] {
            fleeting.put(database, name, expires_at_ms, now_ms);
        }
    }

    /// A key of the dump was read.
    pub fn holds(&mut self, database: u32, name: &[u8]) {
        if let Some(before) = &mut self.before
            && !before.is_empty()
        {
            before.remove(&(database, name.to_vec()));
        }
    }

    /// The dump was read to its end: keys that clients had written before it was fixed, and that it does not hold.
    pub fn take_missing(&mut self) -> BTreeSet<Key> {
        if self.copy.is_some() { self.before.take().unwrap_or_default() } else { BTreeSet::new() }
    }

    /// The copy is done, or none is wanted: what still has to be put in order is by its value.
    pub fn end(&mut self) {
        self.copy = None;
        self.before = None;
        self.lost.clear();
        self.doubted.extend(self.mail.drain(..));
    }

    /// Whether all that was put here has been seen here, and has met nothing.
    pub fn has_arrived(&self) -> bool {
        self.arriving.is_empty() && self.mail.is_empty() && self.lost.is_empty()
    }

    /// The link that reads here begins at a new place: echoes before it will not be seen.
    pub fn skip(&mut self) {
        self.arriving.clear();
        self.sent.clear();
        self.mail.clear();
        self.lost.clear();
        self.held = 0;
        (self.told, self.covered) = (0, 0);
    }

    /// The copy was given up: it will be made again, from another dump.
    pub fn abandon(&mut self) {
        *self = Self { before: self.before.take(), ..Self::default() };
    }

    /// Whether nobody needs to be told what clients write here.
    pub fn is_quiet(&self) -> bool {
        self.copy.is_none() && self.arriving.is_empty() && self.before.is_none()
    }

    /// Whether the write that ends at this place of the region's stream was not told yet: a link that begins again reads again
    /// what it had read, but not brought to the other region.
    pub fn is_new(&mut self, place: u64) -> bool {
        let new = place > self.told;
        self.told = self.told.max(place);
        new
    }

    /// These keys are to be made equal by their values.
    pub fn doubt(&mut self, keys: &[(u32, &[u8])]) {
        let keys = keys.iter().map(|(database, name)| (*database, name.to_vec()));
        match (&self.copy, &mut self.before) {
            (None, Some(before)) => before.extend(keys),
            _ => self.doubted.extend(keys),
        }
    }

    /// The keys that are to be made equal by their values, unless the copy is still under way.
    pub fn take_late(&mut self) -> BTreeSet<Key> {
        if self.copy.is_some() { BTreeSet::new() } else { std::mem::take(&mut self.doubted) }
    }

    /// A client wrote this to `keys`. Tells whether it is to be executed once more.
    pub fn wrote(&mut self, keys: &[(u32, &[u8])], effect: Effect, write: &Write) -> bool {
        let database = write.database;
        let mut met: Vec<Key> = match effect {
            Effect::FlushesAll => self.arriving.keys().cloned().collect(),
            Effect::Flushes => self.arriving.keys().filter(|(of, _)| *of == database).cloned().collect(),
            Effect::Replaces | Effect::Changes => {
                let keys = keys.iter().map(|(database, name)| (*database, name.to_vec()));
                keys.filter(|key| self.arriving.contains_key(key)).collect()
            }
        };
        // In an order that does not depend on a random number: a run is to be the same each time.
        met.sort_unstable();
        if let Some(copy) = &mut self.copy {
            // One time to live behind another one: the first may be over by then, and the key gone.
            let twice = |key: &&(u32, &[u8])| write.expires && copy.has_expiring(key.0, key.1);
            self.doubted.extend(keys.iter().filter(twice).map(|(database, name)| (*database, name.to_vec())));
            copy.note(keys, effect, write);
        } else if let Some(before) = &mut self.before {
            before.extend(keys.iter().map(|(database, name)| (*database, name.to_vec())));
        }
        let mut crossed = false;
        for key in met {
            let Some(arriving) = self.arriving.get_mut(&key) else { continue };
            let is_lost = effect == Effect::Changes && arriving.value.is_none() && !arriving.replaced;
            if self.copy.is_none() || is_lost {
                if is_lost && write.adds && arriving.met.len() < MOST_MET {
                    arriving.met.push(write.clone());
                }
                self.doubted.insert(key);
                continue;
            }
            if effect == Effect::Changes && arriving.met.len() >= MOST_MET {
                self.held -= arriving.size();
                self.arriving.remove(&key);
                self.doubted.insert(key);
                continue;
            }
            crossed = true;
            if effect == Effect::Changes && arriving.value.as_ref().is_some_and(|value| value.expires) {
                self.doubted.insert(key.clone());
            }
            if effect != Effect::Changes {
                self.held -= arriving.size();
            }
            match effect {
                // The value is removed: that is all that is to be done again.
                Effect::Flushes | Effect::FlushesAll => {
                    let request = command(&[b"unlink".as_slice(), &key.1]);
                    (arriving.value, arriving.replaced) = (None, true);
                    arriving.met = vec![Write::of(key.0, request, 1)];
                }
                Effect::Replaces => {
                    (arriving.value, arriving.replaced) = (None, true);
                    arriving.met = vec![write.clone()];
                }
                Effect::Changes => arriving.met.push(write.clone()),
            }
            if !std::mem::replace(&mut arriving.again, true) {
                self.mail.push_back(key);
            }
        }
        crossed
    }

    /// Whether clients wrote more than is kept.
    pub fn has_too_much(&self) -> bool {
        self.copy.as_ref().is_some_and(|copy| copy.bytes > MOST_BYTES)
    }

    /// A value of the dump is about to be put under this key, with the transaction `id`.
    pub fn arrives(&mut self, id: u64, database: u32, name: &[u8]) -> Arrival {
        let key = (database, name.to_vec());
        let arrival = self.copy.as_ref().map_or(Arrival::Below(Vec::new()), |copy| copy.arrival(&key));
        if matches!(arrival, Arrival::Below(_)) {
            self.put(id, key);
        }
        arrival
    }

    /// What puts the value of this key there, with what is on top of it.
    pub fn carries(&mut self, name: &[u8], value: Write) {
        if let Some(arriving) = self.arriving.get_mut(&(value.database, name.to_vec())) {
            self.held -= arriving.size();
            arriving.value = Some(value);
            self.held += arriving.size();
        }
    }

    /// Whether what is there under this name now is to stay, although it was not in the dump.
    fn is_replaced(&self, database: u32, name: &[u8]) -> bool {
        let key = (database, name.to_vec());
        self.doubted.contains(&key) || self.copy.as_ref().is_some_and(|copy| copy.arrival(&key) == Arrival::LeftOut)
    }

    /// Drops the names of `database` that clients have replaced since the dump was fixed, or all of them where a client has
    /// emptied or swapped it.
    pub fn drop_written(&self, database: u32, names: &mut Vec<Vec<u8>>) {
        names.retain(|name| !self.is_replaced(database, name));
    }

    /// A key that was not in the dump is about to be deleted here, with the transaction `id`. It is left out when a client
    /// has replaced it since, or emptied or swapped its database.
    pub fn departs(&mut self, id: u64, database: u32, name: &[u8]) -> Arrival {
        if self.is_replaced(database, name) { Arrival::LeftOut } else { self.arrives(id, database, name) }
    }

    /// The region has echoed the transaction `id` at this place of its stream, and with it all before. What stands before the
    /// dump was fixed is an earlier copy's. Tells whether something is to be executed once more on that account.
    pub fn echoed(&mut self, id: u64, place: u64) -> bool {
        if place <= self.covered {
            return false;
        }
        let mut any = false;
        while self.sent.front().is_some_and(|(sent, _)| *sent <= id) {
            if let Some((sent, key)) = self.sent.pop_front()
                && self.arriving.get(&key).is_some_and(|arriving| arriving.id == sent && !arriving.again)
                && let Some(arriving) = self.arriving.remove(&key)
            {
                self.held -= arriving.size();
                if arriving.has_lost() && self.copy.is_some() {
                    self.lost.push_back(arriving.met);
                    any = true;
                }
            }
        }
        any
    }

    /// The next value to be put there again, with what it met on top of it, in the transaction `id`; or what is executed late.
    pub fn take_mail(&mut self, id: u64) -> Option<Vec<Write>> {
        if let Some(writes) = self.lost.pop_front() {
            return Some(writes);
        }
        // What is left to its value by now is not sent again.
        let key = std::iter::from_fn(|| self.mail.pop_front()).find(|key| self.arriving.contains_key(key))?;
        let arriving = self.arriving.get_mut(&key)?;
        arriving.id = id;
        arriving.again = false;
        let writes = arriving.value.iter().chain(&arriving.met).cloned().collect();
        self.sent.push_back((id, key));
        Some(writes)
    }

    /// Whether as many values are on their way as may be.
    pub fn is_full(&self) -> bool {
        self.arriving.len() >= MOST_AHEAD || self.held >= MOST_HELD
    }

    fn put(&mut self, id: u64, key: Key) {
        self.sent.push_back((id, key.clone()));
        let arriving = Arriving { id, again: false, value: None, replaced: false, met: Vec::new() };
        self.held -= self.arriving.insert(key, arriving).map_or(0, |before| before.size());
    }
}

impl Arriving {
    /// Whether what it met is missing, and may be executed by itself.
    fn has_lost(&self) -> bool {
        self.value.is_none() && !self.replaced && !self.met.is_empty()
    }

    fn size(&self) -> usize {
        self.value.as_ref().map_or(0, |value| value.request.len())
    }
}

impl Written {
    fn note(&mut self, keys: &[(u32, &[u8])], effect: Effect, write: &Write) {
        match effect {
            Effect::FlushesAll => self.all_flushed = true,
            Effect::Flushes => {
                self.flushed.insert(write.database);
            }
            Effect::Replaces | Effect::Changes => {
                for (database, name) in keys {
                    let key = (*database, name.to_vec());
                    let since = self.keys.entry(key).or_insert_with(|| Since::Changed(Vec::new()));
                    let Since::Changed(writes) = since else { continue };
                    if effect == Effect::Replaces {
                        self.bytes -= writes.iter().map(size).sum::<usize>();
                        *since = Since::Replaced;
                    } else {
                        self.bytes += size(write);
                        writes.push(write.clone());
                    }
                }
            }
        }
    }

    fn has_expiring(&self, database: u32, name: &[u8]) -> bool {
        let since = self.keys.get(&(database, name.to_vec()));
        matches!(since, Some(Since::Changed(writes)) if writes.iter().any(|write| write.expires))
    }

    fn has_flushed(&self, database: u32) -> bool {
        self.all_flushed || self.flushed.contains(&database)
    }

    fn arrival(&self, key: &Key) -> Arrival {
        match self.keys.get(key) {
            _ if self.has_flushed(key.0) => Arrival::LeftOut,
            None => Arrival::Below(Vec::new()),
            Some(Since::Replaced) => Arrival::LeftOut,
            Some(Since::Changed(writes)) => Arrival::Below(writes.clone()),
        }
    }
}

fn size(write: &Write) -> usize {
    write.request.len() + size_of::<Write>()
}

/// What is known, also after a panic of who held it: its entries are whole at any moment.
pub fn hold(onto: &SharedOnto) -> MutexGuard<'_, Onto> {
    onto.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
