//! Against which local write one of the other region has lost.

use crate::engine::conflict::claim::Claim;
use crate::engine::conflict::judge::Step;
use crate::engine::conflict::order::Order;
use crate::engine::conflict::record::Unit;

/// What a write may decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot<'a> {
    Whole,
    Lifetime,
    Counter,
    Registers,
    Sequence,
    /// Any elements, or counters in them.
    Elements,
    Element(&'a [u8]),
    ElementCounter(&'a [u8]),
}

/// A local write, by one of the things that it decides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rival<'a> {
    slot: Slot<'a>,
    place: u64,
    pub(super) order: Order,
    /// Where it stands in the log.
    pub(super) index: usize,
    /// Where the latest stands of those that decide the same, up to this one.
    latest: usize,
}

/// Local writes by what they decide, and then by their places. A key may have as many of both regions as were made while these
/// were apart: what a write has met is found without looking at all of them.
#[derive(Debug)]
pub(super) struct Rivals<'a>(Vec<Rival<'a>>);

impl<'a> Rivals<'a> {
    /// Of each: what it decides, its place, its order, and where it stands in the log.
    pub(super) fn new(writes: impl Iterator<Item = (Slot<'a>, u64, Order, usize)>) -> Self {
        let rival = |(slot, place, order, index)| Rival { slot, place, order, index, latest: 0 };
        let mut all: Vec<Rival<'a>> = writes.map(rival).collect();
        all.sort_by_key(|rival| (rival.slot, rival.place));
        for at in 0..all.len() {
            let before = at.checked_sub(1).filter(|before| all[*before].slot == all[at].slot);
            let latest = before.map(|before| all[before].latest);
            all[at].latest = latest.filter(|latest| all[*latest].order > all[at].order).unwrap_or(at);
        }
        Self(all)
    }

    /// The local ones of `steps`, by their places as `place` gives these.
    pub(super) fn of(steps: &[Step<'a>], place: impl Fn(&Step<'a>) -> u64) -> Self {
        let ours = steps.iter().enumerate().filter(|(_, step)| step.local);
        Self::new(ours.flat_map(|(index, step)| {
            let (place, order) = (place(step), step.order);
            slots(&step.claimed.claim).map(move |slot| (slot, place, order, index))
        }))
    }

    /// How many stand before what decides this at `place`.
    fn before(&self, slot: Slot<'_>, place: u64) -> usize {
        self.0.partition_point(|rival| (rival.slot, rival.place) < (slot, place))
    }

    /// The latest of those before `place` that decide this.
    pub(super) fn latest(&self, slot: Slot<'_>, place: u64) -> Option<&Rival<'a>> {
        let last = self.0.get(self.before(slot, place).checked_sub(1)?)?;
        (last.slot == slot).then(|| &self.0[last.latest])
    }

    /// The latest of those that were executed before `step` and that it lost against, with what both decide. The places are
    /// those of the first execution.
    pub(super) fn winner(&self, step: &Step<'_>, steps: &[Step<'_>]) -> Option<(usize, Unit)> {
        let claim = &step.claimed.claim;
        let mut found: Option<(&Rival<'a>, Slot<'_>)> = None;
        for slot in crossed(claim) {
            let rival = match (claim, slot) {
                (Claim::Lifetime(_), Slot::Lifetime) => self.longer(step, steps),
                _ => self.latest(slot, step.at).filter(|rival| rival.order > step.order),
            };
            if let Some(rival) = rival
                && found.is_none_or(|(found, _)| found.order < rival.order)
            {
                found = Some((rival, slot));
            }
        }
        found.map(|(rival, slot)| (rival.index, unit(claim, slot)))
    }

    /// Of concurrent changes of the time to live the longer one stays, of others the later one.
    fn longer(&self, step: &Step<'_>, steps: &[Step<'_>]) -> Option<&Rival<'a>> {
        let wins = |rival: &&Rival<'a>| match &steps[rival.index] {
            other if step.is_concurrent_with(other) => step.until() < other.until(),
            other => other.order > step.order,
        };
        let (from, to) = (self.before(Slot::Lifetime, 0), self.before(Slot::Lifetime, step.at));
        self.0[from..to].iter().rev().find(wins)
    }

    /// Whether `step` and one of them, neither of which had seen the other, decide the same. The places are the names.
    pub(super) fn meets(&self, step: &Step<'_>) -> bool {
        let seen = |slot| self.before(slot, step.saw.saturating_add(1));
        crossed(&step.claimed.claim).any(|slot| seen(slot) < self.before(slot, step.at))
    }
}

