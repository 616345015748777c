//! The keys that both regions write, and what is written to them. The beginning of a name says what is promised for it:
//! see [`crate::ledger`].

use fastrand::Rng;

use crate::server::{Flavour, Keyspace, Text, Value};

/// A kind of keys, and how often it is written.
pub const CLASSES: [(&str, u8); 16] = [
    ("register", 6),
    ("session", 4),
    ("hash", 6),
    ("wipe", 3),
    ("set", 5),
    ("ranks", 5),
    ("sum", 5),
    ("list", 4),
    ("text", 3),
    ("kind", 4),
    ("ttl", 4),
    ("several", 4),
    ("fading", 3),
    ("queue", 4),
    ("bits", 3),
    ("fresh", 2),
];

/// Who writes, and with what.
pub struct Pen<'a> {
    pub rng: &'a mut Rng,
    /// "a" or "b".
    pub region: &'a str,
    pub flavour: Flavour,
    /// Keys of each kind.
    pub keys: u8,
    /// A value that was never written before.
    pub value: &'a str,
    /// True time, Unix milliseconds.
    pub now_ms: i64,
    /// The database that is written to, and what the region holds.
    pub database: u32,
    pub held: &'a Keyspace,
}

pub fn words<W: AsRef<[u8]>>(parts: &[W]) -> Vec<Text> {
    parts.iter().map(|part| part.as_ref().to_vec()).collect()
}

