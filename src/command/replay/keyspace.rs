//! Keys of any type, whole databases, code.

use super::expiry::deadline;
use super::request::{self, is, is_any, one};
use super::{Context, Replay, Spec, Why, unknown_form, verbatim};
use crate::command::capabilities::Capabilities;
use crate::wire::resp::Command;

/// The same arguments under another name.
pub(super) fn renamed(command: &Command<'_>, spec: &Spec, name: &'static str, target: &Capabilities) -> Replay {
    if command.len() < 3 {
        return unknown_form(spec);
    }
    if !target.knows(name) {
        return Replay::SetAside(Why::TargetLacks(name));
    }
    one(&request::renamed(name, command, 1))
}

/// Another command with nothing but the key.
pub(super) fn key_only(command: &Command<'_>, spec: &Spec, name: &'static str) -> Replay {
    if command.len() < 2 {
        return unknown_form(spec);
    }
    one(&[name.as_bytes(), command.arg(1)])
}

/// `COPY source destination [DB database] [REPLACE]`
pub(super) fn copy(command: &Command<'_>, spec: &Spec, target: &Capabilities) -> Replay {
    if !target.has(spec.id) || command.args().skip(3).any(|word| is(word, "REPLACE")) {
        return verbatim(spec, target);
    }
    let mut arguments: Vec<&[u8]> = command.args().collect();
    arguments.push(b"REPLACE");
    one(&arguments)
}

/// `RESTORE key ttl value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]`
pub(super) fn restore(command: &Command<'_>, spec: &Spec, context: &Context<'_>) -> Replay {
    if command.len() < 4 {
        return unknown_form(spec);
    }
    let options = command.args().skip(4);
    let absolute = options.clone().any(|word| is(word, "ABSTTL"));
    let forever = request::number(command.arg(2)) == Some(0);
    if spec.name == "RESTORE" && options.clone().any(|word| is(word, "REPLACE")) && (absolute || forever) {
        return verbatim(spec, context.target);
    }
    let time = (1, !absolute && !forever);
    let Some(end) = deadline(command.arg(2), time, context.now_ms) else { return unknown_form(spec) };
    let end = end.to_string();
    let mut arguments = vec![b"RESTORE".as_slice(), command.arg(1), end.as_bytes(), command.arg(3), b"REPLACE"];
    if !forever {
        arguments.push(b"ABSTTL");
    }
    arguments.extend(command.args().skip(4).filter(|word| !is_any(word, &["REPLACE", "ABSTTL"])));
    one(&arguments)
}

/// `FLUSHDB [ASYNC | SYNC]` and `FLUSHALL [ASYNC | SYNC]`
pub(super) fn flush(command: &Command<'_>, spec: &Spec, target: &Capabilities) -> Replay {
    if is(command.arg(1), "SYNC") && !target.at_least(6, 2) {
        return one(&[spec.name]);
    }
    verbatim(spec, target)
}

/// `FUNCTION LOAD [REPLACE] code`, `FUNCTION RESTORE value [FLUSH | APPEND | REPLACE]`, and its other subcommands.
pub(super) fn function(command: &Command<'_>, spec: &Spec, target: &Capabilities) -> Replay {
    if !target.has(spec.id) {
        return Replay::SetAside(Why::TargetLacks(spec.name));
    }
    let said = command.args().skip(2);
    if is(command.arg(1), "LOAD") {
        if said.len() > 1 && said.clone().any(|word| is(word, "REPLACE")) {
            return Replay::Verbatim;
        }
        return one(&[&[b"FUNCTION".as_slice(), b"LOAD", b"REPLACE"], said.collect::<Vec<_>>().as_slice()].concat());
    }
    if is(command.arg(1), "RESTORE") {
        if is_any(command.arg(3), &["REPLACE", "FLUSH"]) {
            return Replay::Verbatim;
        }
        return one(&[b"FUNCTION".as_slice(), b"RESTORE", command.arg(2), b"REPLACE"]);
    }
    Replay::Verbatim
}
