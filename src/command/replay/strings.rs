//! Strings: SET in its many forms, counters, bits.

use super::expiry::{Lifetime, lifetime};
use super::request::{Requests, is, is_any, one};
use super::{Context, Replay, Spec, Why, unknown_form, verbatim};
use crate::command::capabilities::Capabilities;
use crate::wire::resp::Command;

/// `SET key value [condition] [GET] [lifetime]`
pub(super) fn set(command: &Command<'_>, spec: &Spec, context: &Context<'_>) -> Replay {
    if command.len() == 3 {
        return verbatim(spec, context.target);
    }
    let Some(until) = set_options(command, context.now_ms) else { return unknown_form(spec) };
    let (key, value) = (command.arg(1), command.arg(2));
    let said = match until {
        Lifetime::Unsaid => 3,
        Lifetime::Keep => 4,
        Lifetime::Until(_) if is_any(command.arg(3), &["PXAT", "EXAT"]) => 5,
        Lifetime::Until(_) | Lifetime::Persist => 0,
    };
    if said == command.len() && can_set(until, context.target) {
        return verbatim(spec, context.target);
    }
    let mut requests = Requests::new();
    match push_set(&mut requests, key, value, until, context.target) {
        Ok(()) => requests.whole(),
        Err(why) => Replay::SetAside(why),
    }
}

/// What the options of SET say about the time to live; `None` for options that we don't know.
fn set_options(command: &Command<'_>, now_ms: i64) -> Option<Lifetime> {
    let mut until = Lifetime::Unsaid;
    let mut at = 3;
    if command.len() < at {
        return None;
    }
    while at < command.len() {
        let word = command.arg(at);
        at += if is_any(word, &["NX", "XX", "GET"]) {
            1
        } else if is_any(word, &["IFEQ", "IFNE", "IFDEQ", "IFDNE"]) {
            2
        } else {
            let (said, taken) = lifetime(command, at, now_ms).filter(|(said, _)| *said != Lifetime::Persist)?;
            until = said;
            taken
        };
    }
    Some(until)
}

/// Whether the target's SET has the words for it.
fn can_set(until: Lifetime, target: &Capabilities) -> bool {
    match until {
        Lifetime::Unsaid | Lifetime::Persist => true,
        Lifetime::Keep => target.at_least(6, 0),
        Lifetime::Until(_) => target.at_least(6, 2),
    }
}

/// Adds what sets a key, in words that the target knows.
fn push_set(
    requests: &mut Requests,
    key: &[u8],
    value: &[u8],
    until: Lifetime,
    target: &Capabilities,
) -> Result<(), Why> {
    match until {
        Lifetime::Unsaid | Lifetime::Persist => requests.push(&[b"SET".as_slice(), key, value]),
        Lifetime::Keep if !can_set(until, target) => return Err(Why::TargetLacksOption("SET", "KEEPTTL")),
        Lifetime::Keep => requests.push(&[b"SET".as_slice(), key, value, b"KEEPTTL"]),
        Lifetime::Until(end) => {
            let end = end.to_string();
            if can_set(until, target) {
                requests.push(&[b"SET".as_slice(), key, value, b"PXAT", end.as_bytes()]);
            } else {
                requests.push(&[b"SET".as_slice(), key, value]);
                requests.push(&[b"PEXPIREAT".as_slice(), key, end.as_bytes()]);
            }
        }
    }
    Ok(())
}

/// SETEX and PSETEX: `key time value`.
pub(super) fn set_expiring(command: &Command<'_>, spec: &Spec, scale: i64, context: &Context<'_>) -> Replay {
    let end = super::expiry::deadline(command.arg(2), (scale, true), context.now_ms);
    let (Some(end), 4) = (end, command.len()) else { return unknown_form(spec) };
    let mut requests = Requests::new();
    match push_set(&mut requests, command.arg(1), command.arg(3), Lifetime::Until(end), context.target) {
        Ok(()) => requests.whole(),
        Err(why) => Replay::SetAside(why),
    }
}

