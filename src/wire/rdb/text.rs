//! The strings of a dump: as they are, as a small integer, or compressed (Redis `rdb.c`, rdbGenericLoadStringObject).

use super::length::{Length, array, length};
use super::{Fault, lzf};
use bytes::Bytes;

/// The longest single string that is held in memory, in bytes: a key's name, an element of a collection, a packed node
/// of elements, a function library. It is the servers' own default limit of a string. Plain strings come in pieces and
/// have no limit here.
pub const MAX_HELD: u64 = 512 * 1024 * 1024;

/// How a string is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Raw,
    /// As a little-endian integer, to be read as its decimal digits.
    Integer,
    /// Compressed; with its length when expanded, in bytes.
    Compressed(u64),
}

/// Where a string lies: after a head of some bytes, for a length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) form: Form,
    pub(super) head: usize,
    pub(super) length: u64,
}

impl Span {
    /// Reads the head of a string at the start of `bytes`, or `None` when more bytes are needed for it.
    ///
    /// # Errors
    /// [`Fault::Malformed`] for an encoding that is not known.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, Fault> {
        let (special, head) = match length(bytes)? {
            None => return Ok(None),
            Some((Length::Plain(length), head)) => return Ok(Some(Self { form: Form::Raw, head, length })),
            Some((Length::Special(special), head)) => (special, head),
        };
        match special {
            0..=2 => Ok(Some(Self { form: Form::Integer, head, length: 1 << special })),
            3 => Self::compressed(bytes, head),
            _ => Err(Fault::Malformed("a string has an encoding that is not known")),
        }
    }

    fn compressed(bytes: &[u8], head: usize) -> Result<Option<Self>, Fault> {
        let Some((length, size)) = super::length::number(bytes.get(head..).unwrap_or_default())? else {
            return Ok(None);
        };
        let head = head + size;
        let Some((expanded, size)) = super::length::number(bytes.get(head..).unwrap_or_default())? else {
            return Ok(None);
        };
        Ok(Some(Self { form: Form::Compressed(expanded), head: head + size, length }))
    }

    /// The size of the string in the dump, its head included, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.length.saturating_add(self.head as u64)
    }

    /// Refuses a string that is too long to be held, as it is or expanded.
    ///
    /// # Errors
    /// [`Fault::TooLong`].
    pub(super) fn bounded(self, what: &'static str) -> Result<Self, Fault> {
        let length = match self.form {
            Form::Raw | Form::Integer => self.length,
            Form::Compressed(expanded) => expanded.max(self.length),
        };
        match length <= MAX_HELD {
            true => Ok(self),
            false => Err(Fault::TooLong { what, length, limit: MAX_HELD }),
        }
    }

    /// The string, from `bytes` that are exactly its [`Self::size`].
    ///
    /// # Errors
    /// [`Fault`] when it doesn't expand, or `bytes` is too short.
    pub(super) fn decode(&self, mut bytes: Bytes) -> Result<Bytes, Fault> {
        if bytes.len() < self.head {
            return Err(Fault::Truncated);
        }
        let data = bytes.split_off(self.head);
        match self.form {
            Form::Raw => Ok(data),
            Form::Integer => integer(&data).map(|number| number.to_string().into()).ok_or(Fault::Truncated),
            Form::Compressed(expanded) => lzf::expand(&data, expanded),
        }
    }
}

fn integer(data: &[u8]) -> Option<i32> {
    match data.len() {
        1 => array(data, 0).map(|bytes| i32::from(i8::from_le_bytes(bytes))),
        2 => array(data, 0).map(|bytes| i32::from(i16::from_le_bytes(bytes))),
        _ => array(data, 0).map(i32::from_le_bytes),
    }
}
