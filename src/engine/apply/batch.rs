//! The transaction that is being filled.
//!
//! Plain `SET`s of small values that follow each other go as one `mset`: it does the same to each key, and costs a target a
//! quarter less, for a request in a transaction is kept, answered and put into the stream one by one. It is in small letters,
//! by which the other link knows it for what it is: see [`is_joined`].

use std::ops::Range;

use super::piece::{self, Piece};
use crate::engine::conflict::Note;
use crate::wire::resp::push_command;

/// Keys that go into one `mset`.
const MOST_JOINED: u32 = 32;
/// The longest `SET` that is copied into one, bytes.
const LONGEST_JOINED: usize = 1024;
/// How a `SET` of a key and a value begins in a stream.
const PLAIN_SET: &[u8] = b"*3\r\n$3\r\n";

/// Whether a command's name is that of `SET`s that were joined: nothing else that Duet sends is called so.
pub fn is_joined(name: &[u8]) -> bool {
    name == b"mset"
}

/// `SET`s that follow each other.
#[derive(Debug, Default)]
struct Joined {
    count: u32,
    /// Their keys and values, as a request has them.
    pairs: Vec<u8>,
}

/// Commands that will be one transaction.
#[derive(Debug, Default)]
pub struct Batch {
    pieces: Vec<Piece>,
    /// What comes behind them.
    joined: Joined,
    /// The database that the last command needs; the marker stands in 0, so a batch begins there.
    database: u32,
    /// Requests so far, `SELECT` included, each `SET` by itself.
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
        self.part();
        self.requests += 1;
        self.bytes += place.len();
        piece::push_place(&mut self.pieces, place, buffer);
    }

    /// As [`Self::push_place`], for a `SET` of a key and a value without options.
    pub fn push_set(&mut self, database: u32, place: Range<usize>, buffer: &[u8]) {
        let request = buffer.get(place.clone()).unwrap_or_default();
        let pair = request.strip_prefix(PLAIN_SET).and_then(|named| named.get(5..));
        let Some(pair) = pair.filter(|_| place.len() <= LONGEST_JOINED) else {
            return self.push_place(database, place, buffer);
        };
        self.enter(database);
        self.requests += 1;
        self.bytes += place.len();
        self.joined.pairs.extend_from_slice(pair);
        self.joined.count += 1;
        if self.joined.count == MOST_JOINED {
            self.part();
        }
    }

    /// Appends requests of our own: `write` puts them down and gives their number.
    pub fn push_own(&mut self, database: u32, write: impl FnOnce(&mut Vec<u8>) -> u32) {
        self.enter(database);
        self.part();
        let out = piece::owned(&mut self.pieces);
        let before = out.len();
        self.requests += write(out);
        self.bytes += out.len() - before;
    }

    /// What was appended since the last call.
    pub fn take_pieces(&mut self) -> Vec<Piece> {
        self.part();
        std::mem::take(&mut self.pieces)
    }

    /// What was appended since the last call, to seal in place.
    pub fn pieces_mut(&mut self) -> &mut Vec<Piece> {
        &mut self.pieces
    }

    fn enter(&mut self, database: u32) {
        if self.database != database {
            self.part();
            self.database = database;
            self.requests += 1;
            let out = piece::owned(&mut self.pieces);
            let before = out.len();
            push_command(out, &[b"SELECT".as_slice(), database.to_string().as_bytes()]);
            self.bytes += out.len() - before;
        }
    }

    /// What comes next stands behind the `SET`s that were joined.
    fn part(&mut self) {
        if self.joined.count == 0 {
            return;
        }
        let out = piece::owned(&mut self.pieces);
        if self.joined.count == 1 {
            out.extend_from_slice(PLAIN_SET);
            out.extend_from_slice(b"SET\r\n");
        } else {
            let arguments = 1 + 2 * self.joined.count;
            out.extend_from_slice(format!("*{arguments}\r\n$4\r\nmset\r\n").as_bytes());
        }
        out.append(&mut self.joined.pairs);
        self.joined.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::resp::command;
    use bytes::Bytes;

    fn sent(batch: &mut Batch, buffer: &[u8]) -> String {
        let chunk = Bytes::copy_from_slice(buffer);
        let bytes: Vec<u8> = batch.take_pieces().into_iter().flat_map(|piece| piece.seal(&chunk).to_vec()).collect();
        String::from_utf8_lossy(&bytes).replace("\r\n", " ")
    }

    #[test]
    fn sets_that_follow_each_other_are_one_request_in_their_order() {
        let mut buffer = Vec::new();
        let mut places = Vec::new();
        for set in [["set", "a", "1"], ["SET", "b", "22"], ["SET", "a", "3"], ["SET", "c", "4"]] {
            let from = buffer.len();
            buffer.extend(command(&set));
            places.push(from..buffer.len());
        }
        let mut batch = Batch::default();
        places[..3].iter().for_each(|place| batch.push_set(0, place.clone(), &buffer));
        batch.push_own(0, |out| {
            push_command(out, &["DEL", "a"]);
            1
        });
        batch.push_set(0, places[3].clone(), &buffer);
        batch.push_set(1, places[0].clone(), &buffer);
        assert_eq!(batch.requests, 7);
        assert_eq!(
            sent(&mut batch, &buffer),
            "*7 $4 mset $1 a $1 1 $1 b $2 22 $1 a $1 3 *2 $3 DEL $1 a *3 $3 SET $1 c $1 4 *2 $6 SELECT $1 1 \
             *3 $3 SET $1 a $1 1 "
        );
    }

    #[test]
    fn a_long_one_goes_as_it_is_and_no_request_grows_without_end() {
        let (long, short) = (command(&["SET", "k", &"v".repeat(LONGEST_JOINED)]), command(&["SET", "k", "v"]));
        let buffer = [long.clone(), short].concat();
        let mut batch = Batch::default();
        batch.push_set(0, 0..long.len(), &buffer);
        (0..=MOST_JOINED).for_each(|_| batch.push_set(0, long.len()..buffer.len(), &buffer));
        let expected = "$1 k $1 v ".repeat(MOST_JOINED as usize);
        let sent = sent(&mut batch, &buffer);
        assert!(sent.ends_with(&format!("*65 $4 mset {expected}*3 $3 SET $1 k $1 v ")), "{sent}");
        assert!(sent.starts_with("*3 $3 SET $1 k $1024 vvv"));
    }
}
