//! Whether a region executed the writes of one key in an order that gives the same as the order of their stamps, and what
//! is to be executed again where it did not.
//!
//! Both regions execute all writes, each its own first. What they end with is the same if each ends with what the order
//! of the stamps gives. So each region is judged, and repaired, by itself.

use std::collections::{HashMap, HashSet};

use super::claim::{Claim, Claimed, Part};
use super::order::Order;

/// One execution of a write.
#[derive(Debug, Clone)]
pub struct Step<'a> {
    /// Its place among all writes.
    pub order: Order,
    /// Where it stands in the stream of the region whose client wrote it, bytes.
    pub id: u64,
    /// What it decides.
    pub claimed: Claimed<'a>,
    /// Whether a client of this region wrote it.
    pub local: bool,
    /// Where it was first executed in this region, bytes of its stream.
    pub at: u64,
    /// For a write of the other region: up to where that one had seen this region's writes.
    pub saw: u64,
    /// The value that was put there since was made without it.
    pub wiped: bool,
    /// A deletion that the other region was not told.
    pub silent: bool,
}

impl Step<'_> {
    /// Whether this write of the other region and `local`, one of this region, were made without having seen each other.
    pub fn is_concurrent_with(&self, local: &Self) -> bool {
        self.saw < local.id && local.id < self.at
    }

    /// Until when it lets the key live, if it sets that: Unix milliseconds.
    pub fn until(&self) -> i64 {
        match self.claimed.claim {
            Claim::Lifetime(until) => until,
            _ => i64::MIN,
        }
    }
}

/// What is to be done about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Right,
    /// These steps are to be executed again, in this order.
    Again(Vec<(usize, Part)>),
    /// No execution of single writes helps: the value is to be taken from the other region.
    Value,
}

/// What was found about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// About the key itself.
    pub verdict: Verdict,
    /// Steps of writes to several keys that met other values here than at the other region: all their keys are in doubt.
    pub entangled: Vec<usize>,
    /// The key may have lost its last element, and with it its time to live, in this order and not in the other region's.
    pub vanished: bool,
}

