//! Taking the keys of Duet itself out of a client's command: they are never copied.

use super::Spec;
use super::keys::{KeyUse, Place};
use crate::wire::resp::{Command, command as encode};

/// What remains of a command without the keys that begin with the reserved prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreserved {
    /// It names none of them.
    Untouched,
    /// It names nothing else.
    Nothing,
    /// This request, in the same form as the command: it goes through [`replay`](super::replay()) like any other.
    Rest(Vec<u8>),
    /// It moves or combines values between them and others: no command would do the one without the other.
    Entangled,
}

/// What remains of `command`, which must be one of `spec`, without the keys that begin with `prefix`.
pub fn without_reserved(command: &Command<'_>, spec: &Spec, prefix: &[u8]) -> Unreserved {
    let reserved = |used: &KeyUse<'_>| used.key.starts_with(prefix);
    if !spec.keys(command).any(|used| reserved(&used)) {
        return Unreserved::Untouched;
    }
    if spec.keys(command).all(|used| reserved(&used)) {
        return Unreserved::Nothing;
    }
    match (spec.name, spec.places) {
        ("DEL" | "UNLINK" | "MSET" | "MSETNX", &[Place::Range { step, .. }]) => {
            let mut arguments = vec![command.arg(0)];
            for used in spec.keys(command).filter(|used| !reserved(used)) {
                arguments.extend(command.args().skip(used.index).take(step));
            }
            Unreserved::Rest(encode(&arguments))
        }
        ("MSETEX", _) => Unreserved::Rest(rest_of_many(command, spec, prefix)),
        _ => Unreserved::Entangled,
    }
}

/// `MSETEX count key value [key value ...] [options]` with the other keys only.
fn rest_of_many(command: &Command<'_>, spec: &Spec, prefix: &[u8]) -> Vec<u8> {
    let mut pairs = Vec::new();
    let mut options = 2;
    for used in spec.keys(command) {
        options = used.index + 2;
        if !used.key.starts_with(prefix) {
            pairs.extend([used.key, command.arg(used.index + 1)]);
        }
    }
    let count = (pairs.len() / 2).to_string();
    let mut arguments = vec![command.arg(0), count.as_bytes()];
    arguments.extend(pairs);
    arguments.extend(command.args().skip(options));
    encode(&arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::tests::{requests, with_line};

    fn rest(line: &str) -> Unreserved {
        with_line(line, |command, spec| without_reserved(command, spec, b"duet:"))
    }

    fn rest_words(line: &str) -> String {
        let Unreserved::Rest(bytes) = rest(line) else { panic!("{line} leaves no rest") };
        String::from_utf8(requests(&bytes).concat().join(b" ".as_slice())).expect("text")
    }

    #[test]
    fn a_command_without_reserved_keys_is_untouched() {
        for line in ["SET k duet:v", "DEL a b", "PUBLISH duet:c m", "FLUSHALL", "FUNCTION LOAD duet:x"] {
            assert_eq!(rest(line), Unreserved::Untouched, "{line}");
        }
    }

    #[test]
    fn a_command_of_reserved_keys_alone_leaves_nothing() {
        for line in ["SET duet:k v", "DEL duet:a duet:b", "RENAME duet:a duet:b", "MOVE duet:a 1", "MSETEX 1 duet:a 1"]
        {
            assert_eq!(rest(line), Unreserved::Nothing, "{line}");
        }
    }

    #[test]
    fn keys_that_stand_side_by_side_are_separated() {
        assert_eq!(rest_words("DEL a duet:b c"), "DEL a c");
        assert_eq!(rest_words("UNLINK duet:b c"), "UNLINK c");
        assert_eq!(rest_words("MSET a 1 duet:b 2 c duet:3"), "MSET a 1 c duet:3");
        assert_eq!(rest_words("MSETNX duet:b 2 c 3"), "MSETNX c 3");
        assert_eq!(rest_words("MSETEX 3 a 1 duet:b 2 c 3 NX PXAT 9"), "MSETEX 2 a 1 c 3 NX PXAT 9");
    }

    #[test]
    fn values_that_move_between_both_are_entangled() {
        for line in [
            "RENAME duet:a b",
            "COPY a duet:b",
            "SUNIONSTORE d a duet:b",
            "LMOVE a duet:b LEFT LEFT",
            "EVAL x 2 a duet:b",
        ] {
            assert_eq!(rest(line), Unreserved::Entangled, "{line}");
        }
    }
}
