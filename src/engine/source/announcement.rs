//! The line with which a primary announces a dump: `$123` gives its length, `$EOF:` forty bytes that stand behind it.

use crate::error::{Fault, Kind};

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

/// The announcement of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// Where the dump ends.
    pub length: DumpLength,
    /// Bytes of the announcement itself, keep-alives before it included.
    pub size: usize,
}

impl Announcement {
    /// Finds the announcement at the start of `bytes`, after newlines that keep the connection alive; `None` when more
    /// bytes are needed.
    ///
    /// # Errors
    /// A [`Fault`] when something else stands there: an error of the primary, or no announcement.
    pub fn find(bytes: &[u8]) -> Result<Option<Self>, Fault> {
        let start = bytes.iter().take_while(|&&byte| byte == b'\n').count();
        let rest = bytes.get(start..).unwrap_or_default();
        let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
            return if rest.len() > 1024 { Err(bad("a line without an end")) } else { Ok(None) };
        };
        let line = rest.get(..end).unwrap_or_default().strip_suffix(b"\r").ok_or_else(|| bad("no CR before LF"))?;
        let size = start + end + 1;
        let text = String::from_utf8_lossy(line).into_owned();
        let Some(word) = line.strip_prefix(b"$") else {
            return Err(match line.first() {
                Some(b'-') => Fault::of_reply(text.trim_start_matches('-'), "the dump"),
                _ => bad(&text),
            });
        };
        let length = match word.strip_prefix(b"EOF:") {
            Some(mark) => DumpLength::Mark(mark.try_into().map_err(|_| bad("an end mark that has not 40 bytes"))?),
            None => DumpLength::Bytes(text.trim_start_matches('$').parse().map_err(|_| bad(&text))?),
        };
        Ok(Some(Self { length, size }))
    }
}

fn bad(seen: &str) -> Fault {
    let seen: String = seen.chars().take(100).collect();
    Fault::new(Kind::Protocol, format!("the primary did not announce its dump but sent '{}'", seen.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_found_behind_keep_alives() {
        let found = Announcement::find(b"\n\n$173\r\nREDIS").expect("valid").expect("whole");
        assert_eq!(found, Announcement { length: DumpLength::Bytes(173), size: 8 });
        let line = format!("$EOF:{}\r\n", "x".repeat(40));
        let found = Announcement::find(line.as_bytes()).expect("valid").expect("whole");
        assert_eq!(found, Announcement { length: DumpLength::Mark([b'x'; 40]), size: 47 });
    }

    #[test]
    fn it_may_come_in_parts_and_errors_are_named() {
        assert!(Announcement::find(b"\n").expect("valid").is_none());
        assert!(Announcement::find(b"$12").expect("valid").is_none());
        assert!(Announcement::find(b"-ERR no\r\n").is_err());
        assert!(Announcement::find(b"$x\r\n").is_err());
        assert!(Announcement::find(b"$EOF:abc\r\n").is_err());
    }
}
