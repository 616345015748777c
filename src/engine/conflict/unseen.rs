//! Values that were put at a region, and its stream broke off before that was seen in it.
//!
//! What such a value lacks is executed again once it has been seen where it stands. Where it never will be, what is known
//! of it is executed again all the same, before the region is copied: else it would be missing in both.

use super::claim::{is_of_several, replaces};
use super::exchange::{Exchange, Name, Value};
use super::log::{Entry, KeyLog, Place, Redo, Remedy};
use super::window::{By, entry};
use super::writes::Write;
use crate::command::KeyUse;
use crate::wire::resp::FrameReader;

/// A value that was put at a region.
#[derive(Debug)]
pub struct Unseen {
    /// Its key.
    name: Name,
    /// It holds what the other region's clients wrote up to there.
    at: u64,
    /// It holds what this region's clients wrote up to there.
    covered: u64,
    /// What the other region's clients wrote up to there had been sent before it.
    sent: u64,
}

impl Unseen {
    /// A value that was sent behind all that the other region's clients had written before `sent`.
    pub fn new(value: Value, sent: u64) -> Self {
        let Value { name, at, covered, .. } = value;
        Self { name, at, covered, sent }
    }

    /// What is known to have been executed at `region` before the value came, and is not in it: to be executed again in this
    /// order. Writes of several keys can't be.
    pub fn lacks(&self, region: usize, exchange: &Exchange) -> Option<Vec<Redo>> {
        let (theirs, ours) = (exchange.writes(1 - region).after(self.at), exchange.writes(region).after(self.covered));
        let mut log = KeyLog { ranking: exchange.policies().ranking(&self.name.1, region), ..KeyLog::default() };
        let theirs = theirs.take_while(|write| write.at <= self.sent).filter(|write| !write.facts.silent);
        log.entries.extend(theirs.filter_map(|write| self.wiped(&write, false)));
        log.entries.extend(ours.filter_map(|write| self.wiped(&write, true)));
        let (database, key) = (self.name.0, self.name.1.as_slice());
        match log.before_a_value(Place { region, database, key }) {
            Remedy::Again(redos) => Some(redos),
            Remedy::Value | Remedy::None => None,
        }
    }

    fn wiped(&self, write: &Write<'_>, local: bool) -> Option<Entry> {
        let (database, key) = (self.name.0, self.name.1.as_slice());
        let mut reader = FrameReader::new();
        let (spec, command) = write.command(&mut reader)?;
        let is_it = |used: &KeyUse<'_>| {
            used.key == key && used.database.unwrap_or(write.facts.database) == database
        };
        let used = spec.keys(&command).find(is_it)?;
        let replaces = write.facts.requests == 1 && replaces(&command, spec, &used);
        let of_several = is_of_several(spec, &command);
        let (stamp, seen) = (write.facts.stamp, write.facts.seen);
        let by = By { at: write.at, local, saw: 0, seen, again: None, stamp };
        Some(Entry { wiped: true, replaces, of_several, ..entry(write, spec, &by) })
    }
}