/// What a local write with this claim decides.
fn slots<'a>(claim: &Claim<'a>) -> impl Iterator<Item = Slot<'a>> {
    let (one, names, counters): (_, &[&'a [u8]], bool) = match claim {
        Claim::Read => (None, &[], false),
        Claim::Whole => (Some(Slot::Whole), &[], false),
        Claim::Lifetime(_) => (Some(Slot::Lifetime), &[], false),
        Claim::Counter => (Some(Slot::Counter), &[], false),
        Claim::Registers => (Some(Slot::Registers), &[], false),
        Claim::Sequence => (Some(Slot::Sequence), &[], false),
        Claim::Elements { names, .. } => (Some(Slot::Elements), names, false),
        Claim::ElementCounters(names) => (Some(Slot::Elements), names, true),
    };
    let of_name = move |name: &&'a [u8]| if counters { Slot::ElementCounter(name) } else { Slot::Element(name) };
    one.into_iter().chain(names.iter().map(of_name))
}

/// What may be decided by another write so that one of the two loses, if one has this claim.
fn crossed<'a>(claim: &'a Claim<'_>) -> impl Iterator<Item = Slot<'a>> {
    use Slot::{Counter, Elements, Lifetime, Registers, Sequence, Whole};
    let (others, names, counters): (&[Slot<'_>], &[&[u8]], bool) = match claim {
        Claim::Read => (&[], &[], false),
        Claim::Whole => (&[Whole, Lifetime, Counter, Registers, Sequence, Elements], &[], false),
        Claim::Lifetime(_) => (&[Whole, Lifetime], &[], false),
        Claim::Counter => (&[Whole, Registers, Sequence, Elements], &[], false),
        Claim::Registers => (&[Whole, Counter, Sequence, Elements], &[], false),
        Claim::Sequence => (&[Whole, Counter, Registers, Sequence, Elements], &[], false),
        Claim::Elements { names, .. } => (&[Whole, Counter, Registers, Sequence], names, true),
        // Sums are the same in any order.
        Claim::ElementCounters(names) => (&[Whole, Counter, Registers, Sequence], names, false),
    };
    let of_name = move |name: &&'a [u8]| {
        let counter = counters.then_some(Slot::ElementCounter(name));
        std::iter::once(Slot::Element(name)).chain(counter)
    };
    others.iter().copied().chain(names.iter().flat_map(of_name))
}

