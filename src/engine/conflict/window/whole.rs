//! Writes of whole databases: FLUSHDB, FLUSHALL and SWAPDB concern every key there, also those that have no log yet.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use bytes::Bytes;

use super::ties::Tie;
use super::{Key, Window, fresh};
use crate::command::lookup;
use crate::engine::conflict::log::{Entry, KeyLog};
use crate::wire::resp::{Command, FrameReader, command as request};

impl Window {
    /// Begins the log of a key with the flushes by clients of this region that came before, and those of the names that it got
    /// by them.
    /// Tells whether there were any.
    pub(super) fn was_flushed(&mut self, key: Key, database: u32, name: &[u8]) -> bool {
        let flushes: Vec<&(Span, Entry)> = self.flushes.iter().filter(|(span, _)| span.concerns(database)).collect();
        if flushes.is_empty() {
            return false;
        }
        let entries: Vec<Entry> = flushes.iter().map(|(_, flush)| deletion(flush, name)).collect();
        let ties: Vec<Tie> =
            flushes.iter().filter_map(|(span, flush)| self.tie_of_swap(*span, flush.at, name)).collect();
        self.own.extend(entries.iter().map(|entry| Reverse((entry.at, key))));
        let ranking = self.policies.ranking(name, self.region);
        let log = KeyLog { ranking, unstable: entries.len(), entries, ..KeyLog::default() };
        self.logs.insert(key, (log, database, Bytes::copy_from_slice(name)));
        for tie in ties {
            // From there it may have been moved on.
            for (key, (database, name)) in tie.keys.iter().zip(&tie.written) {
                if !self.logs.contains_key(key) {
                    self.was_flushed(*key, *database, name);
                }
            }
            self.ties.push(tie);
        }
        true
    }

    /// A database, or all of them, was emptied, or two changed places.
    pub(super) fn whole_database(&mut self, flush: Entry) {
        let span = Span::of(&flush);
        // What is copied, or an earlier session left unfinished, may have been moved under a name that nothing tells any more.
        self.disordered |= self.suspended && matches!(span, Span::Two(_));
        self.tie_swapped(span, flush.at);
        for (key, (log, of, name)) in &mut self.logs {
            if !span.concerns(*of) {
                continue;
            }
            let of_key = deletion(&flush, name);
            log.append(None, of_key);
            if flush.local {
                log.unstable += 1;
                self.own.push(Reverse((flush.at, *key)));
            }
            self.touched.push(*key);
        }
        if flush.local {
            self.flushes.push_back((span, flush));
            return;
        }
        let concurrent = |local: &Entry| flush.saw < local.id && local.id < flush.at;
        self.disordered |= self.flushes.iter().any(|(of, local)| span.depends_on(*of) && concurrent(local));
    }

    /// Where two databases change places, the keys that have logs get another name. That one has a log from now on, for it may be
    /// moved on.
    fn tie_swapped(&mut self, span: Span, at: u64) {
        let Span::Two(databases) = span else { return };
        let concerned = self.logs.values().filter(|(_, database, _)| span.concerns(*database));
        let names: BTreeSet<Bytes> = concerned.map(|(.., name)| name.clone()).collect();
        for name in names {
            for database in databases {
                let key = self.key(database, &name);
                if !self.logs.contains_key(&key) && !self.was_flushed(key, database, &name) {
                    self.logs.insert(key, fresh(&self.policies, self.region, (database, &name))());
                }
            }
            let tie = self.tie_of_swap(span, at, &name);
            tie.into_iter().for_each(|tie| self.ties.push(tie));
        }
    }

    /// Where two databases have changed places, what is wrong with a key of one is wrong with that of the same name in the other.
    fn tie_of_swap(&self, span: Span, at: u64, name: &[u8]) -> Option<Tie> {
        let Span::Two(databases) = span else { return None };
        let keys = databases.map(|database| self.key(database, name)).to_vec();
        Some(Tie { at, keys, written: databases.map(|database| (database, name.to_vec())).to_vec() })
    }
}

/// Which databases a write of whole ones concerns.
#[derive(Debug, Clone, Copy)]
pub(super) enum Span {
    All,
    One(u32),
    /// They change places.
    Two([u32; 2]),
}

impl Span {
    fn of(flush: &Entry) -> Self {
        match flush.spec.name {
            "FLUSHDB" => Self::One(flush.database),
            "SWAPDB" => {
                let mut reader = FrameReader::new();
                let Ok(Some(_)) = reader.next(&flush.bytes) else { return Self::All };
                let command = Command::new(&flush.bytes, reader.arguments());
                let database = |at| std::str::from_utf8(command.arg(at)).ok().and_then(|text| text.parse().ok());
                database(1).zip(database(2)).map_or(Self::All, |(one, other)| Self::Two([one, other]))
            }
            _ => Self::All,
        }
    }

    /// Whether it matters in which order the two are executed: then also keys differ that nobody writes.
    fn depends_on(self, other: Self) -> bool {
        match (self, other) {
            (Self::Two(two), Self::One(one)) | (Self::One(one), Self::Two(two)) => two.contains(&one),
            (Self::Two(two), Self::Two(others)) => two.iter().filter(|one| others.contains(one)).count() == 1,
            (Self::All, _) | (_, Self::All) | (Self::One(_), Self::One(_)) => false,
        }
    }

    fn concerns(self, database: u32) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one == database,
            Self::Two(two) => two.contains(&database),
        }
    }
}

/// What the emptying of its database does to a key. Two databases that change places are no such thing: what a key held
/// has another name then, and no single write tells it.
fn deletion(flush: &Entry, name: &[u8]) -> Entry {
    let swaps = flush.spec.name == "SWAPDB";
    Entry {
        spec: lookup(b"DEL").unwrap_or(flush.spec),
        bytes: request(&[b"del".as_slice(), name]).into(),
        requests: if swaps { 2 } else { 1 },
        replaces: !swaps,
        ..flush.clone()
    }
}