/// Judges the executions of writes to one key, in the order in which they were executed.
pub fn judge(steps: &[Step<'_>]) -> Judgement {
    let entangled = entangled(steps);
    let verdict = match if deleted_in_silence(steps) { Verdict::Value } else { verdict(steps) } {
        Verdict::Value => before_a_value(steps),
        verdict => verdict,
    };
    let alone = |verdict: &Verdict| match verdict {
        // What was not sent is nothing that both regions could execute.
        Verdict::Again(again) => again.iter().all(|(index, _)| steps[*index].claimed.alone && !steps[*index].silent),
        Verdict::Right | Verdict::Value => true,
    };
    let verdict = if alone(&verdict) { verdict } else { Verdict::Value };
    Judgement { verdict, entangled, vanished: may_have_vanished(steps) }
}

/// What is to be done where no execution of single writes helps. What the value that was put there lacks is executed first:
/// the other region may take it from here.
pub fn before_a_value(steps: &[Step<'_>]) -> Verdict {
    let mut missing: Vec<usize> = (0..steps.len())
        .filter(|index| {
            let Claimed { claim, alone, .. } = &steps[*index].claimed;
            steps[*index].wiped && *alone && !matches!(claim, Claim::Read | Claim::Lifetime(_))
        })
        .collect();
    missing.sort_by_key(|index| steps[*index].order);
    if missing.is_empty() {
        return Verdict::Value;
    }
    Verdict::Again(missing.into_iter().map(|index| (index, Part::Key)).collect())
}

/// Writes to several keys that changed places with something, or that came to a value which the server had removed by itself:
/// where they were made it may have been there still.
pub fn entangled(steps: &[Step<'_>]) -> Vec<usize> {
    if steps.iter().all(|step| step.claimed.alone) {
        return Vec::new();
    }
    let mut latest_before: Option<Order> = None;
    let mut found = vec![false; steps.len()];
    let (mut out_of_order, mut departed) = (false, false);
    for (index, step) in steps.iter().enumerate() {
        // What comes to a value that is not as it should be takes that on.
        out_of_order |= step.wiped || latest_before.is_some_and(|latest| latest > step.order);
        found[index] = out_of_order || departed && !step.local;
        departed = step.silent || departed && step.claimed.claim != Claim::Whole;
        latest_before = latest_before.max(Some(step.order));
    }
    let mut earliest_after: Option<Order> = None;
    for (index, step) in steps.iter().enumerate().rev() {
        found[index] |= earliest_after.is_some_and(|earliest| earliest < step.order);
        earliest_after = Some(earliest_after.map_or(step.order, |earliest| earliest.min(step.order)));
    }
    (0..steps.len()).filter(|index| found[*index] && !steps[*index].claimed.alone).collect()
}

/// Whether a change came to a value, or to elements, that the server had removed by itself while the other region still had
/// them.
fn deleted_in_silence(steps: &[Step<'_>]) -> bool {
    let mut key = false;
    let mut elements: HashSet<&[u8]> = HashSet::new();
    for step in steps {
        let comes = !step.local;
        match &step.claimed.claim {
            Claim::Whole => {
                key = step.silent;
                elements.clear();
            }
            Claim::Read => {}
            _ if key && comes => return true,
            Claim::Elements { names, .. } if step.silent => elements.extend(names),
            Claim::Elements { names, .. } => names.iter().for_each(|name| {
                elements.remove(name);
            }),
            Claim::ElementCounters(names) if comes && names.iter().any(|name| elements.contains(name)) => return true,
            Claim::Sequence if comes && !elements.is_empty() => return true,
            _ => {}
        }
    }
    false
}

fn verdict(steps: &[Step<'_>]) -> Verdict {
    let sorted = |mut indices: Vec<usize>| {
        indices.sort_by_key(|index| steps[*index].order);
        indices
    };
    let whole = |index: &usize| steps[*index].claimed.claim == Claim::Whole;
    let latest = (0..steps.len()).filter(whole).max_by_key(|index| steps[*index].order);
    let from = latest.map(|latest| steps[latest].order);
    if clashes(steps.iter().filter(|step| Some(step.order) >= from)) {
        return Verdict::Value;
    }
    let Some(latest) = latest else {
        let missing = sorted((0..steps.len()).filter(|index| steps[*index].wiped).collect());
        let there = (0..steps.len()).filter(|index| !steps[*index].wiped);
        return elements(steps, there.collect(), missing);
    };
    let order = steps[latest].order;
    let later = |index: &usize| steps[*index].order > order;
    let tail = sorted((0..steps.len()).filter(later).filter(|index| *index != latest).collect());
    let all_again = || std::iter::once(latest).chain(tail.iter().copied()).map(|index| (index, Part::Key)).collect();
    let stale = |step: &Step<'_>| step.order < order && step.claimed.claim != Claim::Read;
    let on_top = latest + 1..steps.len();
    if steps[latest].wiped || steps[on_top.clone()].iter().any(|step| stale(step) && !step.wiped) {
        return Verdict::Again(all_again());
    }
    let missing: Vec<usize> = tail.iter().copied().filter(|index| *index < latest || steps[*index].wiped).collect();
    // A time to live may have met no key.
    if missing.iter().any(|index| matches!(steps[*index].claimed.claim, Claim::Lifetime(_))) && tail.len() > 1 {
        return Verdict::Again(all_again());
    }
    let there = on_top.filter(|index| !steps[*index].wiped).collect();
    match elements(steps, there, missing) {
        Verdict::Value => Verdict::Again(all_again()),
        verdict => verdict,
    }
}

/// Whether these are for values of several types, so that some of them fail in one order.
fn clashes<'a>(steps: impl Iterator<Item = &'a Step<'a>>) -> bool {
    let mut first = 0;
    let is_of_value = |step: &&Step<'_>| !matches!(step.claimed.claim, Claim::Read | Claim::Lifetime(_));
    steps.filter(is_of_value).map(|step| step.claimed.family).filter(|family| *family != 0).any(|family| {
        first = if first == 0 { family } else { first };
        family != first
    })
}

/// What is to be done after `there` was executed, and then `missing` is, on a value that all of them add to.
fn elements(steps: &[Step<'_>], there: Vec<usize>, missing: Vec<usize>) -> Verdict {
    let of = |index: &usize| &steps[*index].claimed.claim;
    // The value may have come when its time was over, so that there is nothing left to prolong.
    if missing.iter().any(|index| steps[*index].wiped && matches!(of(index), Claim::Lifetime(_))) {
        return Verdict::Value;
    }
    let sequence: Vec<usize> =
        there.iter().chain(&missing).copied().filter(|index| *of(index) != Claim::Read).collect();
    let (lifetimes, values): (Vec<usize>, Vec<usize>) =
        sequence.into_iter().partition(|index| matches!(of(index), Claim::Lifetime(_)));
    let mut again: Vec<(usize, Part)> = missing.iter().map(|index| (*index, Part::Key)).collect();
    again.retain(|(index, _)| *of(index) != Claim::Read);
    if !values.is_sorted_by_key(|index| steps[*index].order) {
        match inverted(steps, &values) {
            Verdict::Right => {}
            Verdict::Again(parts) => again.extend(parts),
            Verdict::Value => return Verdict::Value,
        }
    }
    again.extend(lifetime(steps, &lifetimes).map(|index| (index, Part::Key)));
    if again.is_empty() { Verdict::Right } else { Verdict::Again(again) }
}

/// The change of the time to live that should have been the last, if another one was: of two that are concurrent the longer.
fn lifetime(steps: &[Step<'_>], lifetimes: &[usize]) -> Option<usize> {
    let last = *lifetimes.last()?;
    let until = |index: usize| steps[index].until();
    // Of one region's own changes only the last one stands.
    let latest = |local: bool| {
        let of_region = lifetimes.iter().copied().filter(|index| steps[*index].local == local);
        of_region.max_by_key(|index| steps[*index].order)
    };
    let winner = match (latest(true), latest(false)) {
        (Some(ours), Some(theirs)) if steps[theirs].is_concurrent_with(&steps[ours]) => {
            if until(ours) >= until(theirs) { ours } else { theirs }
        }
        (ours, theirs) => ours.into_iter().chain(theirs).max_by_key(|index| steps[*index].order)?,
    };
    (until(winner) != until(last)).then_some(winner)
}

/// What is to be done about changes of values, none of them whole, that were not executed in order.
fn inverted(steps: &[Step<'_>], values: &[usize]) -> Verdict {
    let of = |index: &usize| &steps[*index].claimed.claim;
    if values.iter().all(|index| *of(index) == Claim::Counter)
        || values.iter().all(|index| *of(index) == Claim::Registers)
    {
        return Verdict::Right;
    }
    let family = steps[values[0]].claimed.family;
    let of_elements = |index: &usize| matches!(of(index), Claim::Elements { .. } | Claim::ElementCounters(_));
    if !values.iter().all(|index| of_elements(index) && steps[*index].claimed.family == family) {
        return Verdict::Value;
    }
    let mut by_name: HashMap<&[u8], Vec<usize>> = HashMap::new();
    let mut names: Vec<&[u8]> = Vec::new();
    for index in values {
        let (Claim::Elements { names: here, .. } | Claim::ElementCounters(here)) = of(index) else { continue };
        for name in here {
            let steps = by_name.entry(name).or_insert_with(|| {
                names.push(name);
                Vec::new()
            });
            if steps.last() != Some(index) {
                steps.push(*index);
            }
        }
    }
    let again: Vec<(usize, Part)> = names
        .into_iter()
        .flat_map(|name| {
            let of_name = by_name.remove(name).unwrap_or_default();
            one_element(steps, &of_name).into_iter().map(|index| (index, Part::Element(name.to_vec())))
        })
        .collect();
    if again.is_empty() { Verdict::Right } else { Verdict::Again(again) }
}

/// The steps that are to be executed again for one element.
fn one_element(steps: &[Step<'_>], of_name: &[usize]) -> Vec<usize> {
    if of_name.is_sorted_by_key(|index| steps[*index].order) {
        return Vec::new();
    }
    let sets = |index: &usize| matches!(steps[*index].claimed.claim, Claim::Elements { .. });
    let Some(latest) = of_name.iter().copied().filter(sets).max_by_key(|index| steps[*index].order) else {
        return Vec::new();
    };
    let order = steps[latest].order;
    let position = of_name.iter().position(|index| *index == latest).unwrap_or(0);
    let later = |of: &[usize]| {
        let mut later: Vec<usize> = of.iter().copied().filter(|index| steps[*index].order > order).collect();
        later.sort_by_key(|index| steps[*index].order);
        later
    };
    if of_name[position..].iter().any(|index| steps[*index].order < order) {
        return std::iter::once(latest).chain(later(of_name)).collect();
    }
    later(&of_name[..position])
}

/// Whether what may remove the last element and what sets elements or the time to live have changed places: in one order the
/// key may have been gone for a moment, and its time to live with it, and not in the other one.
fn may_have_vanished(steps: &[Step<'_>]) -> bool {
    let (mut latest_set, mut latest_removed): (Option<Order>, Option<Order>) = (None, None);
    for step in steps {
        let removes = match &step.claimed.claim {
            Claim::Elements { removes, .. } => *removes,
            Claim::Sequence => true,
            Claim::ElementCounters(_) | Claim::Lifetime(_) => false,
            Claim::Whole | Claim::Counter | Claim::Registers | Claim::Read => continue,
        };
        let order = Some(step.order);
        if if removes { latest_set > order } else { latest_removed > order } {
            return true;
        }
        let latest = if removes { &mut latest_removed } else { &mut latest_set };
        *latest = (*latest).max(order);
    }
    false
}

#[cfg(test)]
mod tests;
