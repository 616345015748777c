//! Two writes crossed: what becomes of the one that is being read.
//!
//! `o` was executed at its origin before our writes `p1 .. pn` (pending there, in that order) arrived; at the peer it
//! will come after them. Three cases:
//!
//! * one of them sets all that `o` touches and is later: `o` is **dropped**. Origin: o, p. Peer: p.
//! * each of them can be reset by `o`, or sets all that `o` touches, or sets as `o` does: `o` and those that are later
//!   are sent, and executed again at the origin. Origin: o, p.., o, later p... Peer: p.., o, later p...
//! * otherwise, unless one that sets all that `o` touches wipes them, their order matters and neither undoes the other: `o` is sent as it is, and the key is **unresolved**.

use super::claim::Relation;
use super::stamp::Stamp;

/// A write of ours that crossed with the one that is being read.
#[derive(Debug, Clone)]
pub struct Rival {
    /// How the one being read stands to it.
    pub relation: Relation,
    /// When it was executed first.
    pub stamp: Stamp,
    /// Its place among the pending writes.
    pub order: u64,
    /// Which of the claims of the one being read it crossed with, counted from 0.
    pub claim: usize,
}

/// What becomes of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing crossed with it: it is sent.
    Forward,
    /// It is sent and executed again at its origin, at both places followed by these rivals (by their order).
    Replay(Vec<u64>),
    /// It is not sent: a later one stands in its place.
    Drop,
    /// It is sent, and the regions may differ on its keys.
    Unresolved,
}

/// The verdict on a write with `stamp` that claims so many things; of the rivals only those are given that are not
/// independent, in their order.
pub fn verdict(stamp: Stamp, claims: usize, rivals: &[Rival]) -> Verdict {
    if rivals.is_empty() {
        return Verdict::Forward;
    }
    let stands_for = |rival: &Rival| rival.relation == Relation::Covered && rival.stamp > stamp;
    if (0..claims).all(|claim| rivals.iter().any(|rival| rival.claim == claim && stands_for(rival))) {
        return Verdict::Drop;
    }
    // What one of them has set anew is wiped of all before; behind it only what the same region wrote before `o` may stand,
    // for that is executed again in its order too.
    let reset = |claim| rivals.iter().rev().find(|rival| rival.claim == claim && rival.relation == Relation::Covered);
    let disturbs = |rival: &Rival| {
        let behind = reset(rival.claim).is_none_or(|reset| rival.order > reset.order);
        let own = rival.stamp.rank == stamp.rank && reset(rival.claim).is_some();
        rival.relation == Relation::Ordered && behind && !own
    };
    if rivals.iter().any(disturbs) {
        return Verdict::Unresolved;
    }
    let mut later: Vec<u64> = rivals.iter().filter(|rival| rival.stamp > stamp).map(|rival| rival.order).collect();
    later.sort_unstable();
    later.dedup(); // one rival may have crossed with several claims
    Verdict::Replay(later)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Stamp = Stamp { time_us: 10, rank: 0 };

    fn rival(relation: Relation, time_us: i64, order: u64) -> Rival {
        Rival { relation, stamp: Stamp { time_us, rank: 1 }, order, claim: 0 }
    }

    #[test]
    fn the_later_write_stays() {
        assert_eq!(verdict(NOW, 1, &[]), Verdict::Forward);
        assert_eq!(verdict(NOW, 1, &[rival(Relation::Covered, 11, 1)]), Verdict::Drop);
        assert_eq!(verdict(NOW, 1, &[rival(Relation::Covered, 9, 1)]), Verdict::Replay(vec![]));
    }

    #[test]
    fn later_ones_that_set_less_are_executed_behind_it() {
        let rivals = [rival(Relation::Resettable, 8, 1), rival(Relation::Resettable, 12, 2)];
        assert_eq!(verdict(NOW, 1, &rivals), Verdict::Replay(vec![2]));
    }

    #[test]
    fn a_write_of_two_keys_is_dropped_only_when_both_are_covered() {
        let first = rival(Relation::Covered, 12, 1);
        assert_eq!(verdict(NOW, 2, &[first.clone()]), Verdict::Replay(vec![1]));
        assert_eq!(verdict(NOW, 2, &[first, Rival { claim: 1, ..rival(Relation::Covered, 13, 2) }]), Verdict::Drop);
    }

    #[test]
    fn what_is_wiped_by_another_has_no_order() {
        let wiped = [rival(Relation::Ordered, 8, 1), rival(Relation::Covered, 9, 2)];
        assert_eq!(verdict(NOW, 1, &wiped), Verdict::Replay(vec![]));
        let mut own = [rival(Relation::Covered, 8, 1), rival(Relation::Ordered, 9, 2)];
        assert_eq!(verdict(NOW, 1, &own), Verdict::Unresolved);
        own[1].stamp.rank = NOW.rank;
        assert_eq!(verdict(NOW, 1, &own), Verdict::Replay(vec![]), "an earlier one of the same region, executed again");
    }

    #[test]
    fn what_has_an_order_is_not_guessed() {
        assert_eq!(verdict(NOW, 1, &[rival(Relation::Ordered, 9, 1)]), Verdict::Unresolved);
        let covered = [rival(Relation::Ordered, 9, 1), rival(Relation::Covered, 12, 2)];
        assert_eq!(verdict(NOW, 1, &covered), Verdict::Drop, "a later write of the whole ends it");
    }
}
