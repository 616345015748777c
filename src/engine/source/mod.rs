//! Obtaining the stream: what a primary says of itself, how it announces a dump, what its clock read at a write.
//!
//! Takes replies, lines and the beginning of a stream; gives facts. Never judges a command.

mod announcement;
mod answer;
mod clock;
mod info;
mod offset;
mod skew;

pub use announcement::DumpLength;
pub use answer::Answer;
pub use clock::{LATEST_MS, StreamClock, heartbeats, moment};
pub use info::{Info, Replication, Server};
pub use offset::{Measured, Offset};
pub use skew::Skew;
