//! What one link posts for the other to execute: taken, sent, answered, seen.

use bytes::Bytes;

use super::{Exchange, Name, Side};
use crate::engine::conflict::kept::Change;
use crate::engine::conflict::log::Redo;
use crate::engine::conflict::order::Order;
use crate::engine::conflict::puts::Put;

/// What one link posts for the other to execute.
#[derive(Debug)]
pub enum Mail {
    /// Writes of one key, to be executed again in this order.
    Again(Vec<Redo>),
    /// The value of a key.
    Value(Box<Value>),
    /// Which keys are held there, for the region to keep.
    Held(Vec<Change>),
}

/// A value that was taken at the other region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Its key.
    pub name: Name,
    /// As DUMP gives it; nothing where there is no such key.
    pub payload: Option<Bytes>,
    /// When it expires, Unix milliseconds.
    pub expires_at_ms: Option<i64>,
    /// Where in that region's stream it was taken.
    pub at: u64,
    /// Up to where that region had executed this one's writes then.
    pub covered: u64,
    /// It is later than anything before this.
    pub floor: Option<Order>,
}

impl Exchange {
    /// Something is to be executed at `region`.
    pub fn post(&mut self, region: usize, mail: Mail) {
        self.sides[region].mail.push_back(mail);
    }

    /// Whether something is to be executed at `region`.
    pub fn has_mail(&self, region: usize) -> bool {
        !self.sides[region].mail.is_empty() || self.sides[region].kept.is_due()
    }

    /// The next that fits behind what was taken already: values, and which keys are held, go alone, writes up to `room`.
    pub fn take(&mut self, region: usize, room: usize, first: bool) -> Option<Mail> {
        let Side { mail, kept, held, .. } = &mut self.sides[region];
        if mail.is_empty() && first && kept.is_due() {
            return Some(Mail::Held(kept.take(held)));
        }
        let fits = match mail.front()? {
            Mail::Again(redos) => first || redos.len() <= room,
            Mail::Value(_) | Mail::Held(_) => first,
        };
        if fits { mail.pop_front() } else { None }
    }

    /// A session begins that writes to `region`, with the transaction `first`: what an earlier one had sent behind that was
    /// not executed.
    pub fn writes_from(&mut self, region: usize, first: u64) {
        self.copied[1 - region] = false;
        let side = &mut self.sides[region];
        let _gone = side.on_its_way.split_off(&first);
        side.puts.were_not(first);
    }

    /// The transaction `id` with this mail for `region` was sent, with a value where that is `put`.
    pub fn mailed(&mut self, region: usize, id: u64, mail: Vec<Mail>, put: Option<Put>) {
        let side = &mut self.sides[region];
        side.unanswered += 1;
        put.into_iter().for_each(|put| side.puts.put(id, put));
        side.on_its_way.insert(id, mail);
    }

    /// The stream of `region` has broken off, and the region is about to be copied, all that was sent to it having been
    /// answered. What values that were put there are known to lack is posted. Tells whether there is something.
    pub fn make_good(&mut self, region: usize) -> bool {
        let side = &mut self.sides[region];
        let mut puts = std::mem::take(&mut side.puts);
        puts.redone(side.on_its_way.values().flatten().chain(&side.mail));
        let lacking = puts.lack(region, self);
        let any = !lacking.is_empty();
        self.sides[region].mail.extend(lacking);
        any
    }

    /// The transaction `id` was seen before `at` in the stream of `region`: what it carried, if this daemon sent it.
    pub fn came(&mut self, region: usize, id: u64, at: u64) -> Option<Vec<Mail>> {
        let side = &mut self.sides[region];
        let later = side.on_its_way.split_off(&(id + 1));
        let mail = std::mem::replace(&mut side.on_its_way, later).remove(&id)?;
        side.puts.seen(id, at);
        side.puts.redone(&mail);
        Some(mail)
    }

    /// It was answered.
    pub fn answered(&mut self, region: usize) {
        self.sides[region].unanswered = self.sides[region].unanswered.saturating_sub(1);
    }

    /// Whether all mail for `region` that was sent has been answered.
    pub fn is_answered(&self, region: usize) -> bool {
        self.sides[region].unanswered == 0
    }

    /// Whether all mail for `region` was executed.
    pub fn is_executed(&self, region: usize) -> bool {
        self.sides[region].mail.is_empty() && self.is_answered(region)
    }
}
