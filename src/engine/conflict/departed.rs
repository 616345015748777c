//! What one region's server has removed by itself: expiry and eviction stand in its stream as a plain `DEL`, `UNLINK` or
//! `HDEL`, like a client's.
//!
//! The server tells them in events, and a *fence* says where the events stand in the stream: the connection that
//! receives them asks the server for its replication offset, and the answer stands between the events. So every event
//! belongs to a *window* of the stream, from one fence to the next, and the command that it belongs to is in there. A
//! removal is decided once a fence behind it is answered, however far the reader of the stream is behind the events.
//!
//! Clients' removals of keys are told, too: where one window has both for a key, which is which is not known.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::engine::position::{Position, ReplicationId};
use crate::wire::resp::command;

#[cfg(test)]
mod tests;

/// The most bytes of keys that are noted and not claimed, each counted with [`PER_NOTE`].
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// What a note takes beside its key, bytes.
const PER_NOTE: usize = 96;

/// What is known of one region; whoever uses it holds it shortly.
pub type SharedDeparted = Arc<Mutex<Departed>>;

/// How removals that a server made by itself are told from those of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deletes {
    /// By the server's keyspace events.
    Events,
    /// Not at all: whoever needs to know looks at the key in both regions.
    Compare,
    /// Not at all: they are taken for removals by clients.
    Propagate,
}

/// [`Deletes`] for both kinds of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletePolicy {
    /// For what has expired: keys and fields of hashes.
    pub expiry: Deletes,
    /// For keys that were evicted.
    pub eviction: Deletes,
}

/// Why a server removed something by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// The key's time was over: the event `expired`.
    Expired,
    /// The key made room: the event `evicted`.
    Evicted,
    /// The time of fields of a hash was over: the event `hexpired`.
    FieldsExpired,
}

/// What a command of the stream removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Removed {
    /// One key: `DEL key` or `UNLINK key`.
    Key,
    /// Fields of a hash: `HDEL key field ..`.
    Fields,
}

/// What a removal is to the other region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Removal {
    /// An update like any other.
    #[default]
    Full,
    /// It is sent, and any concurrent update beats it.
    Weak,
    /// It is not sent: the other region removes the same by itself, unless it has prolonged it.
    Silent,
}

/// Who removed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// No fence behind it is answered yet: ask for one, and again when it is.
    Pending,
    /// A client.
    Client,
    /// The server by itself.
    Server(Why),
    /// Nobody can tell: events were not received when it was executed, or too many of them are unclaimed.
    Unknown,
}

/// What one region's server is known to have removed by itself. Offsets are bytes of its replication stream.
#[derive(Debug, Default)]
pub struct Departed {
    /// The history that is watched.
    history: Option<ReplicationId>,
    /// What was executed behind this place is told by events.
    since: u64,
    /// What was executed up to this place is decided.
    fenced: u64,
    /// Somebody wants to know up to here.
    asked: u64,
    /// Fences that were answered since somebody asked last.
    since_asked: u32,
    /// Answers were given up to here: their events are claimed.
    answered: u64,
    /// Events behind the last fence; `None` when there were too many.
    open: Option<Notes>,
    /// Windows that hold unclaimed events, in order.
    windows: VecDeque<Window>,
    /// Bytes of all notes.
    bytes: usize,
    /// Where the last removal of expired fields stands, and of which key.
    emptied: Option<(Position, Vec<u8>)>,
}

/// The stream from one fence (exclusive) to the next.
#[derive(Debug)]
struct Window {
    after: u64,
    until: u64,
    notes: Notes,
}

/// Unclaimed events in their order, by key.
#[derive(Debug, Default)]
struct Notes(HashMap<(Removed, u32, Vec<u8>), Noted>);

/// What is told of one key.
#[derive(Debug, Default)]
struct Noted {
    /// Removals by the server.
    server: VecDeque<Why>,
    /// Clients have removed it, too.
    clients: bool,
}

