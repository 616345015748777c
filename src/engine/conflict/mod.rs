//! Concurrent writes: found from the order of the streams, resolved by the later update.

pub mod departed;
mod record;
mod stamp;

pub use record::{Done, MOST_KEPT, Record, Side, Unit};
pub use stamp::{Stamp, StampClock};
