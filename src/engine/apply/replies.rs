//! What the target answered: one pass over its replies, without building them.
//!
//! Replies of pipelined transactions come in order. What each one belongs to follows from its form: after the `+OK` of
//! `MULTI` come `+QUEUED` or errors, then the reply of `EXEC`: an array, a null, or an error.

use bytes::{Buf, BytesMut};

use crate::error::{Fault, Kind};
use crate::wire::resp::{MAX_DEPTH, Token, token};

/// What one transaction came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The first error at queue time with the number of requests queued before it.
    pub refused: Option<(u32, String)>,
    /// Whether `EXEC` ran the transaction.
    pub executed: bool,
    /// Errors inside of `EXEC` with the index of the request, from 0; of each request the first one.
    pub errors: Vec<(u32, String)>,
    /// What `EXEC` itself answered when it did not run.
    pub exec_error: Option<String>,
}

#[derive(Debug, Default)]
enum Stage {
    /// Before `MULTI`: the replies of the guard, as many as are expected.
    #[default]
    Guard,
    /// Requests are being queued.
    Queued(u32),
    /// In the array of `EXEC`: the elements still to come at each level, outermost first.
    Executed { remaining: Vec<u64>, index: u32 },
}

/// Reads the replies of a connection.
#[derive(Debug, Default)]
pub struct Replies {
    stage: Stage,
    /// Replies that come before the `+OK` of the next `MULTI`.
    before_multi: u32,
    outcome: Outcome,
    /// Bytes of a bulk string that are still to be skipped.
    skip: usize,
    /// All replies of the transaction were read, but for what is to be skipped.
    complete: bool,
}

impl Replies {
    /// Reads as far as the end of one transaction's replies. `guards` tells how many replies come before the `+OK` of
    /// this transaction's `MULTI`.
    ///
    /// Gives `None` when more bytes are needed; what was read is gone from `input`.
    ///
    /// # Errors
    /// A [`Fault`] of kind `Protocol` when the bytes are no replies.
    pub fn next(&mut self, input: &mut BytesMut, guards: u32) -> Result<Option<Outcome>, Fault> {
        loop {
            if self.skip > 0 {
                let now = self.skip.min(input.len());
                input.advance(now);
                self.skip -= now;
                if self.skip > 0 {
                    return Ok(None);
                }
            }
            if std::mem::take(&mut self.complete) {
                self.stage = Stage::Guard;
                self.before_multi = 0;
                return Ok(Some(std::mem::take(&mut self.outcome)));
            }
            if let Stage::Queued(count) = &mut self.stage {
                let mut at = 0;
                while input.get(at..at + 9) == Some(b"+QUEUED\r\n") {
                    at += 9;
                    *count = count.saturating_add(1);
                }
                input.advance(at);
            }
            let Some((token, length)) = token(input)? else { return Ok(None) };
            input.advance(length);
            if let Token::Bulk(bytes) = token {
                self.skip = bytes + 2;
            }
            self.complete = self.take(token, guards)?;
        }
    }

    /// Takes one token; tells whether the transaction's replies are complete.
    fn take(&mut self, token: Token, guards: u32) -> Result<bool, Fault> {
        match &mut self.stage {
            Stage::Guard => self.guard(token, guards),
            Stage::Queued(count) => match token {
                Token::Queued => {
                    *count = count.saturating_add(1);
                    Ok(false)
                }
                Token::Error(text) if text.starts_with("EXECABORT") => {
                    self.outcome.exec_error = Some(text);
                    Ok(true)
                }
                Token::Error(text) => {
                    let index = *count;
                    self.outcome.refused.get_or_insert((index, text));
                    Ok(false)
                }
                Token::Array(elements) if elements == u64::from(*count) => {
                    self.outcome.executed = true;
                    self.stage = Stage::Executed { remaining: vec![elements], index: 0 };
                    Ok(elements == 0)
                }
                Token::Null => Ok(true),
                Token::Simple | Token::Bulk(_) | Token::Array(_) => Err(out_of_place("while requests are queued")),
            },
            Stage::Executed { .. } => self.element(token),
        }
    }

    fn guard(&mut self, token: Token, guards: u32) -> Result<bool, Fault> {
        if self.before_multi < guards {
            self.before_multi += 1;
            return match token {
                Token::Simple => Ok(false),
                Token::Error(text) => {
                    self.outcome.refused.get_or_insert((0, text));
                    Ok(false)
                }
                Token::Queued | Token::Array(_) | Token::Null | Token::Bulk(_) => Err(out_of_place("of the guard")),
            };
        }
        match token {
            Token::Simple => {
                self.stage = Stage::Queued(0);
                Ok(false)
            }
            Token::Error(text) => Err(Fault::of_reply(&text, "MULTI at the target")),
            Token::Queued | Token::Array(_) | Token::Null | Token::Bulk(_) => Err(out_of_place("of MULTI")),
        }
    }

