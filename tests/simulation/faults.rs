//! What befalls a pair.

use duet::engine::origin::{Marker, Phase};
use fastrand::Rng;

use crate::crossing::Crossing;
use crate::network::World;
use crate::run::Run;
use crate::server::{Keyspace, Text};

/// After so many steps nothing more befalls a pair than what silence was asked for: then it must come to rest.
const ENOUGH: u64 = 20_000;

/// A replica falls behind once in so many steps.
const LAGS_ONCE_IN: u32 = 60;

/// In one of so many runs both links are held now and then.
const HELD_ONE_OF: u64 = 5;

/// In one of so many runs streams arrive late now and then.
const LATE_ONE_OF: u64 = 4;

/// The faults by name, in the order of [`Plan::switches`].
pub const FAULTS: [&str; 14] = [
    "lose_position",
    "marker_lost",
    "silence",
    "second_daemon",
    "kill",
    "restart",
    "refuse",
    "cut",
    "evict",
    "clock_step",
    "hold",
    "failover",
    "lag",
    "overtaken",
];

/// How likely each thing is in a run: once in so many steps on average, 0 for never.
#[derive(Debug, Clone)]
pub struct Plan {
    kill: u32,
    second_daemon: u32,
    cut: u32,
    restart: u32,
    lose_position: u32,
    refuse: u32,
    marker_lost: u32,
    silence: u32,
    /// A server removes a key by itself.
    evict: u32,
    /// A server's clock steps.
    clock_step: u32,
    /// The clocks are found too far apart, and both links hold for a while.
    hold: u32,
    /// A replica takes over from a server; it may lack the last writes.
    failover: u32,
    /// What a server streams arrives late for a while, and nothing else does.
    lag: u32,
    /// The same, and in the end the backlog does not reach back that far.
    overtaken: u32,
    /// A restart may give a server's history another name.
    renames: bool,
    /// What happens as soon as everything written is applied; no client writes until then.
    waiting: Option<Silent>,
    /// When the backlog of a server is overrun whose stream is late until then.
    overtaken_at_ms: [Option<i64>; 2],
    /// When the target stops refusing.
    refuses_until_ms: [i64; 2],
    /// When a killed daemon is started again.
    start_at_ms: i64,
}

/// What happens only in silence.
#[derive(Debug, Clone, Copy)]
enum Silent {
    Turn,
    Whole(usize),
    /// The end of the silence, once what was done in it has been carried over.
    End,
}

impl Plan {
    /// What befalls a run.
    pub fn new(rng: &mut Rng) -> Self {
        let mut often = |steps: u32| if rng.u8(0..2) == 0 { rng.u32(steps / 2..steps * 2) } else { 0 };
        let silence = often(1500);
        Self {
            kill: often(1500),
            // A client that empties a target takes the epoch with it: a daemon that starts in that moment takes the same
            // one, and neither gives way.
            second_daemon: if silence == 0 { often(2500) } else { 0 },
            cut: often(1000),
            restart: often(1500),
            lose_position: often(1500),
            refuse: often(800),
            marker_lost: often(1500),
            silence,
            evict: 0,
            clock_step: 0,
            hold: 0,
            failover: 0,
            lag: 0,
            overtaken: 0,
            renames: true,
            waiting: None,
            overtaken_at_ms: [None; 2],
            refuses_until_ms: [0; 2],
            start_at_ms: 0,
        }
    }

    /// What befalls a run in which both regions write the same keys.
    pub fn crossing(rng: &mut Rng) -> Self {
        let mut plan = Self { marker_lost: 0, silence: 0, renames: false, ..Self::new(rng) };
        let mut often = |steps: u32| if rng.u8(0..3) == 0 { rng.u32(steps / 2..steps * 2) } else { 0 };
        (plan.evict, plan.clock_step, plan.failover) = (often(600), often(1500), often(1500));
        if plan.failover > 0 {
            // A daemon's epoch may be among what is lost: then another one takes the same, and neither gives way.
            plan.second_daemon = 0;
        }
        // In a third of the runs nobody is disturbed, so that the last update has to win.
        if rng.u8(0..3) == 0 {
            plan = Self { clock_step: 0, evict: plan.evict, ..plan.quieter() };
        }
        plan
    }

