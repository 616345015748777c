//! The record of orders: JSON, one object a line, in two files of which the older one goes when the newer one is full; the
//! last ones on the board, and each in the log. Orders are few, so a line is written at once and to the disk.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::json;

use super::{Done, Order, Refused};
use crate::config::{Config, state_folder};
use crate::observe::{AUDIT_RECENT, AuditEntry, Board};

/// What is read of the file at a start, for the board: more than the last lines have.
const TAIL: u64 = 64 * 1024;

/// The record of one daemon.
#[derive(Debug)]
pub struct Audit {
    board: Arc<Board>,
    file: Option<Mutex<Lines>>,
}

/// The two files.
#[derive(Debug)]
struct Lines {
    newer: PathBuf,
    older: PathBuf,
    /// Most bytes of each.
    most: u64,
    open: Option<File>,
}

/// The directory of the record: that of the configuration, else `audit` in the first of systemd's `$STATE_DIRECTORY`, else
/// none.
pub fn place(config: &Config, state_directory: Option<OsString>) -> Option<PathBuf> {
    state_folder(config.admin.audit.clone(), "audit", state_directory)
}

impl Audit {
    /// Goes on with the record in `place`, where one is given. What cannot be read or written is told on the board and in
    /// the log, and keeps nobody from giving orders.
    pub fn start(config: &Config, place: Option<PathBuf>, board: Arc<Board>) -> Self {
        let Some(place) = place else { return Self { board, file: None } };
        let pair = &config.pair.name;
        let mut lines = Lines {
            newer: place.join(format!("{pair}-audit.jsonl")),
            older: place.join(format!("{pair}-audit.old.jsonl")),
            most: config.admin.audit_bytes / 2,
            open: None,
        };
        let opened = make(&place).and_then(|()| lines.last());
        board.audit.wrote(&lines.newer, opened.as_ref().err());
        board.audit.restore(opened.unwrap_or_default());
        Self { board, file: Some(Mutex::new(lines)) }
    }

    /// Records an order with its result.
    pub fn record(&self, by: &str, order: &Order, answered: &Result<Done, Refused>) {
        let (result, text) = match answered {
            Ok(done) => ("done", &done.text),
            Err(refused) => ("refused", &refused.error),
        };
        self.write(AuditEntry {
            time: Timestamp::now(),
            by: by.to_owned(),
            action: order.name(),
            arguments: order.arguments(),
            result: result.to_owned(),
            text: text.clone(),
        });
    }

    fn write(&self, entry: AuditEntry) {
        let AuditEntry { by, action, arguments, result, text, .. } = &entry;
        tracing::info!(by, action, %arguments, result, text, "an order was given");
        if let Some(file) = &self.file {
            let mut line = json!(entry).to_string();
            line.push('\n');
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let written = file.append(line.as_bytes());
            self.board.audit.wrote(&file.newer, written.as_ref().err());
        }
        self.board.audit.add(entry);
    }
}

impl Lines {
    /// The last lines of earlier runs, oldest first.
    fn last(&mut self) -> io::Result<Vec<AuditEntry>> {
        let mut text = Vec::new();
        let file = self.file()?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        file.take(TAIL).read_to_end(&mut text)?;
        let lines: Vec<_> =
            text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        Ok(lines.into_iter().rev().take(AUDIT_RECENT).rev().collect())
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let most = self.most;
        let file = self.file()?;
        if file.metadata()?.len() + line.len() as u64 > most {
            self.open = None;
            std::fs::rename(&self.newer, &self.older)?;
        }
        let file = self.file()?;
        let written = file.write_all(line).and_then(|()| file.sync_data());
        if written.is_err() {
            self.open = None;
        }
        written
    }

    fn file(&mut self) -> io::Result<&mut File> {
        match &mut self.open {
            Some(file) => Ok(file),
            none @ None => {
                let open = OpenOptions::new().create(true).read(true).append(true).mode(0o640).open(&self.newer)?;
                Ok(none.insert(open))
            }
        }
    }
}

/// Makes a directory for this user and group, where there is none.
fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(directory)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::Links;
    use super::*;
    use crate::config::tests::minimal;

    fn started(place: &Path, bytes: u64) -> (Audit, Arc<Board>) {
        let mut config = minimal();
        config.admin.audit_bytes = bytes;
        let board = Arc::new(Board::new(&config, Instant::now()));
        (Audit::start(&config, Some(place.to_owned()), Arc::clone(&board)), board)
    }

    #[test]
    fn every_order_is_in_the_file_and_on_the_board_and_found_again_after_a_restart() {
        let place = tempfile::tempdir().unwrap();
        let (audit, _) = started(place.path(), 65_536);
        let order = Order::Pause { link: Links::Both };
        audit.record("uid 0", &order, &Ok(Done::new("both links are paused")));
        audit.record("uid 7", &order, &Err(Refused::new("busy", "busy", "wait")));
        let text = std::fs::read_to_string(place.path().join("orders-audit.jsonl")).unwrap();
        let lines: Vec<AuditEntry> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            (lines[0].by.as_str(), lines[0].action.as_str(), lines[0].result.as_str()),
            ("uid 0", "pause", "done")
        );
        assert_eq!((lines[1].by.as_str(), lines[1].result.as_str()), ("uid 7", "refused"));
        let (_, board) = started(place.path(), 65_536);
        assert_eq!(board.audit.status().recent, lines);
    }

    #[test]
    fn the_files_stay_within_their_bound() {
        let place = tempfile::tempdir().unwrap();
        let (audit, board) = started(place.path(), 65_536);
        for turn in 0..600 {
            audit.record(
                &format!("uid {turn}"),
                &Order::Resume { link: Links::Forward, accept: false },
                &Ok(Done::new("x".repeat(100))),
            );
        }
        let files: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|file| file.unwrap()).collect();
        assert_eq!(files.len(), 2);
        assert!(files.iter().map(|file| file.metadata().unwrap().len()).sum::<u64>() <= 65_536);
        let last = board.audit.status().recent.back().cloned().unwrap();
        assert_eq!(last.by, "uid 599");
    }

    #[test]
    fn a_record_that_cannot_be_written_is_told() {
        let (audit, board) = started(Path::new("/proc/nowhere"), 65_536);
        assert!(board.audit.status().reason.is_some());
        audit.record("uid 0", &Order::Resume { link: Links::Forward, accept: false }, &Ok(Done::new("done")));
        assert!(board.audit.status().reason.is_some());
        assert_eq!(board.audit.status().recent.len(), 1);
    }
}
