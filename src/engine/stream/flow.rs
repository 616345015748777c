//! What becomes of each command of the stream.

use std::ops::Range;
use std::time::Duration;

use super::crossing::Crossing;
use super::{Beginning, Event, Now, Rules};
use crate::command::{Class, Spec, Unit, Unreserved, guess_key, lookup, without_reserved};
use crate::engine::apply::Applier;
use crate::engine::checkpoint::Checkpoint;
use crate::engine::conflict;
use crate::engine::conflict::departed::Removal;
use crate::engine::copy::onto::Onto;
use crate::engine::guard::Guard;
use crate::engine::origin::Marker;
use crate::engine::position::{Position, ReplicationId};
use crate::engine::source::{StreamClock, moment};
use crate::error::{Fault, Kind};
use crate::wire::resp::{Command, push_command};

/// What a command is read with.
pub(super) struct Reading<'a> {
    /// The bytes that the stream's places refer to.
    pub(super) buffer: &'a [u8],
    /// The moment.
    pub(super) now: Now,
    /// What is known of a copy onto the region that is read, held for as long as this lasts.
    pub(super) onto: &'a mut Onto,
}

/// Whose commands are being read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Single commands.
    Outside,
    /// A transaction of which nothing but `MULTI` and `SELECT` was seen.
    Opening,
    /// A client's transaction.
    Local,
    /// A transaction of the other link.
    Echo,
}

/// Everything but the reader of frames.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) rules: Rules,
    pub(super) keys: Keys,
    pub(super) applier: Applier,
    pub(super) clock: StreamClock,
    pub(super) scope: Scope,
    pub(super) replication_id: ReplicationId,
    pub(super) offset: u64,
    pub(super) database: u32,
    /// The last place outside of any transaction.
    pub(super) boundary: Position,
    /// Everything before it was sent by an earlier session: it is read again for what was concurrent with it.
    pub(super) high: Position,
    pub(super) crossing: Crossing,
    /// The value of the probe behind which the link's position lies; nothing is copied before it was seen.
    pub(super) seeking: Option<Vec<u8>>,
    pub(super) heartbeat: Option<i64>,
    pub(super) events: Vec<Event>,
    pub(super) acknowledged: u64,
    pub(super) echoes: u64,
    /// Nothing more may be sent for the moment: the other link fixes a dump of our target.
    pub(super) holding: bool,
    /// What is read next removes something at this place, and nobody knows yet who made it.
    pub(super) pending: Option<u64>,
    /// What the removal that is being read is.
    pub(super) removal: Removal,
    /// The source has removed something by itself that the target may hold still.
    pub(super) lingers: bool,
    /// A copy has put keys at the target whose time was over.
    pub(super) fleets: bool,
    /// Asks before a disaster is spread.
    pub(super) guard: Guard,
}

/// Our keys as they appear in this stream.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: Vec<u8>,
    heartbeat: Vec<u8>,
    probe: Vec<u8>,
    /// The other link's marker: it lives at our source.
    marker: Vec<u8>,
    nonce: Vec<u8>,
    /// The other link's gate, beside it.
    gate: Vec<u8>,
    /// Which keys are held at our source.
    held: Vec<u8>,
    all: Vec<Vec<u8>>,
}

impl Flow {
    pub(super) fn new(
        rules: Rules,
        mut applier: Applier,
        clock: StreamClock,
        beginning: Beginning,
        seeking: Option<Vec<u8>>,
    ) -> Self {
        let mut crossing = Crossing::new(&rules, beginning.from.offset);
        crossing.begin(beginning);
        let Beginning { from: position, high, .. } = beginning;
        let reserved = &rules.reserved;
        let keys = Keys {
            prefix: reserved.prefix().to_vec(),
            heartbeat: reserved.heartbeat(&rules.origin),
            probe: reserved.probe(&rules.origin),
            marker: reserved.marker(&rules.peer),
            nonce: reserved.nonce(&rules.origin),
            gate: reserved.gate(&rules.peer),
            held: reserved.held(&rules.origin),
            all: reserved.all([&rules.origin, &rules.peer]),
        };
        applier.batch().wanted = seeking.is_none();
        let (fleets, lingers) = {
            let mut exchange = conflict::hold(&rules.exchange);
            (!exchange.fleeting(1 - rules.region).is_empty(), !exchange.lingering(rules.region).is_empty())
        };
        Self {
            rules,
            keys,
            applier,
            clock,
            scope: Scope::Outside,
            replication_id: position.replication_id,
            offset: position.offset,
            database: position.database,
            boundary: position,
            high,
            crossing,
            seeking,
            heartbeat: None,
            events: Vec::new(),
            acknowledged: high.offset,
            echoes: 0,
            holding: false,
            pending: None,
            removal: Removal::Full,
            lingers,
            fleets,
            guard: Guard::default(),
        }
    }

