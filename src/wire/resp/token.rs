//! Replies as a flat sequence of tokens: no recursion, nothing built, any nesting bounded by who reads them.

/// The longest line that a server may answer, in bytes.
const MAX_LINE: usize = 64 * 1024;
/// Replies nest at most this deep.
pub const MAX_DEPTH: usize = 16;
/// The longest bulk string that a reply may hold, in bytes: eight times what servers take by default.
const MAX_BULK: u64 = 8 * super::MAX_BULK as u64;
/// The most elements of a reply, those of arrays in arrays among them: each takes more memory once it is built than it took in
/// the reply. The longest reply that is asked for is a part of a key's elements.
pub const MAX_ELEMENTS: u64 = 1024 * 1024;

/// One element of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A simple string, an integer, or another value of one line.
    Simple,
    /// The simple string `QUEUED`.
    Queued,
    /// An error, without its sign.
    Error(String),
    /// The head of an array with so many elements, or of what is like it: names and values of a map are two each, and
    /// attributes count with the value that they are of.
    Array(u64),
    /// A null.
    Null,
    /// The head of a bulk string with so many bytes, its CR LF not counted.
    Bulk(usize),
}

/// Bytes that are no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// A line is longer than any server sends, or ends in LF alone.
    #[error("a reply has a line without an end")]
    Line,
    /// A length is no number, or larger than any server sends.
    #[error("a reply has a length that is none")]
    Length,
    /// A first byte that this protocol does not have.
    #[error("a reply of an unknown kind")]
    Kind,
    /// Arrays in arrays beyond [`MAX_DEPTH`].
    #[error("a reply is nested too deep")]
    Depth,
    /// More than [`MAX_ELEMENTS`].
    #[error("a reply has more than {MAX_ELEMENTS} elements")]
    Elements,
}

/// The token at the start of `input` and its length in bytes, without the payload of a bulk string; `None` when more
/// bytes are needed.
///
/// # Errors
/// [`TokenError`] when the bytes are no reply.
pub fn token(input: &[u8]) -> Result<Option<(Token, usize)>, TokenError> {
    let Some(end) = input.iter().take(MAX_LINE).position(|&byte| byte == b'\n') else {
        return if input.len() >= MAX_LINE { Err(TokenError::Line) } else { Ok(None) };
    };
    let line = input.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(TokenError::Line)?;
    let line = line.get(1..).unwrap_or_default();
    let number = || std::str::from_utf8(line).ok().and_then(|text| text.parse::<u64>().ok()).ok_or(TokenError::Length);
    let times = |each: u64, more: u64| {
        number()?.checked_mul(each).and_then(|count| count.checked_add(more)).ok_or(TokenError::Length)
    };
    let token = match input.first() {
        Some(b'+') if line == b"QUEUED" => Token::Queued,
        Some(b'+' | b':' | b',' | b'#' | b'(') => Token::Simple,
        Some(b'-') => Token::Error(String::from_utf8_lossy(line).into_owned()),
        Some(b'$' | b'*') if line == b"-1" => Token::Null,
        Some(b'_') => Token::Null,
        Some(b'$' | b'!' | b'=') => {
            let length = number()?;
            Token::Bulk(usize::try_from(length).ok().filter(|_| length <= MAX_BULK).ok_or(TokenError::Length)?)
        }
        Some(b'*' | b'>' | b'~') => Token::Array(number()?),
        Some(b'%') => Token::Array(times(2, 0)?),
        Some(b'|') => Token::Array(times(2, 1)?),
        _ => return Err(TokenError::Kind),
    };
    Ok(Some((token, end + 1)))
}

/// Finds where whole replies end, of RESP2 and RESP3, and remembers how far it got in one that has not arrived whole.
#[derive(Debug, Default)]
pub struct ReplyReader {
    at: usize,
    /// The elements still to come at each level, outermost first.
    open: Vec<u64>,
    elements: u64,
    wanted: usize,
}

impl ReplyReader {
    /// How many bytes the reply has at least that [`Self::next`] has found not to be whole.
    pub fn wanted(&self) -> usize {
        self.wanted
    }

