//! One link's increments: the stream of the source in, marked transactions for the target out.

mod crossing;
mod flow;
mod local;
mod payload;
mod removal;

#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flow::{Flow, Reading, Scope};

use super::apply::{Applied, Applier};
use super::conflict::departed::{DeletePolicy, SharedDeparted};
use super::conflict::{self, Found, Record, SharedExchange};
use super::copy::onto::{SharedOnto, hold};
use super::guard::Guard;
use super::origin::{Marker, ReservedKeys};
use super::plan::SWAPPED;
use super::position::{Position, ReplicationId};
use super::source::StreamClock;
use crate::command::Capabilities;
use crate::error::{Fault, Kind};
use crate::wire::resp::{Command, FrameReader};

/// What of the increments is copied, and what the two ends are.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whether PUBLISH goes to the target.
    pub publish: bool,
    /// Whether FLUSHDB and FLUSHALL go to the target.
    pub flush: bool,
    /// Whether SWAPDB goes to the target.
    pub swapdb: bool,
    /// What the target knows.
    pub target: Capabilities,
    /// How many databases the target has.
    pub databases: u32,
    /// How long a heartbeat lives at the target, milliseconds.
    pub heartbeat_expire_ms: u64,
    /// The keys that are ours.
    pub reserved: ReservedKeys,
    /// What both links know of concurrent writes.
    pub exchange: SharedExchange,
    /// What is known of what the source has removed by itself.
    pub departed: SharedDeparted,
    /// How that is told from what its clients removed.
    pub deletes: DeletePolicy,
    /// Whether fields of hashes expire at the source.
    pub fields_expire: bool,
    /// How much longer the target may hold a key that has expired at the source, milliseconds: how far their clocks, and
    /// what is known of them, may be apart.
    pub linger_ms: i64,
    /// The region that is read: 0 for the source of the forward link, 1 for its target.
    pub region: usize,
    /// Makes the hashes of keys unforeseeable.
    pub seed: u64,
    /// Whether what clients write is stamped later than all that their region had seen. Anything else is for showing what
    /// that is for: where clocks differ, a write loses against one that it was made on.
    pub causal: bool,
    /// What is known of a copy onto the region that is read.
    pub source_onto: SharedOnto,
    /// What is known of a copy onto the region that is written.
    pub target_onto: SharedOnto,
    /// The region whose stream is read.
    pub origin: String,
    /// The region that is written.
    pub peer: String,
}

/// Where a link begins.
#[derive(Debug, Clone, Copy)]
pub struct Beginning {
    /// From where it reads.
    pub from: Position,
    /// Everything before it was sent by an earlier session, and is not sent again.
    pub high: Position,
    /// From where it would have read, had the source still had that.
    pub low: u64,
    /// Under which id the earlier session knew the history, if there was one that it goes on from: a primary that takes
    /// over goes on counting under an id of its own.
    pub known_as: Option<ReplicationId>,
    /// Up to where the source had executed the target's writes when the earlier session sent last, in that one's stream.
    pub saw: u64,
    /// All that the source had seen before `from` is earlier than this, and all that the earlier session sent is no later,
    /// microseconds; nothing where that is not known.
    pub stamp_us: Option<i64>,
}

impl Beginning {
    /// A link that goes on from no earlier session.
    pub fn fresh(from: Position) -> Self {
        Self { from, high: from, low: from.offset, known_as: None, saw: 0, stamp_us: None }
    }

    /// A link that reads from `from` and goes on from what `marker` says, if there is one.
    pub fn after(marker: Option<Marker>, from: Position) -> Self {
        match marker {
            None => Self::fresh(from),
            Some(marker) => {
                let high = Position { replication_id: from.replication_id, ..marker.high };
                let known_as = Some(marker.high.replication_id);
                // What stands before `low` had been seen by both regions when the marker was written, and was dated before it.
                let stamp_us = (from.offset <= marker.low.offset).then_some(marker.stamp_us);
                Self { from, high, low: marker.low.offset, known_as, saw: marker.saw, stamp_us }
            }
        }
    }
}

/// The moment at which something is given to a link.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// The source's clock, Unix milliseconds.
    pub source_ms: i64,
    /// Whether heartbeats could be written to the source of late.
    pub beating: bool,
}

