//! Connections: bytes on their way, which arrive in parts, late, or not at all.
//!
//! A connection that the daemon has given up or lost goes on delivering what was on its way, unless the server ends it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::BytesMut;
use fastrand::Rng;

use crate::clock::Clock;
use crate::oracle::Oracle;
use crate::server::{Server, Session};

/// Bytes that fit between a client and a server before a write has to wait.
const CAPACITY: usize = 16 * 1024;

/// Everything outside of the daemon.
pub struct World {
    /// Virtual time, Unix milliseconds.
    pub now_ms: i64,
    pub rng: Rng,
    pub servers: [Server; 2],
    pub clocks: [Clock; 2],
    /// Servers do not accept connections before.
    pub down_until_ms: [i64; 2],
    /// What servers stream does not arrive before.
    pub late_until_ms: [i64; 2],
    /// Both links hold before.
    pub held_until_ms: i64,
    pub wires: BTreeMap<u64, Wire>,
    next: u64,
    pub oracle: Oracle,
}

/// The world as everybody holds it. Nobody keeps it borrowed while others run.
pub type Shared = Rc<RefCell<World>>;

/// One connection.
#[derive(Debug, Default)]
pub struct Wire {
    pub server: usize,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    at_client: BytesMut,
    /// The daemon no longer holds it, or lost it.
    gone: bool,
    /// The server has closed it.
    closed: bool,
}

/// What a client finds at its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Bytes,
    Nothing,
    End,
}

/// A direction of a connection in which bytes are on their way.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    ToServer(u64),
    ToClient(u64),
}

impl World {
    /// A world at its beginning.
    pub fn new(rng: Rng, servers: [Server; 2], oracle: Oracle) -> Self {
        let now_ms = 1_700_000_000_000;
        let clocks = [Clock::default(); 2];
        Self {
            now_ms,
            rng,
            servers,
            clocks,
            down_until_ms: [0; 2],
            late_until_ms: [0; 2],
            held_until_ms: 0,
            wires: BTreeMap::new(),
            next: 1,
            oracle,
        }
    }

    /// Opens a connection, unless the server is down.
    pub fn connect(&mut self, server: usize) -> Option<u64> {
        if self.now_ms < self.down_until_ms[server] {
            return None;
        }
        let id = self.next;
        self.next += 1;
        self.servers[server].sessions.insert(id, Session::default());
        self.wires.insert(id, Wire { server, ..Wire::default() });
        Some(id)
    }

    /// The client writes what fits; gives the number of bytes, or `None` when the connection is over.
    pub fn write(&mut self, id: u64, bytes: &[u8]) -> Option<usize> {
        let wire = self.wires.get_mut(&id).filter(|wire| !wire.gone)?;
        let fits = bytes.len().min(CAPACITY.saturating_sub(wire.to_server.len()));
        if !wire.closed {
            wire.to_server.extend_from_slice(&bytes[..fits]);
        }
        Some(fits)
    }

    /// The client reads up to `most` bytes.
    pub fn read(&mut self, id: u64, most: usize, input: &mut BytesMut) -> Found {
        let Some(wire) = self.wires.get_mut(&id) else { return Found::End };
        if !wire.at_client.is_empty() {
            let count = most.clamp(1, wire.at_client.len());
            input.extend_from_slice(&wire.at_client.split_to(count));
            return Found::Bytes;
        }
        if wire.gone || (wire.closed && wire.to_client.is_empty()) { Found::End } else { Found::Nothing }
    }

