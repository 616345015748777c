//! Which writes lost against which, and the records of them.

use super::entry::{Entry, order};
use super::rivals::{Rivals, Slot};
use super::{Place, hash};
use crate::engine::conflict::judge::Step;
use crate::engine::conflict::order::Ranking;
use crate::engine::conflict::record::{Done, MOST_KEPT, Record, Side, Unit};

/// The writes of the other region that lost against a local one, with the record of each; each of them once.
pub(super) fn losers(entries: &[Entry], steps: &[Step<'_>], place: Place<'_>) -> Vec<(usize, Option<Record>)> {
    let rivals = Rivals::of(steps, |step| step.at);
    new_ones(entries, |index| {
        let (rival, unit) = rivals.winner(&steps[index], steps)?;
        record(&entries[index], &entries[rival], unit, place)
    })
}

/// The same where all are writes of the whole key: none of them has to be read for that.
pub(super) fn losers_of_whole(entries: &[Entry], ranking: Ranking, place: Place<'_>) -> Vec<(usize, Option<Record>)> {
    let ours = entries.iter().enumerate().filter(|(_, entry)| entry.local);
    let rivals = Rivals::new(ours.map(|(index, entry)| (Slot::Whole, entry.first, order(ranking, entry), index)));
    new_ones(entries, |index| {
        let loser = &entries[index];
        let rival = rivals.latest(Slot::Whole, loser.first).filter(|rival| rival.order > order(ranking, loser))?;
        record(loser, &entries[rival.index], Unit::Whole, place)
    })
}

/// The writes of the other region that were not told yet, with what `lost` gives of each.
fn new_ones(entries: &[Entry], lost: impl Fn(usize) -> Option<Record>) -> Vec<(usize, Option<Record>)> {
    let new = entries.iter().enumerate().filter(|(_, entry)| !entry.local && !entry.recorded);
    new.map(|(index, _)| (index, is_other(entries, index).then(|| lost(index)).flatten())).collect()
}

/// Whether it is not what stands before it: a write that names a key twice is there twice.
fn is_other(entries: &[Entry], index: usize) -> bool {
    let before = index.checked_sub(1).and_then(|before| entries.get(before));
    before.is_none_or(|before| before.local || before.id != entries[index].id)
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

/// The same number for the same write to the same key, however often it is found: its region, and its place there.
fn name(region: usize, id: u64, place: Place<'_>) -> u64 {
    hash(&[region as u64, id], place.database, place.key)
}
