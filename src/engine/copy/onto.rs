//! A region that is copied onto while its clients write.
//!
//! The dump holds nothing of what they write after it was fixed. So the link that reads the region tells every write, and
//! the copy asks before it puts a value there:
//!
//! * nothing was written to the key: the value is put there;
//! * a write has replaced the value, or the pair was in step before: the value is left out, for the region has a newer one
//!   (in such a pair only a write of the *other* region in the gap could make it differ, and that would be a conflict);
//! * otherwise the value is put there with the writes on top of it, in one transaction.
//!
//! A write that is read while a value for its key is on its way was executed before that value arrives, and is
//! overwritten by it: the link that copies puts the value there again, with this and all later such writes on top, until
//! one such arrival has met no write. So the order of writes to a key stays as it was.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::wire::resp::command;

/// Values, and their bytes, that may be ahead of what the other link has seen of them.
const MOST_AHEAD: usize = 16_384;
const MOST_HELD: usize = 8 * 1024 * 1024;
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
}

/// A value on its way.
#[derive(Debug)]
struct Arriving {
    /// The last transaction that carries it.
    id: u64,
    /// It met a write, and is to be sent again.
    again: bool,
    /// What puts it there; nothing where that is too long to be kept.
    value: Option<Write>,
    /// What it met.
    met: Vec<Write>,
}

/// What was written to one key since the dump was fixed.
#[derive(Debug)]
enum Since {
    /// A write has set or removed the whole value: what followed is there, and nothing comes below it.
    Replaced,
    /// These have changed it; none is kept where it only matters that it was written to.
    Changed(Vec<Write>),
}

/// What was written since the dump was fixed.
#[derive(Debug, Default)]
struct Written {
    /// The pair was in step before.
    live: bool,
    keys: HashMap<Key, Since>,
    flushed: HashSet<u32>,
    all_flushed: bool,
    bytes: usize,
}

impl Onto {
    /// A dump was fixed that will be copied here. `live` tells whether the pair was in step before. What was to be executed
    /// once more is in the dump, for all that was read here had reached the other region.
    pub fn begin(&mut self, live: bool) {
        *self = Self { copy: Some(Written { live, ..Written::default() }), ..Self::default() };
    }

    /// The copy is done.
    pub fn end(&mut self) {
        self.copy = None;
    }

    /// The link that reads here begins at a new place: echoes before it will not be seen.
    pub fn skip(&mut self) {
        self.arriving.clear();
        self.sent.clear();
        self.mail.clear();
        self.held = 0;
    }

    /// The copy was given up: it will be made again, from another dump.
    pub fn abandon(&mut self) {
        *self = Self::default();
    }

    /// Whether nobody needs to be told what clients write here.
    pub fn is_quiet(&self) -> bool {
        self.copy.is_none() && self.arriving.is_empty()
    }

