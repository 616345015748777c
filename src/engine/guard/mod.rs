//! Holds a link before it spreads a disaster. Takes what clients of the source write, command by command, before it is
//! copied; gives a fault where somebody should be asked first. What was before it in the stream is copied, and nothing of
//! what comes behind: the position stays, so nothing is lost while the link holds.
//!
//! * `watch`: the stream of one link; [`survey`]: what is in a part of a stream, to show what would happen.

pub mod survey;
mod watch;

pub use watch::{Guard, Limits, went_back};

#[cfg(test)]
mod tests;
