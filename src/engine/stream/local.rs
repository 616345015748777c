//! A client's write on its way to the target.

use std::ops::Range;

use bytes::Bytes;

use super::crossing::Written;
use super::flow::{Flow, Reading};
use super::payload::{Instead, instead};
use super::{Event, Now};
use crate::command::{Access, Class, Context, Replay, Rule, Spec, Unit, lookup, replay};
use crate::engine::apply::{Applied, is_joined};
use crate::engine::conflict::departed::Removal;
use crate::engine::conflict::{self, Change, Key, Mail, Note, Touch, Value, field, held_value, replaces, spec_of};
use crate::engine::copy::onto::{Effect, Write};
use crate::wire::resp::{Command, FrameReader, command as request, push_command};

/// Writes that one transaction executes again.
const MOST_AGAIN: usize = 64;

impl Flow {
    /// A client's write: made unconditional and absolute, it goes to the target, and is kept until nothing can come that is
    /// concurrent with it. It stands at `place` of the buffer, or is all of it.
    pub(super) fn local(
        &mut self,
        command: &Command<'_>,
        spec: &'static Spec,
        place: Option<Range<usize>>,
        reading: &mut Reading<'_>,
    ) {
        let written_ms = self.clock.at(self.offset, reading.now.source_ms, reading.now.beating);
        let replay = replay(command, spec, &Context { now_ms: written_ms, target: &self.rules.target });
        self.remove_first(command, spec, written_ms);
        self.fleeting(command, spec, written_ms, reading);
        let database = self.database_there();
        let (bytes, requests): (Bytes, u32) = match self.restored(command, spec, &replay) {
            Some(Ok(Instead { bytes, requests, lost })) => {
                lost.into_iter().for_each(|why| self.set_aside(command, why));
                (bytes.into(), requests)
            }
            Some(Err(why)) => return self.set_aside(command, why),
            None => match (replay, place) {
                (Replay::Verbatim, Some(place)) if !spec.is_deletion() && !is_joined(command.name()) => {
                    let bytes = reading.buffer.get(place.clone()).unwrap_or_default();
                    if !reading.onto.is_quiet() && !self.is_past() {
                        self.tell(command, spec, Bytes::copy_from_slice(bytes), 1, reading);
                    }
                    let key = self.crossing.only_key(command, spec, self.database);
                    self.keep(spec, key, (bytes, 1), written_ms, self.offset);
                    return match spec.name {
                        _ if self.is_past() => {}
                        "SET" if command.len() == 3 => self.applier.push_set(database, place, reading.buffer),
                        _ => self.applier.push_place(database, place, reading.buffer),
                    };
                }
                (Replay::Verbatim, place) => {
                    let bytes = place.map_or(Some(reading.buffer), |place| reading.buffer.get(place));
                    (Bytes::copy_from_slice(bytes.unwrap_or_default()), 1)
                }
                (Replay::Rewritten(bytes, requests), _) => (bytes.into(), requests as u32),
                (Replay::Partial(bytes, requests, why), _) => {
                    self.set_aside(command, why.to_string());
                    (bytes.into(), requests as u32)
                }
                (Replay::SetAside(why), _) => return self.set_aside(command, why.to_string()),
            },
        };
        let bytes = in_letters(bytes);
        if !reading.onto.is_quiet() && !self.is_past() {
            self.tell(command, spec, bytes.clone(), requests, reading);
        }
        self.keep(spec_of(&bytes).unwrap_or(spec), None, (&bytes, requests), written_ms, self.offset);
        if !self.is_past() {
            self.push_own(database, &bytes, requests);
        }
    }

    /// A key that a copy has put there when its time was over is written in part: by the region that it came from, where it was
    /// prolonged, or by the one that it was put at, where nothing is left of it. The latter takes the former's value.
    fn fleeting(&mut self, command: &Command<'_>, spec: &Spec, at_ms: i64, reading: &mut Reading<'_>) {
        if self.is_past() || (!self.fleets && reading.onto.fleeting_here.is_empty()) {
            return;
        }
        let (linger_ms, now_ms, target) = (self.rules.linger_ms, reading.now.source_ms, self.crossing.target());
        let mut exchange = conflict::hold(&self.rules.exchange);
        for used in spec.keys(command).filter(|used| used.access != Access::Read) {
            let database = used.database.unwrap_or(self.database);
            let touch = Touch { replaces: replaces(command, spec, &used), at_ms, now_ms, linger_ms };
            if exchange.fleeting(target).lacks(database, used.key, touch) {
                exchange.damaged(target, (database, used.key.to_vec()));
            }
            if reading.onto.fleeting_here.lacks(database, used.key, touch) {
                reading.onto.doubt(&[(database, used.key)]);
            }
        }
        self.fleets = !exchange.fleeting(target).is_empty();
        drop(exchange);
        self.doubt_late(reading);
    }

