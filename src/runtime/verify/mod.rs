//! Comparing two regions: what talks to the servers. What is found is decided in [`crate::verify`].
//!
//! * `run`: a whole run; `scan`: names of both sides; `batch`: many small keys at once; `pieces`, `streams`: big ones.
//! * `recheck` (with `fence`, `sights`): keys that looked different are looked at again behind both links.
//! * `continuous`: the daemon's own rounds; `bounded`: a comparison that ends in time.
//! * `held`: single values for backups.
//! * `lane`, `end`, `pipe`: a connection to each region, with what the servers can and what they may be asked; `shared`: what the tasks
//!   of a run know of each other.

mod batch;
mod bounded;
mod continuous;
mod end;
mod fence;
mod held;
mod lane;
mod pieces;
mod pipe;
mod recheck;
mod run;
mod scan;
mod shared;
mod sights;
mod streams;

pub use bounded::{Bounded, compare_within};
pub use continuous::run as continuous;
pub use end::{End, Limits};
pub use fence::Fence;
pub use held::{MOST_BYTES, Reader, Taken};
pub use lane::Lane;
pub use run::{Outcome, Position, Report, Resume, Run};
pub use shared::Progress;
pub use sights::look;