/// Something that others have to know.
#[derive(Debug)]
pub enum Event {
    /// The source has executed a transaction of the other link.
    Echo {
        /// The transaction's id.
        id: u64,
    },
    /// The position of this link is fixed: it copies what is written from here on.
    Fixed,
    /// A transaction with this id carries the source's heartbeat of that time, Unix milliseconds.
    Heartbeat {
        /// The transaction that carries it.
        id: u64,
        /// The source's clock when it was written.
        written_ms: i64,
    },
    /// A client of the source has removed what the other link keeps there.
    MarkerLost {
        /// The database that it was moved to, if it was moved.
        moved_to: Option<u32>,
    },
    /// A write was not copied.
    SetAside {
        /// Its database.
        database: u32,
        /// Its key, or its first argument.
        key: Vec<u8>,
        /// Its command.
        command: String,
        /// Why.
        why: String,
    },
    /// Something is to be executed at the source: the other link finds it in the exchange, or in what is known of a copy.
    Posted,
    /// Who made a removal can be told as soon as one more fence is answered.
    FenceWanted,
    /// The value of a key is to be read, to make it equal; or whether a region holds it.
    ValueWanted,
    /// Two writes were concurrent, and one of them lost; or a key was made equal by its value.
    Conflict(Record),
    /// Other keys of the source are held than before.
    Held,
    /// So many writes were forgotten before it was known that none was concurrent with them.
    Unchecked(u64),
    /// A client of the source writes keys with the reserved prefix.
    ReservedWrite {
        /// Such a key.
        key: Vec<u8>,
    },
    /// The primary wants to hear when all before this offset of its history is applied.
    AckWanted {
        /// Bytes of the history.
        offset: u64,
    },
}

/// One link while it streams.
#[derive(Debug)]
pub struct Stream {
    reader: FrameReader,
    flow: Flow,
}

impl Stream {
    /// A link that begins there, or at the probe with the value `seeking`.
    pub fn new(
        rules: Rules,
        applier: Applier,
        clock: StreamClock,
        beginning: Beginning,
        seeking: Option<Vec<u8>>,
    ) -> Self {
        let target = 1 - rules.region;
        let (late, fleeting) = {
            let mut onto = hold(&rules.target_onto);
            (onto.take_late(), std::mem::take(&mut onto.fleeting))
        };
        let mut exchange = conflict::hold(&rules.exchange);
        exchange.writes_from(target, applier.open_id());
        late.into_iter().for_each(|name| exchange.damaged(target, name));
        if !fleeting.is_empty() {
            *exchange.fleeting(target) = fleeting;
        }
        drop(exchange);
        rules.departed.lock().unwrap_or_else(PoisonError::into_inner).read_again();
        let flow = Flow::new(rules, applier, clock, beginning, seeking);
        Self { reader: FrameReader::new(), flow }
    }

    /// Reads whole commands from `input` as long as there is room for them; what was read is gone from it.
    ///
    /// # Errors
    /// A [`Fault`] when the stream holds something that is not a command, or the other link has found another server.
    pub fn on_source(&mut self, input: &mut BytesMut, now: Now) -> Result<(), Fault> {
        if self.flow.crossing.is_outdated() {
            return Err(Fault::new(Kind::Disconnected, "a server was replaced by one that lacks what was read of it"));
        }
        if self.flow.crossing.is_disordered() {
            return Err(Fault::new(Kind::Disconnected, format!("{SWAPPED}: everything is to be copied again")));
        }
        self.flow.take_mail(now);
        let onto = Arc::clone(&self.flow.rules.source_onto);
        let mut onto = hold(&onto);
        let mut at = 0;
        let behind = self.flow.crossing.has_to_judge();
        while self.wants_source() && !(behind && self.flow.scope == Scope::Outside) {
            let rest = input.get(at..).unwrap_or_default();
            let Some(length) = self.reader.next(rest)? else { break };
            let frame = rest.get(..length).unwrap_or_default();
            let command = Command::new(frame, self.reader.arguments());
            if self.flow.must_wait(&command, length) || !self.flow.may_read(&command, now) {
                break;
            }
            let mut reading = Reading { buffer: input, now, onto: &mut onto };
            self.flow.frame(&command, at..at + length, &mut reading)?;
            at += length;
        }
        let chunk = input.split_to(at).freeze();
        self.flow.flush(now);
        self.flow.applier.seal(&chunk);
        match self.flow.scope {
            Scope::Outside => self.flow.crossing.settle(now),
            Scope::Opening | Scope::Echo => self.flow.crossing.take_in(),
            Scope::Local => {}
        }
        self.flow.forget_departed();
        self.flow.look_for_departed();
        for found in std::mem::take(&mut self.flow.crossing.found) {
            self.flow.events.push(match found {
                Found::Posted => Event::Posted,
                Found::Wanted => Event::ValueWanted,
                Found::Conflict(record) => Event::Conflict(record),
                Found::Forgotten(writes) => Event::Unchecked(writes),
                Found::Held => Event::Held,
            });
        }
        Ok(())
    }

    /// Whether there is room for more of the stream.
    pub fn wants_source(&self) -> bool {
        self.flow.applier.has_room()
            && !self.flow.must_close()
            && self.flow.is_decided()
            && !(self.flow.holding && self.flow.seeking.is_none() && self.flow.scope != Scope::Local)
    }

