//! Keys that are held at a region, and what the region keeps of them.

use std::collections::BTreeMap;

use super::{Exchange, MOST_HELD, Name};
use crate::engine::conflict::kept::Change;
use crate::engine::conflict::order::Order;

impl Exchange {
    /// A key is held at `region`, its latest write being this; or it no longer is. Where that is news, `pin`, or another one,
    /// holds the checkpoints back until the region keeps it: what is read again then is all that is later. Tells whether it is
    /// news, and whether the key was not held before, or is not any more.
    pub fn set_held(&mut self, region: usize, name: Name, latest: Option<Order>, pin: Option<u64>) -> (bool, bool) {
        let held = &mut self.sides[region].held;
        let before = match latest {
            Some(latest) => held.insert(name.clone(), latest),
            None => held.remove(&name),
        };
        let is_news = before != latest;
        let over = if is_news { self.keep(region, name, pin) } else { pin };
        over.into_iter().for_each(|pin| self.unpin(pin));
        (is_news, before.is_some() != latest.is_some())
    }

    /// What `region` keeps of a key is to be changed.
    fn keep(&mut self, region: usize, name: Name, pin: Option<u64>) -> Option<u64> {
        let pin = pin.unwrap_or_else(|| self.pin(region));
        self.next += 1;
        self.sides[region].kept.change(name, self.next, Some(pin))
    }

    /// Whether it was not read yet what `region` keeps of held keys: a session of the link that reads it begins behind that.
    pub fn wants_held(&self, region: usize) -> bool {
        self.sides[region].kept.unread
    }

    /// `region` keeps these as held, as it has since an earlier daemon. Those that are not to be held any more it is to forget.
    pub fn keeps_held(&mut self, region: usize, kept: impl Iterator<Item = (Name, Order)>) {
        self.sides[region].kept.unread = false;
        let over = std::mem::take(&mut self.sides[region].kept.over);
        for (name, latest) in kept {
            let held = &mut self.sides[region].held;
            if !over && self.policies.holds(&name.1) && held.len() < MOST_HELD {
                held.entry(name).or_insert(latest);
            } else {
                self.keep(region, name, None).into_iter().for_each(|pin| self.unpin(pin));
            }
        }
    }

    /// A client has taken away what `region` keeps of held keys: it is to be written again. Tells whether there is something.
    pub fn lost_held(&mut self, region: usize) -> bool {
        let names: Vec<Name> = self.sides[region].held.keys().cloned().collect();
        let any = !names.is_empty();
        for name in names {
            self.keep(region, name, None).into_iter().for_each(|pin| self.unpin(pin));
        }
        any
    }

    /// `region` keeps these now.
    pub fn kept_held(&mut self, region: usize, changes: &[Change]) {
        self.sides[region].kept.written(changes).into_iter().for_each(|pin| self.unpin(pin));
    }

    /// The keys that are held at `region`, each with the latest write that was executed.
    pub fn held(&self, region: usize) -> &BTreeMap<Name, Order> {
        &self.sides[region].held
    }
}
