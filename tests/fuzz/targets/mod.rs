//! What is done with hostile bytes: one function a parser. The fuzzers call them, and `tests/hostile` does for the kept corpus.
//! They panic where a promise is broken; that they end, and in little memory, is for the caller to see.

#![forbid(unsafe_code)]

mod configuration;
mod dump;
mod frames;
mod handshake;
mod http;
mod marker;
mod packed;
mod replies;
mod stream;
mod target;

pub use configuration::configuration;
pub use dump::dump;
pub use frames::frames;
pub use handshake::handshake;
pub use http::http;
pub use marker::marker;
pub use packed::{lzf, packed};
pub use replies::replies;
pub use stream::stream;

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// Every one, by the name of its corpus.
pub const ALL: [(&str, Target); 10] = [
    ("frames", frames),
    ("replies", replies),
    ("dump", dump),
    ("packed", packed),
    ("lzf", lzf),
    ("marker", marker),
    ("handshake", handshake),
    ("stream", stream),
    ("configuration", configuration),
    ("http", http),
];

/// The first byte, as a choice, and the rest.
fn choice(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}
