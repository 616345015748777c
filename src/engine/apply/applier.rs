//! Marked transactions: filled, sent, and judged by what the target answers.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::batch::Batch;
use super::gate::{Gate, MOST_IN_FLIGHT};
use super::piece::Piece;
use super::replies::{Outcome, Replies};
use crate::command::lookup;
use crate::engine::checkpoint::Checkpoint;
use crate::engine::conflict::Note;
use crate::error::{Fault, Kind};
use crate::wire::resp::{Command, FrameReader, push_command};

/// Bytes of transactions that may be in flight or waiting to be written: what a slow target can make us hold.
const IN_FLIGHT_BYTES: usize = 16 * 1024 * 1024;

/// Where fewer transactions than this may be in flight, each goes at once: they are full anyway.
const FEW_IN_FLIGHT: usize = 64;
/// How long a transaction that is not full waits for more where half of those that may be in flight are, and where three
/// quarters are.
const PACES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(4)];

/// How much may be gathered and be on its way.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Requests in one transaction; a client's transaction is never split, so one may grow beyond.
    pub batch_commands: u32,
    /// Bytes in one transaction, likewise. A client's transaction beyond it is passed on while it arrives.
    pub batch_bytes: usize,
    /// Transactions in flight; at most [`MOST_IN_FLIGHT`].
    pub in_flight: usize,
}

/// Who writes.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The marker's key at the target.
    pub marker: Vec<u8>,
    /// The gate's key at the target.
    pub gate: Vec<u8>,
    /// The daemon's epoch at the target.
    pub epoch: u64,
    /// The id of the first transaction.
    pub first_id: u64,
}

/// A request that failed inside of a transaction that was executed: it is lost, the others stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The database it was for.
    pub database: u32,
    /// The command's name.
    pub command: String,
    /// Its first argument, usually the key.
    pub key: Vec<u8>,
    /// The keys that it would have written.
    pub written: Vec<Vec<u8>>,
    /// What the target answered.
    pub error: String,
}

impl Refusal {
    /// Whether it is on account of the value that the key has, and not of the server.
    pub fn is_of_the_value(&self) -> bool {
        let of_the_server =
            ["OOM", "NOPERM", "NOAUTH", "MISCONF", "READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "CLUSTER"];
        !of_the_server.iter().any(|code| self.error.starts_with(code)) && !self.error.contains("unknown command")
    }
}

/// A transaction that the target has executed.
#[derive(Debug)]
pub struct Applied {
    /// Its id.
    pub id: u64,
    /// What it established.
    pub checkpoint: Checkpoint,
    /// Clients' writes in it.
    pub writes: u64,
    /// Bytes in it.
    pub bytes: usize,
    /// What failed inside of it.
    pub refusals: Vec<Refusal>,
}

#[derive(Debug)]
struct InFlight {
    id: u64,
    checkpoint: Checkpoint,
    guards: u32,
    /// Requests between `MULTI` and the first of the body.
    head: u32,
    body: Vec<Bytes>,
    bytes: usize,
    /// Bytes of it that are kept until it is answered.
    kept: usize,
    writes: u64,
}

/// Bytes of a transaction that are ready but for the buffer that their places refer to.
#[derive(Debug)]
struct Staged {
    begins: Option<InFlight>,
    head: Vec<u8>,
    pieces: Vec<Piece>,
    tail: Vec<u8>,
    ends: Option<(Checkpoint, u64)>,
}

/// The writing half of a link.
#[derive(Debug)]
pub struct Applier {
    identity: Identity,
    bounds: Bounds,
    gate: Gate,
    next_id: u64,
    /// The database of the connection once all that was staged is executed.
    database: u32,
    batch: Batch,
    /// The batch's transaction has begun and is passed on while it arrives.
    spilling: bool,
    staged: Vec<Staged>,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    out: VecDeque<Bytes>,
    replies: Replies,
    refused: Option<u64>,
}

impl Applier {
    /// An applier on a fresh connection whose database is 0.
    pub fn new(identity: Identity, bounds: Bounds) -> Self {
        let bounds = Bounds { in_flight: bounds.in_flight.clamp(1, MOST_IN_FLIGHT as usize), ..bounds };
        Self {
            gate: Gate::new(identity.gate.clone()),
            next_id: identity.first_id,
            identity,
            bounds,
            database: 0,
            batch: Batch::default(),
            spilling: false,
            staged: Vec::new(),
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            out: VecDeque::new(),
            replies: Replies::default(),
            refused: None,
        }
    }

