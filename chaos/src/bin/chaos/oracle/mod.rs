//! The oracle: what must hold during a round, and at its end.
//!
//! - [`health`]: what the daemon said of itself, against what the nemesis did
//! - [`data`]: both regions, against each other and against what clients were told
//! - [`checkpoints`]: no marker is ahead of the stream that it speaks of
//! - [`leaks`]: memory, descriptors and threads of the daemon
//! - [`secrets`]: no password in anything that it wrote

pub mod checkpoints;
pub mod data;
pub mod health;
pub mod leaks;
pub mod secrets;

/// What is looked at, in the order of the report.
pub const ITEMS: [&str; 10] = [
    "the daemon runs for as long as nobody ends it",
    "ready again in time",
    "both regions equal",
    "clients' writes as they were told",
    "earlier rounds untouched",
    "no answer that a client may not get",
    "health and state true during the faults",
    "checkpoints not beyond the data",
    "no leak",
    "no secret shown",
];

/// One item of one round.
#[derive(Clone, Debug)]
pub struct Finding {
    /// One of [`ITEMS`].
    pub item: &'static str,
    /// What is wrong; a line each. Empty when it holds.
    pub wrong: Vec<String>,
    /// What was looked at, in figures.
    pub figures: String,
}

impl Finding {
    /// A finding by the item's place in [`ITEMS`].
    pub fn new(item: usize, wrong: Vec<String>, figures: String) -> Self {
        Self { item: ITEMS[item], wrong, figures }
    }
}