    /// Switches faults off by name.
    pub fn leave_out(&mut self, is_out: impl Fn(&str) -> bool) {
        for (name, switch) in FAULTS.into_iter().zip(self.switches()) {
            *switch = if is_out(name) { 0 } else { *switch };
        }
    }

    fn switches(&mut self) -> [&mut u32; 14] {
        [
            &mut self.lose_position,
            &mut self.marker_lost,
            &mut self.silence,
            &mut self.second_daemon,
            &mut self.kill,
            &mut self.restart,
            &mut self.refuse,
            &mut self.cut,
            &mut self.evict,
            &mut self.clock_step,
            &mut self.hold,
            &mut self.failover,
            &mut self.lag,
            &mut self.overtaken,
        ]
    }

    /// The same without what would keep a pair from getting anywhere.
    fn quieter(&self) -> Self {
        Self {
            kill: 0,
            second_daemon: 0,
            cut: 0,
            restart: 0,
            lose_position: 0,
            refuse: 0,
            marker_lost: 0,
            hold: 0,
            failover: 0,
            lag: 0,
            overtaken: 0,
            ..self.clone()
        }
    }

    /// The same where both links are held now and then, in one of so many runs.
    pub fn with_holds(mut self, seed: u64) -> Self {
        if seed.is_multiple_of(HELD_ONE_OF) {
            self.hold = 800;
        }
        self
    }

    /// The same where streams arrive late now and then, in one of so many runs.
    pub fn with_lags(mut self, seed: u64) -> Self {
        if seed % LATE_ONE_OF == 2 {
            (self.lag, self.overtaken) = (900, 1500);
        }
        self
    }

    /// The same where clients empty whole servers: they take the epoch with them, so there is one daemon at a time; and the
    /// marker, which only the server's backlog still tells then, so that is kept.
    pub fn with_whole(self) -> Self {
        let lost = Self { lose_position: 0, overtaken: 0, marker_lost: 0, restart: 0, ..self };
        Self { second_daemon: 0, silence: 0, ..lost }
    }

    /// Whether copies with the model's dumps can happen after the start.
    pub fn loses_positions(&self) -> bool {
        self.lose_position > 0 || self.marker_lost > 0 || self.silence > 0 || self.restart > 0
    }

    /// Whether primaries are lost, with what they had written last.
    pub fn loses_tails(&self) -> bool {
        self.failover > 0
    }

    /// Whether clients are to be silent now.
    pub fn wants_silence(&self) -> bool {
        self.waiting.is_some()
    }
}

impl Run {
    fn happens(&self, once_in: u32) -> bool {
        once_in > 0 && self.world.borrow_mut().rng.u32(0..once_in) == 0
    }

    fn side(&self) -> usize {
        self.world.borrow_mut().rng.usize(0..2)
    }

    /// One step's worth of misfortune, as long as there has not been enough of it.
    pub fn befall(&mut self) {
        let plan = if self.outcome.steps < ENOUGH { self.plan.clone() } else { self.plan.quieter() };
        if self.happens(plan.kill) {
            self.daemons.clear();
            self.outcome.kills += 1;
            self.disturbed = true;
            crate::trace(|| "kill".to_owned());
            let mut world = self.world.borrow_mut();
            let pause = if world.rng.bool() { 0 } else { world.rng.i64(0..80) };
            self.plan.start_at_ms = world.now_ms + pause;
        }
        if self.daemons.is_empty() && self.world.borrow().now_ms >= self.plan.start_at_ms {
            self.start_daemon();
        }
        if self.happens(plan.second_daemon) && self.daemons.len() == 1 {
            self.disturbed = true;
            self.start_daemon();
        }
        if self.happens(plan.cut) {
            self.disturbed = true;
            let mut world = self.world.borrow_mut();
            let ids: Vec<u64> = world.wires.keys().copied().collect();
            if !ids.is_empty() {
                let id = ids[world.rng.usize(0..ids.len())];
                crate::trace(|| format!("cut {id}"));
                world.cut(id);
            }
        }
        if self.happens(plan.restart) {
            self.disturbed = true;
            self.restart(self.side(), false);
        }
        if self.happens(plan.lose_position) {
            self.lose_position();
        }
        if self.happens(plan.refuse) {
            self.disturbed = true;
            self.refuse();
        }
        if self.happens(plan.marker_lost) {
            self.lose_marker();
        }
        if self.happens(plan.evict) {
            let index = self.side();
            Crossing::evict(&mut self.world.borrow_mut(), index);
        }
        if self.happens(plan.clock_step) {
            let index = self.side();
            let World { clocks, rng, .. } = &mut *self.world.borrow_mut();
            clocks[index].step(rng);
            crate::trace(|| format!("clock of {index} steps: {:?}", clocks[index]));
        }
        if self.happens(plan.hold) {
            let World { held_until_ms, now_ms, rng, .. } = &mut *self.world.borrow_mut();
            *held_until_ms = *now_ms + rng.i64(1..200);
            crate::trace(|| "both links hold".to_owned());
        }
        if plan.failover > 0 && self.happens(LAGS_ONCE_IN) {
            self.world.borrow_mut().servers[self.side_of_failover()].replicate();
        }
        if self.happens(plan.failover) {
            self.fail_over();
        }
        if self.happens(plan.lag) {
            self.lag(false);
        }
        if self.happens(plan.overtaken) {
            // Of two that follow each other closely the second one finds undone what follows from the first.
            self.plan.overtaken = 0;
            self.lag(true);
        }
        self.silently(plan.silence);
        self.end_refusals();
        self.overtake();
    }