    /// Whether it has to judge what met before it reads on: [`Self::on_source`] is to be called again.
    pub fn is_behind(&self) -> bool {
        self.flow.scope == Scope::Outside && self.flow.crossing.has_to_judge()
    }

    /// Whether it stopped before a removal.
    pub fn is_waiting(&self) -> bool {
        self.flow.pending.is_some()
    }

    /// Whether it stopped before a removal, and can go on.
    pub fn may_go_on(&self) -> bool {
        self.flow.pending.is_some() && self.wants_source()
    }

    /// Asks before a disaster is spread, from now on.
    pub fn set_guard(&mut self, guard: Guard) {
        self.flow.guard = guard;
    }

    /// The guard.
    pub fn guard(&mut self) -> &mut Guard {
        &mut self.flow.guard
    }

    /// Holds what is read from now on, or goes on.
    pub fn hold(&mut self, holding: bool) {
        self.flow.holding = holding;
    }

    /// Whether it is to hold.
    pub fn is_to_hold(&self) -> bool {
        self.flow.holding
    }

    /// Whether everything that was read has been executed at the target, and nothing more will be until told so.
    pub fn is_holding(&self) -> bool {
        let holds = self.flow.holding
            && self.flow.seeking.is_none()
            && self.flow.scope != Scope::Local
            && self.flow.applier.is_idle();
        if holds {
            conflict::hold(&self.flow.rules.exchange).holds(self.flow.rules.region, self.flow.sent());
        }
        holds
    }

    /// Reads the target's replies; what was read is gone from `input`.
    ///
    /// # Errors
    /// A [`Fault`] when the target refused a transaction.
    pub fn on_target(&mut self, input: &mut BytesMut, now: Now, applied: &mut Vec<Applied>) -> Result<(), Fault> {
        self.flow.applier.on_replies(input, applied)?;
        if let Some(last) = applied.last() {
            self.flow.acknowledged = self.flow.acknowledged.max(last.checkpoint.high.offset);
            self.flow.crossing.answered(last.id);
        }
        applied.iter_mut().for_each(|transaction| self.flow.refused(transaction));
        self.flow.flush(now);
        self.flow.applier.seal(&Bytes::new());
        Ok(())
    }

    /// How long what was read and could be sent is to wait for more: then [`Self::rush`] is to be called.
    pub fn pace(&self) -> Option<Duration> {
        self.flow.pace()
    }

    /// Sends what waits for more.
    pub fn rush(&mut self, now: Now) {
        self.flow.rush(now);
        self.flow.applier.seal(&Bytes::new());
    }

    /// The target has lost marker and gate of this link: they are written again at once, and erased where they were
    /// moved to.
    pub fn marker_lost(&mut self, moved_to: &[u32], now: Now) {
        self.flow.applier.marker_lost(moved_to);
        self.flow.flush(now);
        self.flow.applier.seal(&Bytes::new());
    }

    /// The writing half.
    pub fn applier(&mut self) -> &mut Applier {
        &mut self.flow.applier
    }

    /// What happened since the last call.
    pub fn events(&mut self) -> std::vec::Drain<'_, Event> {
        self.flow.events.drain(..)
    }

    /// Bytes of the source's history whose writes the target has applied: what may be acknowledged.
    pub fn acknowledged(&self) -> u64 {
        let idle = self.flow.applier.is_idle() && self.flow.scope == Scope::Outside;
        if idle { self.flow.sent().offset } else { self.flow.acknowledged }
    }

    /// The place before which everything is applied, when nothing is on its way; with the last transaction's id. The
    /// marker may lie before it: echoes move the place and leave no trace at the target. After a refusal nothing is known:
    /// the id is that of what was refused, and will be used again.
    pub fn settled(&self) -> Option<(u64, Position)> {
        let Flow { applier, scope, seeking, .. } = &self.flow;
        let idle = applier.is_idle() && applier.refused().is_none() && *scope == Scope::Outside && seeking.is_none();
        idle.then(|| (self.flow.applier.last_id(), self.flow.sent()))
    }

    /// Nothing more comes from the source.
    pub fn breaks_off(&self) {
        self.flow.breaks_off();
    }

    /// Whether nothing more can be brought to an end without more of the stream.
    pub fn is_drained(&self) -> bool {
        self.flow.is_drained()
    }

    /// Bytes of the source's history that were read.
    pub fn read(&self) -> u64 {
        self.flow.offset
    }

    /// Writes of the source that are kept because something concurrent may still come.
    pub fn unstable(&self) -> usize {
        self.flow.crossing.kept()
    }

    /// Transactions of the other link that were dropped.
    pub fn echoes(&self) -> u64 {
        self.flow.echoes
    }
}
