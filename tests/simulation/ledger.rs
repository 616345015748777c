//! What clients decided, unit by unit: a whole key, or one element of it. Known without Duet.
//!
//! By the beginning of its name a key is written as a whole only (`register`, `session`), by its elements (`hash`, `set`,
//! `ranks`), by both (`wipe`), added to (`sum`, and the elements `c..`), or put into a list once (`queue`). Other keys are
//! not in here: of them it is only promised that both regions hold the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::oracle::{Past, Place};
use crate::server::{Entry, Keyspace, Server, Text, Value};

/// A key, and an element of it or the whole.
pub type Unit = (Place, Option<Text>);

/// What a unit holds: a value, and when it expires (Unix milliseconds).
pub type Held = Option<(Text, Option<i64>)>;

/// How much an update weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// A client's.
    Full,
    /// A client named the unit, which was not there: whether that counts is open.
    Open,
    /// A server did it by itself: it never beats what it has not seen.
    Server,
}

/// One update of a unit.
#[derive(Debug, Clone)]
pub struct Update {
    pub region: usize,
    /// True time, Unix milliseconds.
    pub at_ms: i64,
    /// Where it ends in the stream of its region, and how much of the other region's stream that region had executed.
    pub place: (u64, u64),
    pub seen: (u64, u64),
    pub weight: Weight,
    pub held: Held,
    /// How many commands it was: more than one where a transaction wrote the unit several times.
    pub commands: u64,
}

/// What was put into a list: by which region and where in its stream, and where it was taken away again.
#[derive(Debug, Clone)]
pub struct Item {
    region: usize,
    put: (u64, u64),
    pub taken: Option<(u64, u64)>,
}

/// What was just written, by whom.
pub struct Written {
    pub index: usize,
    /// True time, Unix milliseconds.
    pub at_ms: i64,
    pub database: u32,
    /// Keys that were there before, of those that are deleted.
    pub before: BTreeSet<Text>,
}

/// Everything that clients decided.
#[derive(Debug, Default)]
pub struct Ledger {
    /// In the order of true time.
    pub units: BTreeMap<Unit, Vec<Update>>,
    pub sums: BTreeMap<Unit, i64>,
    /// What was put into lists, and whether it was taken away by name.
    pub items: BTreeMap<Unit, Item>,
    /// What was added, by whom and where in the stream of its region.
    added: Vec<(Unit, i64, usize, (u64, u64))>,
    /// Deletions of whole keys, which count for elements that nobody had written by then, too.
    deletions: Vec<(u32, Option<Text>, Update)>,
    /// Databases that were emptied: their sums are open.
    pub flushed: BTreeSet<u32>,
}

impl Update {
    /// Whether this one was executed with the other one (of the other region, or earlier in its own) known.
    pub fn has_seen(&self, other: &Self) -> bool {
        if self.region == other.region { self.place > other.place } else { other.place <= self.seen }
    }

    /// Whether neither of two updates had seen the other.
    pub fn is_concurrent(&self, other: &Self) -> bool {
        self.region != other.region && !self.has_seen(other) && !other.has_seen(self)
    }

    /// Whether this one may not stand in the end because of `other`, which is later in true time; updates of the two
    /// regions that are not more than `bound_ms` apart may go either way.
    fn is_displaced(&self, other: &Self, bound_ms: i64) -> bool {
        let same = self.region == other.region;
        let told_apart = other.at_ms > self.at_ms.saturating_add(bound_ms);
        let beaten = self.weight == Weight::Server && !same && !self.has_seen(other);
        other.weight == Weight::Full && (same || other.has_seen(self) || told_apart || beaten)
    }
}

/// The updates that may stand in the end.
pub fn standing(updates: &[Update], bound_ms: i64) -> impl Iterator<Item = &Update> {
    updates
        .iter()
        .enumerate()
        .filter(move |(at, update)| {
            let beaten_before = update.weight == Weight::Server;
            let others = if beaten_before { updates } else { &updates[at + 1..] };
            let later = |other: &&Update| !std::ptr::eq(*other, *update) && (!beaten_before || !update.has_seen(other));
            !others.iter().filter(later).any(|other| update.is_displaced(other, bound_ms))
        })
        .map(|(_, update)| update)
}

impl Ledger {
    /// Which keys of a DEL are there.
    pub fn present(server: &Server, database: u32, commands: &[Vec<Text>]) -> BTreeSet<Text> {
        let named = commands.iter().filter(|args| is_removal(args)).flat_map(|args| &args[1..]);
        named.filter(|key| server.keys.0[database as usize].contains_key(*key)).cloned().collect()
    }