    /// A server restarts and keeps its data.
    fn restart(&mut self, index: usize, forgets: bool) {
        let may_lose = self.may_lose_position(index);
        let mut world = self.world.borrow_mut();
        let pause = world.rng.i64(0..40);
        world.down_until_ms[index] = world.now_ms + pause;
        // A new name for the history is a lost position for a link that lags behind.
        let renames = world.rng.bool() && may_lose && self.plan.renames;
        crate::trace(|| format!("restart of {index}, forgets {forgets}, renames {renames}"));
        let history = &mut world.servers[index].history;
        if forgets {
            history.forget();
        } else if renames && history.backlog.is_some() {
            history.rename();
        }
        world.disconnect_all(index);
    }

    /// Whether the pair can cope with the loss of the position in region `index`: the other one is there, and the region
    /// holds keys (a link whose source is empty holds, and asks its operator).
    fn may_lose_position(&mut self, index: usize) -> bool {
        let world = self.world.borrow();
        let both = (0..2).all(|source| world.oracle.high(source, &world.servers).is_some());
        if both {
            self.begun = [true; 2];
        }
        both && world.servers[index].keys.has_beside(self.settings.reserved.prefix())
    }

    /// A position is lost: by a restart, or because the backlog was too short.
    fn lose_position(&mut self) {
        let index = self.side();
        if !self.may_lose_position(index) {
            return;
        }
        self.disturbed = true;
        if self.world.borrow_mut().rng.bool() {
            return self.restart(index, true);
        }
        let mut world = self.world.borrow_mut();
        crate::trace(|| format!("overrun of {index}"));
        world.servers[index].history.overrun();
        let ids: Vec<u64> = world.wires.iter().filter(|(_, wire)| wire.server == index).map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| world.cut(id));
    }

    /// What a server streams arrives late for a while; `overtaken` tells whether its backlog is overrun meanwhile.
    fn lag(&mut self, overtaken: bool) {
        let index = self.side();
        self.disturbed = true;
        let mut world = self.world.borrow_mut();
        let until = world.now_ms + world.rng.i64(5..200);
        crate::trace(|| format!("stream of {index} is late until {until}, overtaken {overtaken}"));
        if overtaken {
            self.plan.overtaken_at_ms[index] = Some(until);
        }
        let overtaken = self.plan.overtaken_at_ms[index].is_some();
        world.late_until_ms[index] = if overtaken { i64::MAX } else { until };
    }

    fn overtake(&mut self) {
        for index in 0..2 {
            let now_ms = self.world.borrow().now_ms;
            if self.plan.overtaken_at_ms[index].take_if(|at| now_ms >= *at).is_none() {
                continue;
            }
            let loses = self.may_lose_position(index);
            let mut world = self.world.borrow_mut();
            world.late_until_ms[index] = 0;
            if loses {
                crate::trace(|| format!("stream of {index} is overtaken"));
                world.servers[index].history.overrun();
                world.streams(index).into_iter().for_each(|id| world.cut(id));
            }
        }
    }

    fn side_of_failover(&self) -> usize {
        usize::from(self.outcome.steps.is_multiple_of(2))
    }

    /// A replica takes over in one region, with or without the last writes, where the pair can cope with that: one of the
    /// links must be able to go on.
    fn fail_over(&mut self) {
        let index = self.side();
        if !self.may_lose_position(index) {
            return;
        }
        let mut world = self.world.borrow_mut();
        let World { servers, oracle, rng, .. } = &mut *world;
        let usable = servers[index].replica.as_ref().is_some_and(|(id, offset, keys)| {
            let history = &servers[index].history;
            let is_there = *id == history.id && history.after(id, offset + 1).is_some();
            let marked = |keys: &Keyspace, source: usize| keys.text(&oracle.markers[source]).and_then(Marker::parse);
            let comes = marked(keys, 1 - index).is_some_and(|marker| {
                let high = marker.high;
                marker.phase == Phase::Streaming
                    && servers[1 - index].history.after(high.replication_id.as_str(), high.offset + 1).is_some()
            });
            is_there && comes && keys.has_beside(b"duet:")
        });
        if !usable || rng.u8(0..3) == 0 {
            servers[index].replicate();
        }
        let until = world.now_ms + world.rng.i64(0..40);
        world.down_until_ms[index] = until;
        let before = world.servers[index].history.offset;
        let offset = world.servers[index].fail_over();
        crate::trace(|| format!("failover of {index} at {before} to {offset}"));
        let name = world.servers[index].history.id.clone();
        world.oracle.lose(index, offset, &name);
        world.disconnect_all(index);
        self.disturbed = true;
    }

    /// A target refuses some writes for a while.
    fn refuse(&mut self) {
        let index = self.side();
        let mut world = self.world.borrow_mut();
        let until = world.now_ms + world.rng.i64(1..120);
        self.plan.refuses_until_ms[index] = until;
        crate::trace(|| format!("{index} refuses"));
        let names = ["INCR", "RPUSH", "HSET", "SADD", "SET"];
        match world.rng.usize(0..=names.len()) {
            which if which < names.len() => world.servers[index].denied = Some(names[which]),
            _ => world.servers[index].full = true,
        }
    }

    fn end_refusals(&mut self) {
        let mut world = self.world.borrow_mut();
        for index in 0..2 {
            if world.now_ms >= self.plan.refuses_until_ms[index] {
                world.servers[index].denied = None;
                world.servers[index].full = false;
            }
        }
    }

    /// A client removes the marker.
    fn lose_marker(&mut self) {
        let index = self.side();
        let may_lose = self.may_lose_position(1 - index);
        let mut world = self.world.borrow_mut();
        let marker: Text = world.oracle.markers[1 - index].clone();
        if may_lose {
            crate::trace(|| format!("marker removed at {index}"));
            world.tick(index);
            let _taken = world.servers[index].client(0, &[vec![b"DEL".to_vec(), marker]]);
            world.collect(index);
        }
    }

    /// What is to happen in silence is awaited, and then happens.
    fn silently(&mut self, silence: u32) {
        match self.plan.waiting {
            None if self.happens(silence) => {
                self.plan.waiting = Some(if self.side() == 0 { Silent::Turn } else { Silent::Whole(self.side()) });
            }
            Some(what) if self.is_settled() => {
                self.plan.waiting = if let Silent::Whole(_) = what { Some(Silent::End) } else { None };
                let mut world = self.world.borrow_mut();
                match what {
                    Silent::End => {}
                    Silent::Turn => self.workload.take_turns(&mut world),
                    Silent::Whole(index) => self.workload.whole(&mut world, index),
                }
            }
            None | Some(_) => {}
        }
    }

    /// Nothing befalls the pair any more.
    pub fn calm(&mut self) {
        self.plan.refuses_until_ms = [0; 2];
        self.end_refusals();
        self.plan.overtaken_at_ms = [None; 2];
        self.world.borrow_mut().late_until_ms = [0; 2];
        if self.daemons.is_empty() {
            self.start_daemon();
        }
    }
}
