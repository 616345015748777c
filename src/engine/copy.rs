//! One link's full copy: a dump of the source in, marked transactions for the target out.
//!
//! The dump is taken apart as it arrives. A value goes as one `RESTORE` where the target understands its encoding, as
//! element commands otherwise, and in pieces when it is big. The marker says `copying` all the while: a restart copies
//! again.

pub mod dumped;
pub mod onto;
mod requests;
mod unknown;

use std::collections::HashSet;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

use super::apply::{Applied, Applier};
use super::checkpoint::Checkpoint;
use super::decode::rebuild;
use super::origin::Phase;
use super::position::Position;
use super::source::DumpLength;
use crate::error::{Fault, Kind};
use crate::wire::rdb::{DumpError, DumpReader, Element, Event as DumpEvent, Key, Limits, Record, Restorable};
use crate::wire::resp::{command, push_command};
use dumped::Dumped;
use onto::{Arrival, SharedOnto, Write, hold};
use requests::{expire, restore, set, value};
use unknown::Unknown;

/// What the copy needs to know of its target and of its orders.
#[derive(Debug, Clone)]
pub struct CopyRules {
    /// What the target takes by `RESTORE`.
    pub restorable: Restorable,
    /// What the target knows of element commands.
    pub features: rebuild::TargetFeatures,
    /// Whether the target has functions.
    pub functions: bool,
    /// Whether the target's SET knows PXAT (6.2 and later).
    pub set_pxat: bool,
    /// How many databases the target has.
    pub databases: u32,
    /// A value with a longer encoding goes in pieces, bytes.
    pub value_bytes: usize,
    /// Keys that begin with it are ours.
    pub prefix: Vec<u8>,
    /// What is known of the region that is copied onto.
    pub onto: SharedOnto,
    /// Up to where the dump holds the target's writes: bytes of the target's history.
    pub covered: u64,
    /// The name under which a big value is built up at the target; it carries the reserved prefix.
    pub building: Vec<u8>,
    /// Names that the target keeps, as `database:name`.
    pub keep: Arc<HashSet<Vec<u8>>>,
    /// A random number where what the target holds beside the dump is deleted in the end.
    pub sweep_seed: Option<u64>,
}

/// Something that others have to know.
#[derive(Debug)]
pub enum CopyEvent {
    /// The dump says that so many keys will come.
    Total(u64),
    /// The dump can't be read on before [`Copy::answer`] has been given what the source answers to `DUMP` of this key.
    Ask {
        /// The key's database.
        database: u32,
        /// The key.
        key: Bytes,
    },
    /// A value was not copied, or not all of it.
    SetAside {
        /// Its database.
        database: u32,
        /// Its key; empty where it is none.
        key: Vec<u8>,
        /// What it is.
        what: String,
        /// Why.
        why: String,
    },
}

#[derive(Debug)]
enum Stage {
    Announced,
    Dump,
    Mark([u8; 40]),
    Done,
}

/// A full copy under way.
#[derive(Debug)]
pub struct Copy {
    rules: CopyRules,
    applier: Applier,
    dump: DumpReader,
    stage: Stage,
    length: Option<DumpLength>,
    checkpoint: Checkpoint,
    /// The source's clock at the start: what expired before it is not copied.
    now_ms: i64,
    /// That clock now.
    reads_at_ms: i64,
    /// The big value that is arriving; `None` also when it is passed over. It is built up under another name and renamed
    /// in the end, so that nobody sees half of it.
    big: Option<(Key, bool)>,
    /// The value of an unknown type that has been reached and not passed yet.
    unknown: Option<Unknown>,
    /// The names read so far, where they are asked for in the end.
    dumped: Option<Dumped>,
    events: Vec<CopyEvent>,
    keys: u64,
}