    /// Clients wrote; `effects` tells which of the commands did anything.
    pub fn wrote(
        &mut self,
        written: &Written,
        seen: (u64, u64),
        past: &Past,
        server: &Server,
        commands: &[Vec<Text>],
        effects: &[bool],
    ) {
        let mut decided: BTreeMap<Unit, (Weight, u64)> = BTreeMap::new();
        let Written { index: region, at_ms, .. } = *written;
        let update = |held, weight, commands| Update { region, at_ms, place: past.last, seen, weight, held, commands };
        for args in commands.iter().zip(effects).filter(|(_, effect)| **effect).map(|(args, _)| args) {
            self.add(written.database, args, (region, past.last));
            self.put(written.database, args, (region, past.last));
            for unit in self.decided(written.database, args) {
                let open = is_removal(args) && args.len() > 2 && !written.before.contains(&unit.0.1);
                let (weight, commands) = decided.entry(unit).or_insert((Weight::Open, 0));
                *weight = if open { *weight } else { Weight::Full };
                *commands += 1;
            }
        }
        for (unit, (weight, commands)) in decided {
            let held = held(&server.keys, &unit);
            self.note(unit, update(held, weight, commands));
        }
        for args in commands.iter().zip(effects).filter(|(_, effect)| **effect).map(|(args, _)| args) {
            let gone = |key: Option<&Text>| (written.database, key.cloned(), update(None, Weight::Full, 1));
            if args[0] == b"FLUSHDB" {
                self.deletions.push(gone(None));
            } else if is_removal(args) && args[1].starts_with(b"wipe:") {
                self.deletions.push(gone(Some(&args[1])));
            }
        }
    }

    /// Whether the key was deleted as a whole at some time, by clients who may not have known all of its elements.
    pub fn was_deleted(&self, (database, key): &Place) -> bool {
        self.deletions.iter().any(|(of, name, _)| of == database && name.as_ref().is_none_or(|name| name == key))
    }

    /// A server removed a key by itself.
    pub fn evicted(&mut self, written: &Written, seen: (u64, u64), past: &Past, server: &Server, key: &Text) {
        let args = [b"DEL".to_vec(), key.clone()];
        for unit in self.decided(written.database, &args) {
            let held = held(&server.keys, &unit);
            let Written { index: region, at_ms, .. } = *written;
            self.note(
                unit,
                Update { region, at_ms, place: past.last, seen, weight: Weight::Server, held, commands: 1 },
            );
        }
    }

    /// A server was replaced by one that lacks what its clients wrote behind this place.
    pub fn lose(&mut self, index: usize, behind: (u64, u64)) {
        let is_lost = |region: usize, place: (u64, u64)| region == index && place > behind;
        for (unit, by, ..) in self.added.iter().filter(|(.., region, place)| is_lost(*region, *place)) {
            *self.sums.entry(unit.clone()).or_default() -= by;
        }
        self.added.retain(|(.., region, place)| !is_lost(*region, *place));
        self.deletions.retain(|(.., update)| !is_lost(update.region, update.place));
        // What was put may be back that was taken away; or the other region has it still, or has it no more.
        self.items.retain(|_, item| {
            !is_lost(item.region, item.put) && !item.taken.is_some_and(|taken| is_lost(item.region, taken))
        });
        self.units.values_mut().for_each(|updates| updates.retain(|update| !is_lost(update.region, update.place)));
        self.units.retain(|_, updates| !updates.is_empty());
        let added = &self.added;
        self.sums.retain(|unit, _| added.iter().any(|(of, ..)| of == unit));
    }

    /// How many updates there were, and how many of them met a concurrent one.
    pub fn met(&self) -> (u64, u64) {
        let all = self.units.values().map(|updates| updates.len() as u64).sum();
        let meets = |updates: &Vec<Update>| {
            updates.iter().filter(|update| updates.iter().any(|other| update.is_concurrent(other))).count() as u64
        };
        (all, self.units.values().map(meets).sum())
    }

    fn note(&mut self, unit: Unit, update: Update) {
        let (database, key) = &unit.0;
        let before =
            self.deletions.iter().filter(|(of, name, _)| of == database && name.as_ref().is_none_or(|n| n == key));
        let before: Vec<Update> = before.map(|(_, _, update)| update.clone()).collect();
        self.units.entry(unit).or_insert(before).push(update);
    }

