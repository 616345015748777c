//! One link, session after session: what `runtime::link`, `session` and `pump` do.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use bytes::{Buf, BytesMut};
use duet::engine::apply::{Applied, Applier};
use duet::engine::conflict;
use duet::engine::copy::onto::hold;
use duet::engine::copy::{Copy, CopyEvent};
use duet::engine::link::Link;
use duet::engine::origin::Phase;
use duet::engine::position::Position;
use duet::engine::source::{StreamClock, heartbeats};
use duet::engine::stream::{Beginning, Event, Now, Rules, Stream};
use duet::error::{Fault, Kind};
use duet::wire::resp::command;

use super::REGIONS;
use super::client::{Client, ended, sleep, turn};
use super::start::{Memory, Started, start};
use super::sweep::{Swept, sweep};
use super::{LinkState, Pair};
use crate::network::Found;
use crate::promises;

/// How often the source hears what the target has applied, milliseconds.
const ACK_EVERY_MS: i64 = 20;
/// Bytes that may wait to be written to the target before reading stops.
const UNWRITTEN: usize = 32 * 1024;

/// How long what a source sent last may take to be applied, milliseconds.
const LAST_WORDS_MS: i64 = 100;

type Sweeping = Pin<Box<dyn Future<Output = Result<(), Fault>>>>;

struct Session {
    pair: Rc<Pair>,
    index: usize,
    clock: StreamClock,
    after_copy: Option<(Rules, Position)>,
    sweeping: Option<Sweeping>,
    swept: Swept,
    streams: bool,
    ack_wanted: Option<u64>,
    source: Client,
    target: Client,
    source_in: BytesMut,
    target_in: BytesMut,
    source_out: Vec<u8>,
    /// The source's connection has ended: why, and until when its last words may be brought to the target.
    source_lost: Option<(Fault, i64)>,
}

/// Runs the link `index` until another daemon takes over.
pub async fn run(pair: Rc<Pair>, index: usize) {
    let mut memory = Memory::default();
    loop {
        let Err(fault) = session(&pair, index, &mut memory).await;
        let state = &pair.links[index];
        state.in_step.set(false);
        *state.last_fault.borrow_mut() = format!("{:?}: {fault}", fault.kind);
        crate::trace(|| format!("link {index} ended: {:?}: {fault}", fault.kind));
        if fault.kind == Kind::Protocol {
            pair.world.borrow_mut().oracle.fail(format!("protocol: {fault}"));
        }
        if fault.kind == Kind::Superseded {
            pair.superseded.set(true);
            return;
        }
        let pause = pair.world.borrow_mut().rng.i64(1..30);
        sleep(&pair.world, pause).await;
    }
}

async fn session(pair: &Rc<Pair>, index: usize, memory: &mut Memory) -> Result<std::convert::Infallible, Fault> {
    let started = start(pair, index, memory).await?;
    let (mut session, mut link) = Session::new(Rc::clone(pair), index, started);
    let ended = session.pump(&mut link).await;
    pair.links[index].holding.set(false);
    if matches!(link, Link::Copying(_)) {
        hold(&pair.onto[1 - index]).abandon();
    }
    pair.links[index].refused.set(memory.epoch.zip(link.applier().refused()));
    link.breaks_off();
    let settled = match &link {
        Link::Streaming(stream) => stream.settled(),
        Link::Copying(_) => None,
    };
    let settled = memory.epoch.zip(settled).map(|(epoch, (id, position))| (epoch, id, position));
    crate::trace(|| format!("link {index} settled {settled:?}"));
    pair.links[index].settled.set(settled);
    ended
}

impl Session {
    fn new(pair: Rc<Pair>, index: usize, started: Started) -> (Self, Link) {
        let Started { mut source, target, identity, rules, resumed, probe, copy, attached } = started;
        let position = source.position;
        let beginning = Beginning::after(resumed, position);
        let from = resumed.map_or(attached, |marker| (marker.high.offset, marker.time_ms));
        let key = pair.settings.reserved.heartbeat(REGIONS[index]);
        let input = &source.client.input;
        let ahead = if resumed.is_some() { heartbeats(input, position, &key) } else { Default::default() };
        let clock = StreamClock::new(from, attached, pair.settings.heartbeat_ms).with_ahead(ahead);
        let mut bounds = pair.settings.bounds;
        bounds.in_flight += if pair.settings.flaws.unbounded { 2 } else { 0 };
        let applier = Applier::new(identity, bounds);
        let source_in = source.client.input.split();
        let mut session = Self {
            pair,
            index,
            clock: clock.clone(),
            after_copy: None,
            sweeping: None,
            swept: Rc::new(RefCell::new(VecDeque::new())),
            streams: false,
            ack_wanted: None,
            source: source.client,
            target,
            source_in,
            target_in: BytesMut::new(),
            source_out: Vec::new(),
            source_lost: None,
        };
        let link = match copy {
            None => Link::Streaming(Box::new(Stream::new(rules, applier, clock, beginning, probe))),
            Some((copy_rules, reason)) => {
                session.after_copy = Some((rules, position));
                Link::Copying(Box::new(Copy::new(copy_rules, applier, position, attached.1, reason.phase())))
            }
        };
        (session, link)
    }

