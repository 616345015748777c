//! The frames of a replication stream: arrays of bulk strings, found without copying and without recursion.
//!
//! A reader is strict (a primary sends nothing else), resumable (it remembers how far it got in a frame that has not
//! arrived whole, so that a long frame in small reads costs one pass) and bounded.

use std::ops::Range;

/// The largest bulk string that a frame may hold, in bytes: the servers' own `proto-max-bulk-len` default.
pub const MAX_BULK: usize = 512 * 1024 * 1024;

/// The largest number of arguments that a frame may hold: the servers' own limit since Redis 7.0. Nothing is allocated
/// before the arguments themselves arrive.
pub const MAX_ARGUMENTS: usize = i32::MAX as usize;

/// The longest frame, in bytes: what servers hold of one command, by their default of `client-query-buffer-limit`.
pub const MAX_FRAME: usize = 1024 * 1024 * 1024;

/// Why bytes are not a frame. The offset counts from the start of the frame, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Something else than `expected` stood in the stream.
    #[error("byte {offset} of a frame: expected {expected}, found 0x{found:02x}")]
    Unexpected {
        /// Where, from the start of the frame, in bytes.
        offset: usize,
        /// What the protocol allows there.
        expected: &'static str,
        /// The byte that was there.
        found: u8,
    },
    /// A length outside its limit.
    #[error("byte {offset} of a frame: {what} is outside 0..={limit}")]
    Limit {
        /// Where, from the start of the frame, in bytes.
        offset: usize,
        /// Which length.
        what: &'static str,
        /// The largest allowed.
        limit: usize,
    },
}

/// One command: its arguments as places in a buffer.
#[derive(Debug, Clone, Copy)]
pub struct Command<'a> {
    bytes: &'a [u8],
    arguments: &'a [Range<usize>],
}

impl<'a> Command<'a> {
    /// A command over `bytes`, whose arguments lie at `arguments` in it.
    ///
    /// A range that lies outside of `bytes` reads as an empty argument.
    pub fn new(bytes: &'a [u8], arguments: &'a [Range<usize>]) -> Self {
        Self { bytes, arguments }
    }

    /// The number of arguments, the name included.
    pub fn len(&self) -> usize {
        self.arguments.len()
    }

    /// Whether there is not even a name.
    pub fn is_empty(&self) -> bool {
        self.arguments.is_empty()
    }

    /// The argument at `index`, 0 being the name; empty where there is none.
    pub fn arg(&self, index: usize) -> &'a [u8] {
        self.arguments.get(index).and_then(|range| self.bytes.get(range.clone())).unwrap_or_default()
    }

    /// The command's name as it was sent, in any case.
    pub fn name(&self) -> &'a [u8] {
        self.arg(0)
    }

    /// All arguments, the name first.
    pub fn args(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let bytes = self.bytes;
        self.arguments.iter().map(move |range| bytes.get(range.clone()).unwrap_or_default())
    }
}

/// Finds frames at the start of a buffer and remembers how far it got in one that is not whole yet.
#[derive(Debug, Default)]
pub struct FrameReader {
    arguments: Vec<Range<usize>>,
    expected: usize,
    at: usize,
}

impl FrameReader {
    /// A reader that stands at the start of a frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks for a whole frame at the start of `bytes`, which must begin where the last whole frame ended.
    ///
    /// Returns the frame's length in bytes, with the places of its arguments in [`Self::arguments`], or `None` when more
    /// bytes are needed: call again with the same bytes and more behind them. A lone newline, the keep-alive of a
    /// primary, is a frame without arguments.
    ///
    /// # Errors
    /// [`FrameError`] when the bytes can't be the start of a frame; the reader is of no use after it.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Option<usize>, FrameError> {
        if self.at == 0 {
            self.arguments.clear();
            match bytes.first() {
                None => return Ok(None),
                Some(b'\n') => return Ok(Some(1)),
                Some(b'*') => {}
                Some(&found) => return Err(FrameError::Unexpected { offset: 0, expected: "'*'", found }),
            }
            let Some((count, at)) = number(bytes, 1, "the number of arguments", MAX_ARGUMENTS)? else {
                return Ok(None);
            };
            self.expected = count;
            self.at = at;
        }
        while self.arguments.len() < self.expected {
            match bytes.get(self.at) {
                None => return Ok(None),
                Some(b'$') => {}
                Some(&found) => return Err(FrameError::Unexpected { offset: self.at, expected: "'$'", found }),
            }
            let Some((length, start)) = number(bytes, self.at + 1, "the length of an argument", MAX_BULK)? else {
                return Ok(None);
            };
            let end = start + length;
            if end > MAX_FRAME {
                return Err(FrameError::Limit { offset: self.at, what: "the length of the frame", limit: MAX_FRAME });
            }
            let Some(crlf) = bytes.get(end..end + 2) else { return Ok(None) };
            if crlf != b"\r\n" {
                return Err(FrameError::Unexpected {
                    offset: end,
                    expected: "CR LF after an argument",
                    found: crlf[0],
                });
            }
            self.arguments.push(start..end);
            self.at = end + 2;
        }
        Ok(Some(std::mem::take(&mut self.at)))
    }

    /// The places of the arguments of the frame that [`Self::next`] found last, from the start of that frame.
    pub fn arguments(&self) -> &[Range<usize>] {
        &self.arguments
    }
}

