//! Every decision.

pub mod decode;