    fn state(&self) -> &LinkState {
        &self.pair.links[self.index]
    }

    fn now(&self) -> Now {
        Now { source_ms: self.pair.world.borrow().believed_ms(self.index), beating: true }
    }

    /// The daemon's own clock.
    fn time_ms(&self) -> i64 {
        self.pair.world.borrow().now_ms
    }

    async fn pump(&mut self, link: &mut Link) -> Result<std::convert::Infallible, Fault> {
        let mut next_ack = self.time_ms();
        self.take_in(link)?;
        loop {
            if self.obey(link) | self.follow(link)? {
                self.take_in(link)?;
            }
            self.write(link)?;
            self.look_at_bounds(link);
            if let Some((fault, until)) = &self.source_lost
                && (link.is_drained() || self.time_ms() > *until)
            {
                return Err(fault.clone());
            }
            turn().await;
            let dice = self.pair.world.borrow_mut().rng.u8(0..4);
            match dice {
                0 | 1 => self.hear_target(link)?,
                2 => self.read_source(link)?,
                _ if self.state().marker_lost.take() => self.rewrite_marker(link),
                _ => self.sweep_on(link)?,
            }
            let due = self.ack_wanted.take_if(|offset| link.acknowledged() >= *offset).is_some();
            if self.time_ms() >= next_ack || due {
                next_ack = self.time_ms() + ACK_EVERY_MS;
                self.acknowledge(link);
            }
        }
    }

    /// Holds or goes on, as the other link or the clocks want it.
    fn obey(&self, link: &mut Link) -> bool {
        let Link::Streaming(stream) = link else { return false };
        let before = stream.is_to_hold();
        let clocks_hold = { self.pair.world.borrow().holds() };
        stream.hold(self.state().hold.get() || clocks_hold);
        self.state().holding.set(stream.is_holding());
        before && !stream.is_to_hold()
    }

    /// Takes what the target answered; what it executed before a refusal, or before the end, counts all the same.
    fn hear_target(&mut self, link: &mut Link) -> Result<(), Fault> {
        let most = self.most();
        let found = self.pair.world.borrow_mut().read(self.target.id, most, &mut self.target_in);
        let (mut applied, now) = (Vec::new(), self.now());
        let judged = link.on_target(&mut self.target_in, now, &mut applied);
        for transaction in applied {
            self.applied(&transaction, link);
        }
        judged?;
        if found == Found::End {
            return Err(ended());
        }
        self.take_in(link)
    }

    /// Reads from the source; when its connection has ended, what came before is still brought to the target.
    fn read_source(&mut self, link: &mut Link) -> Result<(), Fault> {
        let unwritten: usize = link.applier().out().iter().map(bytes::Bytes::len).sum();
        if self.source_lost.is_some() || !link.wants_source() || unwritten >= UNWRITTEN {
            return Ok(());
        }
        let most = self.most();
        let found = self.pair.world.borrow_mut().read(self.source.id, most, &mut self.source_in);
        if found == Found::End {
            self.source_lost = Some((ended(), self.time_ms() + LAST_WORDS_MS));
            link.breaks_off();
        }
        self.take_in(link)
    }

    fn most(&self) -> usize {
        let most = self.pair.settings.read_bytes;
        let rng = &mut self.pair.world.borrow_mut().rng;
        if rng.u8(0..3) == 0 { rng.usize(1..=most) } else { most }
    }

    fn take_in(&mut self, link: &mut Link) -> Result<(), Fault> {
        if link.wants_source() {
            let now = self.now();
            link.on_source(&mut self.source_in, now)?;
            let unresolved = self.pair.settings.flaws.unresolved;
            unresolved.was_read(self.index, &mut conflict::hold(&self.pair.exchange));
            if let Link::Streaming(stream) = link {
                self.follow_stream(stream);
            }
        }
        Ok(())
    }

