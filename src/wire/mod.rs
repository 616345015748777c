//! Bytes to values and back. Takes bytes, gives frames, replies and dump records; never asks who wrote them or why.

pub mod rdb;
pub mod resp;
