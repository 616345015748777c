//! Times to live: relative ones are made absolute, at the source's clock.

use super::request::{is, is_any, number, one};
use super::{Context, Replay, Spec, unknown_form, verbatim};
use crate::wire::resp::Command;

/// What an option of SET, GETEX, MSETEX, HSETEX and their like says about the time to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// None of them was there.
    Unsaid,
    /// KEEPTTL.
    Keep,
    /// PERSIST.
    Persist,
    /// The end, in milliseconds since the Unix epoch.
    Until(i64),
}

/// Reads an option at `at` that says something about the time to live: what it says and how many arguments it takes.
/// `None` when there is none, or one without its number.
pub(super) fn lifetime(command: &Command<'_>, at: usize, now_ms: i64) -> Option<(Lifetime, usize)> {
    let word = command.arg(at);
    if is(word, "KEEPTTL") {
        return Some((Lifetime::Keep, 1));
    }
    if is(word, "PERSIST") {
        return Some((Lifetime::Persist, 1));
    }
    let (scale, relative) = match word {
        _ if is(word, "EX") => (1000, true),
        _ if is(word, "PX") => (1, true),
        _ if is(word, "EXAT") => (1000, false),
        _ if is(word, "PXAT") => (1, false),
        _ => return None,
    };
    Some((Lifetime::Until(deadline(command.arg(at + 1), (scale, relative), now_ms)?), 2))
}

/// The end of a time to live, in milliseconds since the Unix epoch, from `argument` in units of `scale` milliseconds.
pub(super) fn deadline(argument: &[u8], (scale, relative): (i64, bool), now_ms: i64) -> Option<i64> {
    let time = number(argument)?.saturating_mul(scale);
    Some(if relative { now_ms.saturating_add(time) } else { time })
}

/// EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT: `key time [NX | XX | GT | LT]`.
pub(super) fn expire(command: &Command<'_>, spec: &Spec, time: (i64, bool), context: &Context<'_>) -> Replay {
    let conditions = command.args().skip(3);
    if command.len() < 3 || conditions.clone().any(|word| !is_any(word, &["NX", "XX", "GT", "LT"])) {
        return unknown_form(spec);
    }
    // Any other form comes back from the target as this one: a write is known again by its bytes.
    if conditions.len() == 0 && time == (1, false) {
        return verbatim(spec, context.target);
    }
    match deadline(command.arg(2), time, context.now_ms) {
        Some(end) => one(&[b"PEXPIREAT".as_slice(), command.arg(1), end.to_string().as_bytes()]),
        None => unknown_form(spec),
    }
}
