//! Streams: trimming in the form that a client may use, groups without what older servers don't count.

use super::request::{Requests, is, is_any, number, one, renamed};
use super::{Context, Replay, Spec, Why, unknown_form, verbatim};
use crate::command::capabilities::Capabilities;
use crate::wire::resp::Command;

/// What stands before the ID in XADD, and all of XTRIM, for a target.
struct Trimming<'c> {
    /// What remains of it.
    words: Vec<&'c [u8]>,
    /// The index behind it.
    end: usize,
    /// What the target does not know of it.
    lost: Option<&'static str>,
}

/// Reads the options of XADD and XTRIM from the third argument on, up to the first that is none.
fn trimming<'c>(command: &Command<'c>, target: &Capabilities) -> Trimming<'c> {
    let mut read = Trimming { words: Vec::new(), end: 2, lost: None };
    let mut exact = true;
    while read.end < command.len() {
        let word = command.arg(read.end);
        let taken = if is(word, "NOMKSTREAM") {
            0
        } else if is(word, "MAXLEN") || is(word, "MINID") {
            let sign = command.arg(read.end + 1);
            exact = !is(sign, "~");
            if is(word, "MINID") && !target.at_least(6, 2) {
                read.lost = Some("MINID");
            }
            if is_any(sign, &["=", "~"]) { 2 } else { 1 }
        } else if is_any(word, &["LIMIT", "IDMPAUTO"]) {
            1
        } else if is(word, "IDMP") {
            2
        } else if is_any(word, &["KEEPREF", "DELREF", "ACKED"]) {
            if !is(word, "KEEPREF") && !target.has_since((8, 2), (9, 2)) {
                read.lost = Some("DELREF or ACKED");
            }
            0
        } else {
            return read;
        };
        if wanted(word, exact, target) {
            read.words.extend(command.args().skip(read.end).take(taken + 1));
        }
        read.end += taken + 1;
    }
    read
}

/// Whether an option of XADD or XTRIM goes to the target. NOMKSTREAM is a condition; LIMIT may stand with `~` only; the IDs
/// of a producer only serve to find a second request, which a stream does not hold.
fn wanted(word: &[u8], exact: bool, target: &Capabilities) -> bool {
    match word {
        _ if is(word, "NOMKSTREAM") => false,
        _ if is(word, "LIMIT") => !exact && target.at_least(6, 2),
        _ if is(word, "MINID") => target.at_least(6, 2),
        _ if is_any(word, &["IDMPAUTO", "IDMP"]) => target.at_least(8, 6),
        _ if is_any(word, &["KEEPREF", "DELREF", "ACKED"]) => target.has_since((8, 2), (9, 2)),
        _ => true,
    }
}

/// `XADD key [options] id field value [field value ...]`
pub(super) fn add(command: &Command<'_>, spec: &Spec, target: &Capabilities) -> Replay {
    let options = trimming(command, target);
    let entry = command.args().skip(options.end);
    if entry.len() < 3 || entry.len().is_multiple_of(2) {
        return unknown_form(spec);
    }
    if command.arg(options.end).contains(&b'*') {
        return Replay::SetAside(Why::NotAnEffect("XADD without an ID"));
    }
    if options.words.len() + 2 == options.end || !target.has(spec.id) {
        return verbatim(spec, target);
    }
    let mut arguments = vec![b"XADD".as_slice(), command.arg(1)];
    arguments.extend(options.words);
    arguments.extend(entry);
    let mut requests = Requests::new();
    requests.push(&arguments);
    match options.lost {
        None => requests.whole(),
        Some(option) => requests.part(Why::TargetLacksOption("XADD", option)),
    }
}

/// `XTRIM key MAXLEN|MINID [=|~] threshold [LIMIT count] [KEEPREF | DELREF | ACKED]`
pub(super) fn trim(command: &Command<'_>, spec: &Spec, target: &Capabilities) -> Replay {
    let options = trimming(command, target);
    if options.end != command.len() || command.len() < 4 {
        return unknown_form(spec);
    }
    if let Some(option) = options.lost {
        return Replay::SetAside(Why::TargetLacksOption(spec.name, option));
    }
    if options.words.len() + 2 == command.len() || !target.has(spec.id) {
        return verbatim(spec, target);
    }
    let mut arguments = vec![b"XTRIM".as_slice(), command.arg(1)];
    arguments.extend(options.words);
    one(&arguments)
}

