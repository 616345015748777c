//! Hashes whose fields have times to live.

use super::expiry::{Lifetime, deadline, lifetime};
use super::request::{Requests, is, is_any, one};
use super::{Context, Replay, Spec, Why, unknown_form, verbatim};
use crate::command::unit::fields;
use crate::wire::resp::Command;
use std::ops::Range;

const CONDITIONS: &[&str] = &["NX", "XX", "GT", "LT", "FNX", "FXX"];

/// `HSETEX key [condition] [lifetime] FIELDS count field value [field value ...]`
pub(super) fn set_expiring(command: &Command<'_>, spec: &Spec, context: &Context<'_>) -> Replay {
    let Some(pairs) = fields(command, 2) else { return unknown_form(spec) };
    let Some(until) = options(command, &pairs, context.now_ms) else { return unknown_form(spec) };
    if until == Lifetime::Persist {
        return unknown_form(spec);
    }
    let count = (pairs.len() / 2).to_string();
    let (target, key) = (context.target, command.arg(1));
    if target.has(spec.id) {
        let end = end_of(until);
        let mut arguments = vec![b"HSETEX".as_slice(), key];
        match (until, &end) {
            (Lifetime::Until(_), Some(end)) => arguments.extend([b"PXAT".as_slice(), end.as_bytes()]),
            (Lifetime::Keep, _) => arguments.push(b"KEEPTTL"),
            (Lifetime::Unsaid | Lifetime::Persist | Lifetime::Until(_), _) => {}
        }
        arguments.extend([b"FIELDS".as_slice(), count.as_bytes()]);
        arguments.extend(within(command, &pairs));
        return if arguments.iter().copied().eq(command.args()) { Replay::Verbatim } else { one(&arguments) };
    }
    let mut requests = Requests::new();
    let mut arguments = vec![b"HSET".as_slice(), key];
    arguments.extend(within(command, &pairs));
    requests.push(&arguments);
    match (until, target.knows("HPEXPIREAT")) {
        (Lifetime::Until(end), true) => {
            let end = end.to_string();
            let mut arguments = vec![b"HPEXPIREAT".as_slice(), key, end.as_bytes(), b"FIELDS", count.as_bytes()];
            arguments.extend(within(command, &pairs).step_by(2));
            requests.push(&arguments);
            requests.whole()
        }
        (Lifetime::Until(_), false) => requests.part(Why::TargetLacks("HPEXPIREAT")),
        (Lifetime::Keep, true) => requests.part(Why::TargetLacksOption("HSET", "KEEPTTL")),
        (Lifetime::Keep, false) | (Lifetime::Unsaid | Lifetime::Persist, _) => requests.whole(),
    }
}

/// `HGETEX key [lifetime] FIELDS count field [field ...]`
pub(super) fn get_expiring(command: &Command<'_>, spec: &Spec, context: &Context<'_>) -> Replay {
    let Some(names) = fields(command, 1) else { return unknown_form(spec) };
    let Some(until) = options(command, &names, context.now_ms) else { return unknown_form(spec) };
    let name = match until {
        Lifetime::Unsaid => return Requests::new().whole(),
        Lifetime::Keep => return unknown_form(spec),
        Lifetime::Persist => "HPERSIST",
        Lifetime::Until(_) => "HPEXPIREAT",
    };
    if !context.target.knows(name) {
        return Replay::SetAside(Why::TargetLacks(name));
    }
    let (end, count) = (end_of(until), names.len().to_string());
    let mut arguments = vec![name.as_bytes(), command.arg(1)];
    arguments.extend(end.as_ref().map(|end| end.as_bytes()));
    arguments.extend([b"FIELDS".as_slice(), count.as_bytes()]);
    arguments.extend(within(command, &names));
    one(&arguments)
}

/// `HGETDEL key FIELDS count field [field ...]`
pub(super) fn get_delete(command: &Command<'_>, spec: &Spec) -> Replay {
    let Some(names) = fields(command, 1) else { return unknown_form(spec) };
    let mut arguments = vec![b"HDEL".as_slice(), command.arg(1)];
    arguments.extend(within(command, &names));
    one(&arguments)
}

/// HEXPIRE, HPEXPIRE, HEXPIREAT, HPEXPIREAT: `key time [NX | XX | GT | LT] FIELDS count field [field ...]`.
pub(super) fn expire(command: &Command<'_>, spec: &Spec, time: (i64, bool), context: &Context<'_>) -> Replay {
    let Some(names) = fields(command, 1) else { return unknown_form(spec) };
    let condition = command.arg(3);
    let conditional = is_any(condition, &["NX", "XX", "GT", "LT"]);
    if !conditional && !is(condition, "FIELDS") {
        return unknown_form(spec);
    }
    let keep = conditional && names.len() > 1;
    if !time.1 && conditional == keep {
        return verbatim(spec, context.target);
    }
    if !context.target.knows("HPEXPIREAT") {
        return Replay::SetAside(Why::TargetLacks("HPEXPIREAT"));
    }
    let Some(end) = deadline(command.arg(2), time, context.now_ms) else { return unknown_form(spec) };
    let (end, count) = (end.to_string(), names.len().to_string());
    let mut arguments = vec![b"HPEXPIREAT".as_slice(), command.arg(1), end.as_bytes()];
    arguments.extend(keep.then_some(condition));
    arguments.extend([b"FIELDS".as_slice(), count.as_bytes()]);
    arguments.extend(within(command, &names));
    one(&arguments)
}

/// The arguments in a range.
fn within<'c>(command: &Command<'c>, range: &Range<usize>) -> impl Iterator<Item = &'c [u8]> + use<'c> {
    command.args().skip(range.start).take(range.len())
}

fn end_of(until: Lifetime) -> Option<String> {
    match until {
        Lifetime::Until(end) => Some(end.to_string()),
        Lifetime::Unsaid | Lifetime::Keep | Lifetime::Persist => None,
    }
}

/// What the options around the fields say about the time to live; `None` for options that we don't know.
fn options(command: &Command<'_>, fields: &Range<usize>, now_ms: i64) -> Option<Lifetime> {
    let mut until = Lifetime::Unsaid;
    let mut at = 2;
    while at < command.len() {
        if at + 2 == fields.start {
            at = fields.end;
        } else if is_any(command.arg(at), CONDITIONS) {
            at += 1;
        } else {
            let (said, taken) = lifetime(command, at, now_ms)?;
            until = said;
            at += taken;
        }
    }
    Some(until)
}
