//! Which writes lost against which, and the records of them.

use super::{Entry, Place, hash, order};
use crate::engine::conflict::claim::Claim;
use crate::engine::conflict::judge::Step;
use crate::engine::conflict::order::Ranking;
use crate::engine::conflict::record::{Done, MOST_KEPT, Record, Side, Unit};

/// The writes of the other region that lost against a local one, with the record of each; each of them once.
pub(super) fn losers(entries: &[Entry], steps: &[Step<'_>], place: Place<'_>) -> Vec<(usize, Option<Record>)> {
    let is_new = |index: &usize| !entries[*index].local && !entries[*index].recorded;
    // The latest first: against it most have lost.
    let mut rivals: Vec<usize> = (0..steps.len()).filter(|index| steps[*index].local).collect();
    rivals.sort_by_key(|index| std::cmp::Reverse(steps[*index].order));
    // Of those only what was executed before a write has won against it: as a rule the latest ones are not.
    let by_place = rivals.is_sorted_by_key(|index| std::cmp::Reverse(steps[*index].at));
    let before = |index: usize| match by_place {
        true => &rivals[rivals.partition_point(|rival| steps[*rival].at >= steps[index].at)..],
        false => &rivals,
    };
    let record =
        |index| (index, is_other(entries, index).then(|| loser(entries, steps, index, before(index), place)).flatten());
    (0..entries.len()).filter(is_new).map(record).collect()
}

fn loser(entries: &[Entry], steps: &[Step<'_>], index: usize, rivals: &[usize], place: Place<'_>) -> Option<Record> {
    let (entry, step) = (&entries[index], &steps[index]);
    let is_lifetime = matches!(step.claimed.claim, Claim::Lifetime(_));
    let (unit, rival) = rivals
        .iter()
        // Only a longer life may win although it is earlier.
        .take_while(|rival| is_lifetime || steps[**rival].order > step.order)
        .filter(|rival| steps[**rival].at < step.at && loses(step, &steps[**rival]))
        .find_map(|rival| Some((crossing(&step.claimed.claim, &steps[*rival].claimed.claim)?, &entries[*rival])))?;
    record(entry, rival, unit, place)
}

/// Whether it is not what stands before it: a write that names a key twice is there twice.
fn is_other(entries: &[Entry], index: usize) -> bool {
    let before = index.checked_sub(1).and_then(|before| entries.get(before));
    before.is_none_or(|before| before.local || before.id != entries[index].id)
}

/// The same where all are writes of the whole key: none of them has to be read for that.
pub(super) fn losers_of_whole(entries: &[Entry], ranking: Ranking, place: Place<'_>) -> Vec<(usize, Option<Record>)> {
    let rival = |loser: &Entry| {
        let before = entries.iter().filter(|entry| entry.local && entry.first < loser.first);
        let latest = before.max_by_key(|entry| order(ranking, entry));
        latest.filter(|entry| order(ranking, entry) > order(ranking, loser))
    };
    let lost = |(index, loser): (usize, &Entry)| {
        let rival = if is_other(entries, index) { rival(loser) } else { None };
        (index, rival.and_then(|rival| record(loser, rival, Unit::Whole, place)))
    };
    let losers = entries.iter().enumerate().filter(|(_, entry)| !entry.local && !entry.recorded);
    losers.map(lost).collect()
}

fn record(entry: &Entry, rival: &Entry, unit: Unit, place: Place<'_>) -> Option<Record> {
    let (loser, winner) = (entry.stamp?, rival.stamp?);
    Some(Record {
        id: name(1 - place.region, entry.id, place),
        found_at: place.region,
        database: place.database,
        key: place.key.to_vec(),
        unit,
        winner: Side { region: place.region, stamp: winner },
        loser: Side { region: 1 - place.region, stamp: loser },
        write: entry.bytes.get(..entry.bytes.len().min(MOST_KEPT)).unwrap_or_default().to_vec(),
        length: entry.bytes.len(),
        against: rival.bytes.get(..rival.bytes.len().min(MOST_KEPT)).unwrap_or_default().to_vec(),
        against_length: rival.bytes.len(),
        done: Done::Replayed,
    })
}

/// What two claims both decide, so that one of them loses.
pub(super) fn crossing(ours: &Claim<'_>, theirs: &Claim<'_>) -> Option<Unit> {
    use Claim::{Counter, ElementCounters, Elements, Lifetime, Read, Registers, Sequence, Whole};
    match (ours, theirs) {
        (Read, _) | (_, Read) | (Counter, Counter) | (Registers, Registers) => None,
        (ElementCounters(_), ElementCounters(_)) => None,
        (Whole, _) | (_, Whole) => Some(Unit::Whole),
        (Lifetime(_), Lifetime(_)) => Some(Unit::Lifetime),
        (Lifetime(_), _) | (_, Lifetime(_)) => None,
        (Elements { names, .. } | ElementCounters(names), Elements { names: others, .. } | ElementCounters(others)) => {
            names.iter().find(|name| others.contains(name)).map(|name| Unit::Element(name.to_vec()))
        }
        (Sequence | Counter | Registers | Elements { .. } | ElementCounters(_), _) => Some(Unit::Sequence),
    }
}

/// Whether a write of the other region is the one of the two that does not stay: of concurrent changes of the time to live
/// the longer one does, of others the later one.
fn loses(step: &Step<'_>, rival: &Step<'_>) -> bool {
    match (&step.claimed.claim, &rival.claimed.claim) {
        (Claim::Lifetime(until), Claim::Lifetime(longer)) if step.is_concurrent_with(rival) => until < longer,
        _ => rival.order > step.order,
    }
}

/// The same number for the same write to the same key, however often it is found: its region, and its place there.
fn name(region: usize, id: u64, place: Place<'_>) -> u64 {
    hash(&[region as u64, id], place.database, place.key)
}