impl Departed {
    /// Events are received: of everything that is executed behind `offset` in `history`.
    pub fn watch(&mut self, history: ReplicationId, offset: u64) {
        *self = Self {
            history: Some(history),
            since: offset,
            fenced: offset,
            asked: self.asked,
            since_asked: self.since_asked,
            open: Some(Notes::default()),
            ..Self::default()
        };
    }

    /// Events are no longer received: nothing is decided by them.
    pub fn lose(&mut self) {
        *self = Self { asked: self.asked, since_asked: self.since_asked, ..Self::default() };
    }

    /// Whether events are received.
    pub fn is_watching(&self) -> bool {
        self.history.is_some()
    }

    /// The server tells that it removed `key` by itself, or fields of it.
    pub fn note(&mut self, why: Why, database: u32, key: &[u8]) {
        let removed = match why {
            Why::Expired | Why::Evicted => Removed::Key,
            Why::FieldsExpired => Removed::Fields,
        };
        let Some(open) = &mut self.open else { return };
        open.0.entry((removed, database, key.to_vec())).or_default().server.push_back(why);
        self.bytes += PER_NOTE + key.len();
        self.bound();
    }

    /// The server tells that a client removed `key`, or what it held.
    pub fn note_client(&mut self, database: u32, key: &[u8]) {
        let Some(open) = &mut self.open else { return };
        let noted = open.0.entry((Removed::Key, database, key.to_vec())).or_default();
        if !std::mem::replace(&mut noted.clients, true) {
            self.bytes += PER_NOTE + key.len();
            self.bound();
        }
    }

    /// Somebody wants to know who made a removal at `offset`. Gives whether a fence is to be asked for.
    pub fn ask(&mut self, offset: u64) -> bool {
        if offset != self.asked {
            self.since_asked = 0;
        }
        self.asked = offset;
        self.wants_fence()
    }

    /// Whether somebody waits for a fence behind the last one.
    pub fn wants_fence(&self) -> bool {
        self.is_watching() && self.asked > self.fenced
    }

    /// A fence is answered: all events of what was executed up to `offset` in `history` are noted, and none of what came
    /// later. A primary begins another history where the one before ends, when its first replica comes; if it goes back in
    /// places, nothing is known up to here.
    pub fn fenced(&mut self, history: ReplicationId, offset: u64) {
        self.since_asked = self.since_asked.saturating_add(1);
        if self.history.is_none() || offset < self.fenced {
            return self.watch(history, offset);
        }
        if self.history.replace(history) != Some(history) {
            while self.forget_window() {}
            self.since = self.fenced;
        }
        let after = std::mem::replace(&mut self.fenced, offset);
        match self.open.replace(Notes::default()) {
            Some(notes) if notes.0.is_empty() => {}
            Some(notes) => self.windows.push_back(Window { after, until: offset, notes }),
            None => self.since = offset,
        }
    }

    /// Whether [`take`](Self::take) has an answer for a removal at `offset` of the history that is watched; it has one
    /// for everything while events are not received.
    pub fn is_decided(&self, offset: u64) -> bool {
        !self.is_watching() || offset <= self.fenced || self.is_elsewhere(offset)
    }

    /// Who made the removal of `key` whose command ends at `at`: claims the event, so it may be asked once for each
    /// command, in the order of the stream. A command with several keys is never the server's.
    pub fn take(&mut self, at: Position, key: &[u8], removed: Removed) -> Verdict {
        if self.is_elsewhere(at.offset) {
            return Verdict::Unknown;
        }
        if self.history.is_some() && at.offset > self.fenced {
            return Verdict::Pending;
        }
        if self.history != Some(at.replication_id) || at.offset <= self.since {
            return Verdict::Unknown;
        }
        self.answered = self.answered.max(at.offset);
        if let Some(verdict) = self.claim(at, key, removed) {
            if removed == Removed::Fields {
                self.emptied = Some((at, key.to_vec()));
            }
            return verdict;
        }
        let follows = removed == Removed::Key && self.follows_last_field(at, key);
        if follows { Verdict::Server(Why::FieldsExpired) } else { Verdict::Client }
    }