/// What a write with this claim and another one of this slot both decide.
fn unit(claim: &Claim<'_>, slot: Slot<'_>) -> Unit {
    match (claim, slot) {
        (Claim::Whole, _) | (_, Slot::Whole) => Unit::Whole,
        (_, Slot::Lifetime) => Unit::Lifetime,
        (_, Slot::Element(name) | Slot::ElementCounter(name)) => Unit::Element(name.to_vec()),
        (_, Slot::Counter | Slot::Registers | Slot::Sequence | Slot::Elements) => Unit::Sequence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::conflict::claim::Claimed;
    use proptest::prelude::*;

    const NAMES: [&[u8]; 3] = [b"a", b"b", b"c"];

    /// What two claims both decide, found by looking at both.
    fn both_decide(ours: &Claim<'_>, theirs: &Claim<'_>) -> Option<Unit> {
        use Claim::{Counter, ElementCounters, Elements, Lifetime, Read, Registers, Sequence, Whole};
        match (ours, theirs) {
            (Read, _) | (_, Read) | (Counter, Counter) | (Registers, Registers) => None,
            (ElementCounters(_), ElementCounters(_)) => None,
            (Whole, _) | (_, Whole) => Some(Unit::Whole),
            (Lifetime(_), Lifetime(_)) => Some(Unit::Lifetime),
            (Lifetime(_), _) | (_, Lifetime(_)) => None,
            (
                Elements { names, .. } | ElementCounters(names),
                Elements { names: others, .. } | ElementCounters(others),
            ) => names.iter().find(|name| others.contains(name)).map(|name| Unit::Element(name.to_vec())),
            (Sequence | Counter | Registers | Elements { .. } | ElementCounters(_), _) => Some(Unit::Sequence),
        }
    }

    fn loses(step: &Step<'_>, rival: &Step<'_>) -> bool {
        match (&step.claimed.claim, &rival.claimed.claim) {
            (Claim::Lifetime(until), Claim::Lifetime(longer)) if step.is_concurrent_with(rival) => until < longer,
            _ => rival.order > step.order,
        }
    }

    fn claims() -> impl Strategy<Value = Claim<'static>> {
        let names = || prop::collection::vec(prop::sample::select(NAMES.to_vec()), 1..4);
        prop_oneof![
            Just(Claim::Whole),
            (0..9_i64).prop_map(Claim::Lifetime),
            Just(Claim::Counter),
            Just(Claim::Registers),
            Just(Claim::Sequence),
            Just(Claim::Read),
            names().prop_map(|names| Claim::Elements { names, removes: false }),
            names().prop_map(Claim::ElementCounters),
        ]
    }

    /// Writes as a region executes them: its own, and the other one's, which had seen some of these. The times are any, for a
    /// deletion by the server counts behind what it removed; but a time to live is always set by a client.
    fn steps() -> impl Strategy<Value = Vec<Step<'static>>> {
        let write = (any::<bool>(), claims(), 0..50_i64, 0..40_u64);
        prop::collection::vec(write, 0..30).prop_map(|writes| {
            let step = |(at, (local, claim, time, saw)): (u64, (bool, Claim<'static>, i64, u64))| Step {
                order: match claim {
                    Claim::Lifetime(_) if local => Order(at as i64, 1, at),
                    _ => Order(time, u8::from(local), at),
                },
                id: at,
                claimed: Claimed { claim, alone: true, family: 0 },
                local,
                at,
                saw: if local { 0 } else { saw.min(at - 1) },
                wiped: false,
                silent: false,
            };
            (1..).zip(writes).map(step).collect()
        })
    }

    proptest! {
        #[test]
        fn a_write_loses_against_the_same_as_if_all_were_looked_at(steps in steps()) {
            let rivals = Rivals::of(&steps, |step| step.at);
            for step in steps.iter().filter(|step| !step.local) {
                let mut found: Option<(usize, Unit)> = None;
                for (index, rival) in steps.iter().enumerate().filter(|(_, rival)| rival.local && rival.at < step.at) {
                    let unit = both_decide(&step.claimed.claim, &rival.claimed.claim);
                    let latest = found.as_ref().is_none_or(|(latest, _)| steps[*latest].order < rival.order);
                    found = match unit {
                        Some(unit) if loses(step, rival) && latest => Some((index, unit)),
                        _ => found,
                    };
                }
                prop_assert_eq!(rivals.winner(step, &steps), found);
            }
        }

        #[test]
        fn a_write_meets_the_same_as_if_all_were_looked_at(steps in steps()) {
            let rivals = Rivals::of(&steps, |step| step.id);
            for step in steps.iter().filter(|step| !step.local) {
                let meets = |ours: &Step<'_>| step.is_concurrent_with(ours)
                    && both_decide(&step.claimed.claim, &ours.claimed.claim).is_some();
                let met = steps.iter().filter(|ours| ours.local).any(meets);
                prop_assert_eq!(rivals.meets(step), met);
            }
        }
    }
}
