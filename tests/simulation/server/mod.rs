//! A server as the replication sees it: requests in bytes, replies in bytes, effects as a stream of bytes with offsets.
//!
//! It behaves as Redis 6.2 or 7.0 do: transactions with errors at queue time, WATCH, effects instead of commands, SELECT
//! in the stream where the database changes, MULTI around the effects of a transaction (7.0: only if there are several).

mod commands;
mod data;
mod dump;
mod events;
mod history;
mod requests;

use std::collections::BTreeMap;

pub use commands::known;
pub use data::{DATABASES, Entry, Keyspace, Text, Value};
pub use events::Removal;
pub use history::Histories;

use duet::engine::origin::{Marker, Phase};

use commands::{Context, Done, Effect, Reply, execute, needs_memory};

/// Which server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    Redis62,
    Redis70,
}

/// What of the model is switched off, to see that somebody notices.
#[derive(Debug, Clone, Copy, Default)]
pub struct Defects {
    /// WATCH watches nothing: the gate stands open.
    pub watch_ignored: bool,
    /// Markers of increments have another name in the stream than in the data. (A copy whose marker does not come back never
    /// ends.)
    pub marker_renamed: bool,
    /// What of a marked transaction changed nothing is in the stream all the same.
    pub unchanged_shown: bool,
}

/// A connection at the server.
#[derive(Debug, Default)]
pub struct Session {
    pub name: Text,
    database: u32,
    queue: Option<Vec<Vec<Text>>>,
    refused: bool,
    watched: Vec<(u32, Text)>,
    dirty: bool,
    empty_dump: bool,
    /// Channels whose messages the connection gets, as patterns.
    patterns: Vec<Text>,
    pub replica: Option<Replica>,
    pub input: Vec<u8>,
    pub output: Vec<u8>,
}

/// A connection that gets the stream.
#[derive(Debug)]
pub enum Replica {
    /// The dump was sent; the stream begins when the replica acknowledges anything.
    Waiting(Vec<u8>),
    Online,
}

/// One server.
#[derive(Debug)]
pub struct Server {
    pub flavour: Flavour,
    pub keys: Keyspace,
    pub sessions: BTreeMap<u64, Session>,
    pub history: Histories,
    /// The server's clock, Unix milliseconds.
    pub now_ms: i64,
    pub run_id: u64,
    /// It is at its limit of memory.
    pub full: bool,
    /// Connections may not use this command.
    pub denied: Option<&'static str>,
    /// Dumps come with an end mark, and the stream behind them only after an acknowledgement.
    pub diskless: bool,
    /// Which keyspace events are published (`notify-keyspace-events`).
    pub events: Text,
    pub defects: Defects,
    /// A transaction, or a command outside of one, has set a key of this name.
    pub watched_key: Text,
    pub watched_key_set: bool,
    /// Commands so far that had an effect.
    ran: u64,
    /// A replica that lags: its history, how much of that it has, and what it holds.
    pub replica: Option<(String, u64, Keyspace)>,
}

impl Server {
    /// An empty server without backlog.
    pub fn new(flavour: Flavour, run_id: u64, diskless: bool, defects: Defects) -> Self {
        Self {
            flavour,
            keys: Keyspace::default(),
            sessions: BTreeMap::new(),
            history: Histories::new(run_id),
            now_ms: 0,
            run_id,
            full: false,
            denied: None,
            diskless,
            events: Text::new(),
            defects,
            watched_key: Text::new(),
            watched_key_set: false,
            ran: 0,
            replica: None,
        }
    }

    /// A replica has all that was executed, and falls behind from now on.
    pub fn replicate(&mut self) {
        self.replica = Some((self.history.id.clone(), self.history.offset, self.keys.clone()));
    }

    /// The replica takes over. Gives up to where it has the history.
    pub fn fail_over(&mut self) -> u64 {
        let (_, offset, keys) = self.replica.take().unwrap_or_default();
        self.keys = keys;
        self.history.fork(offset);
        offset
    }

    /// A client's command, or several as a transaction, outside of any modelled connection. Tells for each whether it had
    /// an effect; nothing when they were not taken.
    pub fn client(&mut self, database: u32, commands: &[Vec<Text>]) -> Option<Vec<bool>> {
        if self.full && commands.iter().any(|args| needs_memory(&args[0])) {
            return None;
        }
        let mut effects = Vec::new();
        let mut run = |args: &Vec<Text>| {
            let before = self.ran;
            self.run(database, args, &mut effects);
            self.ran > before
        };
        let took_effect = commands.iter().map(&mut run).collect();
        self.propagate(effects, commands.len() > 1);
        Some(took_effect)
    }