/// `XGROUP subcommand key group ...`
pub(super) fn group(command: &Command<'_>, spec: &Spec, target: &Capabilities) -> Replay {
    if is(command.arg(1), "CREATECONSUMER") && !target.at_least(6, 2) {
        return Replay::SetAside(Why::TargetLacksOption(spec.name, "CREATECONSUMER"));
    }
    without_counts(command, spec, 5, target)
}

/// `XSETID key id [ENTRIESADDED count] [MAXDELETEDID id]`
pub(super) fn set_id(command: &Command<'_>, spec: &Spec, target: &Capabilities) -> Replay {
    without_counts(command, spec, 3, target)
}

/// The command without the options, from the argument at `from` on, that came with the counts of 7.0.
fn without_counts(command: &Command<'_>, spec: &Spec, from: usize, target: &Capabilities) -> Replay {
    let is_count = |word: &[u8]| is_any(word, &["ENTRIESREAD", "ENTRIESADDED", "MAXDELETEDID"]);
    if target.at_least(7, 0) || !target.has(spec.id) || !command.args().skip(from).any(is_count) {
        return verbatim(spec, target);
    }
    let mut arguments: Vec<&[u8]> = command.args().take(from).collect();
    let mut at = from;
    while at < command.len() {
        if is_count(command.arg(at)) {
            at += 1;
        } else {
            arguments.push(command.arg(at));
        }
        at += 1;
    }
    one(&arguments)
}

/// `XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME ms] [RETRYCOUNT n] [FORCE] [JUSTID] [LASTID id]`
pub(super) fn claim(command: &Command<'_>, spec: &Spec, context: &Context<'_>) -> Replay {
    let idle = command.args().skip(6).position(|word| is(word, "IDLE")).map(|place| place + 6);
    let (Some(at), true) = (idle, context.target.has(spec.id)) else { return verbatim(spec, context.target) };
    let Some(idle) = number(command.arg(at + 1)) else { return unknown_form(spec) };
    let time = context.now_ms.saturating_sub(idle).to_string();
    let mut arguments: Vec<&[u8]> = command.args().take(at).collect();
    arguments.extend([b"TIME".as_slice(), time.as_bytes()]);
    arguments.extend(command.args().skip(at + 2));
    one(&arguments)
}

/// `XDELEX key [KEEPREF | DELREF | ACKED] IDS count id [id ...]`
pub(super) fn delete(command: &Command<'_>, spec: &Spec, target: &Capabilities) -> Replay {
    without_references(command, spec, 2, target)
}

/// `XACKDEL key group [KEEPREF | DELREF | ACKED] IDS count id [id ...]`
pub(super) fn acknowledge_delete(command: &Command<'_>, spec: &Spec, target: &Capabilities) -> Replay {
    without_references(command, spec, 3, target)
}

/// XDELEX and XACKDEL in older words: exact where references stay, without the references' removal for DELREF. What ACKED
/// deletes depends on the groups, so it has no older words.
fn without_references(command: &Command<'_>, spec: &Spec, from: usize, target: &Capabilities) -> Replay {
    if target.has(spec.id) {
        return Replay::Verbatim;
    }
    let options = command.args().skip(from);
    let Some(ids) = options.clone().position(|word| is(word, "IDS")) else { return unknown_form(spec) };
    let count = number(command.arg(from + ids + 1)).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let mut words = options.clone().take(ids).chain(options.clone().skip(ids.saturating_add(2).saturating_add(count)));
    if words.clone().any(|word| is(word, "ACKED")) {
        return Replay::SetAside(Why::TargetLacks(spec.name));
    }
    let ids: Vec<&[u8]> = options.skip(ids + 2).take(count).collect();
    if ids.is_empty() {
        return unknown_form(spec);
    }
    let mut requests = Requests::new();
    if from == 3 {
        requests.push(&[&[b"XACK".as_slice(), command.arg(1), command.arg(2)], ids.as_slice()].concat());
    }
    let mut deletion = renamed("XDEL", command, command.len());
    deletion.push(command.arg(1));
    deletion.extend(ids);
    requests.push(&deletion);
    if words.any(|word| is(word, "DELREF")) {
        return requests.part(Why::TargetLacksOption(spec.name, "DELREF"));
    }
    requests.whole()
}
