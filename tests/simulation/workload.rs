//! What clients write: different keys in the two regions, keys that take turns, and what commutes on shared keys.

use fastrand::Rng;

use crate::crossing::words;
use crate::network::World;
use crate::oracle::Place;
use crate::server::{Entry, Flavour, Keyspace, Server, Text, Value};

/// The ending of reserved names that clients write themselves.
pub const CLIENTS_OWN: &[u8] = b"of-a-client";

/// What clients have to refrain from, for it would be a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    None,
    /// The region is copied onto: new keys only.
    FreshKeys,
}

/// Clients of both regions.
#[derive(Debug)]
pub struct Workload {
    /// Databases in use.
    databases: u32,
    /// Whether streams are written: dumps of the model do not hold them.
    streams: bool,
    /// The first copy is done.
    pub copied: bool,
    /// The region that writes the keys that take turns.
    pub turn: usize,
    /// Makes every value another one.
    count: u64,
}

/// A command with what it means for sums and lists.
struct Write {
    args: Vec<Text>,
    /// The key belongs to the region that writes it now.
    owned: bool,
}

impl Workload {
    /// Clients that write to so many databases.
    pub fn new(databases: u32, streams: bool) -> Self {
        Self { databases, streams, copied: false, turn: 0, count: 0 }
    }

    /// One client of region `index` writes.
    pub fn write(&mut self, world: &mut World, index: usize, care: Care) {
        let database = if world.rng.bool() { 0 } else { world.rng.u32(0..self.databases) };
        let count = if world.rng.u8(0..5) == 0 { world.rng.usize(2..6) } else { 1 };
        let one = |_| self.careful(world, index, care);
        let writes: Vec<Write> = (0..count).map(one).collect();
        let commands: Vec<Vec<Text>> = writes.iter().map(|write| write.args.clone()).collect();
        world.tick(index);
        if world.servers[index].client(database, &commands).is_none() {
            return;
        }
        let server = &world.servers[index];
        let mut keys = Vec::new();
        for Write { args, owned } in writes {
            let place = (database, args[1].clone());
            if !args[1].starts_with(b"duet:") {
                expect(&mut world.oracle.expected, server, &place, &args);
                account(&mut world.oracle, &place, &args);
            }
            if owned {
                keys.push(place);
            }
        }
        world.oracle.wrote(index, server, &keys);
        crate::trace(|| {
            let line = |args: &Vec<Text>| String::from_utf8_lossy(&args.join(&b' ')).into_owned();
            let lines: Vec<String> = commands.iter().map(line).collect();
            format!("client {index} database {database} {lines:?} -> {}", world.servers[index].history.offset)
        });
        world.collect(index);
    }

    fn careful(&mut self, world: &mut World, index: usize, care: Care) -> Write {
        self.count += 1;
        let region = ["a", "b"][index];
        let value = format!("{region}{}", self.count);
        match care {
            Care::None => self.one(&mut world.rng, &world.servers, index, region, &value),
            Care::FreshKeys => Write { args: words(&["SET", &format!("{region}:new:{value}"), &value]), owned: true },
        }
    }

    fn one(&mut self, rng: &mut Rng, servers: &[Server; 2], index: usize, region: &str, value: &str) -> Write {
        let owned = |parts: &[&str]| Write { args: words(parts), owned: true };
        let shared = |parts: &[&str]| Write { args: words(parts), owned: false };
        let key = |kind: &str, rng: &mut Rng| format!("{region}:{kind}:{}", rng.u8(0..2));
        match rng.u8(0..24) {
            0..=2 => owned(&["INCR", &key("sum", rng)]),
            3 => owned(&["INCRBY", &key("sum", rng), &rng.u8(1..9).to_string()]),
            4..=5 => owned(&["RPUSH", &key("list", rng), value]),
            6 => owned(&["LPUSH", &key("list", rng), value]),
            7..=8 => owned(&["SET", &key("text", rng), value]),
            9 => owned(&["SET", &key("once", rng), value, "NX"]),
            10 if servers[index].flavour == Flavour::Redis70 => {
                owned(&["SET", &key("text", rng), value, "PX", &rng.u32(10_000_000..20_000_000).to_string()])
            }
            10..=11 => owned(&[
                if rng.bool() { "DEL" } else { "UNLINK" },
                &key(["text", "once", "hash"][rng.usize(0..3)], rng),
            ]),
            12 if rng.bool() => owned(&["APPEND", &key("text", rng), value]),
            12 => owned(&["HSET", &key("hash", rng), &rng.u8(0..4).to_string(), value]),
            13 => owned(&["SADD", &key("set", rng), &rng.u8(0..20).to_string()]),
            14 => owned(&["SREM", &key("set", rng), &rng.u8(0..20).to_string()]),
            15 => owned(&["ZADD", &key("ranks", rng), &rng.u8(0..9).to_string(), &rng.u8(0..9).to_string()]),
            16 => owned(&["ZREM", &key("ranks", rng), &rng.u8(0..9).to_string()]),
            17 if self.streams && self.copied => owned(&["XADD", &key("log", rng), "*", "field", value]),
            17 | 18 => shared(&["INCR", "both:sum"]),
            19 => shared(&["SADD", "both:set", value]),
            20 => shared(&["HSET", "both:hash", value, value]),
            21 if self.turn == index => owned(&["RPUSH", "turn:list", value]),
            22 if self.turn == index => owned(&["SET", "turn:text", value]),
            23 if rng.u8(0..4) == 0 => shared(&["SET", "duet:of-a-client", value]),
            _ => owned(&["SET", &format!("{region}:new:{value}"), value]),
        }
    }

