//! A key that differed when it was looked at. Under load that may be nothing but the way between the regions, so it is looked
//! at again behind a fence, until both regions hold the same, or the same difference has been there for long enough.

use std::time::Duration;

use super::{Difference, Plan, Sight};

/// A key: database and name.
pub type Name = (u32, Vec<u8>);

/// A key that differed.
#[derive(Debug, Clone)]
pub struct Suspect {
    /// The key.
    pub name: Name,
    /// When it was found, since any moment that all times here count from.
    found: Duration,
    /// What has been different in the same way in all looks since then; nothing before the first look.
    lasting: Vec<Difference>,
    since: Duration,
    looks: u32,
}

/// What was seen of a suspect.
#[derive(Debug, Clone)]
pub struct Look {
    /// At the forward link's source, and at its target; of the value as much as was read.
    pub sights: [Sight; 2],
    /// What differs.
    pub differences: Vec<Difference>,
    /// When.
    pub at: Duration,
}

/// What is to be done about a suspect after a look.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Both regions hold the same: it is none any more.
    Equal,
    /// It is not known yet.
    Again,
    /// These differences have been there in every round, and long enough.
    Different(Vec<Difference>),
    /// It was never seen still: clients write it all the time.
    Undecided,
}

impl Suspect {
    /// A key that was found at `now`.
    pub fn new(name: Name, now: Duration) -> Self {
        Self { name, found: now, lasting: Vec::new(), since: now, looks: 0 }
    }

    /// How often the lasting difference was seen.
    pub fn looks(&self) -> u32 {
        self.looks
    }

    /// What the look says. Between two looks both links have passed the moment of the first one, so that a difference in
    /// which neither side has changed is not on its way.
    pub fn look(&mut self, look: &Look, plan: &Plan) -> Next {
        if look.differences.is_empty() {
            return Next::Equal;
        }
        let lasts = |before: &Difference| look.differences.iter().any(|now| same(before, now, plan));
        self.lasting.retain(lasts);
        if self.lasting.is_empty() {
            self.lasting.clone_from(&look.differences);
            self.since = look.at;
            self.looks = 0;
        }
        self.looks += 1;
        let settle = if plan.rounds > 1 { plan.settle } else { Duration::ZERO };
        if self.looks >= plan.rounds && look.at.saturating_sub(self.since) >= settle {
            Next::Different(std::mem::take(&mut self.lasting))
        } else if look.at.saturating_sub(self.found) >= plan.patience.max(settle * 2) {
            Next::Undecided
        } else {
            Next::Again
        }
    }
}

/// Whether nothing has changed between two looks: times to live of older servers are known to a few milliseconds only.
fn same(before: &Difference, now: &Difference, plan: &Plan) -> bool {
    match (before, now) {
        (Difference::Ttl(before), Difference::Ttl(now)) => {
            before.iter().zip(now).all(|(before, now)| plan.close(*before, *now))
        }
        (before, now) => before == now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(differences: &[Difference], seconds: u64) -> Look {
        Look {
            sights: [Sight::none(), Sight::none()],
            differences: differences.to_vec(),
            at: Duration::from_secs(seconds),
        }
    }

    const A: Difference = Difference::Digest([1, 2]);
    const B: Difference = Difference::Digest([1, 3]);

    fn found() -> Suspect {
        Suspect::new((0, b"k".to_vec()), Duration::ZERO)
    }

    #[test]
    fn a_key_that_is_equal_once_is_equal() {
        let mut suspect = found();
        assert_eq!(suspect.look(&look(&[A], 1), &Plan::default()), Next::Again);
        assert_eq!(suspect.look(&look(&[], 2), &Plan::default()), Next::Equal);
    }

    #[test]
    fn a_difference_that_stays_is_one() {
        let mut suspect = found();
        assert_eq!(suspect.look(&look(&[A, B], 1), &Plan::default()), Next::Again);
        assert_eq!(suspect.look(&look(&[B], 4), &Plan::default()), Next::Again, "not for long enough");
        assert_eq!(suspect.look(&look(&[B, A], 6), &Plan::default()), Next::Different(vec![B]));
    }

    #[test]
    fn a_difference_counts_only_if_it_is_there_in_every_round() {
        let plan = Plan { rounds: 3, settle: Duration::ZERO, ..Plan::default() };
        let mut suspect = found();
        let seen: Vec<_> = (1..=3).map(|second| suspect.look(&look(&[A], second), &plan)).collect();
        assert_eq!(seen, [Next::Again, Next::Again, Next::Different(vec![A])]);
        let once = Plan { rounds: 1, ..Plan::default() };
        assert_eq!(found().look(&look(&[A], 0), &once), Next::Different(vec![A]));
    }

    #[test]
    fn what_changes_with_each_look_is_never_called_different() {
        let mut suspect = found();
        let plan = Plan::default();
        for second in 1..60 {
            let changing = Difference::Digest([u128::from(second), 0]);
            assert_eq!(suspect.look(&look(&[changing], second), &plan), Next::Again);
        }
        assert_eq!(suspect.look(&look(&[A], 60), &plan), Next::Undecided);
    }

    #[test]
    fn a_time_to_live_that_is_told_a_little_differently_has_not_changed() {
        let mut suspect = found();
        let ttl = |at| Difference::Ttl([Some(at), None]);
        assert_eq!(suspect.look(&look(&[ttl(100_000)], 1), &Plan::default()), Next::Again);
        let next = suspect.look(&look(&[ttl(100_003)], 9), &Plan::default());
        assert_eq!(next, Next::Different(vec![ttl(100_000)]));
    }
}