    /// The client gives the connection up; what is on its way may arrive all the same.
    pub fn abandon(&mut self, id: u64) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        if !wire.gone {
            wire.gone = true;
            if self.rng.bool() {
                let rest = self.rng.usize(0..=wire.to_server.len());
                wire.to_server.truncate(rest);
            }
        }
        wire.to_client.clear();
        wire.at_client.clear();
        self.bury(id);
    }

    /// The network loses the connection: part of what is on its way still arrives.
    pub fn cut(&mut self, id: u64) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        wire.gone = true;
        wire.to_server.truncate(self.rng.usize(0..=wire.to_server.len()));
        wire.to_client.clear();
        self.bury(id);
    }

    /// Ends of a connection that nobody uses any more.
    fn bury(&mut self, id: u64) {
        let Some(wire) = self.wires.get(&id) else { return };
        if wire.gone && (wire.closed || wire.to_server.is_empty()) {
            self.servers[wire.server].sessions.remove(&id);
            if wire.at_client.is_empty() {
                self.wires.remove(&id);
            }
        }
    }

    /// The server goes down and loses its connections.
    pub fn disconnect_all(&mut self, server: usize) {
        self.servers[server].sessions.clear();
        self.collect(server);
    }

    /// Where bytes are on their way; connections that were given up come last, with their number.
    pub fn ways(&self) -> (Vec<Way>, usize) {
        let (mut ways, mut late) = (Vec::new(), Vec::new());
        for (id, wire) in &self.wires {
            if !wire.to_server.is_empty() {
                if wire.gone { late.push(Way::ToServer(*id)) } else { ways.push(Way::ToServer(*id)) }
            }
            let is_late = self.now_ms < self.late_until_ms[wire.server] && self.is_stream(*id);
            if !wire.to_client.is_empty() && !is_late {
                ways.push(Way::ToClient(*id));
            }
        }
        let count = late.len();
        ways.extend(late);
        (ways, count)
    }

    /// Connections that get the stream of a server.
    pub fn streams(&self, server: usize) -> Vec<u64> {
        let of = self.wires.iter().filter(|(id, wire)| wire.server == server && self.is_stream(**id));
        of.map(|(id, _)| *id).collect()
    }

    fn is_stream(&self, id: u64) -> bool {
        let server = self.wires.get(&id).map(|wire| &self.servers[wire.server]);
        server.and_then(|server| server.sessions.get(&id)).is_some_and(|session| session.replica.is_some())
    }

    /// Some of the bytes on their way arrive.
    pub fn deliver(&mut self, way: Way) {
        match way {
            Way::ToClient(id) => {
                let Some(wire) = self.wires.get_mut(&id) else { return };
                let count = portion(&mut self.rng, wire.to_client.len());
                wire.at_client.extend_from_slice(&wire.to_client[..count]);
                wire.to_client.drain(..count);
            }
            Way::ToServer(id) => {
                let Some(wire) = self.wires.get_mut(&id) else { return };
                let (server, count) = (wire.server, portion(&mut self.rng, wire.to_server.len()));
                if let Some(session) = self.servers[server].sessions.get_mut(&id) {
                    session.input.extend_from_slice(&wire.to_server[..count]);
                }
                wire.to_server.drain(..count);
                self.tick(server);
                while self.servers[server].execute_next(id) {
                    if std::mem::take(&mut self.servers[server].watched_key_set) {
                        let [a, b] = &self.servers;
                        self.oracle.committed(1 - server, [a, b]);
                    }
                }
                self.collect(server);
                self.bury(id);
            }
        }
    }

    /// A server's clock follows the time.
    pub fn tick(&mut self, server: usize) {
        self.servers[server].now_ms = self.clocks[server].at(self.now_ms);
    }

    /// A server removes what has expired.
    pub fn expire(&mut self, server: usize) {
        self.tick(server);
        self.servers[server].expire();
        self.collect(server);
    }

    /// Whether both links are held.
    pub fn holds(&self) -> bool {
        self.now_ms < self.held_until_ms
    }

    /// A server's clock as the daemon knows it, Unix milliseconds.
    pub fn believed_ms(&self, server: usize) -> i64 {
        self.clocks[server].believed(self.now_ms)
    }

    /// What a server has answered and streamed goes on its way.
    pub fn collect(&mut self, server: usize) {
        let Server { sessions, history, .. } = &mut self.servers[server];
        self.oracle.past[server].learn(&history.id, history.second.is_some());
        let mut over = Vec::new();
        for (id, wire) in self.wires.iter_mut().filter(|(_, wire)| wire.server == server) {
            match sessions.get_mut(id) {
                Some(session) if wire.gone => session.output.clear(),
                Some(session) => wire.to_client.append(&mut session.output),
                None => {
                    wire.to_server.clear();
                    wire.closed = true;
                    over.push(*id);
                }
            }
        }
        over.into_iter().for_each(|id| self.bury(id));
    }
}

/// All of it more often than not, so that runs come to an end.
fn portion(rng: &mut Rng, length: usize) -> usize {
    if rng.u8(0..3) > 0 { length } else { rng.usize(1..=length) }
}