    /// Keeps a write, which has the place `at`, for what may come that is concurrent with it.
    pub(super) fn keep(
        &mut self,
        spec: &Spec,
        key: Option<Key>,
        (bytes, requests): (&[u8], u32),
        written_ms: i64,
        at: u64,
    ) {
        if matches!(spec.class, Class::Write | Class::Database) {
            let (silent, weak) = (self.removal == Removal::Silent, self.removal != Removal::Full);
            let written = Written { key, bytes, requests, silent, weak };
            let (sent, database) = (!self.is_past(), self.database);
            self.crossing.wrote(sent, at, database, written, written_ms);
        }
    }

    /// Tells a copy onto our source what its clients write, once each.
    fn tell(&mut self, command: &Command<'_>, spec: &Spec, bytes: Bytes, requests: u32, reading: &mut Reading<'_>) {
        if !reading.onto.is_new(self.offset) {
            return;
        }
        let keys: Vec<(u32, &[u8])> = spec.written(command, self.database).collect();
        let expires = conflict::sets_lifetime(spec, command);
        let write = Write { database: self.database, request: bytes, requests, expires, adds: adds(command, spec) };
        let crossed = if spec.is_deletion() {
            // Key by key, so that none is removed once more on another's account.
            let one =
                |key: &(u32, &[u8])| Write { request: request(&[b"del", key.1]).into(), requests: 1, ..write.clone() };
            keys.iter().filter(|key| reading.onto.wrote(&[**key], Effect::Replaces, &one(key))).count() > 0
        } else if spec.keys(command).nth(1).is_some() {
            reading.onto.doubt(&keys);
            false
        } else {
            reading.onto.wrote(&keys, effect(command, spec), &write)
        };
        if crossed {
            self.events.push(Event::Posted);
        }
        self.doubt_late(reading);
    }

    /// What a copy onto our source could not keep in order is made equal, unless the copy is still under way.
    fn doubt_late(&mut self, reading: &mut Reading<'_>) {
        reading.onto.take_late().into_iter().for_each(|name| self.crossing.doubt(name));
    }

    /// Executes once more what the link that reads our target has found overwritten there.
    pub(super) fn take_mail(&mut self, now: Now) {
        self.crossing.attend();
        self.take_crossing(now);
    }

    /// Executes at the target what the link that reads it has found: in transactions of its own, which say so.
    fn take_crossing(&mut self, now: Now) {
        let (exchange, target) = (self.crossing.exchange().clone(), self.crossing.target());
        while self.may_take_mail() && self.applier.may_send() && conflict::hold(&exchange).has_mail(target) {
            if self.applier.batch().is_due() {
                self.close(now);
                if !self.applier.may_send() {
                    return;
                }
            }
            let mut taken: Vec<Mail> = Vec::new();
            let mut items = 0;
            while let Some(mail) = {
                let room = MOST_AGAIN.saturating_sub(items);
                conflict::hold(&exchange).take(target, room, taken.is_empty())
            } {
                if let Mail::Again(redos) = &mail {
                    items += redos.len();
                }
                taken.push(mail);
                if matches!(taken.first(), Some(Mail::Value(_) | Mail::Held(_))) {
                    break;
                }
            }
            self.send_mail(taken, now);
        }
    }

    /// Sends mail in one transaction.
    fn send_mail(&mut self, mut mail: Vec<Mail>, now: Now) {
        let mut put = None;
        if let Some(Mail::Value(value)) = mail.first() {
            let (value, lacks) = self.crossing.put(value);
            put = Some(value);
            if !lacks.is_empty() && lacks.len() <= MOST_AGAIN {
                mail.push(Mail::Again(lacks));
            }
        }
        let mut again = Vec::new();
        for mail in &mail {
            match mail {
                Mail::Again(redos) => redos.iter().for_each(|redo| {
                    again.push((redo.stamp, redo.id, redo.seen));
                    self.push_own(redo.database, &redo.request, 1);
                }),
                Mail::Value(value) => self.push_value(value),
                Mail::Held(changes) => changes.iter().for_each(|change| self.push_held(change)),
            }
        }
        if self.applier.batch().is_due() {
            self.applier.batch().note = match mail.first() {
                Some(Mail::Value(value)) => {
                    Note::Value { at: value.at, covered: value.covered, floor: value.floor, again }
                }
                Some(Mail::Held(_)) => Note::Held,
                Some(Mail::Again(_)) | None => Note::Again(again),
            };
            let id = self.applier.open_id();
            self.crossing.mailed(id, mail, put);
            self.close(now);
        }
    }

    /// The target keeps whether a key is held there.
    fn push_held(&mut self, change: &Change) {
        let (key, field) = (self.rules.reserved.held(&self.rules.peer), field(&change.name));
        self.applier.batch().push_own(0, |out| {
            match change.latest.map(held_value) {
                Some(value) => push_command(out, &[b"HSET".as_slice(), &key, &field, value.as_bytes()]),
                None => push_command(out, &[b"HDEL".as_slice(), &key, &field]),
            }
            1
        });
    }

