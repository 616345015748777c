//! One run: a pair, its clients, its daemons and what befalls them, all from one seed.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

use duet::engine::apply::Bounds;
use duet::engine::conflict::departed::{DeletePolicy, Deletes};
use duet::engine::conflict::{Exchange, hold};
use duet::engine::origin::ReservedKeys;
use fastrand::Rng;

use crate::clock::Clock;
use crate::crossing::Crossing;
use crate::daemon::{Daemon, Flaws, REGIONS, Settings};
use crate::faults::Plan;
use crate::network::{Shared, Way, World};
use crate::oracle::{Oracle, Place};
use crate::promises::{self, last_update_wins::Share, no_echo::Idle};
use crate::server::{Defects, Flavour, Server};
use crate::variant::{Mix, Variant};
use crate::workload::{CLIENTS_OWN, Care, Workload};

/// Steps after which a pair that does not come to rest is given up.
const MOST_STEPS: u64 = 400_000;
/// What a run ends with in which Duet rightly asks its operator, and nobody answers.
const ASKS: &str = "asks";
/// Heartbeats of each region that an idle pair is watched for.
const IDLE_BEATS: u64 = 8;
/// How long a pair may take to become equal once all that clients wrote has been sent, virtual milliseconds.
const REST_MS: i64 = 10_000;
/// Steps between two looks at whether it is.
const LOOK_EVERY: u32 = 64;
/// What is held in some runs: kinds of keys of which no sum is promised.
const HELD: [&str; 8] = ["register:", "session:", "wipe:", "set:", "list:", "text:", "kind:", "ttl:"];
/// A time in which all that expires soon has expired, milliseconds.
const SOON_MS: i64 = 10_000;

/// What is switched off in a run, to see that a promise breaks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Broken {
    pub flaws: Flaws,
    pub defects: Defects,
    /// The only promise that is looked at.
    pub only: Option<&'static str>,
}

/// What a run came to.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    /// The promise that was broken, and how.
    pub broken: Option<String>,
    pub steps: u64,
    pub kills: u64,
    pub writes: u64,
    /// How the units that both regions wrote ended, by whether the run was undisturbed.
    pub shares: [Share; 2],
    /// Updates of units, and those that met a concurrent one.
    pub met: (u64, u64),
    /// Runs that ended with a question to the operator.
    pub asked: u64,
}

/// A pair at work.
pub struct Run {
    pub world: Shared,
    pub settings: Settings,
    pub daemons: Vec<Daemon>,
    pub workload: Workload,
    /// Clients of both regions write the same keys.
    crossing: Option<Crossing>,
    pub plan: Plan,
    /// Something befell the daemon or its connections.
    pub disturbed: bool,
    notes: crate::daemon::Notes,
    /// Clients' writes still to come.
    writes: u64,
    /// The links have been in order once: only then do clients write in the region that is copied to.
    pub begun: [bool; 2],
    /// Clients write the same keys in both regions while one is copied onto for the first time.
    early: bool,
    /// Of 100 turns, those in which bytes move.
    moving: u8,
    pub outcome: Outcome,
}

impl Outcome {
    /// What several runs came to.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.kills += other.kills;
        self.writes += other.writes;
        self.met = (self.met.0 + other.met.0, self.met.1 + other.met.1);
        self.asked += other.asked;
        for (share, other) in self.shares.iter_mut().zip(other.shares) {
            share.add(other);
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, kills, writes, met: (updates, met), shares: [calm, disturbed], asked, .. } = self;
        write!(f, "{steps} steps, {writes} writes, {kills} kills")?;
        if *asked > 0 {
            write!(f, "; {asked} ended with a question to the operator")?;
        }
        if calm.units + disturbed.units > 0 {
            write!(f, "; {met} of {updates} updates met another")?;
            write!(f, "; units that both wrote: {calm} when undisturbed, {disturbed} otherwise")?;
        }
        Ok(())
    }
}

/// Runs one variant of a seed.
pub fn run(variant: &Variant, broken: Broken) -> Outcome {
    let mut run = Run::new(variant, broken);
    let told = run.whole();
    match told {
        Ok(()) => {}
        Err(what) if what == ASKS => run.outcome.asked = 1,
        Err(what) => run.world.borrow_mut().oracle.fail(what),
    }
    run.daemons.clear();
    run.outcome.broken = run.world.borrow_mut().oracle.broken.take();
    run.outcome
}

