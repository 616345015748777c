//! The numbers of a dump: 1 to 9 bytes, of which the first two bits say how many (Redis `rdb.h`, RDB_6BITLEN and on).

use super::Fault;

/// What stands where a length may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// A number.
    Plain(u64),
    /// The code of a special encoding, for a string only.
    Special(u8),
}

/// Reads a length at the start of `bytes`: it and its size in bytes, or `None` when more bytes are needed.
///
/// # Errors
/// [`Fault::Malformed`] for a first byte that no length starts with.
pub(super) fn length(bytes: &[u8]) -> Result<Option<(Length, usize)>, Fault> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let low = first & 0x3f;
    let found = match first >> 6 {
        0 => Some((u64::from(low), 1)),
        1 => bytes.get(1).map(|&next| (u64::from(low) << 8 | u64::from(next), 2)),
        2 => match first {
            0x80 => array(bytes, 1).map(|four| (u64::from(u32::from_be_bytes(four)), 5)),
            0x81 => array(bytes, 1).map(|eight| (u64::from_be_bytes(eight), 9)),
            _ => return Err(Fault::Malformed("no length starts with this byte")),
        },
        _ => return Ok(Some((Length::Special(low), 1))),
    };
    Ok(found.map(|(number, size)| (Length::Plain(number), size)))
}

/// Reads a length that must be a number.
///
/// # Errors
/// [`Fault::Malformed`] where it is none.
pub(super) fn number(bytes: &[u8]) -> Result<Option<(u64, usize)>, Fault> {
    match length(bytes)? {
        None => Ok(None),
        Some((Length::Plain(number), size)) => Ok(Some((number, size))),
        Some((Length::Special(_), _)) => Err(Fault::Malformed("the encoding of a string stands in place of a number")),
    }
}

/// The `N` bytes at `at`, where they are there.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_of_four_sizes() {
        assert_eq!(number(&[0x3f]), Ok(Some((63, 1))));
        assert_eq!(number(&[0x7f, 0xff]), Ok(Some((16383, 2))));
        assert_eq!(number(&[0x80, 0, 1, 0, 0]), Ok(Some((65536, 5))));
        assert_eq!(number(&[0x81, 0x80, 0, 0, 0, 0, 0, 0, 0]), Ok(Some((1 << 63, 9))));
        assert_eq!(length(&[0xc3]), Ok(Some((Length::Special(3), 1))));
    }

    #[test]
    fn a_number_waits_for_its_bytes() {
        for bytes in [&[][..], &[0x40], &[0x80, 0, 0, 0], &[0x81, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(number(bytes), Ok(None), "{bytes:?}");
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(number(&[0x82, 0, 0]).is_err());
        assert!(number(&[0xc0, 1]).is_err());
    }
}
