//! Listpack: 4 bytes of size, 2 of count, entries with their length behind them, 0xff (`listpack.c`).

use super::super::Fault;
use super::super::length::array;
use super::{Entry, OVER, signed, text};
use bytes::Bytes;

/// The size of the head, in bytes.
pub(super) const HEAD: usize = 6;

/// Reads the entry at `at` and goes past it.
pub(super) fn next(bytes: &Bytes, at: &mut usize) -> Result<Option<Entry>, Fault> {
    let start = *at;
    let first = *bytes.get(start).ok_or(OVER)?;
    let (entry, size) = match first {
        0..=0x7f => (Entry::Integer(first.into()), 1),
        0x80..=0xbf => {
            let length = usize::from(first & 0x3f);
            (text(bytes, start + 1, length)?, 1 + length)
        }
        0xc0..=0xdf => {
            let low = *bytes.get(start + 1).ok_or(OVER)?;
            let unsigned = i64::from(first & 0x1f) << 8 | i64::from(low);
            (Entry::Integer(if unsigned < 4096 { unsigned } else { unsigned - 8192 }), 2)
        }
        0xe0..=0xef => {
            let low = *bytes.get(start + 1).ok_or(OVER)?;
            let length = usize::from(first & 0x0f) << 8 | usize::from(low);
            (text(bytes, start + 2, length)?, 2 + length)
        }
        0xf0 => {
            let length = u32::from_le_bytes(array(bytes, start + 1).ok_or(OVER)?) as usize;
            (text(bytes, start + 5, length)?, 5 + length)
        }
        0xf1 => (Entry::Integer(signed::<2>(bytes, start + 1)?), 3),
        0xf2 => (Entry::Integer(signed::<3>(bytes, start + 1)?), 4),
        0xf3 => (Entry::Integer(signed::<4>(bytes, start + 1)?), 5),
        0xf4 => (Entry::Integer(signed::<8>(bytes, start + 1)?), 9),
        0xf5..=0xfe => return Err(Fault::Malformed("a listpack has an entry of an unknown form")),
        0xff => return Ok(None),
    };
    *at = start + size + backlink(size);
    Ok(Some(entry))
}

/// The size of the length behind an entry of `size` bytes.
fn backlink(size: usize) -> usize {
    match size {
        0..=127 => 1,
        128..=16382 => 2,
        16383..=2097150 => 3,
        2097151..=268435454 => 4,
        _ => 5,
    }
}
