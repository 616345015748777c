//! Keys that the source has removed by itself, and that the target, which was not told, may hold for a while longer: until
//! its own clock says the same.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::command::{Access, Spec};
use crate::engine::conflict::Name;
use crate::engine::conflict::replaces;
use crate::wire::resp::Command;

/// What the target may hold longer than the source.
#[derive(Debug, Default)]
pub(super) struct Lingering {
    keys: HashMap<Name, Lingers>,
    /// When each ends, and where it was removed: in the order of the stream.
    ends: VecDeque<(i64, u64, Name)>,
    /// Of these it is not known yet whether somebody had prolonged them: where they were removed.
    unsure: VecDeque<(u64, Name)>,
}

#[derive(Debug)]
struct Lingers {
    /// Where it was removed last.
    at: u64,
    /// What removes it at the target.
    removals: Vec<Bytes>,
}

impl Lingering {
    /// Whether there is nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The source has removed something of this key at `at`, as `removal` does: the `whole` of it, or fields; the
    /// target does so before its clock, as it is
    /// known here, says `until_ms`.
    pub(super) fn departed(&mut self, name: Name, removal: Bytes, whole: bool, at: u64, until_ms: i64) {
        let lingers = self.keys.entry(name.clone()).or_insert(Lingers { at, removals: Vec::new() });
        if whole {
            lingers.removals.clear();
            self.unsure.push_back((at, name.clone()));
        }
        lingers.at = at;
        lingers.removals.push(removal);
        self.ends.push_back((until_ms, at, name));
    }

    /// A write at the source uses keys: what has to be removed at the target before it.
    pub(super) fn met(&mut self, command: &Command<'_>, spec: &Spec, database: u32, now_ms: i64) -> Vec<Bytes> {
        self.end(now_ms);
        let mut removals = Vec::new();
        for used in spec.keys(command) {
            let name = (used.database.unwrap_or(database), used.key.to_vec());
            let Some(lingers) = self.keys.remove(&name) else { continue };
            if used.access != Access::Write || !replaces(command, spec, &used) {
                removals.extend(lingers.removals);
            }
        }
        removals
    }

    /// The other region's write to these keys has arrived at the source: they are as it wrote them. Tells whether it read one
    /// that the source had removed, which may have been there still where it was made.
    pub(super) fn forget(&mut self, command: &Command<'_>, spec: &Spec, database: u32) -> bool {
        let mut misses = false;
        if self.keys.is_empty() {
            return misses;
        }
        for used in spec.keys(command) {
            let name = (used.database.unwrap_or(database), used.key.to_vec());
            if used.access == Access::Read {
                misses |= self.keys.contains_key(&name);
            } else {
                self.keys.remove(&name);
            }
        }
        misses
    }

    /// Keys that were removed at places up to `stable`, each once.
    pub(super) fn stable(&mut self, stable: u64) -> Vec<Name> {
        let mut names = Vec::new();
        while self.unsure.front().is_some_and(|(at, _)| *at <= stable) {
            let Some((at, name)) = self.unsure.pop_front() else { break };
            if self.keys.get(&name).is_some_and(|lingers| lingers.at == at) {
                names.push(name);
            }
        }
        names
    }

    /// Everything was removed.
    pub(super) fn clear(&mut self) {
        self.keys.clear();
    }

    fn end(&mut self, now_ms: i64) {
        while self.ends.front().is_some_and(|(until, ..)| *until < now_ms) {
            let Some((_, at, name)) = self.ends.pop_front() else { break };
            if self.keys.get(&name).is_some_and(|lingers| lingers.at == at) {
                self.keys.remove(&name);
            }
        }
    }
}