    /// The stream gets a PING, as a primary sends it to its replicas.
    pub fn ping(&mut self) {
        if self.sessions.values().any(|session| session.replica.is_some()) {
            self.feed(&encoded(&[b"PING".to_vec()]));
        }
    }

    fn run(&mut self, database: u32, args: &[Text], effects: &mut Vec<(u32, Vec<Text>)>) -> Reply {
        // A name may be typed in any case; the stream has it as it was typed.
        let typed = args;
        let mut args = args.to_vec();
        args[0].make_ascii_uppercase();
        let args = args.as_slice();
        self.expire_lazily(database, args, effects);
        let context = Context { database, now_ms: self.now_ms, is_7: self.flavour == Flavour::Redis70 };
        let Done { reply, effect, touched } = execute(&mut self.keys, args, &context);
        self.touch(&touched);
        self.watched_key_set |= database == 0 && args[0] == b"SET" && args[1] == self.watched_key;
        self.ran += u64::from(!matches!(effect, Effect::None));
        if matches!(args[0].as_slice(), b"DEL" | b"UNLINK" | b"GETDEL") {
            touched.iter().for_each(|(database, key)| self.notify(*database, key, Removal::ByClient));
        }
        match effect {
            Effect::None => {}
            Effect::Verbatim => effects.push((database, typed.to_vec())),
            Effect::Rewritten(args) => effects.push((database, args)),
        }
        reply
    }

    /// Connections that watch what was changed will be told.
    fn touch(&mut self, touched: &[(u32, Text)]) {
        for session in self.sessions.values_mut().filter(|session| !session.watched.is_empty()) {
            session.dirty |= !self.defects.watch_ignored && touched.iter().any(|key| session.watched.contains(key));
        }
    }

    fn propagate(&mut self, effects: Vec<(u32, Vec<Text>)>, transaction: bool) {
        let Some((first, _)) = effects.first() else { return };
        // A key that a command finds expired is an effect of its own: only 6.2 sends it outside of a transaction.
        let wrap = if self.flavour == Flavour::Redis62 { transaction } else { effects.len() > 1 };
        if wrap {
            if self.flavour == Flavour::Redis62 {
                self.select(*first);
            }
            self.feed(&encoded(&[b"MULTI".to_vec()]));
        }
        for (database, mut args) in effects {
            self.select(database);
            if self.defects.marker_renamed && args.get(2).is_some_and(|value| is_of_a_stream(value)) {
                rename_marker(&mut args[1]);
            }
            self.feed(&encoded(&args));
        }
        if wrap {
            self.feed(&encoded(&[b"EXEC".to_vec()]));
        }
    }

    fn select(&mut self, database: u32) {
        if self.history.selected != Some(database) && self.history.backlog.is_some() {
            self.history.selected = Some(database);
            self.feed(&encoded(&[b"SELECT".to_vec(), database.to_string().into_bytes()]));
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        let Some(backlog) = &mut self.history.backlog else {
            // Without backlog nothing is written down; Redis 7 counts all the same.
            self.history.offset += u64::from(self.flavour == Flavour::Redis70);
            return;
        };
        backlog.bytes.extend_from_slice(bytes);
        self.history.offset += bytes.len() as u64;
        for session in self.sessions.values_mut() {
            match &mut session.replica {
                Some(Replica::Waiting(held)) => held.extend_from_slice(bytes),
                Some(Replica::Online) => session.output.extend_from_slice(bytes),
                None => {}
            }
        }
    }
}

/// Whether this is the text of a marker of increments.
fn is_of_a_stream(value: &[u8]) -> bool {
    Marker::parse(value).is_some_and(|marker| marker.phase == Phase::Streaming)
}

fn rename_marker(key: &mut Text) {
    if let Some(at) = key.windows(8).position(|window| window == b":marker:") {
        key[at + 1..at + 7].copy_from_slice(b"mirker");
    }
}

/// A request in RESP.
pub fn encoded(args: &[Text]) -> Vec<u8> {
    duet::wire::resp::command(args)
}
