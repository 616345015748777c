//! Values with which keys are made equal: asked for, read, found in the stream, put, arrived.

use bytes::Bytes;

use super::{Exchange, MOST_TOLD, Mail, Name, Placed, Value};
use crate::engine::conflict::log::Met;
use crate::engine::conflict::record::Record;
use crate::engine::conflict::settles::{Latest, Settles, Wanted};
use crate::engine::conflict::window::{Found, by_value};

/// What somebody has to do at a region.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Errand {
    /// Values that are to be read.
    pub values: Vec<Wanted>,
    /// A fence that is to be set: a nonce by this name, in no transaction.
    pub fence: Option<u64>,
    /// More is to be done later.
    pub later: bool,
}

impl Exchange {
    /// `region` can't repair this key by itself.
    pub fn ask(&mut self, region: usize, name: Name, latest: Latest, (rounds, met): (u32, Option<Met>)) {
        self.next += 1;
        self.settles.ask(self.next, region, name, latest, (rounds, met));
    }

    /// Keys whose values are being taken.
    pub fn settles(&self) -> &Settles {
        &self.settles
    }

    /// Writes to this key are executed again at `region`; or they have been.
    pub fn repairs(&mut self, region: usize, name: Name, repairs: bool) {
        if repairs {
            self.repairs.insert((region, name));
        } else if !self.repairs.is_empty() {
            self.repairs.remove(&(region, name));
        }
    }

    /// What is to be done at `region` now about values; `now_ms` counts from anywhere, and never back.
    pub fn errand(&mut self, region: usize, now_ms: i64) -> Errand {
        let has_executed = self.sides[region].sees >= self.sides[1 - region].forgotten;
        if self.sides[region].judged.is_none() || !has_executed {
            // What the region lacks is not known yet, or it lacks what the other one has forgotten.
            return Errand { later: !self.settles.is_empty(), ..Errand::default() };
        }
        let Self { settles, sides: [first, second], repairs, next, .. } = self;
        let (values, more) = settles.wanted(region, now_ms, [&first.damaged, &second.damaged], repairs, next);
        let (fence, again) = settles.fence(region, now_ms, next);
        Errand { values, fence, later: more || again }
    }

    /// The value `id` could not be read: it is to be tried again later.
    pub fn not_read(&mut self, id: u64, now_ms: i64) {
        self.settles.not_taken(id, Some(now_ms));
    }

    /// A fence could not be set at `region`.
    pub fn not_set(&mut self, region: usize, now_ms: i64) {
        self.settles.not_set(region, now_ms);
    }

    /// The value `id` was read: as DUMP gives it, and when it expires. Tells whether a fence is to be set for it.
    pub fn read(&mut self, id: u64, payload: Option<Bytes>, expires_at_ms: Option<i64>) -> bool {
        self.settles.read(id, payload, expires_at_ms);
        self.wants_fence()
    }

    fn wants_fence(&self) -> bool {
        (0..2).any(|region| self.settles.wants_fence(region))
    }

    /// The nonce `id`, of a value or a fence, was found in the stream of `region`; `placed` tells about a value's place. What
    /// follows is `found`.
    pub fn nonce(
        &mut self,
        region: usize,
        id: u64,
        placed: impl FnOnce(&Self, &Name) -> Placed,
        mut found: impl FnMut(Found),
    ) {
        if self.sides[region].judged.is_none() {
            // It was set by an earlier session, or daemon.
            return;
        }
        let Self { settles, sides, .. } = self;
        let values: Vec<Value> = settles.passed(region, id).collect();
        if !values.is_empty() {
            sides[region].mail.extend(values.into_iter().map(|value| Mail::Value(Box::new(value))));
            found(Found::Posted);
        }
        if let Some(name) = self.settles.name_of(id).filter(|_| self.settles.giver(id) == Some(region)) {
            if self.sides[region].damaged.contains(name) {
                // Only the stream up to there has told.
                self.settles.not_taken(id, None);
            } else {
                let placed = placed(self, name);
                let lacks = placed.covered < self.sides[1 - region].forgotten;
                if lacks || !placed.is_latest && self.settles.waits_for_latest(id) {
                    self.settles.not_taken(id, None);
                    found(Found::Wanted);
                } else {
                    self.settles.placed(id, placed);
                }
            }
        }
        if self.wants_fence() {
            found(Found::Wanted);
        }
    }

    /// The value of a key arrived at `region`. Gives the record of it, if there is to be one.
    pub fn arrived(&mut self, region: usize, name: &Name, at: u64) -> Option<Record> {
        let giver = &mut self.sides[1 - region];
        giver.taken.push((name.clone(), at));
        giver.given.push((name.clone(), at));
        let met = self.settles.arrived(name, at)?;
        self.sides[region].damaged.remove(name);
        let record = by_value(region, name.0, &name.1, met?);
        // The same two writes may make the other region take the value, too.
        let is_told = self.told.contains(&record.id);
        if !is_told {
            self.told.push_back(record.id);
            self.told.drain(..self.told.len().saturating_sub(MOST_TOLD));
        }
        (!is_told).then_some(record)
    }

    /// Keys whose value as it was at some place of the stream of `region` has arrived at the other one.
    pub fn take_taken(&mut self, region: usize) -> Vec<(Name, u64)> {
        std::mem::take(&mut self.sides[region].taken)
    }

    /// The stream of `region` has broken off: values that were to be put there are not sent any more.
    pub fn breaks_off(&mut self, region: usize) {
        let mail = std::mem::take(&mut self.sides[region].mail);
        let (values, rest): (Vec<Mail>, Vec<Mail>) = mail.into_iter().partition(|mail| matches!(mail, Mail::Value(_)));
        self.sides[region].mail.extend(rest);
        let value = |mail| if let Mail::Value(value) = mail { Some(*value) } else { None };
        self.settles.breaks_off(region, values.into_iter().filter_map(value));
    }
}
