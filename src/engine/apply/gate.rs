//! The gate: no transaction runs behind one that was refused.
//!
//! Transactions are pipelined. When a server refuses one at queue time (`NOPERM` for one command, `OOM` for a moment),
//! the next, already behind it, would run, and its marker would pass over what was refused. So the target holds a sorted
//! set with the ids of the transactions still to come; each transaction takes its own id out; and before each that is
//! sent while another is in flight goes `WATCH gate` and `ZREMRANGEBYSCORE gate -inf (id`: if an earlier id is still in
//! the set, removing it touches the watched key and the server refuses this transaction too. That one's id stays in the
//! set, which stops its successor, and so on. Both commands pass while the server is out of memory.
//!
//! Clients may remove the set with its database. Then `ZADD gate id id` behind both, which changes nothing as long as the set is
//! there, touches the watched key as well; what it adds stops the successor.
//!
//! A gate that is not at the target yet would stop everybody: so until a transaction that fills it has been executed, no
//! other is sent behind it.
//! `docs/protocol.md` has the reasoning and what remains.

use crate::wire::resp::push_command;

/// The most transactions that may be in flight, and how many ids one refill puts into the set. Twice as many are there at
/// first, so that the set always reaches beyond what is in flight.
pub const MOST_IN_FLIGHT: u64 = 512;

/// The gate of one connection.
#[derive(Debug)]
pub struct Gate {
    key: Vec<u8>,
    /// The first id that is not in the set yet.
    filled_to: u64,
    /// The transaction that has filled the set from nothing.
    first_id: u64,
    /// The target is known to hold the set.
    held: bool,
}

impl Gate {
    /// A gate that has never been filled; the first id that passes it fills it.
    pub fn new(key: Vec<u8>) -> Self {
        Self { key, filled_to: 0, first_id: u64::MAX, held: false }
    }

    /// Whether transactions may be sent behind others: the target holds the set.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// The target has executed a transaction that passed: it holds the set, unless it was lost meanwhile.
    pub fn executed(&mut self, id: u64) {
        self.held |= self.first_id <= id;
    }

    /// Forgets what was filled in, for the target has lost it: the next transaction fills it anew.
    pub fn lost(&mut self) {
        self.empty();
        self.first_id = u64::MAX;
        self.held = false;
    }

    /// The transaction that is being made empties the set: what follows in it fills it anew.
    pub fn empty(&mut self) {
        self.filled_to = 0;
    }

    /// Appends what stands before transaction `id` when others are in flight. Gives the number of requests.
    pub fn guard(&self, id: u64, out: &mut Vec<u8>) -> u32 {
        push_command(out, &[b"WATCH".as_slice(), &self.key]);
        push_command(out, &[b"ZREMRANGEBYSCORE", self.key.as_slice(), b"-inf", format!("({id}").as_bytes()]);
        let id = id.to_string();
        push_command(out, &[b"ZADD", self.key.as_slice(), id.as_bytes(), id.as_bytes()]);
        3
    }

    /// Appends what transaction `id` itself does: it takes its id out, and fills the set when it runs low. Gives the
    /// number of requests.
    pub fn pass(&mut self, id: u64, out: &mut Vec<u8>) -> u32 {
        let mut requests = 1;
        if self.filled_to <= id {
            push_command(out, &[b"DEL".as_slice(), &self.key]);
            self.filled_to = id;
            self.first_id = id;
            self.fill(MOST_IN_FLIGHT * 2, out);
            requests += 2;
        } else if self.filled_to - id <= MOST_IN_FLIGHT {
            self.fill(MOST_IN_FLIGHT, out);
            requests += 1;
        }
        push_command(out, &[b"ZREM", self.key.as_slice(), id.to_string().as_bytes()]);
        requests
    }

    fn fill(&mut self, count: u64, out: &mut Vec<u8>) {
        let mut arguments = vec![b"ZADD".to_vec(), self.key.clone()];
        for id in self.filled_to..self.filled_to + count {
            let id = id.to_string().into_bytes();
            arguments.extend([id.clone(), id]);
        }
        push_command(out, &arguments);
        self.filled_to += count;
    }
}
