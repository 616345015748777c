//! Sorted sets: conditions on one member go, conditions on several stay (see the module above).

use super::request::{is, one};
use super::{Replay, Spec, Why, unknown_form, verbatim};
use crate::command::capabilities::Capabilities;
use crate::command::unit::scored;
use crate::wire::resp::Command;

/// `ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]`, and GEOADD with three arguments a member.
pub(super) fn add(command: &Command<'_>, spec: &Spec, group: usize, target: &Capabilities) -> Replay {
    let options = scored(command);
    if !options.conditional && !options.increment {
        return verbatim(spec, target);
    }
    let members = command.args().skip(options.first);
    if members.len() == group {
        let name = if options.increment { "ZINCRBY" } else { spec.name };
        let mut arguments = vec![name.as_bytes(), command.arg(1)];
        arguments.extend(members);
        return one(&arguments);
    }
    if members.len() == 0 || !members.len().is_multiple_of(group) || options.increment {
        return unknown_form(spec);
    }
    if options.comparing && !target.at_least(6, 2) {
        return Replay::SetAside(Why::TargetLacksOption(spec.name, "GT or LT"));
    }
    if group == 3 && !target.at_least(6, 2) {
        return Replay::SetAside(Why::TargetLacksOption(spec.name, "NX or XX"));
    }
    verbatim(spec, target)
}

/// ZUNIONSTORE and ZINTERSTORE, which can count since Redis 8.8.
pub(super) fn store(command: &Command<'_>, spec: &Spec, target: &Capabilities) -> Replay {
    let arguments = command.args().skip(3);
    let counts =
        arguments.clone().zip(arguments.skip(1)).any(|(word, next)| is(word, "AGGREGATE") && is(next, "COUNT"));
    if counts && !target.at_least(8, 8) {
        return Replay::SetAside(Why::TargetLacksOption(spec.name, "AGGREGATE COUNT"));
    }
    verbatim(spec, target)
}