    fn element(&mut self, token: Token) -> Result<bool, Fault> {
        let Stage::Executed { remaining, index } = &mut self.stage else { return Ok(false) };
        if let Some(last) = remaining.last_mut() {
            *last = last.saturating_sub(1);
        }
        match token {
            Token::Error(text) if self.outcome.errors.last().is_none_or(|(last, _)| last != index) => {
                self.outcome.errors.push((*index, text));
            }
            Token::Array(elements) if elements > 0 => {
                if remaining.len() >= MAX_DEPTH {
                    return Err(out_of_place("nested too deep"));
                }
                remaining.push(elements);
            }
            Token::Simple | Token::Queued | Token::Null | Token::Array(_) | Token::Bulk(_) | Token::Error(_) => {}
        }
        while remaining.len() > 1 && remaining.last() == Some(&0) {
            remaining.pop();
        }
        if remaining.len() == 1 {
            *index += 1;
        }
        Ok(remaining.len() == 1 && remaining[0] == 0)
    }
}

fn out_of_place(place: &str) -> Fault {
    Fault::new(Kind::Protocol, format!("the target sent a reply {place} that can't be there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], guards: u32) -> Vec<Outcome> {
        let mut input = BytesMut::from(bytes);
        let mut replies = Replies::default();
        let mut outcomes = Vec::new();
        while let Some(outcome) = replies.next(&mut input, guards).expect("replies") {
            outcomes.push(outcome);
        }
        outcomes
    }

    #[test]
    fn an_executed_transaction_is_told_with_its_errors() {
        let bytes =
            b"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n*2\r\n$3\r\na\nb\r\n*1\r\n:1\r\n-WRONGTYPE no\r\n";
        let outcomes = all(bytes, 0);
        assert_eq!(outcomes.len(), 1);
        assert!(outcomes[0].executed);
        assert_eq!(outcomes[0].errors, [(2, "WRONGTYPE no".to_owned())]);
    }

    #[test]
    fn a_refused_transaction_is_told_with_the_first_reason() {
        let bytes = b"+OK\r\n:0\r\n+OK\r\n+QUEUED\r\n-NOPERM x\r\n-NOPERM y\r\n-EXECABORT Transaction discarded\r\n+OK\r\n:1\r\n+OK\r\n+QUEUED\r\n*-1\r\n";
        let outcomes = all(bytes, 2);
        assert_eq!(outcomes.len(), 2);
        assert_eq!(outcomes[0].refused, Some((1, "NOPERM x".to_owned())));
        assert!(!outcomes[0].executed && outcomes[0].exec_error.is_some());
        assert!(!outcomes[1].executed && outcomes[1].exec_error.is_none());
    }

    #[test]
    fn what_no_target_answers_is_refused_and_needs_no_memory() {
        let endless = b"-ERR no\r\n".repeat(1000);
        let mut replies = Replies::default();
        let mut input =
            BytesMut::from(&[b"+OK\r\n+QUEUED\r\n*1\r\n*9223372036854775808\r\n", &endless[..]].concat()[..]);
        assert_eq!(replies.next(&mut input, 0).expect("an array that goes on"), None);
        assert_eq!(replies.outcome.errors.len(), 1);
        for lie in [
            "+OK\r\n+QUEUED\r\n*2\r\n+OK\r\n",
            "+OK\r\n*9223372036854775808\r\n",
            "+OK\r\n+QUEUED\r\n*1\r\n$18446744073709551615\r\n",
            "+OK\r\n+QUEUED\r\n*1\r\n$-5\r\n",
            "*1\r\n",
        ] {
            let fault = Replies::default().next(&mut BytesMut::from(lie), 0).expect_err(lie);
            assert_eq!(fault.kind, Kind::Protocol, "{lie}");
        }
    }

    #[test]
    fn replies_may_come_byte_by_byte() {
        let first = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$5\r\nhello\r\n$-1\r\n".as_slice();
        let second = b"+OK\r\n+QUEUED\r\n*1\r\n$3\r\nend\r\n".as_slice();
        let (mut input, mut replies, mut executed_at) = (BytesMut::new(), Replies::default(), Vec::new());
        for (at, byte) in first.iter().chain(second).enumerate() {
            input.extend_from_slice(&[*byte]);
            if replies.next(&mut input, 0).expect("replies").is_some_and(|outcome| outcome.executed) {
                executed_at.push(at + 1);
            }
        }
        assert_eq!(executed_at, [first.len(), first.len() + second.len()], "told with the last byte, not before");
        assert!(input.is_empty());
    }
}
