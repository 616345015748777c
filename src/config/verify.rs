//! `[verify]`

use std::path::PathBuf;
use std::time::Duration;

use crate::verify::Share;

/// `[verify]`
#[derive(Debug, Clone)]
pub struct Verify {
    /// Whether the daemon goes round both data sets all the time.
    pub continuous: bool,
    /// How much of each server's time that may take.
    pub share: Share,
    /// Time between two rounds.
    pub pause: Duration,
    /// What is done about keys that differ.
    pub repair: AutoRepair,
    /// Where what a repair overwrites is kept; always there when something is repaired.
    pub backup: Option<PathBuf>,
}

/// `verify.repair`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoRepair {
    /// Nothing: it is told.
    Never,
    /// The region takes the value whose write stayed in the last conflict of the key, where one is known.
    LastUpdate,
    /// The value of this region stays: 0 the forward link's source.
    Region(usize),
}