    /// In silence: the other region writes the keys that take turns from now on.
    pub fn take_turns(&mut self, world: &mut World) {
        let (from, to) = (self.turn, 1 - self.turn);
        self.turn = to;
        let places: Vec<Place> =
            world.oracle.past[from].keys.keys().filter(|place| place.1.starts_with(b"turn:")).cloned().collect();
        places.iter().for_each(|place| {
            world.oracle.past[from].keys.remove(place);
        });
        let server = &world.servers[to];
        let last = world.oracle.past[to].last;
        world.oracle.wrote(to, server, &places);
        world.oracle.past[to].last = last;
    }

    /// In silence: a client of region `index` empties or swaps databases.
    pub fn whole(&mut self, world: &mut World, index: usize) {
        let database = world.rng.u32(0..self.databases);
        let swapped = world.rng.u32(0..self.databases);
        let args = match world.rng.u8(0..4) {
            0 => words(&["FLUSHALL"]),
            1 => words(&["FLUSHDB"]),
            _ if database != swapped => words(&["SWAPDB", &database.to_string(), &swapped.to_string()]),
            _ => return,
        };
        world.tick(index);
        if world.servers[index].client(database, std::slice::from_ref(&args)).is_none() {
            return;
        }
        crate::trace(|| format!("client {index} database {database} {}", String::from_utf8_lossy(&args.join(&b' '))));
        let oracle = &mut world.oracle;
        oracle.flushed = true;
        oracle.past.iter_mut().for_each(|past| past.keys.clear());
        let moved = |place: &Place| match args[0].as_slice() {
            b"FLUSHALL" => None,
            b"FLUSHDB" => (place.0 != database).then(|| place.clone()),
            _ if place.0 == database => Some((swapped, place.1.clone())),
            _ if place.0 == swapped => Some((database, place.1.clone())),
            _ => Some(place.clone()),
        };
        oracle.sums =
            std::mem::take(&mut oracle.sums).into_iter().filter_map(|(p, sum)| Some((moved(&p)?, sum))).collect();
        oracle.pushed =
            std::mem::take(&mut oracle.pushed).into_iter().filter_map(|(p, list)| Some((moved(&p)?, list))).collect();
        let mut expected = Keyspace::default();
        for (from, entries) in std::mem::take(&mut oracle.expected).0.into_iter().enumerate() {
            for (key, entry) in entries {
                if let Some((to, key)) = moved(&(from as u32, key)) {
                    expected.0[to as usize].insert(key, entry);
                }
            }
        }
        oracle.expected = expected;
        let server = &world.servers[index];
        world.oracle.wrote(index, server, &[]);
        world.collect(index);
    }
}

/// The expected data after a write that `server` has executed. Keys of one region are as the region has them; on shared
/// keys the write is made here too.
fn expect(expected: &mut Keyspace, server: &Server, (database, key): &Place, args: &[Text]) {
    let here = &mut expected.0[*database as usize];
    if key.starts_with(b"both:") {
        let entry = |value| Entry { value, expires_at_ms: None };
        match args[0].as_slice() {
            b"SADD" => match &mut here.entry(key.clone()).or_insert(entry(Value::Set(Default::default()))).value {
                Value::Set(members) => drop(members.insert(args[2].clone())),
                _ => unreachable!("it is always a set"),
            },
            b"HSET" => match &mut here.entry(key.clone()).or_insert(entry(Value::Hash(Default::default()))).value {
                Value::Hash(fields) => drop(fields.insert(args[2].clone(), args[3].clone())),
                _ => unreachable!("it is always a hash"),
            },
            _ => match &mut here.entry(key.clone()).or_insert(entry(Value::Text(b"0".to_vec()))).value {
                Value::Text(sum) => {
                    *sum = (String::from_utf8_lossy(sum).parse().unwrap_or(0) + 1i64).to_string().into_bytes()
                }
                _ => unreachable!("it is always a sum"),
            },
        }
        return;
    }
    match server.keys.0[*database as usize].get(key) {
        Some(entry) => drop(here.insert(key.clone(), entry.clone())),
        None => drop(here.remove(key)),
    }
}

/// Sums and items that must arrive exactly once.
fn account(oracle: &mut crate::oracle::Oracle, place: &Place, args: &[Text]) {
    match args[0].as_slice() {
        b"INCR" => *oracle.sums.entry(place.clone()).or_default() += 1,
        b"INCRBY" => {
            *oracle.sums.entry(place.clone()).or_default() += String::from_utf8_lossy(&args[2]).parse().unwrap_or(0);
        }
        b"LPUSH" | b"RPUSH" => oracle.pushed.entry(place.clone()).or_default().push(args[2].clone()),
        _ => {}
    }
}