    /// The transaction that is being filled.
    pub fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// Appends a client's command that stands at `place` of the buffer that is being read.
    pub fn push_place(&mut self, database: u32, place: Range<usize>, buffer: &[u8]) {
        self.batch.push_place(database, place, buffer);
        self.batch.writes += 1;
    }

    /// As [`Self::push_place`], for a `SET` of a key and a value without options.
    pub fn push_set(&mut self, database: u32, place: Range<usize>, buffer: &[u8]) {
        self.batch.push_set(database, place, buffer);
        self.batch.writes += 1;
    }

    /// Whether the batch has reached a bound.
    pub fn is_full(&self) -> bool {
        self.batch.requests >= self.bounds.batch_commands || self.batch.bytes >= self.bounds.batch_bytes
    }

    /// Whether another transaction may be sent now, or the rest of one that is passed on while it arrives: that one takes a
    /// place in flight itself, and is freed by its end only.
    pub fn may_send(&self) -> bool {
        let most = if self.gate.is_held() { self.bounds.in_flight } else { 1 };
        self.spilling || self.taken() < most && self.in_flight_bytes < IN_FLIGHT_BYTES
    }

    /// Places in flight that are taken, also by what is not put out yet.
    fn taken(&self) -> usize {
        self.in_flight.len() + self.staged.len()
    }

    /// Whether more may be read for this applier.
    pub fn has_room(&self) -> bool {
        self.may_send() || !self.is_full()
    }

    /// How long the batch, which is not full, is to wait for more before it is sent. Over a long way, small transactions
    /// would otherwise use up all that may be in flight before the first of them is answered, and then nothing could go for
    /// the rest of the round trip.
    pub fn pace(&self) -> Option<Duration> {
        let (taken, most) = (self.taken(), self.bounds.in_flight);
        if most < FEW_IN_FLIGHT || taken * 2 < most || self.spilling || self.is_full() || !self.batch.is_due() {
            return None;
        }
        Some(PACES[usize::from(taken * 4 >= most * 3)])
    }

    /// Whether nothing is waiting and nothing in flight.
    pub fn is_idle(&self) -> bool {
        !self.batch.is_due() && self.staged.is_empty() && self.in_flight.is_empty()
    }

    /// Whether all that can be ended has ended: what is left is a transaction that is still arriving.
    pub fn is_waiting(&self) -> bool {
        self.staged.is_empty() && self.in_flight.len() == usize::from(self.spilling)
    }

    /// Transactions in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The target has lost marker and gate (a client flushed it): write both again with the next transaction, and erase
    /// them in the databases that they were moved to.
    pub fn marker_lost(&mut self, moved_to: &[u32]) {
        self.gate.lost();
        self.batch.wanted = true;
        for database in moved_to {
            self.erase_marker(*database);
        }
    }

    /// Erases marker and gate in a database where they must not be: moved back one day, they would be believed.
    pub fn erase_marker(&mut self, database: u32) {
        let Identity { marker, gate, .. } = &self.identity;
        self.batch.push_own(database, |out| {
            push_command(out, &[b"DEL".as_slice(), marker, gate]);
            1
        });
    }

    /// The id that the transaction being filled has, or will have.
    pub fn open_id(&self) -> u64 {
        if self.spilling { self.next_id - 1 } else { self.next_id }
    }

    /// The id of the last transaction that was put out.
    pub fn last_id(&self) -> u64 {
        self.next_id - 1
    }

    /// Ends the transaction that is being filled, establishing `checkpoint`; does nothing where none is due. Gives its id.
    pub fn close(&mut self, checkpoint: Checkpoint) -> Option<u64> {
        if !self.batch.is_due() && !self.spilling {
            return None;
        }
        let mut staged = if self.spilling { Staged::part(&mut self.batch) } else { self.begin(checkpoint) };
        let id = self.next_id - 1;
        let batch = std::mem::take(&mut self.batch);
        self.database = batch.database();
        if batch.erases_marker || self.spilling {
            if self.database != 0 {
                push_command(&mut staged.tail, &["SELECT", "0"]);
                self.database = 0;
            }
            if batch.erases_marker {
                self.gate.empty();
                self.gate.pass(id, &mut staged.tail);
            }
            self.push_marker(id, &checkpoint, &Note::Writes, &mut staged.tail);
        }
        push_command(&mut staged.tail, &["EXEC"]);
        staged.ends = Some((checkpoint, batch.writes));
        self.staged.push(staged);
        self.spilling = false;
        Some(id)
    }

