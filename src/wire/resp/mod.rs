//! RESP, the protocol of Redis and Valkey: the frames of a replication stream in, requests out, replies in.

mod encode;
mod frame;
mod token;

pub use encode::{command, push_command};
pub use frame::{Command, FrameError, FrameReader, MAX_ARGUMENTS, MAX_BULK, MAX_FRAME};
pub use token::{MAX_DEPTH, MAX_ELEMENTS, ReplyReader, Token, TokenError, token};
