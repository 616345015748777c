//! What the tasks of one run know of each other.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::run::Position;
use crate::verify::{Name, Suspect, TextHash, hash_of};

/// Suspects that are kept: when there are more, nothing new is compared before some are decided.
pub(super) const MOST_SUSPECTS: usize = 65_536;

/// Reported keys that are remembered, so that none is reported twice.
const MOST_REPORTED: usize = 262_144;

fn hash_of_name((database, name): &Name) -> TextHash {
    hash_of(name) ^ TextHash::from(*database)
}

/// How far a run is; anybody may look.
#[derive(Debug, Default)]
pub struct Progress {
    /// Names that were seen at each side, those that are not compared among them.
    pub scanned: [AtomicU64; 2],
    /// Keys of the databases that are compared, at each side, when the run began.
    pub total: [AtomicU64; 2],
    /// Keys that were compared.
    pub compared: AtomicU64,
    /// Keys that looked different at first.
    pub suspected: AtomicU64,
    /// Keys that differ.
    pub different: AtomicU64,
    /// Keys that looked different, and are equal.
    pub equal: AtomicU64,
    /// Keys that were never seen still.
    pub undecided: AtomicU64,
    /// Both sides were seen as a whole: what is left are suspects.
    pub all_seen: AtomicBool,
}

/// Suspects, and batches that are under way.
#[derive(Debug, Default)]
pub(super) struct Shared {
    inner: Mutex<Inner>,
    /// There is room for suspects again.
    room: Notify,
    /// There are suspects, or both sides were seen as a whole.
    pub news: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    suspects: VecDeque<Suspect>,
    known: BTreeSet<Name>,
    /// What was reported already: a scan may give a name twice.
    reported: HashSet<TextHash>,
    ledgers: [Ledger; 2],
}

/// Up to where batches of a side are done without a gap.
#[derive(Debug, Default)]
struct Ledger {
    under_way: BTreeMap<u64, Option<Position>>,
    done: BTreeSet<u64>,
    position: Option<Position>,
}

impl Shared {
    fn hold(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds suspects; waits while there are too many.
    pub async fn suspect(&self, suspects: Vec<Suspect>, progress: &Progress) {
        if suspects.is_empty() {
            return;
        }
        loop {
            let room = self.room.notified();
            if self.hold().known.len() < MOST_SUSPECTS {
                break;
            }
            room.await;
        }
        let mut inner = self.hold();
        for suspect in suspects {
            // A scan may give a name twice, and both sides may find it.
            if !inner.reported.contains(&hash_of_name(&suspect.name)) && inner.known.insert(suspect.name.clone()) {
                progress.suspected.fetch_add(1, Ordering::Relaxed);
                inner.suspects.push_back(suspect);
            }
        }
        drop(inner);
        self.news.notify_one();
    }

    /// Takes the oldest suspects to look at.
    pub fn take(&self, most: usize) -> Vec<Suspect> {
        let mut inner = self.hold();
        let most = most.min(inner.suspects.len());
        inner.suspects.drain(..most).collect()
    }

    /// These are to be looked at again, those are decided; of which some were reported.
    pub fn put_back(&self, again: Vec<Suspect>, decided: &[(Name, bool)]) {
        let mut inner = self.hold();
        inner.suspects.extend(again);
        for (name, is_reported) in decided {
            inner.known.remove(name);
            if *is_reported && inner.reported.len() < MOST_REPORTED {
                inner.reported.insert(hash_of_name(name));
            }
        }
        drop(inner);
        self.room.notify_waiters();
    }

    /// A batch begins, at the end of which the scan of `side` stands at `position`, if it is the last of a step.
    pub fn begin(&self, side: usize, number: u64, position: Option<Position>) {
        self.hold().ledgers[side].under_way.insert(number, position);
    }

    /// It is compared, and its suspects are added.
    pub fn end(&self, side: usize, number: u64) {
        let ledger = &mut self.hold().ledgers[side];
        ledger.done.insert(number);
        while let Some((first, position)) = ledger.under_way.first_key_value()
            && ledger.done.remove(&{ *first })
        {
            ledger.position = position.clone().or(ledger.position.take());
            ledger.under_way.pop_first();
        }
    }

    /// From where each side would have to be gone on with, and the suspects that are not decided.
    pub fn checkpoint(&self) -> ([Option<Position>; 2], Vec<Name>) {
        let inner = self.hold();
        let positions = [0, 1].map(|side| inner.ledgers[side].position.clone());
        (positions, inner.known.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn no_key_is_reported_twice() {
        let (shared, progress) = (Shared::default(), Progress::default());
        let name = |key: &str| (0, key.as_bytes().to_vec());
        let suspects = || ["differs", "equal"].map(|key| Suspect::new(name(key), Duration::ZERO)).to_vec();
        shared.suspect(suspects(), &progress).await;
        shared.suspect(suspects(), &progress).await;
        assert_eq!(shared.take(10).len(), 2, "both sides may find a key");
        shared.put_back(Vec::new(), &[(name("differs"), true), (name("equal"), false)]);
        shared.suspect(suspects(), &progress).await;
        let again: Vec<_> = shared.take(10).into_iter().map(|suspect| suspect.name).collect();
        assert_eq!(again, [name("equal")]);
    }
}
