//! What is kept of a drill: in the surviving region, on the board, in the report.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Action, Step};

/// Lines of a drill's history that are kept.
const MOST_LINES: usize = 200;

/// One drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// The region that is left.
    pub from: String,
    /// The region that takes over.
    pub to: String,
    /// Where it stands.
    pub step: Step,
    /// The region was lost: nothing could be asked of it.
    pub lost: bool,
    /// When it began.
    pub started: Timestamp,
    /// The fence, while there was one.
    pub fence: Option<Fence>,
    /// What was proven at the fence.
    pub proof: Option<Proof>,
    /// The last comparison.
    pub comparison: Option<Comparison>,
    /// When the other region became the primary.
    pub promoted: Option<Timestamp>,
    /// From the fence (or from the beginning, where the region was lost) to the promotion, milliseconds.
    pub rto_ms: Option<i64>,
    /// Bytes of the region's stream that were not across when its writers had been stopped and the wait was over: expected 0;
    /// nothing where it could not be seen.
    pub rpo_bytes: Option<u64>,
    /// What could not be proven, in sentences.
    pub unproven: Vec<String>,
    /// What happened, oldest first.
    pub history: Vec<Happened>,
}

/// Writers are stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// Since when.
    pub since: Timestamp,
    /// The last time that it was renewed.
    pub renewed: Timestamp,
    /// The run of the server that was paused; empty where it could not be asked.
    pub run: String,
    /// When it was lifted.
    pub lifted: Option<Timestamp>,
    /// How often it was not there for a while: the server or the daemon began anew.
    pub gaps: u32,
    /// Where the other region's history stood when nothing more of it came here, bytes.
    pub other_offset: u64,
}

/// That everything before the fence is across.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Where the region's history stood when its writers had been stopped, bytes.
    pub offset: u64,
    /// What was not across at that moment, bytes.
    pub behind: u64,
    /// Up to where it was applied at the end, bytes.
    pub applied: u64,
    /// How long that took, milliseconds.
    pub waited_ms: i64,
}

/// Both regions, compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Keys of the region that is left, and of the other one.
    pub keys: [u64; 2],
    /// Names of each that were looked at.
    #[serde(default)]
    pub seen: [u64; 2],
    /// Keys that were compared: by value and time to live, or of which it was asked whether the other region has them.
    pub compared: u64,
    /// Whether these were all keys of both.
    pub all: bool,
    /// Keys that differ.
    pub different: u64,
    /// Some of them.
    pub examples: Vec<String>,
    /// Keys left out: clients of the other region have written them since.
    pub left_out: u64,
    /// Keys that changed whenever they were looked at.
    #[serde(default)]
    pub undecided: u64,
}

impl Comparison {
    /// How much of both regions was looked at, percent: of the one of which it is less.
    pub fn percent(&self) -> u64 {
        let shares = self.seen.iter().zip(self.keys).map(|(seen, keys)| (seen * 100).checked_div(keys).unwrap_or(100));
        shares.min().unwrap_or(100).min(if self.all { 100 } else { 99 })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys compared, {} differ", self.compared, self.different)?;
        if !self.examples.is_empty() {
            write!(f, " ({})", self.examples.join(", "))?;
        }
        if self.left_out > 0 {
            write!(f, ", {} left out that clients have written since the fence", self.left_out)?;
        }
        if self.undecided > 0 {
            write!(f, ", {} never seen still", self.undecided)?;
        }
        match self.all {
            true => f.write_str("; that is all"),
            false => write!(f, "; that is {} % of both regions, and `duet verify` compares all", self.percent()),
        }
    }
}

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// When.
    pub time: Timestamp,
    /// What was ordered; absent for what happened by itself.
    pub action: Option<Action>,
    /// On whose word.
    pub by: String,
    /// What came of it.
    pub text: String,
}

impl Drill {
    /// One that begins.
    pub fn new(from: &str, to: &str, step: Step, lost: bool, now: Timestamp) -> Self {
        Self {
            from: from.to_owned(),
            to: to.to_owned(),
            step,
            lost,
            started: now,
            fence: None,
            proof: None,
            comparison: None,
            promoted: None,
            rto_ms: None,
            rpo_bytes: None,
            unproven: Vec::new(),
            history: Vec::new(),
        }
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        matches!(self.step, Step::Done | Step::Aborted)
    }

    /// Whether the region's writers are to be kept from writing.
    pub fn is_fenced(&self) -> bool {
        self.fence.as_ref().is_some_and(|fence| fence.lifted.is_none()) && !self.is_over()
    }

    /// Whether everything before the fence is across.
    pub fn is_proven(&self) -> bool {
        self.proof.as_ref().is_some_and(|proof| proof.applied >= proof.offset)
    }

    /// Whether the last comparison found differences.
    pub fn differs(&self) -> bool {
        self.comparison.as_ref().is_some_and(|comparison| comparison.different > 0)
    }

    /// The fence was not there for a while: what was proven behind it no longer counts, unless the drill is past that.
    pub fn fence_gap(&mut self, now: Timestamp, why: &str) {
        if let Some(fence) = &mut self.fence {
            fence.gaps += 1;
            fence.renewed = now;
        }
        if matches!(self.step, Step::Fenced | Step::Verified) && !self.lost {
            self.proof = None;
            self.rpo_bytes = None;
            self.comparison = None;
            self.step = Step::Fenced;
        }
        self.happened(
            now,
            None,
            "duet",
            format!("the fence was not there for a while: {why}. Prove it again: `duet drill fence`"),
        );
    }

    /// The other region is the primary.
    pub fn promote(&mut self, now: Timestamp) {
        let since = self.fence.as_ref().map_or(self.started, |fence| fence.since);
        self.promoted = Some(now);
        self.rto_ms = Some(now.as_millisecond() - since.as_millisecond());
        if !self.is_proven() {
            let from = &self.from;
            self.unproven
                .push(format!("that everything that {from} had executed was across when its writers had stopped"));
        }
        match &self.comparison {
            None => self.unproven.push("that both regions were equal at the promotion".to_owned()),
            Some(found) if !found.all => self.unproven.push(format!(
                "that all keys were equal at the promotion: {} % of them were compared",
                found.percent()
            )),
            Some(_) => {}
        }
    }

    /// Adds a line to the history.
    pub fn happened(&mut self, time: Timestamp, action: Option<Action>, by: &str, text: impl Into<String>) {
        self.history.push(Happened { time, action, by: by.to_owned(), text: text.into() });
        if self.history.len() > MOST_LINES {
            self.history.remove(1);
        }
    }
}