    /// A client wrote this to `keys`. Tells whether it is to be executed once more.
    pub fn wrote(&mut self, keys: &[(u32, &[u8])], effect: Effect, write: &Write) -> bool {
        let database = write.database;
        let met: Vec<Key> = match effect {
            Effect::FlushesAll => self.arriving.keys().cloned().collect(),
            Effect::Flushes => self.arriving.keys().filter(|(of, _)| *of == database).cloned().collect(),
            Effect::Replaces | Effect::Changes => {
                let keys = keys.iter().map(|(database, name)| (*database, name.to_vec()));
                keys.filter(|key| self.arriving.contains_key(key)).collect()
            }
        };
        if let Some(copy) = &mut self.copy {
            copy.note(keys, effect, write);
        }
        let crossed = !met.is_empty();
        for key in met {
            let Some(arriving) = self.arriving.get_mut(&key) else { continue };
            if effect != Effect::Changes {
                self.held -= arriving.size();
            }
            match effect {
                // The value is removed: that is all that is to be done again.
                Effect::Flushes | Effect::FlushesAll => {
                    let request = command(&[b"unlink".as_slice(), &key.1]).into();
                    arriving.value = None;
                    arriving.met = vec![Write { database: key.0, request, requests: 1 }];
                }
                Effect::Replaces => {
                    arriving.value = None;
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
    pub fn carries(&mut self, database: u32, name: &[u8], value: Write) {
        if let Some(arriving) = self.arriving.get_mut(&(database, name.to_vec())) {
            self.held -= arriving.size();
            arriving.value = Some(value);
            self.held += arriving.size();
        }
    }

    /// Whether a client has written this key since the dump was fixed, or emptied or swapped its database: what is there
    /// now is not from before.
    fn has_written(&self, database: u32, name: &[u8]) -> bool {
        let wrote = |copy: &Written| copy.keys.contains_key(&(database, name.to_vec())) || copy.has_flushed(database);
        self.copy.as_ref().is_some_and(wrote)
    }

    /// Drops the names of `database` that clients have written since the dump was fixed, or all of them where a client has
    /// emptied or swapped it.
    pub fn drop_written(&self, database: u32, names: &mut Vec<Vec<u8>>) {
        names.retain(|name| !self.has_written(database, name));
    }

    /// A key that was not in the dump is to be deleted here, with the transaction `id`. Tells whether it may be: not when
    /// a client has written it since, or emptied or swapped its database.
    pub fn departs(&mut self, id: u64, database: u32, name: &[u8]) -> bool {
        let stays = self.has_written(database, name);
        if !stays {
            self.put(id, (database, name.to_vec()));
        }
        !stays
    }

    /// The region has echoed the transaction `id`, and with it all before.
    pub fn echoed(&mut self, id: u64) {
        while self.sent.front().is_some_and(|(sent, _)| *sent <= id) {
            if let Some((sent, key)) = self.sent.pop_front()
                && self.arriving.get(&key).is_some_and(|arriving| arriving.id == sent && !arriving.again)
            {
                self.held -= self.arriving.remove(&key).map_or(0, |arriving| arriving.size());
            }
        }
    }

    /// The link that writes here begins a session: what it had sent after the transaction `executed` never arrived.
    pub fn resume(&mut self, executed: u64) {
        while self.sent.back().is_some_and(|(sent, _)| *sent > executed) {
            let Some((id, key)) = self.sent.pop_back() else { return };
            let lost = self.arriving.get_mut(&key).filter(|arriving| arriving.id == id);
            if let Some(arriving) = lost
                && !std::mem::replace(&mut arriving.again, true)
            {
                self.mail.push_front(key);
            }
        }
    }

    /// The next value to be put there again, with what it met on top of it, in the transaction `id`.
    pub fn take_mail(&mut self, id: u64) -> Option<Vec<Write>> {
        let key = self.mail.pop_front()?;
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
        let arriving = Arriving { id, again: false, value: None, met: Vec::new() };
        self.held -= self.arriving.insert(key, arriving).map_or(0, |before| before.size());
    }
}

impl Arriving {
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
                    if self.live {
                        continue; // that it was written to is all that matters
                    }
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

    fn has_flushed(&self, database: u32) -> bool {
        self.all_flushed || self.flushed.contains(&database)
    }

    fn arrival(&self, key: &Key) -> Arrival {
        match self.keys.get(key) {
            _ if self.has_flushed(key.0) => Arrival::LeftOut,
            None => Arrival::Below(Vec::new()),
            Some(_) if self.live => Arrival::LeftOut,
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
mod tests {
    use super::*;

    fn write(text: &'static str) -> Write {
        Write { database: 0, request: Bytes::from_static(text.as_bytes()), requests: 1 }
    }

    fn region(live: bool) -> Onto {
        let mut onto = Onto::default();
        onto.begin(live);
        onto
    }

    const K: &[(u32, &[u8])] = &[(0, b"k")];

    #[test]
    fn a_value_goes_below_what_was_written_to_its_key() {
        let mut onto = region(false);
        assert!(!onto.wrote(K, Effect::Changes, &write("HSET k f v")));
        assert_eq!(onto.arrives(1, 0, b"k"), Arrival::Below(vec![write("HSET k f v")]));
        assert_eq!(onto.arrives(1, 0, b"other"), Arrival::Below(vec![]));
        assert_eq!(onto.arrives(1, 3, b"k"), Arrival::Below(vec![]), "another database");
    }

    #[test]
    fn a_value_that_was_replaced_is_left_out() {
        let mut onto = region(false);
        onto.wrote(K, Effect::Changes, &write("INCR k"));
        onto.wrote(K, Effect::Replaces, &write("SET k v"));
        onto.wrote(K, Effect::Changes, &write("APPEND k w"));
        assert_eq!(onto.arrives(1, 0, b"k"), Arrival::LeftOut);
        onto.wrote(&[], Effect::Flushes, &write("FLUSHDB"));
        assert_eq!(onto.arrives(1, 0, b"other"), Arrival::LeftOut);
    }

    #[test]
    fn in_a_pair_that_was_in_step_what_clients_wrote_stays() {
        let mut onto = region(true);
        onto.wrote(K, Effect::Changes, &write("INCR k"));
        assert_eq!(onto.arrives(1, 0, b"k"), Arrival::LeftOut);
        assert!(!onto.departs(1, 0, b"k") && onto.departs(1, 0, b"gone"));
        onto.wrote(&[], Effect::Flushes, &write("FLUSHDB"));
        assert!(
            !onto.departs(1, 0, b"left") && onto.departs(1, 1, b"left"),
            "nothing old is left in an emptied database"
        );
    }

    #[test]
    fn a_write_that_meets_a_value_on_its_way_is_executed_once_more() {
        let mut onto = region(true);
        assert_eq!(onto.arrives(7, 0, b"k"), Arrival::Below(vec![]));
        onto.end();
        assert!(onto.wrote(K, Effect::Changes, &write("INCR k")), "also after the copy's end");
        onto.carries(0, b"k", write("SET k 1"));
        assert_eq!(onto.take_mail(8), Some(vec![write("SET k 1"), write("INCR k")]));
        onto.echoed(7);
        assert!(onto.wrote(K, Effect::Changes, &write("APPEND k 1")), "before its second arrival was seen");
        assert_eq!(onto.take_mail(9), Some(vec![write("SET k 1"), write("INCR k"), write("APPEND k 1")]));
        onto.echoed(9);
        assert!(onto.is_quiet() && !onto.wrote(K, Effect::Changes, &write("INCR k")));
    }

    #[test]
    fn what_was_given_out_and_not_executed_is_given_again() {
        let mut onto = region(true);
        onto.arrives(7, 0, b"k");
        onto.wrote(K, Effect::Changes, &write("INCR k"));
        assert!(onto.take_mail(9).is_some() && onto.take_mail(9).is_none());
        onto.resume(8);
        assert_eq!(onto.take_mail(9), Some(vec![write("INCR k")]));
        onto.resume(9);
        assert_eq!(onto.take_mail(10), None, "it was executed");
    }
}
