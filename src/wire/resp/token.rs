//! Replies as a flat sequence of tokens: no recursion, nothing built, any nesting bounded by who reads them.

/// The longest line that a server may answer, in bytes.
const MAX_LINE: usize = 64 * 1024;
/// Replies nest at most this deep.
pub const MAX_DEPTH: usize = 16;

/// One element of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A simple string or an integer.
    Simple,
    /// The simple string `QUEUED`.
    Queued,
    /// An error, without its sign.
    Error(String),
    /// The head of an array with so many elements.
    Array(u64),
    /// A null.
    Null,
    /// The head of a bulk string with so many bytes, its CR LF not counted.
    Bulk(usize),
}

/// Bytes that are no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// A line is longer than any server sends.
    #[error("a reply has a line without an end")]
    Line,
    /// A length is no number.
    #[error("a reply has a length that is none")]
    Length,
    /// A first byte that this protocol does not have.
    #[error("a reply of an unknown kind")]
    Kind,
    /// Arrays in arrays beyond [`MAX_DEPTH`].
    #[error("a reply is nested too deep")]
    Depth,
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
    let line = input.get(1..end.saturating_sub(1)).unwrap_or_default();
    let number = || std::str::from_utf8(line).ok().and_then(|text| text.parse::<u64>().ok()).ok_or(TokenError::Length);
    let token = match input.first() {
        Some(b'+') if line == b"QUEUED" => Token::Queued,
        Some(b'+' | b':') => Token::Simple,
        Some(b'-') => Token::Error(String::from_utf8_lossy(line).into_owned()),
        Some(b'$' | b'*') if line == b"-1" => Token::Null,
        Some(b'$') => Token::Bulk(usize::try_from(number()?).map_err(|_| TokenError::Length)?),
        Some(b'*') => Token::Array(number()?),
        _ => return Err(TokenError::Kind),
    };
    Ok(Some((token, end + 1)))
}

/// The length of the whole reply at the start of `input`, or `None` when more bytes are needed.
///
/// # Errors
/// [`TokenError`] when the bytes are no reply, or one that is nested too deep.
pub fn extent(input: &[u8]) -> Result<Option<usize>, TokenError> {
    let mut at = 0usize;
    let mut open = vec![1u64];
    while let Some(remaining) = open.last_mut() {
        if *remaining == 0 {
            open.pop();
            continue;
        }
        *remaining -= 1;
        let Some((token, length)) = token(input.get(at..).unwrap_or_default())? else { return Ok(None) };
        at += length;
        match token {
            Token::Bulk(bytes) => at = at.saturating_add(bytes).saturating_add(2),
            Token::Array(_) if open.len() > MAX_DEPTH => return Err(TokenError::Depth),
            Token::Array(elements) => open.push(elements),
            Token::Simple | Token::Queued | Token::Error(_) | Token::Null => {}
        }
        if at > input.len() {
            return Ok(None);
        }
    }
    Ok(Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_whole_reply_is_measured() {
        let reply = b"*3\r\n:1\r\n*2\r\n$3\r\nabc\r\n$-1\r\n-ERR x\r\n";
        assert_eq!(extent(reply), Ok(Some(reply.len())));
        for end in 0..reply.len() {
            assert_eq!(extent(&reply[..end]), Ok(None));
        }
    }

    #[test]
    fn nesting_is_bounded() {
        assert_eq!(extent(&b"*1\r\n".repeat(5000)), Err(TokenError::Depth));
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = extent(&bytes);
        }
    }
}
