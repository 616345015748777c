//! Comparing two regions: what talks to the servers. What is found is decided in [`crate::verify`].
//!
//! * `run`: a whole run; `scan`: names of both sides; `batch`: many small keys at once; `pieces`, `streams`: big ones.
//! * `recheck` (with `fence`, `sights`): keys that looked different are looked at again behind both links.
//! * `continuous`: the daemon's own rounds.
//! * `held`: single values for backups.
//! * `lane`, `end`: a connection to each region, with what the servers can and what they may be asked; `shared`: what the tasks
//!   of a run know of each other.

mod batch;
mod continuous;
mod end;
mod fence;
mod held;
mod lane;
mod pieces;
mod recheck;
mod run;
mod scan;
mod shared;
mod sights;
mod streams;

pub use continuous::run as continuous;
pub use end::{End, Limits};
pub use fence::Fence;
pub use held::{MOST_BYTES, Reader, Taken};
pub use lane::Lane;
pub use run::{Outcome, Position, Report, Resume, Run};
pub use shared::Progress;
pub use sights::look;
