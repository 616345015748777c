//! Bytes on their way out, without copies where they stand in the stream's own buffer.

use std::ops::Range;

use bytes::Bytes;

/// Below this length a run of the stream is copied behind its predecessor instead of being sent as a slice of its own.
const COPY_BELOW: usize = 256;

/// A part of a transaction.
#[derive(Debug)]
pub enum Piece {
    /// A place in the buffer that is being read; it becomes [`Piece::Shared`] when that buffer is sealed.
    Unsealed(Range<usize>),
    /// A slice of a sealed buffer.
    Shared(Bytes),
    /// Bytes of our own.
    Owned(Vec<u8>),
}

impl Piece {
    /// The piece as bytes, with `chunk` being the buffer that unsealed places refer to.
    pub fn seal(self, chunk: &Bytes) -> Bytes {
        match self {
            Self::Unsealed(range) => chunk.slice(range),
            Self::Shared(bytes) => bytes,
            Self::Owned(bytes) => bytes.into(),
        }
    }
}

/// Appends a place of the buffer that is being read (`buffer` holds it); a place that continues the last one extends it.
pub fn push_place(pieces: &mut Vec<Piece>, place: Range<usize>, buffer: &[u8]) {
    match pieces.last_mut() {
        Some(Piece::Unsealed(last)) if last.end == place.start => last.end = place.end,
        Some(Piece::Owned(last)) if place.len() < COPY_BELOW => {
            last.extend_from_slice(buffer.get(place).unwrap_or_default());
        }
        _ => pieces.push(Piece::Unsealed(place)),
    }
}

/// Our own bytes at the end of `pieces`, to append to.
pub fn owned(pieces: &mut Vec<Piece>) -> &mut Vec<u8> {
    if !matches!(pieces.last(), Some(Piece::Owned(_))) {
        pieces.push(Piece::Owned(Vec::new()));
    }
    match pieces.last_mut() {
        Some(Piece::Owned(bytes)) => bytes,
        _ => unreachable!("an owned piece was pushed above"),
    }
}
