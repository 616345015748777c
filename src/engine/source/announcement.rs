//! The line with which a primary announces a dump: `$123` gives its length, `$EOF:` forty bytes that stand behind it.

use bytes::{Buf, BytesMut};

use crate::error::{Fault, Kind};

/// The longest announcement, or error in its place, in bytes.
const MAX_LINE: usize = 1024;
/// The length of the mark behind a dump of unknown length, in bytes.
const MARK: usize = 40;

/// How the end of a dump is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DumpLength {
    /// So many bytes.
    Bytes(u64),
    /// These bytes follow it.
    Mark([u8; MARK]),
}

impl DumpLength {
    /// Takes the announcement at the start of `input`, after newlines that keep the connection alive, and those too; `None`
    /// when more bytes are needed.
    ///
    /// # Errors
    /// A [`Fault`] when something else stands there: an error of the primary, or no announcement.
    pub fn take(input: &mut BytesMut) -> Result<Option<Self>, Fault> {
        let blank = input.iter().take_while(|&&byte| byte == b'\n').count();
        input.advance(blank);
        let Some(end) = input.iter().take(MAX_LINE).position(|&byte| byte == b'\n') else {
            return if input.len() >= MAX_LINE { Err(bad("a line without an end")) } else { Ok(None) };
        };
        let line = input.split_to(end + 1);
        let line = line.strip_suffix(b"\r\n").ok_or_else(|| bad("no CR before LF"))?;
        let text = String::from_utf8_lossy(line);
        let Some(word) = line.strip_prefix(b"$") else {
            return Err(match line.first() {
                Some(b'-') => Fault::of_reply(text.trim_start_matches('-'), "the dump"),
                _ => bad(&text),
            });
        };
        let length = match word.strip_prefix(b"EOF:") {
            Some(mark) => Self::Mark(mark.try_into().map_err(|_| bad("an end mark that has not 40 bytes"))?),
            None => Self::Bytes(text.trim_start_matches('$').parse().map_err(|_| bad(&text))?),
        };
        Ok(Some(length))
    }
}

fn bad(seen: &str) -> Fault {
    let seen: String = seen.chars().take(100).collect();
    Fault::new(Kind::Protocol, format!("the primary did not announce its dump but sent '{}'", seen.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(bytes: &[u8]) -> Result<(Option<DumpLength>, Vec<u8>), Fault> {
        let mut input = BytesMut::from(bytes);
        DumpLength::take(&mut input).map(|found| (found, input.to_vec()))
    }

    #[test]
    fn both_forms_are_found_behind_keep_alives() {
        let found = take(b"\n\n$173\r\nREDIS").expect("valid");
        assert_eq!(found, (Some(DumpLength::Bytes(173)), b"REDIS".to_vec()));
        let line = format!("$EOF:{}\r\n", "x".repeat(40));
        assert_eq!(take(line.as_bytes()).expect("valid"), (Some(DumpLength::Mark([b'x'; 40])), Vec::new()));
    }

    #[test]
    fn it_may_come_in_parts_and_errors_are_named() {
        assert_eq!(take(b"\n").expect("valid"), (None, Vec::new()), "keep-alives are not kept");
        assert_eq!(take(b"$12").expect("valid"), (None, b"$12".to_vec()));
        let endless = [b'$'; 1024];
        for bad in [&b"-ERR no\r\n"[..], b"$x\r\n", b"$EOF:abc\r\n", b"$-1\r\n", b"$99999999999999999999\r\n", &endless]
        {
            assert!(take(bad).is_err());
        }
    }
}
