//! The record of conflicts. Takes each [`Record`] from the links, without ever keeping them waiting; keeps the last ones
//! in memory, and all of them in files of a bounded size where a directory is given. It never touches a server.
//!
//! In the order in which a record flows: `inbox` (bounded; what was found before is not taken twice, `recent`),
//! `writer` (a thread) makes an [`Entry`] of it, puts it into the `ring` that HTTP asks, and hands its line to `disk`,
//! which writes `segments` and tries again when it cannot.
//!
//! # The files
//!
//! `PAIR-NNNNNNNN.jsonl` in the directory of the journal: JSON, one object a line. The first line of each file begins it
//! (`{"journal":1,"pair":...,"before":...}`, with the counts up to there); every other one is an [`Entry`]. The oldest file is
//! deleted when the next one needs its room. Files are for the user of the daemon alone: they hold keys and values.

mod disk;
mod entry;
mod inbox;
mod recent;
mod ring;
mod segments;
mod since;
mod text;
mod writer;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::{Config, state_folder};
use crate::engine::conflict::{Done, MOST_KEPT, Record, Unit};
use crate::observe::{Board, JournalState};

pub use entry::{Entry, Id, SideEntry, UnitEntry, UnitKind, WriteEntry};
pub use ring::{Found, MOST_RECENT, MOST_RECENT_BYTES, Query};

pub use since::since;

use disk::Disk;
pub use inbox::MOST_WAITING;
use inbox::{Inbox, Put, Report};
use ring::SharedRing;
use writer::Writer;

/// How long the end waits for what is not written yet.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The record of conflicts of one pair: cheap to clone, and shared.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    inbox: Arc<Inbox>,
    ring: SharedRing,
    board: Arc<Board>,
}

/// The directory of the journal: that of the configuration, else `conflicts` in the first of systemd's `$STATE_DIRECTORY`,
/// else none.
pub fn place(config: &Config, state_directory: Option<OsString>) -> Option<PathBuf> {
    state_folder(config.conflicts.journal.clone(), "conflicts", state_directory)
}

impl Journal {
    /// Reads what the files in `place` hold, where one is given, and begins to record. Files that cannot be read or
    /// written are reported on the board and tried again: they keep nobody from anything.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(config: &Config, place: Option<PathBuf>, board: Arc<Board>) -> io::Result<Self> {
        let inbox = Arc::new(Inbox::default());
        let ring = SharedRing::default();
        let disk = place.map(|place| Disk::new(place, config.pair.name.as_str(), config.conflicts.journal_bytes));
        if disk.is_none() {
            board.journal.enter(JournalState::Memory, None, None);
        }
        let regions = config.regions.each_ref().map(|region| region.name.to_string());
        let mut writer = Writer::new(Arc::clone(&inbox), ring.clone(), Arc::clone(&board), regions, disk);
        writer.open();
        std::thread::Builder::new().name("journal".into()).spawn(move || writer.run())?;
        Ok(Self(Arc::new(Inner { inbox, ring, board })))
    }

    /// Records one conflict and counts it, unless its id was recorded of late. Never waits: when too many are waiting to
    /// be written, it is counted and let go.
    pub fn record(&self, mut record: Record) {
        let (done, kind) = (record.done, UnitKind::of(&record.unit));
        let key_length = record.key.len();
        cut(&mut record.key);
        if let Unit::Element(name) = &mut record.unit {
            cut(name);
        }
        let put = self.0.inbox.put(Report { record, key_length, at: Timestamp::now() });
        if put == Put::Known {
            return;
        }
        let conflicts = &self.0.board.conflicts;
        let ended = match done {
            Done::Replayed => &conflicts.replayed,
            Done::Dropped => &conflicts.dropped,
            Done::Reconciled => &conflicts.reconciled,
            Done::Held => &conflicts.held,
        };
        ended.add(1);
        let about = match kind {
            UnitKind::Whole => &conflicts.whole,
            UnitKind::Element => &conflicts.element,
            UnitKind::Lifetime => &conflicts.lifetime,
            UnitKind::Sequence => &conflicts.sequence,
        };
        about.add(1);
        match put {
            Put::Full => self.0.board.journal.dropped.add(1),
            Put::Waits(length) => self.0.board.journal.waiting.set(length as u64),
            Put::Known => {}
        }
    }

    /// The recorded conflicts that `query` asks for, of the last ones that are kept in memory.
    pub fn find(&self, query: &Query) -> Found {
        self.0.ring.find(query)
    }

    /// Writes what is waiting, and ends. Waits for that, but not long: a disk that hangs keeps nobody from stopping.
    pub fn stop(&self) {
        if !self.0.inbox.stop(LAST_WORDS) {
            tracing::warn!("the last conflicts could not be recorded in time");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.inbox.stop(Duration::ZERO);
    }
}

/// A name as long as a losing write is kept.
fn cut(name: &mut Vec<u8>) {
    if name.len() > MOST_KEPT {
        name.truncate(MOST_KEPT);
        name.shrink_to_fit();
    }
}

#[cfg(test)]
pub(crate) mod tests;