impl Run {
    fn new(variant: &Variant, broken: Broken) -> Self {
        let mut rng = Rng::with_seed(variant.seed);
        let reserved = ReservedKeys::new("duet:", "sim");
        let flavour = |rng: &mut Rng| if rng.u8(0..3) == 0 { Flavour::Redis62 } else { Flavour::Redis70 };
        let mut servers = [0, 1].map(|index| Server::new(flavour(&mut rng), index + 1, rng.bool(), broken.defects));
        let markers = REGIONS.map(|region| reserved.marker(region));
        for index in 0..2 {
            servers[index].watched_key = markers[1 - index].clone();
        }
        let settings = Settings {
            bounds: Bounds {
                batch_commands: rng.u32(1..12),
                batch_bytes: rng.usize(64..2000),
                in_flight: rng.usize(1..8),
            },
            heartbeat_ms: rng.i64(30..150),
            linger_ms: 2 * variant.clocks_ms + 600,
            read_bytes: [300, 2000, 16000][rng.usize(0..3)],
            value_bytes: if rng.bool() { rng.usize(8..200) } else { 64 * 1024 },
            reserved,
            deletes: match variant.mix {
                Mix::Apart | Mix::Crossing | Mix::Swap | Mix::Lossy | Mix::Region | Mix::Hold => {
                    DeletePolicy { expiry: Deletes::Propagate, eviction: Deletes::Propagate }
                }
                Mix::Events => DeletePolicy { expiry: Deletes::Events, eviction: Deletes::Events },
            },
            clashes: variant.mix != Mix::Apart,
            winner: (variant.mix == Mix::Region).then_some(usize::from(!variant.seed.is_multiple_of(2))),
            held: if variant.mix == Mix::Hold { &HELD } else { &[] },
            flaws: broken.flaws,
        };
        let mut plan = match variant.mix {
            Mix::Apart => Plan::new(&mut rng),
            Mix::Crossing | Mix::Swap | Mix::Events | Mix::Lossy | Mix::Region | Mix::Hold => Plan::crossing(&mut rng),
        };
        plan = plan.with_holds(variant.seed);
        if variant.mix != Mix::Apart {
            plan = plan.with_lags(variant.seed);
        }
        let loses = matches!(variant.mix, Mix::Apart | Mix::Lossy);
        plan.leave_out(|name| {
            variant.is_without(name) || (!loses && ["lose_position", "failover", "overtaken"].contains(&name))
        });
        let workload = Workload::new(rng.u32(1..5), !plan.loses_positions());
        let writes = rng.u64(20..120);
        let moving = rng.u8(25..60);
        let crossing =
            (variant.mix != Mix::Apart).then(|| Crossing::new(&mut rng, &variant.without).with_whole(variant));
        if crossing.as_ref().is_some_and(|crossing| crossing.whole) {
            plan = plan.with_whole();
        }
        let writes = crossing.as_ref().map_or(writes, |crossing| crossing.writes(writes));
        let mut clocks = [Clock::right(variant.clocks_ms); 2];
        if crossing.is_some() {
            if rng.u8(0..3) > 0 && !variant.is_without("clocks") {
                clocks = [(); 2].map(|()| Clock::off(variant.clocks_ms, &mut rng));
            }
            servers
                .iter_mut()
                .for_each(|server| server.events = if rng.bool() { b"Exeg".to_vec() } else { Vec::new() });
        }
        if variant.salt > 0 {
            rng = Rng::with_seed(variant.seed ^ variant.salt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        let mut world = World::new(rng, servers, Oracle::new(markers));
        world.clocks = clocks;
        world.oracle.only = broken.only;
        for index in 0..2 {
            world.collect(index);
        }
        let world = Rc::new(RefCell::new(world));
        Self {
            daemons: Vec::new(),
            world,
            settings,
            workload,
            crossing,
            plan,
            disturbed: false,
            notes: Rc::default(),
            writes: variant.writes.map_or(writes, |most| writes.min(most)),
            begun: [false; 2],
            early: variant.seed.is_multiple_of(5),
            moving,
            outcome: Outcome::default(),
        }
    }

    /// Starts another daemon.
    pub fn start_daemon(&mut self) {
        let daemon = Daemon::new(Rc::clone(&self.world), self.settings.clone(), Rc::clone(&self.notes));
        self.daemons.push(daemon);
    }

    fn whole(&mut self) -> Result<(), String> {
        let before = self.world.borrow_mut().rng.u8(0..30);
        for _ in 0..before {
            let mut world = self.world.borrow_mut();
            match &mut self.crossing {
                None => self.workload.write(&mut world, 0, Care::None),
                Some(crossing) => crossing.write(&mut world, 0),
            }
        }
        self.start_daemon();
        while self.writes > 0 {
            self.step()?;
            self.befall();
            self.client();
        }
        self.calm();
        self.settle()?;
        self.judge();
        if !self.settings.held.is_empty() {
            self.decide()?;
        }
        self.idle()?;
        self.judge();
        Ok(())
    }

    /// What expires soon has expired; then the pair is to become equal within a bounded time. Positions at rest are not all:
    /// what was in the air when a session began is judged later.
    fn rest(&mut self) -> Result<(), String> {
        if self.crossing.is_some() {
            let mut world = self.world.borrow_mut();
            world.now_ms += SOON_MS;
            for index in 0..2 {
                world.expire(index);
                let World { oracle, servers, .. } = &mut *world;
                oracle.wrote(index, &servers[index], &[]); // what expired is on its way as well
            }
        }
        let until = self.world.borrow().now_ms + REST_MS;
        // What is judged may have something executed, and that is judged in turn.
        let (mut written, mut times) = (None, 0);
        while self.world.borrow().now_ms < until {
            if self.is_silent() && self.are_equal() {
                let offsets = [0, 1].map(|index| self.world.borrow().servers[index].history.offset);
                if self.is_judged(*written.get_or_insert(offsets)) {
                    (written, times) = (None, times + 1);
                }
                if times == 2 {
                    break;
                }
            }
            for _ in 0..LOOK_EVERY {
                self.step()?;
            }
        }
        if !self.are_equal() && self.daemons.iter().any(Daemon::asks) {
            return Err(ASKS.to_owned());
        }
        Ok(())
    }

    /// Whether the daemon has judged what both servers had executed by then, and nothing is to follow from it.
    fn is_judged(&self, offsets: [u64; 2]) -> bool {
        let judged = |exchange: &Exchange| {
            let judged = |region| exchange.judged(region) >= Some(offsets[region]) && exchange.unresolved(region) == 0;
            exchange.settles().is_empty() && (0..2).all(judged)
        };
        self.daemons.iter().all(|daemon| judged(&hold(&daemon.pair.exchange)))
    }

    fn are_equal(&self) -> bool {
        let World { servers: [a, b], .. } = &*self.world.borrow();
        promises::held::holds([&a.keys, &b.keys], self.settings.reserved.prefix(), &self.held()).is_ok()
    }

    /// The keys that daemons hold.
    fn held(&self) -> BTreeSet<Place> {
        self.daemons.iter().flat_map(Daemon::held).collect()
    }

    /// The daemon is killed, and what it held is held by the next one. Then somebody decides: each held key is written as a
    /// whole, which lets it go, and regions are equal.
    fn decide(&mut self) -> Result<(), String> {
        let before = self.held();
        self.daemons.clear();
        self.start_daemon();
        self.settle()?;
        let held = self.held();
        let mut world = self.world.borrow_mut();
        let lasts = promises::held::lasts(&before, &held);
        lasts.unwrap_or_else(|what| world.oracle.fail(format!("held: {what}")));
        for (database, key) in held {
            let index = world.rng.usize(0..2);
            world.tick(index);
            let set = [b"SET".to_vec(), key, b"decided".to_vec()].to_vec();
            world.servers[index].client(database, &[set]);
            let World { oracle, servers, .. } = &mut *world;
            oracle.wrote(index, &servers[index], &[]);
            world.collect(index);
        }
        drop(world);
        self.settle()?;
        let still = self.held();
        if let Some((database, key)) = still.first() {
            let what = format!("held: '{}' in database {database}, although decided", String::from_utf8_lossy(key));
            self.world.borrow_mut().oracle.fail(what);
        }
        Ok(())
    }

    /// Waits until nothing more happens by itself.
    fn settle(&mut self) -> Result<(), String> {
        while !self.is_silent() {
            self.step()?;
        }
        self.rest()
    }

    /// Something moves: a task, or bytes on their way.
    fn step(&mut self) -> Result<(), String> {
        self.outcome.steps += 1;
        let mut world = self.world.borrow_mut();
        if let Some(broken) = &world.oracle.broken {
            return Err(broken.clone());
        }
        if self.outcome.steps > MOST_STEPS {
            if self.daemons.iter().any(Daemon::asks) {
                return Err(ASKS.to_owned());
            }
            let daemons: Vec<String> = self.daemons.iter().map(Daemon::describe).collect();
            let highs =
                [0, 1].map(|source| (world.oracle.high(source, &world.servers), world.oracle.past[source].last));
            let late = world.ways().1;
            return Err(format!(
                "rest: no rest: {} (positions and last writes {highs:?}, {late} late)",
                daemons.join(" | ")
            ));
        }
        let ms = world.rng.u8(0..8);
        world.now_ms += i64::from(ms < 3);
        let seldom = if self.crossing.is_some() { 150 } else { 1000 };
        if world.rng.u16(0..seldom) == 0 {
            let index = world.rng.usize(0..2);
            world.servers[index].ping();
            world.expire(index);
        }
        if world.rng.u8(0..100) < self.moving {
            let (ways, late) = world.ways();
            let prompt = ways.len() - late;
            // What was given up arrives late.
            let from =
                if late > 0 && (prompt == 0 || world.rng.u8(0..30) == 0) { prompt..ways.len() } else { 0..prompt };
            if !from.is_empty() && (from.start < prompt || world.rng.u8(0..4) == 0) {
                let way: Way = ways[world.rng.usize(from)];
                world.deliver(way);
                return Ok(());
            }
        }
        let dice = world.rng.usize(0..64);
        drop(world);
        if !self.daemons.is_empty() {
            let index = dice / 8 % self.daemons.len();
            self.daemons[index].poll(dice);
        }
        self.daemons.retain(|daemon| !daemon.is_over());
        if self.daemons.is_empty() && self.writes == 0 {
            self.start_daemon(); // two that started at once may both have stopped: whoever supervises them starts one again
        }
        Ok(())
    }

    /// A client writes now and then.
    fn client(&mut self) {
        if self.crossing.is_some() {
            return self.crossing_client();
        }
        let mut world = self.world.borrow_mut();
        if world.rng.u8(0..16) != 0 || self.plan.wants_silence() {
            return;
        }
        let index = world.rng.usize(0..2);
        let ahead = [0, 1].map(|source| world.oracle.high(source, &world.servers).is_some());
        self.begun = [self.begun[0] || ahead[0], self.begun[1] || ahead[1]];
        // Until the reverse link has a position, what its source's clients write is not its to copy.
        if index == 1 && !self.begun[1] {
            return;
        }
        self.workload.copied = self.begun[0];
        // What the links that write to the region, and read it, are about to do.
        let care = if (index == 1 || self.begun[1]) && !ahead[1 - index] { Care::FreshKeys } else { Care::None };
        self.workload.write(&mut world, index, care);
        self.writes = self.writes.saturating_sub(1);
        self.outcome.writes += 1;
    }

    /// A client writes what the other region's clients may write too.
    fn crossing_client(&mut self) {
        let Some(crossing) = &mut self.crossing else { return };
        let mut world = self.world.borrow_mut();
        let Some(index) = crossing.next(&mut world) else { return };
        for (source, begun) in self.begun.iter_mut().enumerate() {
            *begun |= world.oracle.high(source, &world.servers).is_some();
        }
        crossing.stands = self.begun == [true; 2];
        // In some runs clients write during the first copy, too; but what was in the region that is copied onto before its
        // link had a position is not that link's to copy.
        if !(self.begun[0] || self.early) || !(self.begun[1] || self.early && index == 0) {
            return;
        }
        crossing.write(&mut world, index);
        self.writes -= 1;
        self.outcome.writes += 1;
    }

    /// All that clients wrote has been applied.
    pub fn is_settled(&self) -> bool {
        let world = self.world.borrow();
        world.oracle.is_settled(&world.servers)
    }

    fn is_silent(&self) -> bool {
        let linked = self.daemons.iter().any(|daemon| daemon.pair.links.iter().all(|link| link.in_step.get()));
        self.daemons.len() == 1 && linked && self.is_settled() && self.world.borrow().ways().1 == 0
    }

    /// What is promised after silence.
    fn judge(&mut self) {
        if self.crossing.is_some() {
            return self.judge_crossing();
        }
        let mut world = self.world.borrow_mut();
        let World { servers: [a, b], oracle, .. } = &mut *world;
        let (prefix, reserved) = (self.settings.reserved.prefix(), &self.settings.reserved);
        let [a, b] = [&a.keys, &b.keys];
        let mut told = vec![("regions equal", promises::regions_equal::holds([a, b], prefix))];
        for (index, region) in [a, b].into_iter().enumerate() {
            let names = [REGIONS[index], REGIONS[1 - index]];
            told.push(("exactly once", promises::exactly_once::holds(region, oracle)));
            told.push(("nothing lost", promises::nothing_lost::holds(region, &oracle.expected, prefix)));
            told.push(("reserved", promises::reserved::holds(region, reserved, names, CLIENTS_OWN, oracle.flushed)));
        }
        for (promise, told) in told {
            told.unwrap_or_else(|what| oracle.fail(format!("{promise}: {what}")));
        }
    }

    /// What is promised after silence where both regions wrote the same keys.
    fn judge_crossing(&mut self) {
        let mut world = self.world.borrow_mut();
        let now_ms = world.now_ms;
        let skew_ms = Clock::skew_ms(world.clocks);
        let bound_ms = promises::last_update_wins::bound_ms(self.settings.heartbeat_ms, skew_ms);
        let World { servers: [a, b], oracle, .. } = &mut *world;
        let (prefix, reserved) = (self.settings.reserved.prefix(), &self.settings.reserved);
        let [a, b] = [&a.keys, &b.keys];
        let held: BTreeSet<Place> = self.daemons.iter().flat_map(Daemon::held).collect();
        let holds = !self.settings.held.is_empty();
        let equal = if holds { "held" } else { "regions equal" };
        // Of what is held nothing more is promised; and what both regions wrote before a copy is decided by its dump, whichever
        // came later.
        let by_time = !holds && !self.early && !self.plan.loses_positions();
        let mut told = vec![(equal, promises::held::holds([a, b], prefix, &held))];
        for (index, region) in [a, b].into_iter().enumerate() {
            let names = [REGIONS[index], REGIONS[1 - index]];
            told.push(("reserved", promises::reserved::holds(region, reserved, names, CLIENTS_OWN, oracle.flushed)));
            if !oracle.flushed {
                if by_time {
                    told.push(("nothing lost", promises::nothing_lost::of_one_side(region, &oracle.ledger, now_ms)));
                }
                told.push(("sums", promises::sums::holds(region, &oracle.ledger)));
                told.push(("items", promises::items::holds(region, &oracle.ledger)));
            }
        }
        if !oracle.flushed {
            if let Some(winner) = self.settings.winner.filter(|_| by_time) {
                told.push(("region wins", promises::region_wins::holds(a, &oracle.ledger, &oracle.taken, winner)));
            }
            let (share, last) = promises::last_update_wins::holds(a, &oracle.ledger, bound_ms, now_ms);
            self.outcome.shares[usize::from(self.disturbed)] = share;
            self.outcome.met = oracle.ledger.met();
            if (!self.disturbed || !self.plan.loses_tails()) && self.settings.winner.is_none() && by_time {
                told.push(("last update wins", last));
            }
            let records = promises::one_conflict_one_record::holds(&oracle.records, &oracle.ledger, self.disturbed);
            if by_time {
                told.push(("one conflict one record", records));
            }
        }
        for (promise, told) in told {
            told.unwrap_or_else(|what| oracle.fail(format!("{promise}: {what}")));
        }
    }

    /// Nobody writes: the offsets grow by heartbeats only.
    fn idle(&mut self) -> Result<(), String> {
        let seen = |run: &Self| {
            let world = run.world.borrow();
            let id = |index: usize| {
                let marker = world.servers[1 - index].keys.text(&world.oracle.markers[index]);
                marker.and_then(duet::engine::origin::Marker::parse).map_or(0, |marker| marker.id)
            };
            [0, 1].map(|index| (world.oracle.beats[index], id(index), world.servers[1 - index].history.offset))
        };
        let before = seen(self);
        let late = [0, 1].map(|index| self.heartbeats_on_their_way(index));
        while (0..2).any(|index| self.world.borrow().oracle.beats[index] < before[index].0 + IDLE_BEATS) {
            self.step()?;
        }
        let after = seen(self);
        for index in 0..2 {
            let (from, to) = (before[index], after[index]);
            let idle = Idle {
                beats: late[index] + to.0 - from.0,
                transactions: to.1.saturating_sub(from.1),
                bytes: to.2 - from.2,
            };
            let told = promises::no_echo::holds(idle);
            told.unwrap_or_else(|what| self.world.borrow_mut().oracle.fail(format!("no echo: {what}")));
        }
        Ok(())
    }

    /// Heartbeats that the link `index` has yet to carry.
    fn heartbeats_on_their_way(&self, index: usize) -> u64 {
        let world = self.world.borrow();
        let server = &world.servers[index];
        let Some((_, high)) = world.oracle.high(index, &world.servers) else { return 0 };
        let rest = server.history.after(&server.history.id, high + 1).unwrap_or_default();
        let key = self.settings.reserved.heartbeat(REGIONS[index]);
        rest.windows(key.len()).filter(|window| *window == key).count() as u64
    }
}
