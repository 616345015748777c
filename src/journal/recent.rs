//! Which conflicts were recorded of late: after a restart the same one may be found again.

use std::collections::{HashSet, VecDeque};

/// Ids that are remembered; more than can be found again.
pub(super) const MOST_IDS: usize = 65_536;

/// The last ids.
#[derive(Debug, Default)]
pub(super) struct Recent {
    ids: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Recent {
    /// Remembers `id`; gives whether it is new.
    pub(super) fn is_new(&mut self, id: u64) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > MOST_IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}
