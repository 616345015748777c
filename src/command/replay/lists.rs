//! Lists: older servers lack counts and directions.

use super::request::{is, number, one};
use super::{Replay, Spec, Why, unknown_form, verbatim};
use crate::command::capabilities::Capabilities;
use crate::wire::resp::Command;

/// `LPOP key [count]` and `RPOP key [count]`: taking `n` from one end is trimming to what lies behind them.
pub(super) fn pop(command: &Command<'_>, spec: &Spec, head: bool, target: &Capabilities) -> Replay {
    if command.len() == 2 || target.at_least(6, 2) {
        return verbatim(spec, target);
    }
    let Some(count) = number(command.arg(2)).filter(|&count| count >= 0) else { return unknown_form(spec) };
    let (first, last) = if head {
        (count.to_string(), "-1".to_owned())
    } else {
        ("0".to_owned(), (-1_i64).saturating_sub(count).to_string())
    };
    one(&[b"LTRIM".as_slice(), command.arg(1), first.as_bytes(), last.as_bytes()])
}

/// `LMOVE source destination from to`
pub(super) fn list_move(command: &Command<'_>, spec: &Spec, target: &Capabilities) -> Replay {
    if target.has(spec.id) {
        return Replay::Verbatim;
    }
    if command.len() == 5 && is(command.arg(3), "RIGHT") && is(command.arg(4), "LEFT") {
        return one(&[b"RPOPLPUSH".as_slice(), command.arg(1), command.arg(2)]);
    }
    Replay::SetAside(Why::TargetLacks(spec.name))
}

/// The same without the timeout at its end, under another name.
pub(super) fn without_timeout(command: &Command<'_>, spec: &Spec, name: &'static str, target: &Capabilities) -> Replay {
    if command.len() < 4 {
        return unknown_form(spec);
    }
    if !target.knows(name) {
        return Replay::SetAside(Why::TargetLacks(name));
    }
    let mut arguments = super::request::renamed(name, command, 1);
    arguments.pop();
    one(&arguments)
}
