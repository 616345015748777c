//! What a primary answers to `PSYNC`, as one line.

use crate::engine::position::{ReplicationId, parse_offset};
use crate::error::{Fault, Kind};

/// The longest part of a line that is no answer which is shown, in characters.
const SHOWN: usize = 100;

/// A primary's answer to `PSYNC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The stream goes on where it was asked for, in this history.
    Continue(ReplicationId),
    /// A dump comes first; it stands at this offset of this history, bytes.
    FullResync(ReplicationId, u64),
}

impl Answer {
    /// The answer in `line`, which has no end any more, of the server at `place`, which was asked for the history `asked`: Redis
    /// before 4.0 does not name the one that goes on.
    ///
    /// # Errors
    /// A [`Fault`]: the server's own error, or what it sent instead of an answer.
    pub fn parse(line: &str, asked: &str, place: &str) -> Result<Self, Fault> {
        let shown = || line.chars().take(SHOWN).collect::<String>();
        let bad = || Fault::new(Kind::Protocol, format!("{place} answered PSYNC with '{}'", shown().escape_debug()));
        let mut words = line.split_whitespace();
        match words.next() {
            Some("+CONTINUE") => {
                let id = words.next().unwrap_or(asked);
                Ok(Self::Continue(id.parse().map_err(|_| bad())?))
            }
            Some("+FULLRESYNC") => {
                let id = words.next().and_then(|id| id.parse().ok()).ok_or_else(bad)?;
                let offset = words.next().and_then(parse_offset).ok_or_else(bad)?;
                Ok(Self::FullResync(id, offset))
            }
            _ => match line.strip_prefix('-') {
                Some(error) if error.starts_with("NOMASTERLINK") => {
                    Err(Fault::new(Kind::ReadOnly, format!("{place} is a replica without its primary: {error}")))
                }
                Some(error) => Err(Fault::of_reply(error, &format!("{place} answered PSYNC"))),
                None => Err(bad()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::source::DumpLength;
    use bytes::BytesMut;

    #[test]
    fn an_answer_names_history_and_place_or_what_it_is_instead() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let parse = |line: &str| Answer::parse(line, &a, "eu (host:1)");
        let id = |text: &str| text.parse().expect("40 digits");
        assert_eq!(parse("+CONTINUE").ok(), Some(Answer::Continue(id(&a))));
        assert_eq!(parse(&format!("+CONTINUE {b}")).ok(), Some(Answer::Continue(id(&b))));
        assert_eq!(parse(&format!("+FULLRESYNC {b} 17")).ok(), Some(Answer::FullResync(id(&b), 17)));
        for (line, kind) in [
            (format!("+FULLRESYNC {b} -1"), Kind::Protocol),
            (format!("+FULLRESYNC {b} 9223372036854775808"), Kind::Protocol),
            (format!("+FULLRESYNC {b}"), Kind::Protocol),
            ("+FULLRESYNC \u{fffd} 0".to_owned(), Kind::Protocol),
            ("*3".to_owned(), Kind::Protocol),
            ("x".repeat(4000), Kind::Protocol),
            ("-NOMASTERLINK no".to_owned(), Kind::ReadOnly),
            ("-LOADING no".to_owned(), Kind::Loading),
        ] {
            let fault = parse(&line).expect_err(&line);
            assert!(fault.kind == kind && fault.text.len() < 200, "{fault}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_a_primary_answers_is_read(id in "[0-9a-f]{40}", offset in 0..1u64 << 62, length: u64, mark in "[0-9a-f]{40}", blank in 0..9usize) {
            let history = id.parse().expect("40 digits");
            let line = format!("+FULLRESYNC {id} {offset}");
            proptest::prop_assert_eq!(Answer::parse(&line, "?", "eu").ok(), Some(Answer::FullResync(history, offset)));
            let announced = [(format!("${length}"), DumpLength::Bytes(length)), (format!("$EOF:{mark}"), DumpLength::Mark(mark.as_bytes().try_into().expect("40 bytes")))];
            for (line, expected) in announced {
                let mut input = BytesMut::from(format!("{}{line}\r\nREDIS", "\n".repeat(blank)).as_bytes());
                proptest::prop_assert_eq!(DumpLength::take(&mut input).ok().flatten(), Some(expected));
                proptest::prop_assert_eq!(&input[..], b"REDIS");
            }
        }
    }
}