impl Copy {
    /// A copy of the history up to `position`; `phase` is what the marker says meanwhile.
    pub fn new(rules: CopyRules, mut applier: Applier, position: Position, now_ms: i64, phase: Phase) -> Self {
        let limits = Limits { whole_bytes: rules.value_bytes, piece_bytes: rules.value_bytes };
        // The other link is to read of the copy in any case, even if there is nothing to copy.
        applier.batch().wanted = true;
        Self {
            applier,
            dump: DumpReader::new(limits),
            stage: Stage::Announced,
            length: None,
            checkpoint: Checkpoint::copying(phase, position, rules.covered, now_ms),
            now_ms,
            reads_at_ms: now_ms,
            big: None,
            unknown: None,
            dumped: rules.sweep_seed.map(Dumped::new),
            events: Vec::new(),
            keys: 0,
            rules,
        }
    }

    /// Reads what it can of the dump from `input`, as long as there is room; what was read is gone from it. The source's clock
    /// says `now_ms`, Unix milliseconds.
    ///
    /// # Errors
    /// A [`Fault`] when the dump can't be read.
    pub fn on_source(&mut self, input: &mut BytesMut, now_ms: i64) -> Result<(), Fault> {
        self.reads_at_ms = now_ms;
        self.take_mail();
        if matches!(self.stage, Stage::Announced) {
            let Some(length) = DumpLength::take(input)? else { return Ok(()) };
            self.length = Some(length);
            self.stage = Stage::Dump;
        }
        if hold(&self.rules.onto).has_too_much() {
            let text = "the target's clients wrote more during the copy than is kept (64 MiB)";
            return Err(Fault::new(Kind::TooMuchMeanwhile, text));
        }
        while matches!(self.stage, Stage::Dump) && self.wants_source() {
            if !self.pass_unknown(input)? {
                break;
            }
            let Some(event) = self.dump.next(input).map_err(|error| unreadable(&error))? else { break };
            self.dump_event(event)?;
            self.check_length()?;
            if self.applier.is_full() {
                self.flush();
            }
        }
        if let Stage::Mark(mark) = self.stage
            && let Some(end) = input.get(..mark.len())
        {
            if end != mark {
                return Err(Fault::new(Kind::Dump, "the dump does not end with the announced mark"));
            }
            input.advance(mark.len());
            self.stage = Stage::Done;
        }
        self.flush();
        Ok(())
    }

    /// Reads the target's replies; what was read is gone from `input`.
    ///
    /// # Errors
    /// A [`Fault`] when the target refused a transaction.
    pub fn on_target(&mut self, input: &mut BytesMut, applied: &mut Vec<Applied>) -> Result<(), Fault> {
        let before = applied.len();
        self.applier.on_replies(input, applied)?;
        applied.iter_mut().skip(before).for_each(|transaction| self.refused(transaction));
        self.take_mail();
        self.flush();
        Ok(())
    }

    /// A client's write that failed on top of its value, which has another type: the value decides.
    fn refused(&self, applied: &mut Applied) {
        applied.refusals.retain(|refusal| {
            let of_value = refusal.command != "RESTORE" && refusal.is_of_the_value() && !refusal.written.is_empty();
            if of_value {
                let keys: Vec<_> = refusal.written.iter().map(|key| (refusal.database, key.as_slice())).collect();
                hold(&self.rules.onto).doubt(&keys);
            }
            !of_value
        });
    }

    /// Executes what the other link has posted for the target.
    fn take_mail(&mut self) {
        let onto = Arc::clone(&self.rules.onto);
        while self.applier.has_room() {
            let Some(writes) = hold(&onto).take_mail(self.applier.open_id()) else { return };
            self.on_top(&writes);
        }
    }

    /// The names of the dump, once it has been read: what the target holds beside them is to be deleted, see
    /// [`Self::delete`]. `None` where nothing is, or when they have been taken.
    pub fn take_dumped(&mut self) -> Option<Dumped> {
        self.dumped.take_if(|_| matches!(self.stage, Stage::Done))
    }

