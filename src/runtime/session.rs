//! One session of a link: what the pump asks of it, what the board learns from it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::futures::Notified;
use tokio::sync::{Mutex, mpsc};
use tokio_util::task::AbortOnDropHandle;

use super::inquiry::{Answer, Inquiry};
use super::names::Names;
use super::pauses;
use super::precheck;
use super::pump;
use super::shared::{LinkState, Pair, RegionPulse};
use super::start::{Memory, Started, start};
use super::sweep::sweep;
use crate::engine::apply::{Applied, Applier};
use crate::engine::conflict;
use crate::engine::copy::dumped::Dumped;
use crate::engine::copy::onto::hold;
use crate::engine::copy::{Copy, CopyEvent};
use crate::engine::guard::Guard;
use crate::engine::link::Link;
use crate::engine::origin::Phase;
use crate::engine::position::Position;
use crate::engine::source::{StreamClock, heartbeats};
use crate::engine::stream::{Beginning, Event, Now, Rules, Stream};
use crate::error::Fault;
use crate::observe::{HeldKey, SetAside, State, escaped};
use crate::service::Movement;

/// Batches of names that a sweep may be ahead.
const SWEPT_AHEAD: usize = 4;
/// How often a session that copies looks whether that has ended, once it is to begin anew.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Keys that are shown as waiting for a value.
const MOST_SHOWN: usize = 64;

/// What is needed to go on after a copy.
struct AfterCopy {
    rules: Rules,
    position: Position,
    guard: Guard,
}

/// One session of a link.
pub struct Session<'a> {
    pair: &'a Arc<Pair>,
    index: usize,
    /// How often settings had changed for which connections are made anew.
    renewals: u64,
    /// After how long without a heartbeat the source does not count as beating.
    beat_within: Duration,
    clock: StreamClock,
    after_copy: Option<AfterCopy>,
    swept: Mutex<Option<mpsc::Receiver<Result<Names, Fault>>>>,
    sweeping: Option<AbortOnDropHandle<()>>,
    inquiry: Option<Inquiry>,
    streams: bool,
    /// The board shows that the link holds on account of the clocks.
    clocks_shown: bool,
    /// The source wants to know when everything before this offset is applied.
    ack_wanted: Option<u64>,
    echoes: u64,
    failed: Option<Fault>,
    movement: Movement,
}

/// Runs one session of the link `index`, until it fails, or until the daemon stops, the link is to pause or settings have
/// changed, and it is drained.
///
/// # Errors
/// The [`Fault`] that ended it.
pub async fn run(pair: &Arc<Pair>, index: usize, memory: &mut Memory) -> Result<(), Fault> {
    let state = &pair.links[index];
    let starting = async {
        precheck::passed(pair).await?;
        if !memory.recalled && pauses::recall(pair, index).await? {
            return Ok(None);
        }
        memory.recalled = true;
        start(pair, index, memory).await.map(Some)
    };
    let renewals = pair.settings.renewals();
    let started = tokio::select! {
        started = state.board.rounds.during(starting) => started?,
        () = pair.shutdown.cancelled() => return Ok(()),
        () = state.pausing(true) => return Ok(()),
        () = state.holding_for_word(true) => return Ok(()),
        () = pair.settings.renewed(renewals) => return Ok(()),
    };
    let Some(started) = started else { return Ok(()) };
    state.forget_heartbeats();
    let (mut session, mut link, source, target) = Session::new(pair, index, renewals, started);
    let mut lines = pump::Lines::new(source, target);
    let ended = pump::run(&mut lines, &mut link, &mut session).await;
    state.set_in_step(false);
    state.set_holding(false);
    if matches!(link, Link::Copying(_)) {
        hold(&pair.onto[1 - index]).abandon();
    }
    state.board.give_up_full_sync(Instant::now());
    if ended.is_err() {
        state.refused(memory.epoch.zip(link.applier().refused()));
    }
    link.breaks_off();
    let settled = match &link {
        Link::Streaming(stream) => stream.settled(),
        Link::Copying(_) => None,
    };
    state.settle(memory.epoch.zip(settled));
    ended
}