    fn write(&mut self, link: &mut Link) -> Result<(), Fault> {
        let mut world = self.pair.world.borrow_mut();
        let out = link.applier().out();
        while let Some(front) = out.front_mut() {
            let written = world.write(self.target.id, front).ok_or_else(ended)?;
            front.advance(written);
            if !front.is_empty() {
                break;
            }
            out.pop_front();
        }
        if self.source_lost.is_none() {
            let written = world.write(self.source.id, &self.source_out).ok_or_else(ended)?;
            self.source_out.drain(..written);
        }
        Ok(())
    }

    fn look_at_bounds(&self, link: &mut Link) {
        if let Err(what) = promises::bounded::holds(link.applier(), self.pair.settings.bounds) {
            self.pair.world.borrow_mut().oracle.fail(format!("bounded: {what}"));
        }
    }

    fn acknowledge(&mut self, link: &Link) {
        if self.source_out.is_empty() {
            self.source_out = command(&["REPLCONF", "ACK", &link.acknowledged().to_string()]);
        }
    }

    /// Takes what the engine tells, and goes from the copy to the increments when it is time. Tells whether it did.
    fn follow(&mut self, link: &mut Link) -> Result<bool, Fault> {
        match link {
            Link::Streaming(stream) => {
                self.follow_stream(stream);
                return Ok(false);
            }
            Link::Copying(copy) => {
                if let Some(event) = copy.events().find(|event| !matches!(event, CopyEvent::Total(_))) {
                    self.pair.world.borrow_mut().oracle.fail(format!("copy: {event:?}"));
                }
                if !copy.is_applied() || self.sweeping.is_some() {
                    return Ok(false);
                }
                if let Some(dumped) = copy.take_dumped() {
                    let sweeping = sweep(Rc::clone(&self.pair), self.index, dumped, Rc::clone(&self.swept));
                    self.sweeping = Some(Box::pin(sweeping));
                    return Ok(false);
                }
            }
        }
        let Some((rules, position)) = self.after_copy.take() else { return Ok(false) };
        let clock = self.clock.clone();
        hold(&self.pair.onto[1 - self.index]).end();
        link.stream_on(|applier| Stream::new(rules, applier, clock, Beginning::fresh(position), None));
        Ok(true)
    }

    fn follow_stream(&mut self, stream: &mut Stream) {
        for event in stream.events() {
            match event {
                Event::MarkerLost { moved_to } => {
                    let other = &self.pair.links[1 - self.index];
                    other.moved_to.borrow_mut().extend(moved_to);
                    other.marker_lost.set(true);
                }
                Event::Posted | Event::ValueWanted | Event::Held | Event::FenceWanted => {}
                Event::Conflict(record) => {
                    crate::trace(|| format!("conflict {record:?}"));
                    self.pair.world.borrow_mut().oracle.records.push(record);
                }
                Event::Unchecked(writes) => {
                    self.pair.world.borrow_mut().oracle.fail(format!("bounded: {writes} writes were not checked"));
                }
                Event::AckWanted { offset } => self.ack_wanted = Some(offset),
                Event::SetAside { command, why, .. } => {
                    self.pair.world.borrow_mut().oracle.fail(format!("set aside: {command}: {why}"));
                }
                Event::Echo { .. } | Event::Heartbeat { .. } | Event::Fixed | Event::ReservedWrite { .. } => {}
            }
        }
        self.state().applied.set(stream.acknowledged());
    }

    fn applied(&mut self, applied: &Applied, link: &Link) {
        if let Some(refusal) = applied.refusals.first().filter(|_| !self.pair.settings.clashes) {
            self.pair.world.borrow_mut().oracle.fail(format!("refused inside of EXEC: {refusal:?}"));
        }
        if matches!(link, Link::Streaming(_)) && applied.checkpoint.phase == Phase::Streaming {
            self.pair.notes.borrow_mut()[self.index] = Some(applied.checkpoint.high);
            if !self.streams {
                self.streams = true;
                self.state().in_step.set(true);
            }
        }
    }

    fn rewrite_marker(&self, link: &mut Link) {
        let moved_to = self.state().moved_to.take();
        match link {
            Link::Copying(copy) => copy.marker_lost(&moved_to),
            Link::Streaming(stream) => stream.marker_lost(&moved_to, self.now()),
        }
    }

    fn sweep_on(&mut self, link: &mut Link) -> Result<(), Fault> {
        if !link.applier().has_room() {
            return Ok(());
        }
        let Some(sweeping) = &mut self.sweeping else { return Ok(()) };
        let polled = sweeping.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        while let (Link::Copying(copy), Some((database, names))) = (&mut *link, self.swept.borrow_mut().pop_front()) {
            copy.delete(database, &names);
        }
        if let std::task::Poll::Ready(ended) = polled {
            ended?;
            self.sweeping = None;
        }
        Ok(())
    }
}