    /// Deletes keys at the target that were not in the dump. What a client has changed of one since is put on top of that; one
    /// that a client has replaced is left alone.
    pub fn delete(&mut self, database: u32, keys: &[Vec<u8>]) {
        for key in keys {
            let id = self.applier.open_id();
            let Arrival::Below(writes) = hold(&self.rules.onto).departs(id, database, key) else { continue };
            let value = Write::of(database, command(&[b"UNLINK".as_slice(), key]), 1);
            self.put(key, value, &writes);
        }
        self.flush();
    }

    /// The target has lost marker and gate of this link: they are written again at once, and erased where they were
    /// moved to.
    pub fn marker_lost(&mut self, moved_to: &[u32]) {
        self.applier.marker_lost(moved_to);
        self.flush();
    }

    /// Whether there is room for more of the dump, and nothing else is to be known first.
    pub fn wants_source(&self) -> bool {
        let ahead = hold(&self.rules.onto).is_full();
        self.applier.has_room() && !ahead && !self.is_asking() && !matches!(self.stage, Stage::Done)
    }

    /// Whether the dump has been read to its end and the target has executed all of it; and the other link has seen that, so
    /// that nothing of it has to be put there again on account of what clients wrote meanwhile.
    pub fn is_applied(&mut self) -> bool {
        if !matches!(self.stage, Stage::Done) {
            return false;
        }
        let missing = hold(&self.rules.onto).take_missing();
        for (database, name) in missing {
            self.delete(database, &[name]);
        }
        self.take_mail();
        self.flush();
        self.applier.is_idle() && hold(&self.rules.onto).has_arrived()
    }

    /// The writing half.
    pub fn applier(&mut self) -> &mut Applier {
        &mut self.applier
    }