impl<'a> Session<'a> {
    fn new(
        pair: &'a Arc<Pair>,
        index: usize,
        renewals: u64,
        started: Started,
    ) -> (Self, Link, super::attach::Attached, super::socket::Socket) {
        let Started { source, target, identity, bounds, rules, resumed, probe, copy, attached, guard } = started;
        let position = source.position;
        let beginning = Beginning::after(resumed, position);
        let interval_ms = i64::try_from(pair.config().heartbeat.interval.as_millis()).unwrap_or(i64::MAX);
        let from = resumed.map_or(attached, |marker| (marker.high.offset, marker.time_ms));
        let key = pair.reserved.heartbeat(pair.source(index).name.as_str());
        let ahead = if resumed.is_some() { heartbeats(&source.input, position, &key) } else { Default::default() };
        let clock = StreamClock::new(from, attached, interval_ms).with_ahead(ahead);
        let queues = &pair.links[index].board.queues;
        queues.in_flight.limit.set(pair.config().apply.in_flight as u64);
        queues.unwritten_bytes.limit.set(pump::UNWRITTEN as u64);
        queues.window.limit.set(conflict::MOST_WRITES as u64);
        let applier = Applier::new(identity, bounds);
        let mut session = Self {
            pair,
            index,
            renewals,
            beat_within: pair.config().heartbeat.interval * 4,
            clock: clock.clone(),
            after_copy: None,
            swept: Mutex::new(None),
            sweeping: None,
            inquiry: None,
            streams: false,
            clocks_shown: false,
            ack_wanted: None,
            echoes: 0,
            failed: None,
            movement: Movement::new(Instant::now()),
        };
        let link = match copy {
            None => {
                let mut stream = Stream::new(rules, applier, clock, beginning, probe);
                stream.set_guard(guard);
                Link::Streaming(Box::new(stream))
            }
            Some((copy_rules, reason)) => {
                tracing::info!(link = %session.link().board.direction, reason = ?reason, "full sync begins");
                session.link().board.begin_full_sync(Instant::now());
                session.link().board.enter(State::FullSync, None);
                session.after_copy = Some(AfterCopy { rules, position, guard });
                let copy = Copy::new(copy_rules, applier, position, attached.1, reason.phase());
                Link::Copying(Box::new(copy))
            }
        };
        (session, link, source, target)
    }

