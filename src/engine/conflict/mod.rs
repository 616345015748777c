//! Did the other side write it too? What is pending at each region, and what to do about two writes that crossed.
//!
//! Takes a client's write and what it claims, gives a verdict: send it, send it and execute it again at its origin, or drop
//! it. Never reads a clock: two writes are concurrent when a local write of a region is read while a write of ours to
//! that region is not echoed yet; times only decide which of the two stays.

mod claim;
mod since;
mod stamp;
mod table;
mod verdict;

pub use claim::{Claim, Relation, Scope, claims};
pub use since::Arrival;
pub use stamp::{Stamp, StampClock};
pub use table::{Decided, Key, KeyHasher, Pending, Request, Table};
pub use verdict::{Rival, Verdict, verdict};
