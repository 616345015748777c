//! How the daemon's own verification does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::escaped;
use crate::verify::{Class, Finding, Name};

/// Keys that are named.
const MOST_NAMED: usize = 100;

/// What it is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerifyState {
    /// It is not switched on.
    #[default]
    Off,
    /// It waits for both links to stream.
    Waiting,
    /// It goes through both regions.
    Running,
    /// It rests before the next round.
    Resting,
}

/// The verification at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VerifyStatus {
    /// What it is doing.
    pub state: VerifyState,
    /// All keys were seen within so many seconds; absent before the first whole round since the links began.
    pub covered_within_s: Option<u64>,
    /// The round that runs.
    pub round: Option<RoundStatus>,
    /// The last whole one.
    pub last: Option<RoundStatus>,
    /// Whole rounds since the start.
    pub rounds: u64,
    /// Keys that were compared since the start, in all rounds.
    pub compared: u64,
    /// Keys that are known to differ.
    pub different: u64,
    /// The same by what they differ in.
    pub differences: BTreeMap<Class, u64>,
    /// The first of them.
    pub findings: Vec<FoundKey>,
    /// Keys that were made equal.
    pub repaired: u64,
    /// Why the last round did not come to its end, or a repair was not made.
    pub error: Option<String>,
}

/// One round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundStatus {
    /// Why it was made: `start`, `again` or `links_began_anew`.
    pub why: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Keys that were compared.
    pub keys: u64,
    /// Names that were seen, of about so many, in both regions.
    pub seen: u64,
    /// About how many there are.
    pub total: u64,
    /// Keys that were never seen still.
    pub undecided: u64,
}

/// A key that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundKey {
    /// Its database.
    pub database: u32,
    /// The key, shortened and escaped.
    pub key: String,
    /// In which way.
    pub difference: Class,
    /// Why, where that is known.
    pub reason: String,
    /// When it was seen so last.
    pub seen_at: Timestamp,
}

/// Where the runtime writes it.
#[derive(Debug, Default)]
pub struct VerifyBoard(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    status: VerifyStatus,
    /// All keys that are known to differ, and those of the round that runs.
    known: BTreeMap<Name, Class>,
    of_round: BTreeMap<Name, Class>,
}

impl VerifyBoard {
    fn hold(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It waits, rests, or is off.
    pub fn enter(&self, state: VerifyState) {
        let mut inner = self.hold();
        inner.status.state = state;
        if state != VerifyState::Running {
            inner.status.round = None;
        }
    }

    /// A round begins. What was seen before the links began anew says nothing any more.
    pub fn begin(&self, round: RoundStatus, anew: bool) {
        let mut inner = self.hold();
        inner.status.state = VerifyState::Running;
        inner.of_round.clear();
        if anew {
            inner.status.last = None;
        }
        inner.status.round = Some(round);
    }

    /// So far it has come.
    pub fn progress(&self, keys: u64, seen: u64, total: u64, undecided: u64) {
        let status = &mut self.hold().status;
        if let Some(round) = &mut status.round {
            status.compared += keys.saturating_sub(round.keys);
            (round.keys, round.seen, round.total, round.undecided) = (keys, seen, total, undecided);
        }
    }

    /// A key differs. Tells whether that is news.
    pub fn found(&self, finding: &Finding) -> bool {
        let mut inner = self.hold();
        inner.of_round.insert(finding.name.clone(), finding.class);
        let news = inner.known.insert(finding.name.clone(), finding.class).is_none();
        if news && inner.status.findings.len() < MOST_NAMED {
            inner.status.findings.push(FoundKey {
                database: finding.name.0,
                key: escaped(&finding.name.1),
                difference: finding.class,
                reason: finding.reason.clone(),
                seen_at: finding.seen_at,
            });
        }
        inner.count();
        news
    }

    /// These were made equal.
    pub fn repaired(&self, names: &[Name]) {
        let mut inner = self.hold();
        inner.status.repaired += names.len() as u64;
        for name in names {
            inner.of_round.remove(name);
        }
        inner.forget();
    }

    /// The round is whole: what it has not found is equal.
    pub fn end(&self, ended_at: Timestamp) {
        let mut inner = self.hold();
        inner.forget();
        inner.status.rounds += 1;
        inner.status.error = None;
        inner.status.last = inner.status.round.take().map(|round| RoundStatus { ended_at: Some(ended_at), ..round });
    }

    /// The round did not come to its end, or a repair was not made.
    pub fn fail(&self, error: String) {
        self.hold().status.error = Some(error);
    }

    /// Everything, at `now`.
    pub fn status(&self, now: Timestamp) -> VerifyStatus {
        let status = self.hold().status.clone();
        let within = status.last.as_ref().map(|last| now.duration_since(last.started_at).as_secs().unsigned_abs());
        VerifyStatus { covered_within_s: within, ..status }
    }
}

impl Inner {
    /// Keeps what the round has found.
    fn forget(&mut self) {
        self.known.clone_from(&self.of_round);
        let names: BTreeSet<_> = self.known.keys().map(|(database, name)| (*database, escaped(name))).collect();
        self.status.findings.retain(|found| names.contains(&(found.database, found.key.clone())));
        self.count();
    }

    fn count(&mut self) {
        self.status.different = self.known.len() as u64;
        self.status.differences.clear();
        for class in self.known.values() {
            *self.status.differences.entry(*class).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::{Difference, Plan, Sight};

    fn finding(key: &str) -> Finding {
        let sights = [Sight { kind: "string".into(), ..Sight::default() }, Sight::none()];
        let differences = vec![Difference::Missing { side: 1, other: 0 }];
        Finding::new((0, key.into()), sights, differences, 2, ([0; 2], &Plan::default()))
    }

    fn round(second: i64) -> RoundStatus {
        let started_at = Timestamp::from_second(second).unwrap();
        let why = "again".to_owned();
        RoundStatus { why, started_at, ended_at: None, keys: 0, seen: 0, total: 0, undecided: 0 }
    }

    #[test]
    fn what_a_round_does_not_find_again_is_equal() {
        let board = VerifyBoard::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        board.begin(round(100), false);
        assert!(board.found(&finding("a")) && board.found(&finding("b")));
        assert_eq!(board.status(at(110)).covered_within_s, None, "no round is whole yet");
        board.end(at(120));
        board.begin(round(200), false);
        assert!(!board.found(&finding("b")), "it is known");
        board.progress(70, 70, 100, 0);
        board.progress(100, 100, 100, 0);
        let status = board.status(at(210));
        assert_eq!((status.different, status.covered_within_s, status.compared), (2, Some(110), 100));
        assert_eq!(status.differences, BTreeMap::from([(Class::LackTarget, 2)]));
        board.end(at(220));
        let status = board.status(at(220));
        assert_eq!((status.different, status.findings.len(), status.rounds), (1, 1, 2));
        assert_eq!(status.findings[0].key, "b");
        board.repaired(&[(0, b"b".to_vec())]);
        let status = board.status(at(220));
        assert_eq!((status.different, status.repaired), (0, 1));
    }

    #[test]
    fn when_the_links_begin_anew_nothing_is_covered() {
        let board = VerifyBoard::default();
        board.begin(round(100), false);
        board.end(Timestamp::from_second(110).unwrap());
        board.begin(round(200), true);
        assert_eq!(board.status(Timestamp::from_second(210).unwrap()).covered_within_s, None);
    }
}