    pub(super) fn frame(
        &mut self,
        command: &Command<'_>,
        place: Range<usize>,
        reading: &mut Reading<'_>,
    ) -> Result<(), Fault> {
        if command.is_empty() {
            return Ok(());
        }
        self.offset += place.len() as u64;
        match lookup(command.name()) {
            Some(spec) => self.known(command, spec, place, reading)?,
            None if self.scope == Scope::Echo || self.seeking.is_some() => {}
            None => {
                self.enter_local();
                self.set_aside(command, "Duet does not know this command".to_owned());
            }
        }
        if self.scope == Scope::Outside {
            self.boundary =
                Position { replication_id: self.replication_id, offset: self.offset, database: self.database };
            self.crossing.boundary(self.boundary);
            if (self.applier.is_full() || self.must_close()) && self.applier.may_send() {
                self.close(reading.now);
            }
        } else if self.scope == Scope::Local && self.applier.is_full() && self.applier.may_send() {
            let before = self.checkpoint(reading.now);
            self.applier.spill(before);
        }
        Ok(())
    }

    /// Whether `command` may be read now; where not, the open batch has to go first.
    pub(super) fn may_read(&mut self, command: &Command<'_>, now: Now) -> bool {
        if self.scope != Scope::Outside {
            return true;
        }
        let is_much_later = |made_ms| self.clock.is_much_later(self.offset, made_ms);
        let counts = |spec: &Spec| spec.class == Class::Multi || spec.unit == Unit::Lifetime;
        let goes_first = self.crossing.made_ms().is_some_and(is_much_later)
            || self.crossing.is_behind() && lookup(command.name()).is_some_and(counts);
        if !goes_first {
            return true;
        }
        if self.applier.may_send() {
            self.close(now);
            return true;
        }
        self.crossing.must_close = true;
        false
    }

    fn known(
        &mut self,
        command: &Command<'_>,
        spec: &'static Spec,
        place: Range<usize>,
        reading: &mut Reading<'_>,
    ) -> Result<(), Fault> {
        match spec.class {
            Class::Select => self.select(command)?,
            Class::Multi => self.scope = Scope::Opening,
            Class::Exec => {
                if self.scope == Scope::Echo {
                    self.echoes += 1;
                }
                self.scope = Scope::Outside;
            }
            Class::Ping => {}
            Class::Replconf => {
                if command.arg(1).eq_ignore_ascii_case(b"GETACK") {
                    self.events.push(Event::AckWanted { offset: self.offset });
                }
            }
            _ if self.scope == Scope::Echo => self.echo_write(command, spec, place, reading),
            _ if self.seeking.is_some() => self.seek(command),
            _ => {
                if !self.is_past() {
                    let begins = self.scope != Scope::Local;
                    self.guard.look(command, spec, self.offset, self.database, begins)?;
                }
                self.write(command, spec, place, reading);
            }
        }
        Ok(())
    }

    fn select(&mut self, command: &Command<'_>) -> Result<(), Fault> {
        let index = std::str::from_utf8(command.arg(1)).ok().and_then(|text| text.parse().ok());
        self.database =
            index.ok_or_else(|| Fault::new(Kind::Protocol, "the stream selects a database that is none"))?;
        Ok(())
    }

