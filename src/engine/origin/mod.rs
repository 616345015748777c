//! Whose write is it? A transaction that begins with our marker is an echo; everything else is a client's.
//!
//! Here are the marker's form and the names of the keys that are ours; [`super::stream`] asks about each transaction's
//! first command.

mod marker;
mod reserved;
mod trail;

pub use marker::{MOST_BELIEVED, Marker, Phase};
pub use reserved::ReservedKeys;
pub use trail::last_marker;