impl Pen<'_> {
    /// A command on keys of this class.
    pub fn write(&mut self, class: &str) -> Vec<Text> {
        match class {
            "register" => self.register(),
            "session" => self.session(),
            "hash" => self.hash("hash"),
            "wipe" if self.rng.u8(0..5) == 0 => self.remove("wipe", 1),
            "wipe" => self.hash("wipe"),
            "set" => self.set(),
            "ranks" => self.ranks(),
            "sum" => self.sum(),
            "list" => self.list(),
            "text" => self.text(),
            "kind" => self.kind(),
            "ttl" => self.ttl(),
            "several" => self.several(),
            "fading" => self.fading(),
            "queue" => self.queue(),
            "bits" => self.bits(),
            _ => words(&["SET", &format!("{}:new:{}", self.region, self.value), self.value]),
        }
    }

    fn key(&mut self, class: &str) -> String {
        format!("{class}:{}", self.rng.u8(0..self.keys))
    }

    /// An element that both regions write, or one that only this region does.
    fn element(&mut self) -> String {
        let number = self.rng.u8(0..3);
        if self.rng.u8(0..3) == 0 { format!("{}{number}", self.region) } else { format!("m{number}") }
    }

    fn small(&mut self) -> String {
        self.rng.u8(1..9).to_string()
    }

    fn remove(&mut self, class: &str, most: usize) -> Vec<Text> {
        let mut args = words(&[if self.rng.bool() { "DEL" } else { "UNLINK" }]);
        let count = self.rng.usize(1..=most);
        args.extend((0..count).map(|_| self.key(class).into_bytes()));
        args[1..].sort();
        args.dedup();
        args
    }

    fn register(&mut self) -> Vec<Text> {
        let (key, value) = (self.key("register"), self.value);
        match self.rng.u8(0..10) {
            0 => words(&["GETSET", &key, value]),
            1 => words(&["SET", &key, value, "GET"]),
            2 => words(&["SET", &key, value, "NX"]),
            3 => {
                let other = self.key("register");
                if other == key { words(&["MSET", &key, value]) } else { words(&["MSET", &key, value, &other, value]) }
            }
            4 => words(&["GETDEL", &key]),
            5..=6 => self.remove("register", 3),
            _ => words(&["SET", &key, value]),
        }
    }

    /// A lifetime that may end within the run, or does not.
    fn lifetime(&mut self) -> i64 {
        if self.rng.u8(0..3) > 0 { self.rng.i64(5..300) } else { self.rng.i64(10_000_000..20_000_000) }
    }

    /// SET with a lifetime; a server of 6.2 would send a relative one on, which nobody can make exact.
    fn expiring(&mut self, key: &str) -> Vec<Text> {
        let ms = self.lifetime();
        if self.flavour == Flavour::Redis70 && self.rng.bool() {
            return words(&["SET", key, self.value, "PX", &ms.to_string()]);
        }
        words(&["SET", key, self.value, "PXAT", &(self.now_ms + ms).to_string()])
    }

    fn session(&mut self) -> Vec<Text> {
        let key = self.key("session");
        match self.rng.u8(0..8) {
            0 => self.remove("session", 1),
            1 => words(&["SET", &key, self.value]),
            _ => self.expiring(&key),
        }
    }

    fn hash(&mut self, class: &str) -> Vec<Text> {
        let (key, field) = (self.key(class), self.element());
        match self.rng.u8(0..8) {
            0..=1 if class == "hash" => {
                let field = format!("c{}", self.rng.u8(0..2));
                words(&["HINCRBY", &key, &field, &self.small()])
            }
            2..=3 => words(&["HDEL", &key, &field]),
            4 => words(&["HSET", &key, &field, self.value, &format!("{}9", self.region), self.value]),
            _ => words(&["HSET", &key, &field, self.value]),
        }
    }

    fn set(&mut self) -> Vec<Text> {
        let (key, member) = (self.key("set"), self.element());
        words(&[if self.rng.u8(0..5) < 3 { "SADD" } else { "SREM" }, &key, &member])
    }

    fn ranks(&mut self) -> Vec<Text> {
        let (key, member) = (self.key("ranks"), self.element());
        match self.rng.u8(0..6) {
            0 => words(&["ZINCRBY", &key, &self.small(), &format!("c{}", self.rng.u8(0..2))]),
            1 => words(&["ZREM", &key, &member]),
            _ => words(&["ZADD", &key, &self.rng.u16(..).to_string(), &member]),
        }
    }

    fn sum(&mut self) -> Vec<Text> {
        let key = self.key("sum");
        match self.rng.u8(0..4) {
            0 => words(&["INCRBY", &key, &self.small()]),
            1 => words(&["DECRBY", &key, &self.small()]),
            _ => words(&["INCR", &key]),
        }
    }

    fn list(&mut self) -> Vec<Text> {
        let key = self.key("list");
        match self.rng.u8(0..10) {
            0 => words(&["LPOP", &key]),
            1 => words(&["RPOP", &key]),
            2..=4 => words(&["LPUSH", &key, self.value]),
            5 => words(&["LTRIM", &key, "0", "5"]),
            _ => words(&["RPUSH", &key, self.value]),
        }
    }

    fn text(&mut self) -> Vec<Text> {
        let key = self.key("text");
        match self.rng.u8(0..8) {
            0 => words(&["SET", &key, self.value]),
            1 => self.remove("text", 1),
            _ => words(&["APPEND", &key, self.value]),
        }
    }

    /// A key whose type changes: many of these fail where another type came first.
    fn kind(&mut self) -> Vec<Text> {
        let (key, value) = (self.key("kind"), self.value);
        match self.rng.u8(0..9) {
            0..=1 => self.remove("kind", 1),
            2 => words(&["SET", &key, &self.small()]),
            3 => words(&["INCR", &key]),
            4 => words(&["APPEND", &key, value]),
            5 => words(&["RPUSH", &key, value]),
            6 => words(&["SADD", &key, value]),
            7 => words(&["HSET", &key, "f", value]),
            _ => words(&["ZADD", &key, "1", value]),
        }
    }

    fn ttl(&mut self) -> Vec<Text> {
        let key = self.key("ttl");
        match self.rng.u8(0..10) {
            0 => self.remove("ttl", 1),
            1 => words(&["SET", &key, self.value]),
            2 => words(&["SET", &key, self.value, "KEEPTTL"]),
            3..=4 => words(&["PERSIST", &key]),
            5..=7 => {
                let at = self.now_ms + self.lifetime();
                words(&["PEXPIREAT", &key, &at.to_string()])
            }
            _ => self.expiring(&key),
        }
    }

    /// A few elements and a time to live, which goes with the last of them.
    fn fading(&mut self) -> Vec<Text> {
        let (set, ranks) = (self.key("fading:set"), self.key("fading:ranks"));
        let key = if self.rng.bool() { &set } else { &ranks };
        let member = ["m", self.region][self.rng.usize(0..2)];
        match self.rng.u8(0..10) {
            0 => words(&["PERSIST", key]),
            1..=2 => {
                let at = self.now_ms + if self.rng.u8(0..4) == 0 { self.lifetime() } else { 10_000_000 };
                words(&["PEXPIREAT", key, &at.to_string()])
            }
            3..=4 => words(&["SREM", &set, member]),
            5..=6 => words(&["SADD", &set, member]),
            7 => words(&["ZREM", &ranks, member]),
            8 => words(&["ZINCRBY", &ranks, "1", member]),
            _ => words(&["ZADD", &ranks, &self.small(), member]),
        }
    }

    /// Elements that are there once, and are taken away by name by the region that put them.
    fn queue(&mut self) -> Vec<Text> {
        let key = self.key("queue");
        let entry = self.held.0[self.database as usize].get(key.as_bytes());
        let own: Vec<&Text> = match entry.map(|entry| &entry.value) {
            Some(Value::List(items)) => items.iter().filter(|item| item.starts_with(self.region.as_bytes())).collect(),
            _ => Vec::new(),
        };
        if !own.is_empty() && self.rng.u8(0..3) == 0 {
            let item = own[self.rng.usize(0..own.len())].clone();
            return [words(&["LREM", &key, "1"]), vec![item]].concat();
        }
        words(&[if self.rng.bool() { "LPUSH" } else { "RPUSH" }, &key, self.value])
    }

    /// Bits, those of one key made of others' as well.
    fn bits(&mut self) -> Vec<Text> {
        let (key, other) = (self.key("bits"), self.key("bits"));
        let (at, value) = (self.rng.u8(0..24).to_string(), self.rng.u8(0..2).to_string());
        match self.rng.u8(0..8) {
            0 => words(&["BITOP", "OR", &key, &key, &other]),
            1 => words(&["BITOP", "XOR", &key, &other, &key]),
            2 => words(&["BITOP", "NOT", &key, &other]),
            3 => words(&["BITFIELD", &key, "SET", "u8", "0", &self.small()]),
            4 if self.rng.bool() => self.remove("bits", 2),
            _ => words(&["SETBIT", &key, &at, &value]),
        }
    }

    /// Several keys at once, of all types, some of which expire.
    fn several(&mut self) -> Vec<Text> {
        let (from, to) = (self.key("several:set"), self.key("several:set"));
        let (left, right) = (self.key("several:list"), self.key("several:list"));
        let (one, other) = (self.key("several:any"), self.key("several:any"));
        let value = self.value;
        match self.rng.u8(0..16) {
            0 => words(&["SMOVE", &from, &to, &self.element()]),
            1..=2 => words(&["SADD", &from, &self.element(), value]),
            3 => words(&["SUNIONSTORE", &to, &from, &to]),
            4 => words(&["LMOVE", &left, &right, "LEFT", "RIGHT"]),
            5 => words(&["RPOPLPUSH", &left, &right]),
            6..=7 => words(&["RPUSH", &left, value]),
            8 => words(&["RENAME", &one, &other]),
            9 if one != other => words(&["COPY", &one, &other, "REPLACE"]),
            10 => words(&["COPY", &from, &one, "REPLACE"]),
            11 => words(&["RENAME", &left, &one]),
            12 => self.remove("several:any", 3),
            // What another key is made of may be over in one region a moment earlier than in the other.
            13..=14 => {
                let at = self.now_ms + self.lifetime();
                words(&["PEXPIREAT", [&from, &left, &one][self.rng.usize(0..3)], &at.to_string()])
            }
            _ => words(&["MSET", &one, value, &other, value]),
        }
    }
}
