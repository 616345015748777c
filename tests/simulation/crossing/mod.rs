//! What clients write when both regions write the same few keys at the same time.

mod keys;

use crate::ledger::{Ledger, Written};
use crate::network::World;
use crate::server::{self, Removal, Text};
use crate::variant::{Mix, Variant};
use keys::Pen;
pub use keys::{CLASSES, words};

/// Databases that are written to; the second one is flushed in some runs.
const DATABASES: u32 = 2;

/// In one of so many runs clients empty whole servers.
const WHOLE_ONE_OF: u64 = 7;

/// Steps in which clients write, about.
const MOST_STEPS: u64 = 12_000;

/// Clients of both regions.
#[derive(Debug)]
pub struct Crossing {
    /// A client writes once in so many steps.
    pace: u32,
    /// Keys of each kind.
    keys: u8,
    /// Of 10 writes, those of the first region.
    first: u8,
    /// Transactions: one write in so many is one.
    grouped: u8,
    /// Clients empty a database.
    flushes: bool,
    /// Clients empty the whole server, with Duet's keys in it: then it is only promised that both regions end equal.
    pub whole: bool,
    /// And they swap databases, but for the first one.
    swaps: bool,
    /// Both links have had a position: before, a first copy does not know what was there when it began.
    pub stands: bool,
    /// Clients write although what was written before has not arrived everywhere.
    hasty: bool,
    classes: Vec<(&'static str, u8)>,
    /// Makes every value another one.
    count: u64,
}

impl Crossing {
    /// Clients who write the kinds of keys that are not `without`; nearly all of their writes meet, or few.
    pub fn new(rng: &mut fastrand::Rng, without: &[String]) -> Self {
        let pace = [1, 2, 4, 10, 40, 150][rng.usize(0..6)];
        let keys = [1, 1, 1, 2, 3, 6][rng.usize(0..6)];
        let (first, grouped) = (rng.u8(3..8), [3, 6, 20][rng.usize(0..3)]);
        let flushes = rng.u8(0..6) == 0;
        // Some runs have a few kinds of keys only, so that these are written all the more.
        let narrow = rng.bool();
        let off = |name: &str| without.iter().any(|off| off == name);
        let mut classes: Vec<_> = CLASSES.into_iter().filter(|_| !narrow || rng.u8(0..6) == 0).collect();
        classes.retain(|(name, _)| !off(name));
        if classes.is_empty() {
            classes = CLASSES.into_iter().filter(|(name, _)| !off(name)).collect();
        }
        let grouped = if off("transactions") { u8::MAX } else { grouped };
        let (flushes, hasty) = (flushes && !off("flush"), !off("haste"));
        Self {
            pace,
            keys,
            first,
            grouped,
            flushes,
            whole: false,
            swaps: false,
            stands: false,
            hasty,
            classes,
            count: 0,
        }
    }

    /// The same where clients empty whole servers, in one of so many runs.
    pub fn with_whole(mut self, variant: &Variant) -> Self {
        // They would take with them which keys are held.
        let may = variant.mix != Mix::Hold && !variant.is_without("whole");
        self.swaps = variant.mix == Mix::Swap;
        self.whole = self.swaps || may && variant.seed % WHOLE_ONE_OF == 1;
        self
    }

    /// How many writes make a run: fewer where they are slow, so that it ends.
    pub fn writes(&self, wanted: u64) -> u64 {
        wanted.min(MOST_STEPS / u64::from(self.pace))
    }

    /// The region of which a client writes now, if one does.
    pub fn next(&self, world: &mut World) -> Option<usize> {
        let due = world.rng.u32(0..self.pace) == 0 && (self.hasty || world.oracle.is_settled(&world.servers));
        due.then(|| usize::from(world.rng.u8(0..10) >= self.first))
    }