    /// Passes on what has arrived of a client's transaction that is too long to be held; `before` is the checkpoint that
    /// holds until it ends.
    pub fn spill(&mut self, before: Checkpoint) {
        let staged = if self.spilling { Staged::part(&mut self.batch) } else { self.begin(before) };
        self.staged.push(staged);
        self.batch.bytes = 0;
        self.batch.requests = 1; // keeps the batch due until the transaction's end
        self.spilling = true;
    }

    /// Resolves what was staged from `chunk`, the buffer that was being read, and puts it out. What is still being filled
    /// keeps slices of the chunk.
    pub fn seal(&mut self, chunk: &Bytes) {
        for piece in self.batch.pieces_mut() {
            if let Piece::Unsealed(range) = piece {
                *piece = Piece::Shared(chunk.slice(range.clone()));
            }
        }
        for staged in self.staged.drain(..) {
            let spills = staged.begins.is_none() || staged.ends.is_none();
            self.in_flight.extend(staged.begins);
            let Some(entry) = self.in_flight.back_mut() else { continue };
            let body = staged.pieces.into_iter().map(|piece| piece.seal(chunk));
            let body: Vec<Bytes> = body.collect();
            if !spills {
                entry.body.clone_from(&body);
                entry.kept = body.iter().map(Bytes::len).sum();
                self.in_flight_bytes += entry.kept;
            }
            let parts = std::iter::once(staged.head.into()).chain(body).chain(std::iter::once(staged.tail.into()));
            for bytes in parts.filter(|bytes| !bytes.is_empty()) {
                entry.bytes += bytes.len();
                self.out.push_back(bytes);
            }
            if let Some((checkpoint, writes)) = staged.ends {
                entry.checkpoint = checkpoint;
                entry.writes = writes;
            }
        }
    }

    /// What is to be written to the target's connection, first in first out.
    pub fn out(&mut self) -> &mut VecDeque<Bytes> {
        &mut self.out
    }

    /// Reads the target's replies; what was read is gone from `input`.
    ///
    /// # Errors
    /// A [`Fault`] when a transaction was refused or the replies make no sense. The connection is of no use then: what
    /// was in flight is decided by the marker at the target.
    pub fn on_replies(&mut self, input: &mut BytesMut, applied: &mut Vec<Applied>) -> Result<(), Fault> {
        while !input.is_empty() {
            let Some(front) = self.in_flight.front() else {
                return Err(Fault::new(Kind::Protocol, "the target sent a reply to nothing"));
            };
            let Some(outcome) = self.replies.next(input, front.guards)? else { return Ok(()) };
            let Some(entry) = self.in_flight.pop_front() else { return Ok(()) };
            self.in_flight_bytes -= entry.kept;
            if outcome.executed {
                self.gate.executed(entry.id);
            } else {
                self.refused.get_or_insert(entry.id);
            }
            applied.push(judge(entry, outcome)?);
        }
        Ok(())
    }

    /// For tests of what comes behind the first transaction: the target is known to hold the gate.
    #[cfg(test)]
    pub fn gate_is_held(&mut self) {
        self.gate.executed(u64::MAX);
    }

    /// The first transaction that the target refused: no marker with a later id may be believed.
    pub fn refused(&self) -> Option<u64> {
        self.refused
    }

    /// This applier, with all that is on its way; what remains in its place must not be used.
    pub fn hand_over(&mut self) -> Self {
        let fresh = Self::new(self.identity.clone(), self.bounds);
        std::mem::replace(self, fresh)
    }