    /// What happened since the last call.
    pub fn events(&mut self) -> std::vec::Drain<'_, CopyEvent> {
        self.events.drain(..)
    }

    /// Keys read so far, bytes of the dump read so far, and its length where that is known.
    pub fn progress(&self) -> (u64, u64, Option<u64>) {
        let total = match self.length {
            Some(DumpLength::Bytes(bytes)) => Some(bytes),
            Some(DumpLength::Mark(_)) | None => None,
        };
        (self.keys, self.dump.consumed(), total)
    }

    fn flush(&mut self) {
        if self.applier.may_send() {
            self.applier.close(self.checkpoint);
        }
        self.applier.seal(&Bytes::new());
    }

    fn dump_event(&mut self, event: DumpEvent) -> Result<(), Fault> {
        match event {
            DumpEvent::Header { .. } | DumpEvent::Aux { .. } | DumpEvent::Database(_) => {}
            DumpEvent::Sizes { keys, .. } => self.events.push(CopyEvent::Total(keys)),
            DumpEvent::Function(code) => self.function(&code),
            DumpEvent::Record(record) => {
                self.count(&record.key);
                if self.is_wanted(&record.key) && self.has_room_for(&record.key) {
                    self.record(&record)?;
                }
            }
            DumpEvent::Begin(key) => {
                self.count(&key);
                let wanted = self.is_wanted(&key) && self.has_room_for(&key);
                self.big = wanted.then_some((key, true));
            }
            DumpEvent::Piece(elements) => self.piece(&elements),
            DumpEvent::Finish => {
                if let Some((key, first)) = self.big.take() {
                    self.finish(&key, first);
                }
            }
            DumpEvent::SetAside { key, what } => {
                if let Some(key) = &key {
                    self.count(key);
                }
                self.set_aside(key.as_ref(), what, "Duet can't copy it".to_owned());
            }
            DumpEvent::Unknown { key, type_code } => {
                self.count(&key);
                self.ask(key, type_code);
            }
            DumpEvent::End => {
                self.stage = match self.length {
                    Some(DumpLength::Mark(mark)) => Stage::Mark(mark),
                    Some(DumpLength::Bytes(_)) | None => Stage::Done,
                };
            }
        }
        Ok(())
    }

    /// A dump of announced length has that, neither less nor more.
    fn check_length(&self) -> Result<(), Fault> {
        let (Some(DumpLength::Bytes(announced)), consumed) = (self.length, self.dump.consumed()) else { return Ok(()) };
        let ended = matches!(self.stage, Stage::Done);
        if consumed > announced || (ended && consumed < announced) {
            let (seen, text) = if ended { (consumed, "ends after") } else { (announced, "goes on behind") };
            return Err(Fault::new(
                Kind::Dump,
                format!("the dump {text} {seen} bytes; it was announced with {announced}"),
            ));
        }
        Ok(())
    }

    /// A key of the dump, whatever becomes of its value: also one that is set aside leaves the target what it has.
    fn count(&mut self, key: &Key) {
        self.keys += 1;
        let mut onto = hold(&self.rules.onto);
        if let Some(at) = key.expires_at_ms {
            onto.expires(key.database, &key.name, at, self.reads_at_ms);
        }
        if self.has_expired(key) {
            return; // what the target holds under this name is as good as deleted
        }
        onto.holds(key.database, &key.name);
        drop(onto);
        if let Some(dumped) = &mut self.dumped {
            dumped.add(key.database, &key.name);
        }
    }

    /// Whether the key's time was over when the copy began.
    fn has_expired(&self, key: &Key) -> bool {
        key.expires_at_ms.is_some_and(|at| at <= self.now_ms)
    }

    /// Whether a key of the dump is to be copied: ours are not, nor what has expired, nor what the target keeps.
    fn is_wanted(&self, key: &Key) -> bool {
        let ours = key.name.starts_with(&self.rules.prefix);
        !self.has_expired(key)
            && !ours
            && (self.rules.keep.is_empty() || !self.rules.keep.contains(&kept_name(key.database, &key.name)))
    }

    /// Whether the target has the key's database; a `SELECT` that fails would put the value into another one.
    fn has_room_for(&mut self, key: &Key) -> bool {
        let has = key.database < self.rules.databases;
        if !has {
            let why = format!("the target has {} databases", self.rules.databases);
            self.set_aside(Some(key), format!("{:?}", key.kind).to_lowercase(), why);
        }
        has
    }

    fn record(&mut self, record: &Record) -> Result<(), Fault> {
        let key = &record.key;
        let Some(writes) = self.arrival(key) else { return Ok(()) };
        if self.rules.set_pxat
            && let Some(text) = record.text()
        {
            let text = text.map_err(|error| unreadable(&error))?;
            self.put(&key.name, value(key, set(key, &text), 1), &writes);
        } else if let Some(payload) = record.payload_for(&self.rules.restorable) {
            self.put(&key.name, value(key, restore(key, &payload), 1), &writes);
        } else {
            let (mut out, mut requests, mut first) = (Vec::new(), 0, true);
            for elements in record.pieces(self.rules.value_bytes) {
                match elements {
                    Ok(elements) => requests += self.rebuild(key, &elements, std::mem::take(&mut first), &mut out),
                    Err(error) => {
                        self.set_aside(Some(key), format!("{:?}", key.kind).to_lowercase(), error.to_string());
                        return Ok(());
                    }
                }
            }
            requests += expire(key, &mut out);
            self.put(&key.name, value(key, out, requests), &writes);
        }
        Ok(())
    }

    /// Puts a value at the target, and the writes on top of it; should it meet another write on its way, all of this is
    /// sent again.
    fn put(&mut self, name: &[u8], mut value: Write, writes: &[Write]) {
        if !writes.is_empty() {
            let parts: Vec<&[u8]> = std::iter::once(&value).chain(writes).map(|write| &*write.request).collect();
            value.request = parts.concat().into();
            value.requests += writes.iter().map(|write| write.requests).sum::<u32>();
        }
        self.on_top(std::slice::from_ref(&value));
        hold(&self.rules.onto).carries(name, value);
    }

    fn piece(&mut self, elements: &[Element]) {
        let Some((key, first)) = self.big.take() else { return };
        let building = Key { name: self.rules.building.clone().into(), ..key.clone() };
        let mut out = Vec::new();
        let requests = self.rebuild(&building, elements, first, &mut out);
        self.on_top(&[Write::of(key.database, out, requests)]);
        self.big = Some((key, false));
    }

    /// A big value is complete: it takes its name, unless `nothing` came of it.
    fn finish(&mut self, key: &Key, nothing: bool) {
        if nothing {
            return;
        }
        let building = self.rules.building.clone();
        let writes = self.arrival(key);
        self.applier.batch().push_own(key.database, |out| {
            match &writes {
                Some(_) => push_command(out, &[b"RENAME", &*building, &*key.name]),
                None => push_command(out, &[b"UNLINK".as_slice(), &building]),
            }
            1
        });
        if let Some(writes) = writes {
            self.applier.batch().push_own(key.database, |out| expire(key, out));
            self.on_top(&writes);
        }
    }

    /// A value is about to be put at the target. Gives what was written there since the dump was fixed, to be executed
    /// on top of it; `None` when it is to be left out.
    fn arrival(&mut self, key: &Key) -> Option<Vec<Write>> {
        let id = self.applier.open_id();
        let mut onto = hold(&self.rules.onto);
        match onto.arrives(id, key.database, &key.name) {
            Arrival::Below(writes) => {
                // Its time may be over when it is put there, so that they find nothing, while it was prolonged at the source.
                if !writes.is_empty() && key.expires_at_ms.is_some() {
                    onto.doubt(&[(key.database, &*key.name)]);
                }
                Some(writes)
            }
            Arrival::LeftOut => None,
        }
    }

    fn on_top(&mut self, writes: &[Write]) {
        for write in writes {
            self.applier.batch().push_own(write.database, |out| {
                out.extend_from_slice(&write.request);
                write.requests
            });
        }
    }

    fn rebuild(&mut self, key: &Key, elements: &[Element], first: bool, out: &mut Vec<u8>) -> u32 {
        let rebuilt = rebuild::requests(out, key, elements, first, self.rules.features);
        if rebuilt.field_expiries_lost > 0 {
            let why = format!("the target has no expiry of hash fields: {} were left out", rebuilt.field_expiries_lost);
            self.set_aside(Some(key), "field expiry".to_owned(), why);
        }
        if rebuilt.consumers_lost > 0 {
            let why = format!("the target can't create idle consumers: {} were left out", rebuilt.consumers_lost);
            self.set_aside(Some(key), "consumer".to_owned(), why);
        }
        rebuilt.requests as u32
    }

    fn function(&mut self, code: &[u8]) {
        if self.rules.functions {
            self.applier.batch().push_own(0, |out| {
                push_command(out, &[b"FUNCTION", b"LOAD".as_slice(), b"REPLACE", code]);
                1
            });
        } else {
            self.set_aside(None, "function library".to_owned(), "the target has no functions".to_owned());
        }
    }

    fn set_aside(&mut self, key: Option<&Key>, what: String, why: String) {
        let (database, key) = key.map_or((0, Vec::new()), |key| (key.database, key.name.to_vec()));
        self.events.push(CopyEvent::SetAside { database, key, what, why });
    }
}

fn unreadable(error: &DumpError) -> Fault {
    Fault::new(Kind::Dump, error.to_string())
}

/// How a name that the target keeps is written down.
pub fn kept_name(database: u32, name: &[u8]) -> Vec<u8> {
    let mut kept = format!("{database}:").into_bytes();
    kept.extend_from_slice(name);
    kept
}

#[cfg(test)]
mod tests;
