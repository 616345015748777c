//! Removals that a server may have made by itself: who made one is asked before it is read, and what it was decides what
//! becomes of it. See [`crate::engine::conflict::departed`].

use std::sync::PoisonError;

use bytes::Bytes;

use super::Event;
use super::flow::{Flow, Reading, Scope};
use super::local::in_letters;
use crate::command::{Class, Spec, lookup};
use crate::engine::conflict::departed::{Departed, Removal, Removed, Verdict};
use crate::engine::conflict::{self, spec_of};
use crate::engine::position::Position;
use crate::wire::resp::{Command, command as request};

impl Flow {
    /// Whether the command can't be read yet: it removes something, and nobody knows who made it. What it is stays noted
    /// for the reading of it.
    pub(super) fn must_wait(&mut self, command: &Command<'_>, length: usize) -> bool {
        self.removal = Removal::Full;
        self.pending = None;
        let of_a_client = self.scope != Scope::Echo && self.seeking.is_none();
        let asked = |removed: &Removed| of_a_client && (*removed == Removed::Key || self.rules.fields_expire);
        let Some(removed) = removed(command).filter(asked) else { return false };
        if command.arg(1).starts_with(self.rules.reserved.prefix()) {
            return false;
        }
        let offset = self.offset + length as u64;
        let at = Position { replication_id: self.replication_id, offset, database: self.database };
        let is_past = offset <= self.high.offset;
        if is_past && self.was_silent(offset) {
            self.removal = Removal::Silent;
            return false;
        }
        let verdict = if is_past || !self.rules.deletes.wants_events() {
            // Of what an earlier session sent, the events are claimed.
            Verdict::Unknown
        } else {
            self.departed().take(at, command.arg(1), removed)
        };
        self.removal = match (verdict, removed) {
            (Verdict::Pending, _) => {
                self.pending = Some(offset);
                if self.departed().ask(offset) {
                    self.events.push(Event::FenceWanted);
                }
                return true;
            }
            // Fields expire at few servers, and only they tell it.
            (Verdict::Unknown, Removed::Fields) => Removal::Full,
            (verdict, _) => self.rules.deletes.claim(verdict),
        };
        false
    }

    /// Whether an earlier session has left the removal that ends at `offset` to the other region.
    fn was_silent(&self, offset: u64) -> bool {
        conflict::hold(&self.rules.exchange).transactions(self.rules.region).is_silent(offset)
    }

    /// Whether it is known by now who made the removal that is read next.
    pub(super) fn is_decided(&self) -> bool {
        self.pending.is_none_or(|offset| self.departed().is_decided(offset))
    }

    /// Nobody asks any more about what was read.
    pub(super) fn forget_departed(&self) {
        if self.rules.deletes.wants_events() {
            self.departed().passed(self.offset);
        }
    }

    /// What the server has removed by itself, and the other region removes by itself, too.
    pub(super) fn silently(&mut self, command: &Command<'_>, reading: &Reading<'_>) {
        let arguments: Vec<&[u8]> = command.args().collect();
        let bytes: Bytes = in_letters(request(&arguments).into());
        let written_ms = self.clock.at(self.offset, reading.now.source_ms, reading.now.beating);
        let Some(spec) = spec_of(&bytes) else { return };
        let name = (self.database, command.arg(1).to_vec());
        let until_ms = written_ms.saturating_add(self.rules.linger_ms);
        conflict::hold(&self.rules.exchange).lingering(self.rules.region).departed(
            name,
            bytes.clone(),
            spec.is_deletion(),
            self.offset,
            until_ms,
        );
        self.lingers = true;
        self.keep(spec, None, (&bytes, 1), written_ms, self.offset);
    }

    /// Before a client's write that builds on what a key held: what the server has removed of it by itself may be there
    /// still in the other region, whose clock may be behind. So it is removed there now.
    pub(super) fn remove_first(&mut self, command: &Command<'_>, spec: &Spec, written_ms: i64) {
        if !self.lingers {
            return;
        }
        let met = {
            let mut exchange = conflict::hold(&self.rules.exchange);
            let lingering = exchange.lingering(self.rules.region);
            if spec.class == Class::Database {
                return lingering.clear(self.offset);
            }
            let met = lingering.met(command, spec, self.database, (self.offset, written_ms));
            self.lingers = !lingering.is_empty();
            met
        };
        let removal = std::mem::replace(&mut self.removal, Removal::Weak);
        for (left, bytes) in (1..=met.len() as u64).rev().zip(met) {
            let Some(of) = spec_of(&bytes) else { continue };
            // Each write has a place of its own, in order; this one has none in the stream.
            let at = self.offset.saturating_sub(left);
            self.keep(of, None, (&bytes, 1), written_ms, at);
            if !self.is_past() {
                self.push_own(self.database_there(), &bytes, 1);
            }
        }
        self.removal = removal;
    }

    /// A request of the other link has come. Tells whether it read, or built on, a key that the source had removed by itself.
    pub(super) fn misses(&self, command: &Command<'_>, spec: &Spec) -> bool {
        let mut exchange = conflict::hold(&self.rules.exchange);
        exchange.lingering(self.rules.region).wrote(command, spec, self.database, self.offset)
    }

    /// Has it looked at in the other region whether it still holds what expired here, now that this can be told.
    pub(super) fn look_for_departed(&mut self) {
        if !self.lingers {
            return;
        }
        let mut exchange = conflict::hold(&self.rules.exchange);
        let stable = exchange.stable(self.rules.region);
        let names = exchange.lingering(self.rules.region).stable(stable);
        let names: Vec<_> =
            names.into_iter().filter(|(database, key)| !exchange.settles().has(*database, key)).collect();
        if !names.is_empty() {
            exchange.look(1 - self.rules.region, names);
            self.events.push(Event::ValueWanted);
        }
    }

    fn departed(&self) -> std::sync::MutexGuard<'_, Departed> {
        self.rules.departed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a command removes, if it stands in the stream as a server writes what it removes by itself.
fn removed(command: &Command<'_>) -> Option<Removed> {
    let (name, count) = (command.name(), command.len());
    match name {
        b"HDEL" if count > 2 => Some(Removed::Fields),
        _ if count == 2 && name.iter().all(u8::is_ascii_uppercase) && lookup(name).is_some_and(Spec::is_deletion) => {
            Some(Removed::Key)
        }
        _ => None,
    }
}
