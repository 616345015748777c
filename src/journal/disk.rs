//! Lines on their way to the files: written as soon as that works, kept for a while when it does not.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Entry;
use super::segments::{Chunk, Restored, Segments};
use crate::observe::{JournalBoard, JournalState};

/// Lines are written together up to so many bytes.
const CHUNK: usize = 64 * 1024;
/// Most chunks that wait for the disk.
const MOST_CHUNKS: usize = 64;
/// Between two tries on a disk that refuses.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// The files, or the try to have them.
#[derive(Debug)]
pub(super) struct Disk {
    place: PathBuf,
    pair: String,
    budget: u64,
    segments: Option<Segments>,
    chunks: VecDeque<Chunk>,
    retry_at: Option<Instant>,
}

impl Disk {
    pub(super) fn new(place: PathBuf, pair: &str, budget: u64) -> Self {
        Self { place, pair: pair.to_owned(), budget, segments: None, chunks: VecDeque::new(), retry_at: None }
    }

    /// Opens the files, unless they are open or it failed a moment ago; gives what they held when they are open from
    /// now on. That is told by [`Self::flush`], once what they held was taken over.
    pub(super) fn open(&mut self, board: &JournalBoard, now: Instant) -> Option<Restored> {
        if self.segments.is_some() || !self.is_due(now) {
            return None;
        }
        match Segments::open(&self.place, &self.pair, self.budget) {
            Ok((segments, restored)) => {
                self.segments = Some(segments);
                self.retry_at = None;
                Some(restored)
            }
            Err(error) => {
                self.failed(board, &error, now);
                None
            }
        }
    }

    /// Takes the line of a record; it is counted and let go when too many are waiting.
    pub(super) fn push(&mut self, line: &[u8], entry: &Entry, board: &JournalBoard, now: Instant) {
        if self.chunks.back().is_none_or(|chunk| chunk.bytes.len() + line.len() > CHUNK) {
            if self.chunks.len() >= MOST_CHUNKS {
                self.flush(board, now);
            }
            if self.chunks.len() >= MOST_CHUNKS {
                board.dropped.add(1);
                return;
            }
            self.chunks.push_back(Chunk::default());
        }
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.bytes.extend_from_slice(line);
            chunk.counts.add(&entry.count());
        }
    }

    /// Writes what is waiting, unless the disk refused a moment ago.
    pub(super) fn flush(&mut self, board: &JournalBoard, now: Instant) {
        if !self.is_due(now) {
            return;
        }
        let Some(segments) = &mut self.segments else { return };
        while let Some(chunk) = self.chunks.front() {
            match segments.append(chunk) {
                Ok(made_room) => {
                    board.dropped.add(made_room);
                    self.chunks.pop_front();
                }
                Err(error) => return self.failed(board, &error, now),
            }
        }
        self.succeeded(board);
    }

    /// Whether something is to be tried again after a while.
    pub(super) fn is_waiting(&self) -> bool {
        self.segments.is_none() || !self.chunks.is_empty()
    }

    fn is_due(&self, now: Instant) -> bool {
        self.retry_at.is_none_or(|at| now >= at)
    }

    fn succeeded(&mut self, board: &JournalBoard) {
        self.retry_at = None;
        board.enter(JournalState::Files, Some(self.place.display().to_string()), None);
    }

    fn failed(&mut self, board: &JournalBoard, error: &std::io::Error, now: Instant) {
        self.retry_at = Some(now + RETRY);
        board.enter(JournalState::Failing, Some(self.place.display().to_string()), Some(error.to_string()));
    }
}
