//! The thread of the journal: takes reports, and writes them down.

use std::sync::Arc;
use std::time::Instant;

use super::Entry;
use super::disk::{Disk, RETRY};
use super::inbox::{Inbox, Report};
use super::ring::SharedRing;
use crate::observe::Board;

/// Everything that the thread works on.
#[derive(Debug)]
pub(super) struct Writer {
    inbox: Arc<Inbox>,
    ring: SharedRing,
    board: Arc<Board>,
    regions: [String; 2],
    disk: Option<Disk>,
}

impl Writer {
    pub(super) fn new(
        inbox: Arc<Inbox>,
        ring: SharedRing,
        board: Arc<Board>,
        regions: [String; 2],
        disk: Option<Disk>,
    ) -> Self {
        Self { inbox, ring, board, regions, disk }
    }

    /// Opens the files when that is due, and takes over what they hold. Who sees on the board that they are open sees all
    /// that they held.
    pub(super) fn open(&mut self) {
        let Some(disk) = &mut self.disk else { return };
        let Some(restored) = disk.open(&self.board.journal, Instant::now()) else { return };
        self.board.conflicts.add(&restored.counts);
        self.board.journal.dropped.add(restored.dropped);
        self.board.journal.unreadable.add(restored.unreadable);
        if restored.unreadable > 0 {
            tracing::warn!(lines = restored.unreadable, "lines of the record of conflicts cannot be read: left out");
        }
        self.inbox.remember(restored.ids);
        self.ring.put_before(restored.last);
        disk.flush(&self.board.journal, Instant::now());
    }

    /// Until the end is asked for, and everything that was reported before is written.
    pub(super) fn run(mut self) {
        loop {
            let is_waiting = self.disk.as_ref().is_some_and(Disk::is_waiting);
            let (reports, stop) = self.inbox.take(is_waiting.then_some(RETRY));
            self.board.journal.waiting.set(0);
            let idle = reports.is_empty();
            for report in reports {
                self.write(report);
            }
            self.open();
            if let Some(disk) = &mut self.disk {
                disk.flush(&self.board.journal, Instant::now());
            }
            if stop && idle {
                break;
            }
        }
        // Who waits for the end may want to have the files at once.
        self.disk = None;
        self.inbox.end();
    }

    fn write(&mut self, report: Report) {
        let entry = Arc::new(Entry::new(report, &self.regions));
        let mut line = serde_json::to_vec(&*entry).expect("texts and numbers always have a JSON form");
        line.push(b'\n');
        let made_room = self.ring.push(Arc::clone(&entry), line.len());
        match &mut self.disk {
            Some(disk) => disk.push(&line, &entry, &self.board.journal, Instant::now()),
            None => self.board.journal.dropped.add(made_room),
        }
    }
}