    /// Looks for the probe: what was written before it is not this link's to copy.
    fn seek(&mut self, command: &Command<'_>) {
        let is_set = command.name().eq_ignore_ascii_case(b"SET") && command.arg(1) == self.keys.probe;
        if is_set && Some(command.arg(2)) == self.seeking.as_deref() {
            self.seeking = None;
            self.scope = Scope::Outside;
            self.database = 0;
            self.acknowledged = self.offset;
            self.applier.batch().wanted = true;
            self.events.push(Event::Fixed);
        }
    }

    /// A write, a client's unless it begins a transaction with the other link's marker.
    fn write(&mut self, command: &Command<'_>, spec: &'static Spec, place: Range<usize>, reading: &mut Reading<'_>) {
        if self.scope != Scope::Local && self.is_echo(command, reading.onto) {
            return;
        }
        self.enter_local();
        match spec.class {
            Class::Publish if command.arg(1) == self.keys.heartbeat => return self.source_heartbeat(command),
            Class::Publish if command.arg(1) == self.keys.nonce => return self.crossing.nonce(command.arg(2)),
            Class::Publish if !self.rules.publish || command.arg(1).starts_with(b"__sentinel__:") => return,
            Class::Cluster => return,
            Class::Database if !self.takes_whole_database(command, spec) => return,
            _ if self.database >= self.rules.databases && is_bound(spec) => {
                return self.set_aside(command, format!("the target has {} databases", self.rules.databases));
            }
            _ => {}
        }
        let touches_ours = spec.keys(command).any(|used| used.key.starts_with(&self.keys.prefix));
        if touches_ours && spec.class != Class::Publish {
            return self.reserved(command, spec, reading);
        }
        if self.removal == Removal::Silent {
            return self.silently(command, reading);
        }
        self.local(command, spec, Some(place), reading);
        if spec.class == Class::Database
            && !self.is_past()
            && let Some(away) = swapped_with_zero(command, spec)
        {
            self.applier.erase_marker(away);
        }
    }

    pub(super) fn push_own(&mut self, database: u32, bytes: &[u8], requests: u32) {
        let batch = self.applier.batch();
        batch.writes += 1;
        batch.push_own(database, |out| {
            out.extend_from_slice(bytes);
            requests
        });
    }

    /// Whether what is being read was sent by an earlier session.
    pub(super) fn is_past(&self) -> bool {
        self.offset <= self.high.offset
    }

    /// The place before which everything was sent.
    pub(super) fn sent(&self) -> Position {
        if self.boundary.offset < self.high.offset { self.high } else { self.boundary }
    }

    /// A request of the other link.
    fn echo_write(&mut self, command: &Command<'_>, spec: &'static Spec, place: Range<usize>, reading: &Reading<'_>) {
        if self.database == 0 && command.arg(1) == self.keys.marker {
            if let Some(marker) = Marker::parse(command.arg(2)) {
                self.crossing.echo_goes_on(marker);
            }
            return;
        }
        if spec.class == Class::Database {
            self.lose_held();
        }
        let ours = command.arg(1).starts_with(&self.keys.prefix);
        let by_the_server = spec.is_deletion() && !ours && command.name().iter().all(u8::is_ascii_uppercase);
        self.crossing.echo_meets(command, spec, self.database, by_the_server);
        if matches!(spec.class, Class::Write) {
            self.crossing.copied(command, spec, self.database, &self.keys.prefix);
        }
        if self.lingers && self.misses(command, spec) {
            self.crossing.met_nothing(command, spec, self.database);
        }
        if !ours && !by_the_server && matches!(spec.class, Class::Write | Class::Database) {
            self.crossing.echoed(command, spec, place, reading.buffer, self.database);
        }
    }

    /// The database for what goes to the target: one that it has. What is bound to another was set aside before.
    pub(super) fn database_there(&self) -> u32 {
        if self.database < self.rules.databases { self.database } else { 0 }
    }

    pub(super) fn may_take_mail(&self) -> bool {
        self.scope != Scope::Local && self.seeking.is_none() && !self.holding && self.applier.has_room()
    }

