//! A client's write on its way to the target, past those that it may have crossed with.

use std::ops::Range;

use bytes::Bytes;

use super::flow::{Flow, Reading, Scope, shown_name};
use super::payload::{Instead, instead};
use super::{Crossing, Event};
use crate::command::{Context, Replay, Spec, guess_key, replay};
use crate::engine::conflict::{Decided, Pending, Request, Table, Verdict, claims, verdict};
use crate::wire::resp::{Command, FrameReader};

impl Flow {
    /// A client's write: made unconditional and absolute, and sent unless it has lost against one that it crossed with.
    /// It stands at `place` of `buffer`, or is all of `buffer`.
    pub(super) fn local(
        &mut self,
        command: &Command<'_>,
        spec: &Spec,
        place: Option<Range<usize>>,
        reading: &mut Reading<'_>,
    ) {
        let Reading { buffer, now, table } = reading;
        let written_ms = self.clock.at(self.offset, now.source_ms, now.beating);
        let replay = replay(command, spec, &Context { now_ms: written_ms, target: &self.rules.target });
        let (request, requests) = match self.restored(command, spec, &replay) {
            Some(Ok(Instead { bytes, requests, lost })) => {
                lost.into_iter().for_each(|why| self.set_aside(command, why));
                (Request::Bytes(bytes.into()), requests)
            }
            Some(Err(why)) => return self.set_aside(command, why),
            None => match replay {
                Replay::Verbatim => match place {
                    Some(place) => (Request::Place(place), 1),
                    None => (Request::Bytes(Bytes::copy_from_slice(buffer)), 1),
                },
                Replay::Rewritten(bytes, requests) => (Request::Bytes(bytes.into()), requests as u32),
                Replay::Partial(bytes, requests, why) => {
                    self.set_aside(command, why.to_string());
                    (Request::Bytes(bytes.into()), requests as u32)
                }
                Replay::SetAside(why) => return self.set_aside(command, why.to_string()),
            },
        };
        let stamp = table.stamp(self.rules.region, written_ms);
        let claims = claims(command, spec, self.database, &table.hasher);
        let write = Pending { database: self.database_there(), request, requests, stamp, claims };
        self.cross(command, write, buffer, table);
    }

    /// Asks whether the other region has written the same at the same time, and does what follows.
    fn cross(&mut self, command: &Command<'_>, write: Pending, buffer: &[u8], table: &mut Table) {
        let region = self.rules.region;
        table.wrote(region, &write, buffer);
        let followed = match table.decided(region, self.offset).cloned() {
            Some(Decided::Drop) => return,
            Some(Decided::Followed(later)) => later,
            None => {
                let rivals = table.rivals(region, &write.claims);
                match verdict(write.stamp, write.claims.len(), &rivals) {
                    Verdict::Forward => Vec::new(),
                    Verdict::Unresolved => {
                        self.crossed(Crossing::Unresolved, command);
                        Vec::new()
                    }
                    Verdict::Drop => {
                        table.decide(region, self.offset, Decided::Drop);
                        return self.crossed(Crossing::Dropped, command);
                    }
                    Verdict::Replay(later) => {
                        let later = later.iter().filter_map(|order| table.write(region, *order).cloned()).collect();
                        self.again(&write, &later, buffer, table);
                        self.crossed(Crossing::Replayed, command);
                        later
                    }
                }
            }
        };
        self.send(write, buffer, table);
        for later in followed {
            self.send(later, buffer, table);
        }
    }

    /// The write, and those that are later, are executed once more where they are now below what they should be above.
    fn again(&mut self, write: &Pending, later: &Vec<Pending>, buffer: &[u8], table: &mut Table) {
        let region = self.rules.region;
        let request = Request::Bytes(write.request.bytes(buffer));
        table.post(region, Pending { request, ..write.clone() });
        for write in later {
            table.post(region, write.clone());
        }
        table.decide(region, self.offset, Decided::Followed(later.clone()));
        self.events.push(Event::Posted);
    }

    /// Puts a write into the batch and among what is pending at the target.
    fn send(&mut self, write: Pending, buffer: &[u8], table: &mut Table) {
        match &write.request {
            Request::Place(place) => self.applier.push_place(write.database, place.clone(), buffer),
            Request::Bytes(bytes) => self.push_own(write.database, bytes, write.requests),
        }
        table.send(1 - self.rules.region, self.applier.open_id(), write);
    }

    /// Executes what the other link has posted for our target.
    pub(super) fn take_mail(&mut self, table: &mut Table) {
        let target = 1 - self.rules.region;
        while self.scope != Scope::Local && self.seeking.is_none() && self.applier.has_room() {
            let Some(write) = table.take_mail(target, self.applier.open_id()) else { return };
            if let Request::Bytes(bytes) = &write.request {
                self.push_own(write.database, bytes, write.requests);
            }
        }
    }

    fn crossed(&mut self, how: Crossing, command: &Command<'_>) {
        let key = guess_key(command).unwrap_or_default().to_vec();
        self.events.push(Event::Crossed { how, database: self.database, key, command: shown_name(command) });
    }

    /// A payload that the target would refuse, in another form that it takes, or why there is none.
    fn restored(&self, command: &Command<'_>, spec: &Spec, replay: &Replay) -> Option<Result<Instead, String>> {
        if !matches!(spec.name, "RESTORE" | "RESTORE-ASKING" | "FUNCTION") {
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
        let mut reading = Reading { buffer: bytes, now: reading.now, table: reading.table };
        self.local(&rest, spec, None, &mut reading);
    }
}
