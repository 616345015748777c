//! Collections that are written as one string: listpack, ziplist, zipmap and intset. They are read entry by entry, never
//! by the number of entries that they claim.

mod listpack;
mod ziplist;
mod zipmap;

use super::Fault;
use super::length::array;
use bytes::Bytes;

/// How entries are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// Redis 7.0 and on, streams before that (`listpack.c`).
    Listpack,
    /// Before Redis 7.0 (`ziplist.c`).
    Ziplist,
    /// Before Redis 2.6 (`zipmap.c`).
    Zipmap,
    /// Sets of integers (`intset.c`).
    Intset,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// Bytes.
    Text(Bytes),
    /// An integer, which stands for its decimal digits.
    Integer(i64),
}

impl Entry {
    /// The entry as bytes.
    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text,
            Self::Integer(number) => number.to_string().into(),
        }
    }

    /// The entry as a number.
    ///
    /// # Errors
    /// [`Fault::Malformed`] where it is none.
    pub(super) fn into_integer(self) -> Result<i64, Fault> {
        match self {
            Self::Integer(number) => Ok(number),
            Self::Text(text) => std::str::from_utf8(&text)
                .ok()
                .and_then(|digits| digits.parse().ok())
                .ok_or(Fault::Malformed("a packed collection has text in place of a number")),
        }
    }
}

/// Entries that are yet to be read.
#[derive(Debug)]
pub(super) struct Packed {
    bytes: Bytes,
    packing: Packing,
    at: usize,
    width: usize,
    value_next: bool,
}

impl Packed {
    /// The entries of a string.
    ///
    /// # Errors
    /// [`Fault::Malformed`] when its head is not that of the packing.
    pub(super) fn new(packing: Packing, bytes: Bytes) -> Result<Self, Fault> {
        let short = Fault::Malformed("a packed collection is too short for its head");
        let (at, width) = match packing {
            Packing::Listpack => (listpack::HEAD, 0),
            Packing::Ziplist => (ziplist::HEAD, 0),
            Packing::Zipmap => (zipmap::HEAD, 0),
            Packing::Intset => {
                let width = u32::from_le_bytes(array(&bytes, 0).ok_or(short)?);
                let count = u32::from_le_bytes(array(&bytes, 4).ok_or(short)?);
                let size = 8 + u64::from(width) * u64::from(count);
                if !matches!(width, 2 | 4 | 8) || size != bytes.len() as u64 {
                    return Err(Fault::Malformed("a set of integers has the wrong size"));
                }
                (8, width as usize)
            }
        };
        match at <= bytes.len() {
            true => Ok(Self { bytes, packing, at, width, value_next: false }),
            false => Err(short),
        }
    }

    /// The next entry, or `None` at the end.
    ///
    /// # Errors
    /// [`Fault::Malformed`] when the bytes are not those of an entry.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, Fault> {
        match self.packing {
            Packing::Listpack => listpack::next(&self.bytes, &mut self.at),
            Packing::Ziplist => ziplist::next(&self.bytes, &mut self.at),
            Packing::Zipmap => zipmap::next(&self.bytes, &mut self.at, &mut self.value_next),
            Packing::Intset => Ok(self.integer()),
        }
    }

    /// The next entry, which must be there.
    ///
    /// # Errors
    /// [`Fault::Malformed`] when it isn't.
    pub(super) fn require(&mut self) -> Result<Entry, Fault> {
        self.next()?.ok_or(Fault::Malformed("a packed collection ends within an element"))
    }

    fn integer(&mut self) -> Option<Entry> {
        let number = match self.width {
            2 => i16::from_le_bytes(array(&self.bytes, self.at)?).into(),
            4 => i32::from_le_bytes(array(&self.bytes, self.at)?).into(),
            _ => i64::from_le_bytes(array(&self.bytes, self.at)?),
        };
        self.at += self.width;
        Some(Entry::Integer(number))
    }
}

/// The `length` bytes at `at`, sharing their memory.
///
/// # Errors
/// [`Fault::Malformed`] when they reach over the end.
fn text(bytes: &Bytes, at: usize, length: usize) -> Result<Entry, Fault> {
    match at.checked_add(length) {
        Some(end) if end <= bytes.len() => Ok(Entry::Text(bytes.slice(at..end))),
        _ => Err(OVER),
    }
}

/// An entry reaches over the end of its collection.
const OVER: Fault = Fault::Malformed("an entry of a packed collection reaches over its end");

/// A signed integer of `N` little-endian bytes at `at`, `N` up to 8.
fn signed<const N: usize>(bytes: &[u8], at: usize) -> Result<i64, Fault> {
    let little: [u8; N] = array(bytes, at).ok_or(OVER)?;
    let mut wide = [0; 8];
    wide[8 - N..].copy_from_slice(&little);
    Ok(i64::from_le_bytes(wide) >> (64 - 8 * N))
}

#[cfg(test)]
mod tests;