    fn begin(&mut self, checkpoint: Checkpoint) -> Staged {
        let id = self.next_id;
        self.next_id += 1;
        let mut head = Vec::with_capacity(384);
        let mut guards = 0;
        if self.database != 0 {
            push_command(&mut head, &["SELECT", "0"]);
            guards += 1;
        }
        if !self.in_flight.is_empty() || !self.staged.is_empty() {
            guards += self.gate.guard(id, &mut head);
        }
        push_command(&mut head, &["MULTI"]);
        let note = std::mem::take(&mut self.batch.note);
        self.push_marker(id, &checkpoint, &note, &mut head);
        let requests = 1 + self.gate.pass(id, &mut head);
        let entry = InFlight { id, checkpoint, guards, head: requests, body: Vec::new(), bytes: 0, kept: 0, writes: 0 };
        Staged { begins: Some(entry), head, ..Staged::part(&mut self.batch) }
    }

    fn push_marker(&self, id: u64, checkpoint: &Checkpoint, note: &Note, out: &mut Vec<u8>) {
        let marker = checkpoint.marker(self.identity.epoch, id);
        let value = match note {
            Note::Writes => marker.to_string(),
            note => format!("{marker} {note}"),
        };
        push_command(out, &[b"SET".as_slice(), &self.identity.marker, value.as_bytes()]);
    }
}

impl Staged {
    fn part(batch: &mut Batch) -> Self {
        Self { begins: None, head: Vec::new(), pieces: batch.take_pieces(), tail: Vec::new(), ends: None }
    }
}

fn judge(entry: InFlight, outcome: Outcome) -> Result<Applied, Fault> {
    if !outcome.executed {
        return Err(match (outcome.refused, outcome.exec_error) {
            (Some((index, error)), _) => {
                let refusal = describe(&entry, index, error);
                let place = match String::from_utf8_lossy(&refusal.key).as_ref() {
                    "" => refusal.command,
                    key => format!("{} on key '{}'", refusal.command, bounded(key)),
                };
                Fault::of_reply(&refusal.error, &place)
            }
            (None, Some(error)) => Fault::of_reply(
                error.trim_start_matches("EXECABORT ").trim_start_matches("Transaction discarded because of: "),
                "EXEC",
            ),
            (None, None) => Fault::new(Kind::GateShut, format!("transaction {} found the gate shut", entry.id)),
        });
    }
    let refusals = outcome.errors.into_iter().map(|(index, error)| describe(&entry, index, error)).collect();
    let InFlight { id, checkpoint, writes, bytes, .. } = entry;
    Ok(Applied { id, checkpoint, writes, bytes, refusals })
}

/// The request at `index` of a transaction, found again in its bytes.
fn describe(entry: &InFlight, index: u32, error: String) -> Refusal {
    let unknown = |command: &str| Refusal {
        database: 0,
        command: command.to_owned(),
        key: Vec::new(),
        written: Vec::new(),
        error: error.clone(),
    };
    let Some(mut skip) = index.checked_sub(entry.head) else { return unknown("the marker") };
    let mut database = 0;
    for part in &entry.body {
        let mut at = 0;
        let mut reader = FrameReader::new();
        while let Ok(Some(length)) = reader.next(part.get(at..).unwrap_or_default()) {
            let command = Command::new(part.get(at..).unwrap_or_default(), reader.arguments());
            if command.name() == b"SELECT" {
                database = std::str::from_utf8(command.arg(1)).ok().and_then(|index| index.parse().ok()).unwrap_or(0);
            }
            if skip == 0 {
                let name = String::from_utf8_lossy(command.name()).into_owned();
                let written = lookup(command.name()).into_iter().flat_map(|spec| spec.written(&command, database));
                let written = written.map(|(_, name)| name.to_vec()).collect();
                return Refusal { database, command: name, key: command.arg(1).to_vec(), written, error };
            }
            skip -= 1;
            at += length;
        }
    }
    unknown("a command")
}

/// A key for people: at most 100 characters of it.
fn bounded(key: &str) -> String {
    key.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::position::Position;

    #[test]
    fn a_refusal_says_which_command_and_key_or_that_it_was_the_marker() {
        let refused = |index| {
            let body = vec![Bytes::from_static(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n")];
            let checkpoint = Checkpoint::streaming(Position::NONE, 0);
            let entry = InFlight { id: 7, checkpoint, guards: 0, head: 2, body, bytes: 0, kept: 0, writes: 1 };
            let outcome = Outcome { refused: Some((index, "OOM no".to_owned())), ..Outcome::default() };
            judge(entry, outcome).expect_err("it was refused").text
        };
        assert_eq!(refused(0), "the marker: OOM no");
        assert_eq!(refused(2), "INCR on key 'n': OOM no");
    }
}
