//! The transactions in which the writes of one region were sent to the other one, as long as they are not stable.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::engine::conflict::stamp::Stamp;

/// Transactions that are remembered until they are stable.
const MOST: usize = 1 << 16;

/// When the writes of a transaction were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// By the clock of their region.
    pub stamp: Stamp,
    /// Up to where that had executed the other region's writes, in that one's stream.
    pub seen: u64,
}

/// What was sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// By where the last of their writes ends.
    transactions: BTreeMap<u64, Transaction>,
    /// Where sessions before this one left a deletion of the server's to the other region, behind where this one begins to read.
    silent: BTreeSet<u64>,
}

#[derive(Debug)]
struct Transaction {
    /// Behind which place its writes begin.
    since: u64,
    made: Made,
    /// Which keys the other region's stream shows to be deleted in it, each by [`shown`](super::super::window::shown), in order;
    /// nothing where it was sent by this daemon.
    deleted: Option<Vec<u64>>,
}

impl Sent {
    /// What was sent up to `high` is not sent again, and what stands behind that has not been executed. These deletions, each by
    /// where it ends, were not sent, and may be read again.
    pub fn begin(&mut self, high: u64, silent: impl Iterator<Item = u64>) {
        let _later = self.transactions.split_off(&(high + 1));
        self.silent.extend(silent);
    }

    /// A transaction with these writes, made then, was sent.
    pub fn sent(&mut self, writes: Range<u64>, made: Made) {
        let transaction = Transaction { since: writes.start, made, deleted: None };
        self.transactions.insert(writes.end, transaction);
        if self.transactions.len() > MOST {
            self.transactions.pop_first();
        }
    }

    /// The other region's stream shows one, in which these keys are deleted.
    pub fn executed(&mut self, writes: Range<u64>, made: Made, mut deleted: Vec<u64>) {
        deleted.sort_unstable();
        let transaction = Transaction { since: writes.start, made, deleted: Some(deleted) };
        self.transactions.entry(writes.end).or_insert(transaction);
    }

    /// Whether the deletion that ends at `at` was left to the other region.
    pub fn is_silent(&self, at: u64) -> bool {
        self.silent.contains(&at)
    }

    /// When the write was made that ends at `at`; nothing for one that no transaction is known to have held. A deletion by the
    /// server itself, of `deleted`, may have been left to the other region by an earlier daemon: then it is in none, whatever
    /// was sent before and behind it.
    pub fn made(&self, at: u64, deleted: Option<u64>) -> Option<Made> {
        let (_, Transaction { since, made, deleted: all }) = self.transactions.range(at..).next()?;
        let holds = deleted.is_none_or(|key| all.as_ref().is_none_or(|all| all.binary_search(&key).is_ok()));
        (*since < at && holds).then_some(*made)
    }

    /// The latest stamp of those that end at `until` or before.
    pub fn latest(&self, until: u64) -> Option<Stamp> {
        self.transactions.range(..=until).map(|(_, sent)| sent.made.stamp).max()
    }

    /// Where the last of them ends.
    pub fn end(&self) -> u64 {
        self.transactions.last_key_value().map_or(0, |(end, _)| *end)
    }

    /// What ends at `low` or before is not asked for any more.
    pub fn forget(&mut self, low: u64) {
        self.transactions = self.transactions.split_off(&(low + 1));
        self.silent = self.silent.split_off(&(low + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(time_us: i64) -> Made {
        Made { stamp: Stamp { time_us, rank: 0 }, seen: 0 }
    }

    #[test]
    fn a_write_is_dated_by_the_transaction_that_held_it() {
        let mut sent = Sent::default();
        sent.sent(10..20, made(1));
        sent.executed(10..20, made(9), Vec::new());
        sent.executed(25..30, made(2), vec![7]);
        assert_eq!(
            [10, 11, 20, 21, 25, 26, 30, 31].map(|at| sent.made(at, None).map(|made| made.stamp.time_us)),
            [None, Some(1), Some(1), None, None, Some(2), Some(2), None]
        );
        assert_eq!((sent.latest(20), sent.latest(30), sent.end()), (Some(made(1).stamp), Some(made(2).stamp), 30));
        sent.forget(20);
        assert_eq!((sent.made(20, None), sent.made(30, None)), (None, Some(made(2))));
        sent.begin(29, [].into_iter());
        assert_eq!(sent.end(), 0);
    }

    #[test]
    fn a_deletion_that_an_earlier_daemon_left_to_the_other_region_was_in_no_transaction() {
        let mut sent = Sent::default();
        sent.sent(10..20, made(1));
        sent.executed(20..30, made(2), vec![9, 7]);
        assert_eq!(sent.made(15, Some(6)), Some(made(1)), "what this daemon did not send it knows");
        assert_eq!((sent.made(25, Some(7)), sent.made(25, Some(6))), (Some(made(2)), None));
        sent.begin(30, [25].into_iter());
        sent.begin(30, [28].into_iter());
        assert_eq!([25, 26, 28].map(|at| sent.is_silent(at)), [true, false, true]);
        sent.forget(25);
        assert!(!sent.is_silent(25) && sent.is_silent(28));
    }
}
