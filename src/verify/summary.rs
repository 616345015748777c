//! A whole run.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Class, Mode};

/// What a run says in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Both regions hold the same.
    Equal,
    /// Some keys differ.
    Different,
    /// It is not known: the run did not come to its end, or some keys were never seen still.
    Unfinished,
}

/// A whole run. A reader of this form must bear fields that it does not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The name of the pair.
    pub pair: String,
    /// The forward link's source, then its target.
    pub regions: [String; 2],
    /// What was compared of a key.
    pub mode: Mode,
    /// What share of the keys.
    pub sample: f64,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, seconds.
    pub seconds: f64,
    /// Keys that were compared.
    pub keys: u64,
    /// Keys that were seen in each region.
    pub seen: [u64; 2],
    /// Bytes that both servers sent.
    pub bytes: u64,
    /// Keys that looked different at first.
    pub suspected: u64,
    /// Whether differences were looked at again behind both links.
    pub fenced: bool,
    /// Keys that differ.
    pub different: u64,
    /// The same by class.
    pub classes: BTreeMap<Class, u64>,
    /// Keys that were never seen still.
    pub undecided: u64,
    /// Why it did not come to its end.
    pub error: Option<String>,
}

impl Summary {
    /// What it says.
    pub fn verdict(&self) -> Verdict {
        match (&self.error, self.different, self.undecided) {
            (Some(_), ..) => Verdict::Unfinished,
            (None, 1.., _) => Verdict::Different,
            (None, 0, 1..) => Verdict::Unfinished,
            (None, 0, 0) => Verdict::Equal,
        }
    }

    /// Keys a second.
    pub fn keys_per_second(&self) -> f64 {
        self.keys as f64 / self.seconds.max(0.001)
    }
}