    fn push_value(&mut self, value: &Value) {
        let (database, name) = (&value.name.0, &value.name.1);
        let Some(payload) = &value.payload else {
            return self.push_own(*database, &request(&[b"del".as_slice(), name]), 1);
        };
        let expires = value.expires_at_ms.unwrap_or(0).to_string();
        let restore = request(&[b"RESTORE".as_slice(), name, expires.as_bytes(), payload, b"REPLACE", b"ABSTTL"]);
        let mut reader = FrameReader::new();
        let Ok(Some(_)) = reader.next(&restore) else { return };
        let command = Command::new(&restore, reader.arguments());
        match instead(&command, *database, &self.rules.target) {
            None => self.push_own(*database, &restore, 1),
            Some(Ok(Instead { bytes, requests, lost })) => {
                lost.into_iter().for_each(|why| self.set_aside(&command, why));
                self.push_own(*database, &bytes, requests);
            }
            Some(Err(why)) => self.set_aside(&command, why),
        }
    }

    /// What failed inside of a transaction that the target executed: its key has another type there, or the like, so its
    /// value is taken from this region. What is left in `applied` could not be helped that way.
    pub(super) fn refused(&mut self, applied: &mut Applied) {
        let part = applied.checkpoint.since..applied.checkpoint.high.offset;
        applied.refusals.retain(|refusal| {
            let ours = refusal.written.iter().any(|key| key.starts_with(self.rules.reserved.prefix()));
            if ours || refusal.command == "RESTORE" || !refusal.is_of_the_value() {
                return true;
            }
            if refusal.written.is_empty() {
                self.crossing.some_refused(part.clone());
            }
            for key in &refusal.written {
                let name = (refusal.database, key.clone());
                conflict::hold(self.crossing.exchange()).refused(self.crossing.target(), name);
            }
            false
        });
    }

    /// A payload that the target would refuse, in another form that it takes, or why there is none.
    fn restored(&self, command: &Command<'_>, spec: &Spec, replay: &Replay) -> Option<Result<Instead, String>> {
        if !matches!(spec.rule, Rule::Restore | Rule::Function) {
            return None;
        }
        let mut reader = FrameReader::new();
        match replay {
            Replay::Verbatim => instead(command, self.database, &self.rules.target),
            Replay::Rewritten(bytes, _) => {
                reader.next(bytes).ok()??;
                instead(&Command::new(bytes, reader.arguments()), self.database, &self.rules.target)
            }
            Replay::Partial(..) | Replay::SetAside(_) => None,
        }
    }

    /// As [`Self::local`], for a command that does not stand in the stream as it is.
    pub(super) fn local_rest(&mut self, bytes: &[u8], spec: &'static Spec, reading: &mut Reading<'_>) {
        let mut reader = FrameReader::new();
        let Ok(Some(_)) = reader.next(bytes) else { return };
        let rest = Command::new(bytes, reader.arguments());
        let mut reading = Reading { buffer: bytes, now: reading.now, onto: reading.onto };
        self.local(&rest, spec, None, &mut reading);
    }
}

/// A request as it is, but for two names that are told by their letters: a deletion in small ones, for a server that deletes
/// a key by itself, even in the midst of our transaction, writes it in capitals; and a client's MSET in capitals, for in small
/// ones it is several `SET`s that were joined.
pub(super) fn in_letters(bytes: Bytes) -> Bytes {
    let mut reader = FrameReader::new();
    let Ok(Some(length)) = reader.next(&bytes) else { return bytes };
    let command = Command::new(&bytes, reader.arguments());
    let deletes = || lookup(command.name()).is_some_and(Spec::is_deletion);
    let name = match command.name() {
        _ if length != bytes.len() => return bytes,
        name if is_joined(name) => name.to_ascii_uppercase(),
        name if name.iter().any(u8::is_ascii_uppercase) && deletes() => name.to_ascii_lowercase(),
        _ => return bytes,
    };
    let arguments: Vec<&[u8]> = std::iter::once(name.as_slice()).chain(command.args().skip(1)).collect();
    request(&arguments).into()
}

/// Whether a write adds to what is there, or takes from it: to a number, or an element of a list.
fn adds(command: &Command<'_>, spec: &Spec) -> bool {
    match spec.unit_of(command) {
        Unit::Counter | Unit::ElementCounter(_) => true,
        Unit::Sequence => matches!(spec.name, "LPUSH" | "RPUSH" | "LPOP" | "RPOP" | "LREM"),
        Unit::Nothing
        | Unit::Database
        | Unit::Whole
        | Unit::Lifetime
        | Unit::Element(_)
        | Unit::Bits(_)
        | Unit::Registers => false,
    }
}

/// What a write does to its keys.
fn effect(command: &Command<'_>, spec: &Spec) -> Effect {
    let whole = || spec.keys(command).all(|used| conflict::replaces(command, spec, &used));
    match spec.unit_of(command) {
        Unit::Database if spec.name == "FLUSHDB" => Effect::Flushes,
        Unit::Database => Effect::FlushesAll,
        Unit::Whole if whole() => Effect::Replaces,
        _ => Effect::Changes,
    }
}