    fn enter_local(&mut self) {
        if self.scope == Scope::Opening {
            self.scope = Scope::Local;
        }
    }

    /// Whether the command sets the other link's marker; then it is an echo, alone or to the end of its transaction.
    fn is_echo(&mut self, command: &Command<'_>, onto: &mut Onto) -> bool {
        if self.database != 0 || command.arg(1) != self.keys.marker || !command.name().eq_ignore_ascii_case(b"SET") {
            return false;
        }
        let Some((marker, note)) = Marker::parse_with_note(command.arg(2)) else { return false };
        if onto.echoed(marker.id, self.offset) {
            self.events.push(Event::Posted);
        }
        self.crossing.echo_begins(marker, note);
        self.events.push(Event::Echo { id: marker.id });
        if self.scope == Scope::Opening {
            self.scope = Scope::Echo;
        } else {
            self.echoes += 1;
        }
        true
    }

    /// A command that names keys with the reserved prefix: ours are not data, a client's are an alarm.
    fn reserved(&mut self, command: &Command<'_>, spec: &'static Spec, reading: &mut Reading<'_>) {
        if command.arg(1) == self.keys.heartbeat && spec.name == "SET" && self.database == 0 {
            return self.source_heartbeat(command);
        }
        for used in spec.keys(command).filter(|used| used.key.starts_with(&self.keys.prefix)) {
            if self.is_past() {
                // It was told when it was read first.
            } else if !self.keys.all.iter().any(|ours| ours == used.key) {
                self.events.push(Event::ReservedWrite { key: used.key.to_vec() });
            } else if self.takes_from_other(used.key, spec) {
                self.events.push(Event::MarkerLost { moved_to: None });
            }
        }
        if spec.keys(command).any(|used| used.key == self.keys.held) {
            self.lose_held();
        }
        match without_reserved(command, spec, &self.keys.prefix) {
            Unreserved::Untouched | Unreserved::Nothing => {}
            Unreserved::Rest(bytes) => self.local_rest(&bytes, spec, reading),
            Unreserved::Entangled => {
                self.set_aside(command, "it names a key with the reserved prefix beside others".to_owned());
            }
        }
    }

    /// Whether the command harms what the other link keeps at the source: its marker, or its gate, which only that link's
    /// own guard may change.
    fn takes_from_other(&self, key: &[u8], spec: &Spec) -> bool {
        let gate = key == self.keys.gate && !["ZREMRANGEBYSCORE", "ZADD"].contains(&spec.name);
        self.database == 0 && (key == self.keys.marker || gate)
    }

    /// The heartbeat that was written at the source: it dates the stream, and travels on to the target.
    fn source_heartbeat(&mut self, command: &Command<'_>) {
        let Some(written_ms) = moment(command.arg(2)) else { return };
        self.clock.heartbeat(self.offset, written_ms);
        self.crossing.heartbeat(written_ms);
        self.guard.heartbeat(written_ms);
        if self.is_past() {
            return;
        }
        self.heartbeat = Some(written_ms);
        let expire = self.rules.heartbeat_expire_ms.to_string();
        let key = &self.keys.heartbeat;
        self.applier.batch().push_own(0, |out| {
            push_command(out, &[b"SET".as_slice(), key, command.arg(2), b"PX", expire.as_bytes()]);
            1
        });
    }

    /// FLUSHDB, FLUSHALL, SWAPDB: whether it is copied. They take what the other link keeps at the source with them, and
    /// ours at the target.
    fn takes_whole_database(&mut self, command: &Command<'_>, spec: &Spec) -> bool {
        let swaps = spec.name == "SWAPDB";
        let moved_to = swapped_with_zero(command, spec);
        let touches_ours = spec.name == "FLUSHALL" || moved_to.is_some() || (!swaps && self.database == 0);
        // What an earlier session has read may have been answered by nobody: what was moved away must not stay there.
        if touches_ours && (!self.is_past() || moved_to.is_some()) {
            self.events.push(Event::MarkerLost { moved_to });
        }
        if touches_ours {
            self.lose_held();
        }
        if !(if swaps { self.rules.swapdb } else { self.rules.flush }) {
            let section = if swaps { "increments.swapdb" } else { "increments.flush" };
            self.set_aside(command, format!("{section} = \"refuse\""));
            return false;
        }
        self.applier.batch().erases_marker |= touches_ours && !self.is_past();
        true
    }