    /// One client of region `index` writes.
    pub fn write(&mut self, world: &mut World, index: usize) {
        let database = if world.rng.u8(0..4) > 0 { 0 } else { world.rng.u32(0..self.databases()) };
        let grouped = self.grouped != u8::MAX && world.rng.u8(0..self.grouped) == 0;
        let count = if grouped { world.rng.usize(2..6) } else { 1 };
        let commands: Vec<Vec<Text>> = (0..count).map(|_| self.command(world, index, database)).collect();
        world.tick(index);
        let before = Ledger::present(&world.servers[index], database, &commands);
        let Some(effects) = world.servers[index].client(database, &commands) else { return };
        let server = &world.servers[index];
        let fresh: Vec<_> = commands.iter().filter(|args| args[1].get(1..6) == Some(b":new:")).collect();
        // The other databases are emptied by clients of both regions.
        let fresh = fresh.into_iter().filter(|_| database == 0 && !self.whole);
        let owned: Vec<_> = fresh.map(|args| (database, args[1].clone())).collect();
        world.oracle.wrote(index, server, &owned);
        world.oracle.flushed |= self.whole;
        if effects.contains(&true) && !self.whole {
            let written = Written { index, at_ms: world.now_ms, database, before };
            let seen = world.oracle.seen(index, &world.servers);
            world.oracle.ledger.wrote(
                &written,
                seen,
                &world.oracle.past[index],
                &world.servers[index],
                &commands,
                &effects,
            );
        }
        crate::trace(|| {
            let line = |args: &Vec<Text>| String::from_utf8_lossy(&args.join(&b' ')).into_owned();
            let lines: Vec<String> = commands.iter().map(line).collect();
            let end = world.servers[index].history.offset;
            format!("{} client {index} database {database} {lines:?} {effects:?} -> {end}", world.now_ms)
        });
        world.collect(index);
    }

    fn databases(&self) -> u32 {
        if self.swaps { server::DATABASES as u32 } else { DATABASES }
    }

    fn command(&mut self, world: &mut World, index: usize, database: u32) -> Vec<Text> {
        self.count += 1;
        if self.whole && self.stands && world.rng.u8(0..20) == 0 {
            if self.swaps && world.rng.bool() {
                let mut others: Vec<u32> = (1..self.databases()).collect();
                world.rng.shuffle(&mut others);
                return words(&["SWAPDB".to_owned(), others[0].to_string(), others[1].to_string()]);
            }
            let name: &[u8] = if world.rng.bool() { b"FLUSHALL" } else { b"FLUSHDB" };
            return vec![name.to_vec(), b"SYNC".to_vec()];
        }
        if self.flushes && database == 1 && world.rng.u8(0..20) == 0 {
            return vec![b"FLUSHDB".to_vec(), b"SYNC".to_vec()];
        }
        let total: u8 = self.classes.iter().map(|(_, weight)| weight).sum();
        let mut dice = world.rng.u8(0..total.max(1));
        let chosen =
            self.classes.iter().find(|(_, weight)| dice.checked_sub(*weight).map(|rest| dice = rest).is_none());
        let region = ["a", "b"][index];
        let mut pen = Pen {
            region,
            flavour: world.servers[index].flavour,
            keys: self.keys,
            value: &format!("{region}{}", self.count),
            now_ms: world.now_ms,
            database,
            held: &world.servers[index].keys,
            rng: &mut world.rng,
        };
        pen.write(chosen.map_or("fresh", |(name, _)| name))
    }

    /// A server at its limit of memory removes a key.
    pub fn evict(world: &mut World, index: usize) {
        const KINDS: [&[u8]; 7] = [b"register", b"session", b"wipe", b"list", b"text", b"kind", b"ttl"];
        let database = world.rng.u32(0..DATABASES);
        let held = world.servers[index].keys.0[database as usize].keys();
        let held: Vec<Text> = held.filter(|key| KINDS.iter().any(|kind| key.starts_with(kind))).cloned().collect();
        if held.is_empty() {
            return;
        }
        let key = held[world.rng.usize(0..held.len())].clone();
        world.tick(index);
        let before = Ledger::present(&world.servers[index], database, &[]);
        world.servers[index].evict(database, &key, Removal::Evicted);
        crate::trace(|| format!("{} evicted at {index}: {}", world.now_ms, String::from_utf8_lossy(&key)));
        let written = Written { index, at_ms: world.now_ms, database, before };
        let seen = world.oracle.seen(index, &world.servers);
        world.oracle.ledger.evicted(&written, seen, &world.oracle.past[index], &world.servers[index], &key);
        world.oracle.wrote(index, &world.servers[index], &[]);
        world.collect(index);
    }
}
