//! Zipmap: 1 byte of count, then by turns a name and a value, each with its length first and the value with a number of
//! unused bytes behind it, 0xff (`zipmap.c`).

use super::super::Fault;
use super::super::length::array;
use super::{Entry, OVER, text};
use bytes::Bytes;

/// The size of the head, in bytes.
pub(super) const HEAD: usize = 1;

/// Reads the name or value at `at`, whichever `value_next` says, and goes past it.
pub(super) fn next(bytes: &Bytes, at: &mut usize, value_next: &mut bool) -> Result<Option<Entry>, Fault> {
    let (length, start) = match *bytes.get(*at).ok_or(OVER)? {
        0xff if !*value_next => return Ok(None),
        0xff => return Err(OVER),
        0xfe => (u32::from_le_bytes(array(bytes, *at + 1).ok_or(OVER)?) as usize, *at + 5),
        short => (usize::from(short), *at + 1),
    };
    let (start, unused) = match *value_next {
        true => (start + 1, usize::from(*bytes.get(start).ok_or(OVER)?)),
        false => (start, 0),
    };
    let entry = text(bytes, start, length)?;
    *at = start + length + unused;
    *value_next = !*value_next;
    Ok(Some(entry))
}
