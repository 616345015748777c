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
