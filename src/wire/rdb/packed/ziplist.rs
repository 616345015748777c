//! Ziplist: 4 bytes of size, 4 of the last entry's place, 2 of count, entries with the length of the one before them
//! first, 0xff (`ziplist.c`).

use super::super::Fault;
use super::super::length::array;
use super::{Entry, OVER, signed, text};
use bytes::Bytes;

/// The size of the head, in bytes.
pub(super) const HEAD: usize = 10;

/// Reads the entry at `at` and goes past it.
pub(super) fn next(bytes: &Bytes, at: &mut usize) -> Result<Option<Entry>, Fault> {
    let start = match bytes.get(*at).ok_or(OVER)? {
        0xff => return Ok(None),
        0xfe => *at + 5,
        _ => *at + 1,
    };
    let first = *bytes.get(start).ok_or(OVER)?;
    let (entry, size) = match first {
        0..=0x3f => {
            let length = usize::from(first);
            (text(bytes, start + 1, length)?, 1 + length)
        }
        0x40..=0x7f => {
            let low = *bytes.get(start + 1).ok_or(OVER)?;
            let length = usize::from(first & 0x3f) << 8 | usize::from(low);
            (text(bytes, start + 2, length)?, 2 + length)
        }
        0x80 => {
            let length = u32::from_be_bytes(array(bytes, start + 1).ok_or(OVER)?) as usize;
            (text(bytes, start + 5, length)?, 5 + length)
        }
        0xc0 => (Entry::Integer(signed::<2>(bytes, start + 1)?), 3),
        0xd0 => (Entry::Integer(signed::<4>(bytes, start + 1)?), 5),
        0xe0 => (Entry::Integer(signed::<8>(bytes, start + 1)?), 9),
        0xf0 => (Entry::Integer(signed::<3>(bytes, start + 1)?), 4),
        0xfe => (Entry::Integer(signed::<1>(bytes, start + 1)?), 2),
        0xf1..=0xfd => (Entry::Integer(i64::from(first & 0x0f) - 1), 1),
        _ => return Err(Fault::Malformed("a ziplist has an entry of an unknown form")),
    };
    *at = start + size;
    Ok(Some(entry))
}
