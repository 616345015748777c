//! The transaction that is being filled.

use std::ops::Range;

use super::piece::{self, Piece};
use crate::engine::conflict::Note;
use crate::wire::resp::push_command;

/// Commands that will be one transaction.
#[derive(Debug, Default)]
pub struct Batch {
    pieces: Vec<Piece>,
    /// The database that the last command needs; the marker stands in 0, so a batch begins there.
    database: u32,
    /// Requests so far, `SELECT` included.
    pub requests: u32,
    /// Clients' writes so far.
    pub writes: u64,
    /// Bytes so far.
    pub bytes: usize,
    /// A transaction must be sent even if nothing stands in it: it moves the checkpoint.
    pub wanted: bool,
    /// What it holds, if that is not new writes.
    pub note: Note,
    /// What it holds removes the marker or the gate, so both are written again at its end.
    pub erases_marker: bool,
}

impl Batch {
    /// Whether there is a reason to send it.
    pub fn is_due(&self) -> bool {
        self.wanted || self.requests > 0
    }

    /// The database in force at its end.
    pub fn database(&self) -> u32 {
        self.database
    }

    /// Appends a command that stands at `place` of the buffer that is being read.
    pub fn push_place(&mut self, database: u32, place: Range<usize>, buffer: &[u8]) {
        self.enter(database);
        self.requests += 1;
        self.bytes += place.len();
        piece::push_place(&mut self.pieces, place, buffer);
    }

    /// Appends requests of our own: `write` puts them down and gives their number.
    pub fn push_own(&mut self, database: u32, write: impl FnOnce(&mut Vec<u8>) -> u32) {
        self.enter(database);
        let out = piece::owned(&mut self.pieces);
        let before = out.len();
        self.requests += write(out);
        self.bytes += out.len() - before;
    }

    /// What was appended since the last call.
    pub fn take_pieces(&mut self) -> Vec<Piece> {
        std::mem::take(&mut self.pieces)
    }

    /// What was appended since the last call, to seal in place.
    pub fn pieces_mut(&mut self) -> &mut Vec<Piece> {
        &mut self.pieces
    }

    fn enter(&mut self, database: u32) {
        if self.database != database {
            self.database = database;
            self.requests += 1;
            let out = piece::owned(&mut self.pieces);
            let before = out.len();
            push_command(out, &[b"SELECT".as_slice(), database.to_string().as_bytes()]);
            self.bytes += out.len() - before;
        }
    }
}