    /// What this link lets others know.
    pub fn link(&self) -> &'a LinkState {
        &self.pair.links[self.index]
    }

    fn other(&self) -> &'a LinkState {
        &self.pair.links[1 - self.index]
    }

    fn source(&self) -> &'a RegionPulse {
        &self.pair.regions[self.index]
    }

    /// The moment, for the engine.
    pub fn now(&self) -> Now {
        let now = Instant::now();
        let beating = self.source().is_beating(now, self.beat_within);
        Now { source_ms: self.source().clock.at_ms(now), beating }
    }

    /// Takes what the engine tells, and goes from the copy to the increments when it is time. Tells whether it did.
    ///
    /// # Errors
    /// The [`Fault`] that a sweep ended with.
    pub fn follow(&mut self, link: &mut Link) -> Result<bool, Fault> {
        if let Some(fault) = self.failed.take() {
            return Err(fault);
        }
        match link {
            Link::Copying(copy) => {
                self.follow_copy(copy);
                if !copy.is_applied() || self.sweeping.is_some() {
                    return Ok(false);
                }
                // Until it is counted again: what empties the target now should find it full.
                self.pair.regions[1 - self.index].set_keys(copy.progress().0);
                if let Some(dumped) = copy.take_dumped() {
                    self.begin_sweep(dumped);
                    return Ok(false);
                }
            }
            Link::Streaming(stream) => {
                self.follow_stream(stream);
                return Ok(false);
            }
        }
        self.end_copy(link);
        Ok(true)
    }

    fn follow_copy(&mut self, copy: &mut Copy) {
        let board = &self.link().board;
        let progress = board.full_sync();
        let (keys, bytes, total) = copy.progress();
        if let Some(progress) = &progress {
            progress.keys_done.set(keys);
            progress.bytes_done.set(bytes);
            progress.bytes_total.set(total.unwrap_or(0));
        }
        for event in copy.events() {
            match event {
                CopyEvent::Total(keys) => {
                    if let Some(progress) = &progress {
                        progress.keys_total.add(keys);
                    }
                }
                CopyEvent::Ask { database, key } => {
                    let begin = || Inquiry::begin(Arc::clone(self.pair), self.index);
                    self.inquiry.get_or_insert_with(begin).ask(database, key);
                }
                CopyEvent::SetAside { database, key, what, why } => {
                    board.set_aside(SetAside::new(database, &key, what, why));
                }
            }
        }
    }

    fn follow_stream(&mut self, stream: &mut Stream) {
        let (link, other) = (self.link(), self.other());
        let echoes = stream.echoes();
        link.board.echoes_dropped.add(echoes - self.echoes);
        self.echoes = echoes;
        for event in stream.events() {
            match event {
                Event::Echo { id } => {
                    let now = Instant::now();
                    other.arrived(id, &self.pair.regions[1 - self.index], now);
                    other.sampled.echoed(id, &other.board, now);
                }
                Event::Heartbeat { id, written_ms } => {
                    link.heartbeat_sent(id, written_ms);
                    self.sample(id, written_ms);
                }
                Event::Posted => {
                    link.mail.notify_one();
                    other.mail.notify_one();
                }
                Event::FenceWanted => self.pair.fences[self.index].asked.notify_one(),
                Event::ValueWanted => self.pair.values.notify_waiters(),
                Event::Conflict(record) => self.pair.journal.record(record),
                Event::Held => {
                    let exchange = conflict::hold(&self.pair.exchange);
                    let held = exchange.held(self.index).keys();
                    let shown = held.map(|(database, key)| HeldKey { database: *database, key: escaped(key) });
                    link.board.set_held(shown.collect());
                }
                Event::Unchecked(writes) => {
                    let why =
                        format!("{writes} writes were not checked for conflicts: the other link was away too long");
                    link.board.set_aside(SetAside::new(0, b"", "unchecked", why));
                }
                Event::Fixed => tracing::info!(link = %link.board.direction, "position fixed"),
                Event::MarkerLost { moved_to } => {
                    if let Ok(mut moved) = other.moved_to.lock() {
                        moved.extend(moved_to);
                    }
                    other.marker_lost.notify_one();
                }
                Event::AckWanted { offset } => self.ack_wanted = Some(offset),
                Event::SetAside { database, key, command, why } => {
                    link.board.set_aside(SetAside::new(database, &key, command, why));
                }
                Event::ReservedWrite { key } => {
                    let why = "a client wrote a key with the reserved prefix";
                    link.board.set_aside(SetAside::new(0, &key, "reserved key", why));
                }
            }
        }
        if let Some(keys) = self.pair.regions[1 - self.index].keys() {
            stream.guard().set_keys(keys);
        }
        let exchange = conflict::hold(&self.pair.exchange);
        let unresolved = exchange.unresolved(self.index);
        let held_key = |(database, key): (u32, &[u8])| HeldKey { database, key: escaped(key) };
        let settling = exchange.settles().names().take(MOST_SHOWN).map(held_key).collect();
        link.board.queues.window.depth.set(exchange.writes(self.index).len() as u64);
        drop(exchange);
        link.board.unresolved.set(unresolved as u64);
        link.board.set_settling(settling);
        link.board.applied_offset.set(stream.acknowledged());
        link.set_applied(stream.acknowledged());
    }

    /// The transaction `id` carries what was written when the source's clock showed `written_ms`.
    fn sample(&self, id: u64, written_ms: i64) {
        let now = Instant::now();
        let age_ms = u64::try_from(self.source().clock.at_ms(now).saturating_sub(written_ms)).unwrap_or(0);
        let written = now.checked_sub(Duration::from_millis(age_ms)).unwrap_or(now);
        self.link().sampled.begin(id, written, now);
    }

    /// What waits in the queues of the link, `unwritten` bytes for the target's connection among it.
    pub fn count_queues(&self, link: &mut Link, unwritten: usize) {
        let state = self.link();
        state.board.queues.in_flight.depth.set(link.applier().in_flight() as u64);
        state.board.queues.unwritten_bytes.depth.set(unwritten as u64);
        if unwritten == 0 {
            state.sampled.sent(link.applier().last_id(), Instant::now());
        }
    }

    fn begin_sweep(&mut self, dumped: Dumped) {
        tracing::info!(link = %self.link().board.direction, "looking for keys that are gone at the source");
        let (found, swept) = mpsc::channel(SWEPT_AHEAD);
        self.swept = Mutex::new(Some(swept));
        let (pair, index) = (Arc::clone(self.pair), self.index);
        let sweeping = tokio::spawn(async move {
            if let Err(fault) = sweep(&pair, index, &dumped, &found).await {
                // Nobody waits for it when the session has ended: then its fault is of no interest.
                let _ = found.send(Err(fault)).await;
            }
        });
        self.sweeping = Some(AbortOnDropHandle::new(sweeping));
    }

    /// The increments begin where the dump stood.
    fn end_copy(&mut self, link: &mut Link) {
        let Some(AfterCopy { rules, position, guard }) = self.after_copy.take() else { return };
        self.inquiry = None;
        let board = &self.link().board;
        board.end_full_sync(Instant::now());
        hold(&self.pair.onto[1 - self.index]).end();
        let clock = self.clock.clone();
        link.stream_on(|applier| {
            let mut stream = Stream::new(rules, applier, clock, Beginning::fresh(position), None);
            stream.set_guard(guard);
            stream
        });
    }

    /// The target has executed a transaction.
    pub fn applied(&mut self, applied: Applied, link: &Link) {
        let state = self.link();
        state.set_known(applied.checkpoint.time_ms);
        state.board.transactions.add(1);
        state.board.writes_applied.add(applied.writes);
        state.sampled.executed(applied.id, applied.writes, Instant::now());
        for refusal in applied.refusals {
            state.board.set_aside(SetAside::new(refusal.database, &refusal.key, refusal.command, refusal.error));
        }
        if matches!(link, Link::Streaming(_)) && applied.checkpoint.phase == Phase::Streaming && !self.streams {
            self.streams = true;
            state.set_in_step(true);
            if !self.clocks_shown {
                state.board.enter(State::Streaming, None);
            }
            self.order_done();
        }
        if self.other().board.state() != State::Streaming {
            state.arrived(applied.id, self.source(), Instant::now());
        }
    }

    /// An ordered copy is done: from now on positions decide again.
    fn order_done(&self) {
        if let Ok(mut ordered) = self.link().ordered.lock()
            && *ordered == Some(crate::engine::plan::Ordered::This)
        {
            *ordered = None;
            if let Ok(mut other) = self.other().ordered.lock() {
                *other = None;
            }
        }
    }

    /// Time has passed.
    pub fn tick(&mut self) {
        let now = Instant::now();
        self.link().board.log_full_sync(now);
        self.link().board.log_stall(now);
        if self.moves(now) {
            self.link().board.rounds.count();
        }
    }

    /// Whether the link moves, or has a reason not to: it copies or holds, or a server does not answer.
    fn moves(&mut self, now: Instant) -> bool {
        let (state, board) = (self.link(), &self.link().board);
        let answer = self.pair.regions.iter().all(|region| region.board.is_reachable(now));
        let excused = matches!(board.state(), State::FullSync | State::Held) || state.is_to_hold() || !answer;
        self.movement.moves(board.bytes_read.get(), board.transactions.get(), excused, now)
    }

    /// Whether the source waits for the acknowledgement that can be given now.
    pub fn ack_due(&mut self, link: &Link) -> bool {
        self.ack_wanted.take_if(|offset| link.acknowledged() >= *offset).is_some()
    }

    /// The target has lost what this link keeps there.
    pub async fn marker_lost(&self) {
        self.link().marker_lost.notified().await;
    }

    /// Holds or goes on, as the other link or the clocks want it. Tells whether there is something to go on with.
    pub fn obey(&mut self, link: &mut Link) -> bool {
        let Link::Streaming(stream) = link else { return false };
        let (state, before, clocks_hold) = (self.link(), stream.is_to_hold(), self.pair.clocks.holds());
        let holds = state.is_to_hold() || clocks_hold;
        stream.hold(holds);
        state.set_holding(stream.is_holding());
        self.show_clocks(clocks_hold);
        before && !holds
    }

    /// Shows on the board whether the link holds on account of the clocks.
    fn show_clocks(&mut self, clocks_hold: bool) {
        if clocks_hold == self.clocks_shown {
            return;
        }
        self.clocks_shown = clocks_hold;
        let state = match (clocks_hold, self.streams) {
            (true, _) => State::Held,
            (false, true) => State::Streaming,
            (false, false) => State::Connecting,
        };
        self.link().board.enter(state, self.pair.clocks.reason().filter(|_| clocks_hold));
    }

    /// The other link, or the clocks, want this one to hold, or to go on.
    pub async fn hold_changed(&self) {
        self.link().hold_changed.notified().await;
    }

    /// The other link has posted writes for the target.
    pub async fn mail(&self) {
        self.link().mail.notified().await;
    }

    /// Writes it again.
    pub fn rewrite_marker(&self, link: &mut Link) {
        tracing::warn!(link = %self.link().board.direction, "the target lost the marker of this link: it is written again");
        let moved_to = self.link().moved_to.lock().map(|mut moved| std::mem::take(&mut *moved)).unwrap_or_default();
        match link {
            Link::Copying(copy) => copy.marker_lost(&moved_to),
            Link::Streaming(stream) => stream.marker_lost(&moved_to, self.now()),
        }
    }

    /// One more fence between the source's events is answered: to be had before it is looked whether the link may go on.
    pub fn fenced(&self) -> Notified<'a> {
        self.pair.fences[self.index].answered.notified()
    }

    /// What the source answers to what the copy had to ask.
    pub async fn answer(&self) -> Answer {
        match &self.inquiry {
            Some(inquiry) => inquiry.answer().await,
            None => std::future::pending().await,
        }
    }

    /// Gives the copy its answer.
    pub fn answered(&mut self, link: &mut Link, answer: Answer) {
        match (answer, link) {
            (Ok(payload), Link::Copying(copy)) => copy.answer(payload),
            (Err(fault), Link::Copying(_)) => self.failed = Some(fault),
            (_, Link::Streaming(_)) => self.inquiry = None,
        }
    }

    /// Names that a sweep has found; `None` at its end.
    pub async fn deletions(&self) -> Option<Result<Names, Fault>> {
        match self.swept.lock().await.as_mut() {
            Some(swept) => swept.recv().await,
            None => std::future::pending().await,
        }
    }

    /// Deletes them at the target.
    pub fn delete(&mut self, link: &mut Link, found: Option<Result<Names, Fault>>) {
        match (found, link) {
            (Some(Ok(names)), Link::Copying(copy)) => copy.delete(names.database, &names.names),
            (Some(Err(fault)), _) => self.failed = Some(fault),
            (Some(Ok(_)) | None, _) => {
                self.swept = Mutex::new(None);
                self.sweeping = None;
            }
        }
    }

    /// The daemon stops, the link is to pause, or to begin anew with other settings.
    pub async fn stopping(&self) {
        tokio::select! {
            () = self.pair.shutdown.cancelled() => {}
            () = self.link().pausing(true) => {}
            () = self.link().holding_for_word(true) => {}
            () = self.renewed() => {}
        }
    }

    /// Settings have changed for which connections are made anew; a copy would begin from its start, so it is finished first.
    async fn renewed(&self) {
        self.pair.settings.renewed(self.renewals).await;
        while self.link().board.full_sync().is_some() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
