//! A client's write on its way to the target.

use std::ops::Range;

use bytes::Bytes;

use super::Event;
use super::flow::{Flow, Reading};
use super::payload::{Instead, instead};
use crate::command::{Access, Context, Replay, Rule, Spec, Unit, replay};
use crate::engine::copy::onto::{Effect, Write, hold};
use crate::wire::resp::{Command, FrameReader, command as request};

impl Flow {
    /// A client's write: made unconditional and absolute, it goes to the target. Whether the other region wrote the same key
    /// at the same time is to be asked here, before the command enters the batch. It stands at `place` of the buffer, or is
    /// all of it.
    pub(super) fn local(
        &mut self,
        command: &Command<'_>,
        spec: &Spec,
        place: Option<Range<usize>>,
        reading: &mut Reading<'_>,
    ) {
        let written_ms = self.clock.at(self.offset, reading.now.source_ms, reading.now.beating);
        let replay = replay(command, spec, &Context { now_ms: written_ms, target: &self.rules.target });
        let database = self.database_there();
        let (bytes, requests): (Bytes, u32) = match self.restored(command, spec, &replay) {
            Some(Ok(Instead { bytes, requests, lost })) => {
                lost.into_iter().for_each(|why| self.set_aside(command, why));
                (bytes.into(), requests)
            }
            Some(Err(why)) => return self.set_aside(command, why),
            None => match (replay, place) {
                (Replay::Verbatim, Some(place)) => {
                    if !reading.onto.is_quiet() {
                        let bytes = reading.buffer.get(place.clone()).unwrap_or_default();
                        self.tell(command, spec, Bytes::copy_from_slice(bytes), 1, reading);
                    }
                    return self.applier.push_place(database, place, reading.buffer);
                }
                (Replay::Verbatim, None) => (Bytes::copy_from_slice(reading.buffer), 1),
                (Replay::Rewritten(bytes, requests), _) => (bytes.into(), requests as u32),
                (Replay::Partial(bytes, requests, why), _) => {
                    self.set_aside(command, why.to_string());
                    (bytes.into(), requests as u32)
                }
                (Replay::SetAside(why), _) => return self.set_aside(command, why.to_string()),
            },
        };
        if !reading.onto.is_quiet() {
            self.tell(command, spec, bytes.clone(), requests, reading);
        }
        self.push_own(database, &bytes, requests);
    }

    /// Tells a copy onto our source what its clients write.
    fn tell(&mut self, command: &Command<'_>, spec: &Spec, bytes: Bytes, requests: u32, reading: &mut Reading<'_>) {
        let written = spec.keys(command).filter(|used| used.access != Access::Read);
        let keys: Vec<(u32, &[u8])> = written.map(|used| (used.database.unwrap_or(self.database), used.key)).collect();
        let write = Write { database: self.database, request: bytes, requests };
        let crossed = if matches!(spec.name, "DEL" | "UNLINK") {
            // Key by key, so that none is removed once more on another's account.
            let one =
                |key: &(u32, &[u8])| Write { request: request(&[b"DEL", key.1]).into(), requests: 1, ..write.clone() };
            keys.iter().filter(|key| reading.onto.wrote(&[**key], Effect::Replaces, &one(key))).count() > 0
        } else {
            reading.onto.wrote(&keys, effect(command, spec), &write)
        };
        if crossed {
            self.events.push(Event::Posted);
        }
    }

    /// Executes once more what the link that reads our target has found overwritten there.
    pub(super) fn take_mail(&mut self) {
        let onto = self.rules.target_onto.clone();
        let mut onto = hold(&onto);
        while self.may_take_mail() {
            let Some(writes) = onto.take_mail(self.applier.open_id()) else { return };
            for write in writes {
                self.push_own(write.database, &write.request, write.requests);
            }
        }
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

/// What a write does to its keys.
fn effect(command: &Command<'_>, spec: &Spec) -> Effect {
    let whole = || spec.keys(command).all(|used| used.access == Access::Write);
    match spec.unit_of(command) {
        Unit::Database if spec.name == "FLUSHDB" => Effect::Flushes,
        Unit::Database => Effect::FlushesAll,
        Unit::Whole if whole() => Effect::Replaces,
        _ => Effect::Changes,
    }
}