    /// Which keys are held at the source may not be kept there any more.
    fn lose_held(&mut self) {
        if self.crossing.lost_held() {
            self.events.push(Event::Posted);
        }
    }

    pub(super) fn set_aside(&mut self, command: &Command<'_>, why: String) {
        if self.is_past() {
            return;
        }
        let key = guess_key(command).unwrap_or_default().to_vec();
        let name = shown_name(command);
        self.events.push(Event::SetAside { database: self.database, key, command: name, why });
    }

    fn checkpoint(&mut self, now: Now) -> Checkpoint {
        let high = self.sent();
        let time_ms = self.clock.at(high.offset, now.source_ms, now.beating);
        let (stamp, since, saw) = self.crossing.stamp(time_ms);
        let low = self.crossing.low(high);
        Checkpoint { low, stamp_us: stamp.time_us, since, saw, ..Checkpoint::streaming(high, time_ms) }
    }

    /// Nothing more comes from the source.
    pub(super) fn breaks_off(&self) {
        self.crossing.breaks_off();
    }

    /// Whether nothing more can be brought to an end without more of the stream.
    pub(super) fn is_drained(&self) -> bool {
        self.applier.is_idle() || (self.scope == Scope::Local && self.applier.is_waiting())
    }

    /// Sends what is waiting, unless a client's transaction is still arriving, too much is in flight, or it is to wait for
    /// more.
    pub(super) fn flush(&mut self, now: Now) {
        if self.pace().is_none() {
            self.rush(now);
        }
    }

    /// As [`Self::flush`], but it waits for nothing more.
    pub(super) fn rush(&mut self, now: Now) {
        if self.may_close() {
            self.close(now);
        }
    }

    /// How long what could be sent is to wait for more.
    pub(super) fn pace(&self) -> Option<Duration> {
        self.applier.pace().filter(|_| self.may_close() && !self.must_close())
    }

    /// Whether the open batch has to go before more is read. What is inside of a client's transaction goes to its end with it.
    pub(super) fn must_close(&self) -> bool {
        self.crossing.must_close && self.scope != Scope::Local
    }

    fn may_close(&self) -> bool {
        self.scope != Scope::Local && self.seeking.is_none() && self.applier.may_send()
    }

    pub(super) fn close(&mut self, now: Now) {
        let checkpoint = self.checkpoint(now);
        let id = self.applier.close(checkpoint);
        self.crossing.closed(checkpoint.high);
        if let (Some(id), Some(written_ms)) = (id, self.heartbeat.take()) {
            self.events.push(Event::Heartbeat { id, written_ms });
        }
    }
}

/// A command's name for people.
fn shown_name(command: &Command<'_>) -> String {
    let name: String = String::from_utf8_lossy(command.name()).chars().take(LONGEST_NAME).collect();
    name.to_uppercase()
}

/// The longest name of a command that is shown, in characters.
const LONGEST_NAME: usize = 32;

/// Whether the command means the database in force: all do but those for the whole server.
fn is_bound(spec: &Spec) -> bool {
    match spec.class {
        Class::Write | Class::Eval => true,
        Class::Database => spec.name == "FLUSHDB",
        Class::Publish | Class::Function | Class::Script | Class::Cluster => false,
        Class::Select | Class::Multi | Class::Exec | Class::Ping | Class::Replconf => false,
    }
}

/// The database that a SWAPDB exchanges with database 0, where our keys are.
fn swapped_with_zero(command: &Command<'_>, spec: &Spec) -> Option<u32> {
    let index = |at: usize| std::str::from_utf8(command.arg(at)).ok()?.parse::<u32>().ok();
    match (spec.name, index(1)?, index(2)?) {
        ("SWAPDB", 0, away) | ("SWAPDB", away, 0) if away != 0 => Some(away),
        _ => None,
    }
}
