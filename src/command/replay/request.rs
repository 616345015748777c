//! Requests being written, and words and numbers of those that are read.

use super::{Replay, Why};
use crate::wire::resp::{Command, push_command};

/// One or more requests that take the place of a command.
#[derive(Default)]
pub(super) struct Requests {
    bytes: Vec<u8>,
    count: usize,
}

impl Requests {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a request.
    pub(super) fn push<A: AsRef<[u8]>>(&mut self, arguments: &[A]) {
        push_command(&mut self.bytes, arguments);
        self.count += 1;
    }

    /// They say the same as the command.
    pub(super) fn whole(self) -> Replay {
        Replay::Rewritten(self.bytes, self.count)
    }

    /// They say less than the command, for this reason.
    pub(super) fn part(self, why: Why) -> Replay {
        Replay::Partial(self.bytes, self.count, why)
    }
}

/// One request that says the same as the command.
pub(super) fn one<A: AsRef<[u8]>>(arguments: &[A]) -> Replay {
    let mut requests = Requests::new();
    requests.push(arguments);
    requests.whole()
}

/// `name` and then the command's arguments from `from` on.
pub(super) fn renamed<'c>(name: &'static str, command: &Command<'c>, from: usize) -> Vec<&'c [u8]> {
    let mut arguments = Vec::with_capacity(command.len());
    arguments.push(name.as_bytes());
    arguments.extend(command.args().skip(from));
    arguments
}

/// Whether an argument is this word, in any case.
pub(super) fn is(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

/// Whether an argument is one of these words, in any case.
pub(super) fn is_any(argument: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| is(argument, word))
}

/// An argument as a number.
pub(super) fn number(argument: &[u8]) -> Option<i64> {
    std::str::from_utf8(argument).ok()?.parse().ok()
}