/// `MSETEX count key value [key value ...] [NX | XX] [lifetime]`
pub(super) fn set_many_expiring(command: &Command<'_>, spec: &Spec, context: &Context<'_>) -> Replay {
    let count = super::request::number(command.arg(1)).and_then(|count| usize::try_from(count).ok());
    let options = count.filter(|&count| count > 0).and_then(|count| count.checked_mul(2)?.checked_add(2));
    let Some(options) = options.filter(|&options| options <= command.len()) else { return unknown_form(spec) };
    let Some(until) = many_options(command, options, context.now_ms) else { return unknown_form(spec) };
    if context.target.has(spec.id) {
        let mut arguments: Vec<&[u8]> = command.args().take(options).collect();
        let end;
        match until {
            Lifetime::Unsaid | Lifetime::Persist => {}
            Lifetime::Keep => arguments.push(b"KEEPTTL"),
            Lifetime::Until(at) => {
                end = at.to_string();
                arguments.extend([b"PXAT".as_slice(), end.as_bytes()]);
            }
        }
        return if arguments.iter().copied().eq(command.args()) { Replay::Verbatim } else { one(&arguments) };
    }
    let mut requests = Requests::new();
    for key in (2..options).step_by(2) {
        let set = push_set(&mut requests, command.arg(key), command.arg(key + 1), until, context.target);
        if let Err(why) = set {
            return Replay::SetAside(why);
        }
    }
    requests.whole()
}

fn many_options(command: &Command<'_>, from: usize, now_ms: i64) -> Option<Lifetime> {
    let mut until = Lifetime::Unsaid;
    let mut at = from;
    while at < command.len() {
        if is_any(command.arg(at), &["NX", "XX"]) {
            at += 1;
            continue;
        }
        let (said, taken) = lifetime(command, at, now_ms).filter(|(said, _)| *said != Lifetime::Persist)?;
        until = said;
        at += taken;
    }
    Some(until)
}

/// `INCREX key [NX | XX] [BYINT n | BYFLOAT n] [LBOUND n] [UBOUND n] [SATURATE] [lifetime] [ENX]`, words in any order.
pub(super) fn increment_expiring(command: &Command<'_>, spec: &Spec, context: &Context<'_>) -> Replay {
    if !context.target.has(spec.id) {
        return Replay::SetAside(Why::TargetLacks(spec.name));
    }
    let mut end = None;
    let mut arguments: Vec<&[u8]> = command.args().take(2).collect();
    let mut at = 2;
    while at < command.len() {
        let word = command.arg(at);
        if is_any(word, &["NX", "XX"]) {
            at += 1;
        } else if is_any(word, &["BYINT", "BYFLOAT", "LBOUND", "UBOUND"]) {
            arguments.extend([word, command.arg(at + 1)]);
            at += 2;
        } else if is_any(word, &["SATURATE", "ENX"]) {
            arguments.push(word);
            at += 1;
        } else {
            match lifetime(command, at, context.now_ms) {
                Some((Lifetime::Until(until), taken)) => {
                    end = Some(until.to_string());
                    at += taken;
                }
                Some((Lifetime::Persist, taken)) => {
                    arguments.push(word);
                    at += taken;
                }
                Some((Lifetime::Keep | Lifetime::Unsaid, _)) | None => return unknown_form(spec),
            }
        }
    }
    if let Some(end) = &end {
        arguments.extend([b"PXAT".as_slice(), end.as_bytes()]);
    }
    one(&arguments)
}

/// `GETEX key [lifetime]`
pub(super) fn get_expiring(command: &Command<'_>, spec: &Spec, context: &Context<'_>) -> Replay {
    if command.len() == 2 {
        return Requests::new().whole();
    }
    match lifetime(command, 2, context.now_ms) {
        Some((Lifetime::Until(end), 2)) if command.len() == 4 => {
            one(&[b"PEXPIREAT".as_slice(), command.arg(1), end.to_string().as_bytes()])
        }
        Some((Lifetime::Persist, _)) if command.len() == 3 => one(&[b"PERSIST".as_slice(), command.arg(1)]),
        _ => unknown_form(spec),
    }
}

/// `BITOP operation destination source [source ...]`
pub(super) fn bit_operation(command: &Command<'_>, spec: &Spec, target: &Capabilities) -> Replay {
    let operation = command.arg(1);
    let newer = ["DIFF", "DIFF1", "ANDOR", "ONE"].into_iter().find(|name| is(operation, name));
    match newer {
        Some(name) if !target.at_least(8, 2) => Replay::SetAside(Why::TargetLacksOption("BITOP", name)),
        Some(_) | None => verbatim(spec, target),
    }
}