    fn add(&mut self, database: u32, args: &[Text], (region, place): (usize, (u64, u64))) {
        let number = |at: usize| args.get(at).map_or(1, |arg| String::from_utf8_lossy(arg).parse().unwrap_or(0));
        let (element, by) = match args[0].as_slice() {
            b"INCR" | b"INCRBY" => (None, number(2)),
            b"DECRBY" => (None, -number(2)),
            b"HINCRBY" => (Some(args[2].clone()), number(3)),
            b"ZINCRBY" => (Some(args[3].clone()), number(2)),
            b"FLUSHDB" => {
                self.flushed.insert(database);
                return;
            }
            _ => return,
        };
        if [b"sum:".as_slice(), b"hash:", b"ranks:"].iter().any(|kind| args[1].starts_with(kind)) {
            let unit = ((database, args[1].clone()), element);
            *self.sums.entry(unit.clone()).or_default() += by;
            self.added.push((unit, by, region, place));
        }
    }

    fn put(&mut self, database: u32, args: &[Text], (region, place): (usize, (u64, u64))) {
        let of_queue = args.get(1).is_some_and(|key| key.starts_with(b"queue:"));
        let unit = |item: &Text| ((database, args[1].clone()), Some(item.clone()));
        match args[0].as_slice() {
            b"LPUSH" | b"RPUSH" if of_queue => {
                self.items.insert(unit(&args[2]), Item { region, put: place, taken: None });
            }
            b"LREM" if of_queue => {
                self.items.get_mut(&unit(&args[3])).into_iter().for_each(|item| item.taken = Some(place));
            }
            _ => {}
        }
    }

    /// The units that a command decides.
    fn decided(&self, database: u32, args: &[Text]) -> Vec<Unit> {
        let kind = args[1].split(|byte| *byte == b':').next().unwrap_or_default();
        let unit = |key: &Text, element: Option<&Text>| ((database, key.clone()), element.cloned());
        let elements = |first: usize, step: usize| {
            args[first..].iter().step_by(step).map(|element| unit(&args[1], Some(element))).collect()
        };
        match (args[0].as_slice(), kind) {
            (b"FLUSHDB", _) => self.units.keys().filter(|unit| unit.0.0 == database).cloned().collect(),
            (b"DEL" | b"UNLINK", b"wipe") => self
                .units
                .keys()
                .filter(|unit| unit.0.0 == database && args[1..].contains(&unit.0.1))
                .cloned()
                .collect(),
            (b"MSET", b"register") => args[1..].iter().step_by(2).map(|key| unit(key, None)).collect(),
            (b"DEL" | b"UNLINK", b"register" | b"session") => args[1..].iter().map(|key| unit(key, None)).collect(),
            (_, b"register" | b"session") => vec![unit(&args[1], None)],
            (b"HSET", b"hash" | b"wipe") => elements(2, 2),
            (b"HDEL", b"hash" | b"wipe") | (b"SADD" | b"SREM", b"set") | (b"ZREM", b"ranks") => elements(2, 1),
            (b"ZADD", b"ranks") => elements(3, 2),
            _ => Vec::new(),
        }
    }
}

fn is_removal(args: &[Text]) -> bool {
    matches!(args[0].as_slice(), b"DEL" | b"UNLINK")
}

/// What a region holds of a unit.
pub fn held(keys: &Keyspace, ((database, key), element): &Unit) -> Held {
    let Entry { value, expires_at_ms } = keys.0[*database as usize].get(key)?;
    match (value, element) {
        (Value::Text(text), None) => Some((text.clone(), *expires_at_ms)),
        (Value::Hash(fields), Some(field)) => Some((fields.get(field)?.clone(), None)),
        (Value::Set(members), Some(member)) => members.contains(member).then(|| (Text::new(), None)),
        (Value::Scores(members), Some(member)) => Some((members.get(member)?.to_string().into_bytes(), None)),
        _ => None,
    }
}

/// A unit for people.
pub fn shown(((database, key), element): &Unit) -> String {
    let element = element.as_ref().map(|element| format!(" '{}'", String::from_utf8_lossy(element)));
    format!("'{}'{} in database {database}", String::from_utf8_lossy(key), element.unwrap_or_default())
}

/// What a unit holds, for people.
pub fn value(held: &Held) -> String {
    held.as_ref().map_or("nothing".to_owned(), |(text, expiry)| {
        format!("'{}'{}", String::from_utf8_lossy(text), expiry.map_or(String::new(), |at| format!(" until {at}")))
    })
}
