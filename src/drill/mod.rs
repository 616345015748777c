//! The failover drill: leaving a region in order, and coming back. Takes where the drill stands, what is ordered and what is
//! seen of both regions; gives what is to be done, in order, or why not. Knows no server; `runtime::drill` does it.
//!
//! * `machine`: the steps and what leads from one to the next; `record`: what is kept of a drill, and shown.
//! * [`page`]: the report, to print.

mod machine;
pub mod page;
mod record;

pub use machine::{Action, Effect, Refusal, Seen, Step, next};
pub use record::{Comparison, Drill, Fence, Happened, Proof};

#[cfg(test)]
mod tests;
