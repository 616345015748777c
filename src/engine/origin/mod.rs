//! Whose write is it? A transaction that begins with our marker is an echo; everything else is a client's.
//!
//! Takes the first command of a transaction, gives a verdict. Never looks at what the transaction writes.

mod marker;
mod reserved;

pub use marker::{Marker, Phase};
pub use reserved::ReservedKeys;