    /// The length in bytes of the whole reply at the start of `input`, or `None` when more bytes are needed: call again with
    /// the same bytes and more behind them.
    ///
    /// # Errors
    /// [`TokenError`] when the bytes are no reply, or one that is nested too deep or has too many elements.
    pub fn next(&mut self, input: &[u8]) -> Result<Option<usize>, TokenError> {
        if self.at == 0 && self.open.is_empty() {
            (self.open, self.elements, self.wanted) = (vec![1], 0, 0);
        }
        while let Some(remaining) = self.open.last_mut() {
            if *remaining == 0 {
                self.open.pop();
                continue;
            }
            let Some((token, length)) = token(input.get(self.at..).unwrap_or_default())? else { return Ok(None) };
            let (mut end, mut inner) = (self.at + length, None);
            match token {
                Token::Bulk(bytes) => end += bytes + 2,
                Token::Array(elements) => inner = Some(elements),
                Token::Simple | Token::Queued | Token::Error(_) | Token::Null => {}
            }
            if end > input.len() {
                self.wanted = end;
                return Ok(None);
            }
            *remaining -= 1;
            self.at = end;
            self.elements = self.elements.saturating_add(inner.unwrap_or(0));
            if self.elements > MAX_ELEMENTS {
                return Err(TokenError::Elements);
            }
            if inner.is_some() && self.open.len() > MAX_DEPTH {
                return Err(TokenError::Depth);
            }
            self.open.extend(inner);
        }
        Ok(Some(std::mem::take(&mut self.at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn extent(bytes: &[u8]) -> Result<Option<usize>, TokenError> {
        ReplyReader::default().next(bytes)
    }

    #[test]
    fn a_whole_reply_is_measured() {
        let two = b"*3\r\n:1\r\n*2\r\n$3\r\nabc\r\n$-1\r\n-ERR x\r\n".as_slice();
        let three = b">2\r\n%1\r\n+a\r\n_\r\n|1\r\n+b\r\n#t\r\n~1\r\n=7\r\ntxt:abc\r\n".as_slice();
        for reply in [two, three] {
            assert_eq!(extent(reply), Ok(Some(reply.len())));
            let mut reader = ReplyReader::default();
            for end in 0..reply.len() {
                assert_eq!(reader.next(&reply[..end]), Ok(None));
            }
            assert_eq!(reader.next(reply), Ok(Some(reply.len())));
            assert!(reader.wanted() <= reply.len());
            assert_eq!(reader.next(reply), Ok(Some(reply.len())), "it stands at the start of the next one");
        }
    }

    #[test]
    fn lengths_and_numbers_of_elements_are_bounded() {
        for absurd in
            ["$9223372036854775808\r\n", "$18446744073709551615\r\n", "$-2\r\n", "*-9\r\n", "!?\r\n", "%?\r\n"]
        {
            assert_eq!(extent(absurd.as_bytes()), Err(TokenError::Length), "{absurd}");
        }
        for absurd in ["*9223372036854775808\r\n", ">18446744073709551615\r\n", "*1\r\n%600000\r\n"] {
            assert_eq!(extent(absurd.as_bytes()), Err(TokenError::Elements), "{absurd}");
        }
        assert_eq!(extent(b"%9223372036854775808\r\n"), Err(TokenError::Length));
    }

    #[test]
    fn how_long_a_string_becomes_is_known_before_it_comes() {
        let mut reader = ReplyReader::default();
        assert_eq!(reader.next(b"*2\r\n:1\r\n$4000000000\r\nx"), Ok(None));
        assert_eq!(reader.wanted(), 4 + 4 + 13 + 4_000_000_000 + 2);
    }

    #[test]
    fn a_line_ends_in_both_signs() {
        for line in ["+OK\n", "\n", "+a\rb\nc\r\n", "$2\nab\r\n"] {
            assert_eq!(extent(line.as_bytes()), Err(TokenError::Line), "{line:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        assert_eq!(extent(&b"*1\r\n".repeat(5000)), Err(TokenError::Depth));
    }

    /// A reply of either protocol, as bytes.
    fn replies() -> impl Strategy<Value = Vec<u8>> {
        let line = (prop::sample::select(b"+-:,#(_".to_vec()), "[a-z0-9. ]{0,20}");
        let line = line.prop_map(|(kind, text)| [&[kind], text.as_bytes(), b"\r\n"].concat());
        let bulk = (prop::sample::select(b"$!=".to_vec()), prop::collection::vec(any::<u8>(), 0..40));
        let bulk = bulk.prop_map(|(kind, text)| {
            [format!("{}{}\r\n", kind as char, text.len()).as_bytes(), &text, b"\r\n"].concat()
        });
        prop_oneof![line, bulk].prop_recursive(4, 40, 6, |inner| {
            (prop::sample::select(b"*>~%|".to_vec()), prop::collection::vec(inner, 0..6)).prop_map(
                |(kind, mut parts)| {
                    let pairs = parts.len() / 2;
                    let count = match kind {
                        b'%' | b'|' => pairs,
                        _ => parts.len(),
                    };
                    parts.truncate(if matches!(kind, b'%' | b'|') { 2 * pairs } else { parts.len() });
                    // Attributes have the value that they are of behind them.
                    parts.extend((kind == b'|').then(|| b"+v\r\n".to_vec()));
                    [format!("{}{count}\r\n", kind as char).into_bytes(), parts.concat()].concat()
                },
            )
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_measured_wherever_it_is_cut(reply in replies(), step in 1..50usize) {
            let mut reader = ReplyReader::default();
            for end in (0..reply.len()).step_by(step) {
                prop_assert_eq!(reader.next(&reply[..end]), Ok(None));
            }
            let more = [&reply[..], b"+next\r\n"].concat();
            prop_assert_eq!(reader.next(&more), Ok(Some(reply.len())));
            prop_assert_eq!(reader.next(&more[reply.len()..]), Ok(Some(7)));
        }

        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = extent(&bytes);
        }
    }
}