/// Reads digits and CR LF at `at`: the number and where it ends, or `None` when more bytes are needed.
fn number(bytes: &[u8], at: usize, what: &'static str, limit: usize) -> Result<Option<(usize, usize)>, FrameError> {
    let mut value = 0usize;
    let mut end = at;
    loop {
        match bytes.get(end) {
            None => return Ok(None),
            Some(digit @ b'0'..=b'9') => {
                value = value * 10 + usize::from(digit - b'0');
                if value > limit {
                    return Err(FrameError::Limit { offset: at, what, limit });
                }
                end += 1;
            }
            Some(b'\r') if end > at => break,
            Some(&found) => return Err(FrameError::Unexpected { offset: end, expected: "a digit", found }),
        }
    }
    match bytes.get(end + 1) {
        None => Ok(None),
        Some(b'\n') => Ok(Some((value, end + 2))),
        Some(&found) => Err(FrameError::Unexpected { offset: end + 1, expected: "LF", found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::resp::command;
    use proptest::prelude::*;

    fn whole(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut reader = FrameReader::new();
        let length = reader.next(bytes).expect("valid").expect("whole");
        assert_eq!(length, bytes.len());
        Command::new(bytes, reader.arguments()).args().map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn a_newline_is_a_frame_without_arguments() {
        let mut reader = FrameReader::new();
        assert_eq!(reader.next(b"\n*1\r\n"), Ok(Some(1)));
        assert!(reader.arguments().is_empty());
    }

    #[test]
    fn what_is_not_a_frame_is_named() {
        for bytes in [b"+OK\r\n".as_slice(), b"*-1\r\n", b"*1\r\n:5\r\n", b"*1\r\n$1\r\nab\r\n", b"*1\rx", b"*\r\n"] {
            assert!(matches!(FrameReader::new().next(bytes), Err(FrameError::Unexpected { .. })), "{bytes:?}");
        }
        for bytes in [b"*2147483648\r\n".as_slice(), b"*1\r\n$536870913\r\n", b"*99999999999999999999999\r\n"] {
            assert!(matches!(FrameReader::new().next(bytes), Err(FrameError::Limit { .. })), "{bytes:?}");
        }
    }

    #[test]
    fn a_frame_is_bounded_as_a_whole() {
        // Zeros that nobody writes take no memory.
        let mut bytes = vec![0; MAX_BULK + 64];
        let mut put = |at: usize, text: &str| {
            bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
            FrameReader::new().next(&bytes)
        };
        let end = 16 + MAX_BULK;
        assert_eq!(
            put(0, "*3\r\n$536870912\r\n"),
            Err(FrameError::Unexpected { offset: end, expected: "CR LF after an argument", found: 0 })
        );
        assert_eq!(put(end, "\r\n$536870000\r\n"), Ok(None));
        let limit = FrameError::Limit { offset: end + 2, what: "the length of the frame", limit: MAX_FRAME };
        assert_eq!(put(end, "\r\n$536870912\r\n"), Err(limit));
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_found(arguments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12)) {
            prop_assert_eq!(whole(&command(&arguments)), arguments);
        }

        #[test]
        fn bytes_may_come_one_by_one(arguments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 1..6)) {
            let bytes = command(&arguments);
            let mut reader = FrameReader::new();
            for end in 0..bytes.len() {
                prop_assert_eq!(reader.next(&bytes[..end]), Ok(None));
            }
            prop_assert_eq!(reader.next(&bytes), Ok(Some(bytes.len())));
        }

        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = FrameReader::new().next(&bytes);
        }
    }
}
