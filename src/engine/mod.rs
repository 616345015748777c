//! Every decision. Takes bytes, replies and the time, gives bytes and events; knows no socket, clock, file or random number.
//!
//! A write flows through the rooms in this order: [`source`] obtains the stream, [`decode`] makes commands of values that
//! can't be restored, [`origin`] tells whose a write is, [`apply`] puts it into marked transactions, [`checkpoint`] says where a restart reads on.
//! [`guard`] holds a link before it spreads a disaster. [`stream`] composes them for increments, [`copy`] for a full copy, [`link`] for both in turn; [`plan`] decides which of
//! the two a link does.

pub mod apply;
pub mod checkpoint;
pub mod conflict;
pub mod copy;
pub mod decode;
pub mod guard;
pub mod link;
pub mod origin;
pub mod plan;
pub mod position;
pub mod source;
pub mod stream;