    /// Whether a removal that was asked about is none of the history that is watched: a fence that was sent after it had been
    /// read would be behind it. (The first answer may be that of an earlier fence.)
    fn is_elsewhere(&self, offset: u64) -> bool {
        offset == self.asked && offset > self.fenced && self.since_asked > 1
    }

    /// The stream is read again from somewhere: of what was answered before nobody can tell any more.
    pub fn read_again(&mut self) {
        self.since = self.since.max(self.answered);
    }

    /// Nobody asks about anything up to `offset` any more.
    pub fn passed(&mut self, offset: u64) {
        while self.windows.front().is_some_and(|window| window.until <= offset) {
            self.forget_window();
        }
    }

    fn claim(&mut self, at: Position, key: &[u8], removed: Removed) -> Option<Verdict> {
        let index = self.windows.partition_point(|window| window.until < at.offset);
        let window = self.windows.get_mut(index).filter(|window| window.after < at.offset)?;
        let name = (removed, at.database, key.to_vec());
        let noted = window.notes.0.get_mut(&name)?;
        if noted.clients {
            return (!noted.server.is_empty()).then_some(Verdict::Unknown);
        }
        let why = noted.server.pop_front()?;
        if noted.server.is_empty() {
            window.notes.0.remove(&name);
        }
        self.bytes = self.bytes.saturating_sub(PER_NOTE + key.len());
        Some(Verdict::Server(why))
    }

    /// Whether this `DEL` stands right behind the `HDEL` of a hash's last fields: the server sends both, and tells the
    /// first one only.
    fn follows_last_field(&self, at: Position, key: &[u8]) -> bool {
        let Some((fields, hash)) = &self.emptied else { return false };
        let ends = |name: &[u8]| fields.offset + command(&[name, key]).len() as u64 == at.offset;
        hash == key && fields.database == at.database && (ends(b"DEL") || ends(b"UNLINK"))
    }

    /// Forgets the oldest notes while there are too many. What they belong to can't be told then.
    fn bound(&mut self) {
        while self.bytes > MOST_BYTES && self.forget_window() {}
        if self.bytes > MOST_BYTES {
            self.open = None;
            self.bytes = 0;
        }
    }

    fn forget_window(&mut self) -> bool {
        let Some(window) = self.windows.pop_front() else { return false };
        self.since = self.since.max(window.until);
        self.bytes = self.bytes.saturating_sub(window.notes.bytes());
        true
    }
}

impl DeletePolicy {
    /// Whether anything is to be told by events.
    pub fn wants_events(self) -> bool {
        self.expiry == Deletes::Events || self.eviction == Deletes::Events
    }

    /// What becomes of a removal that stands in a stream as servers write their own, by who made it.
    pub fn claim(self, verdict: Verdict) -> Removal {
        let of = |deletes| if deletes == Deletes::Propagate { Removal::Full } else { Removal::Weak };
        match verdict {
            Verdict::Client | Verdict::Pending => Removal::Full,
            Verdict::Server(Why::Expired | Why::FieldsExpired) if self.expiry == Deletes::Events => Removal::Silent,
            Verdict::Server(Why::Expired | Why::FieldsExpired) => of(self.expiry),
            Verdict::Server(Why::Evicted) => of(self.eviction),
            Verdict::Unknown if of(self.expiry) == of(self.eviction) => of(self.expiry),
            Verdict::Unknown => Removal::Weak,
        }
    }
}

impl Notes {
    fn bytes(&self) -> usize {
        let events = |noted: &Noted| noted.server.len() + usize::from(noted.clients);
        self.0.iter().map(|((_, _, key), noted)| events(noted) * (PER_NOTE + key.len())).sum()
    }
}
