//! A command as it may be executed at the peer: without conditions, with absolute times, in words that the peer knows.
//!
//! A command in a stream took effect at its origin. At the peer it must take the same effect although it comes later, and
//! although the peer may have other values meanwhile.
//!
//! | in the stream | at the peer | why |
//! |---|---|---|
//! | `SET k v NX`, `XX`, `IFEQ x`, `GET` | `SET k v` | it took effect |
//! | `SET k v EX s`, `PX ms`, `EXAT s` | `SET k v PXAT t` | absolute; `SET` and `PEXPIREAT` before 6.2 |
//! | `SETEX`, `PSETEX` | `SET k v PXAT t` | absolute |
//! | `SETNX`, `GETSET`, `MSETNX`, `HSETNX`, `RENAMENX`, `LPUSHX`, `RPUSHX` | the same without the condition | it took effect |
//! | `MSETEX n k v .. NX EX s` | `MSETEX n k v .. PXAT t`, or `SET` of each | the peer may lack it |
//! | `GETDEL k`, `DELIFEQ k v`, `DELEX k ..` | `DEL k` | it took effect |
//! | `EXPIRE`, `PEXPIRE`, `PEXPIREAT .. NX`, `XX`, `GT`, `LT` | `PEXPIREAT k t` | it took effect; absolute |
//! | `GETEX` | `PEXPIREAT`, `PERSIST` or nothing | reading changes nothing |
//! | `INCREX k .. NX EX s` | `INCREX k .. PXAT t` | absolute; the bounds stay, they belong to the sum |
//! | `HEXPIRE` and relatives, one field | `HPEXPIREAT k t FIELDS 1 f` | it took effect; absolute |
//! | `HEXPIRE k s NX FIELDS 2 f g` | `HPEXPIREAT k t NX FIELDS 2 f g` | see below |
//! | `HSETEX k FNX EX s FIELDS ..` | `HSETEX k PXAT t FIELDS ..` | or `HSET` and `HPEXPIREAT`, or `HSET` alone, which is partial |
//! | `HGETEX`, `HGETDEL` | `HPEXPIREAT` or `HPERSIST`, `HDEL` | reading changes nothing |
//! | `LPOP k n`, `RPOP k n` | the same; `LTRIM` before 6.2 | the same effect |
//! | `LMOVE a b RIGHT LEFT` | the same; `RPOPLPUSH` before 6.2 | the same effect |
//! | `BLMOVE`, `BRPOPLPUSH` | `LMOVE`, `RPOPLPUSH` | it did not wait |
//! | `ZADD k NX 1 m`, one member; `ZADD k GT INCR 1 m` | `ZADD k 1 m`; `ZINCRBY k 1 m` | it took effect |
//! | `ZADD k NX 1 m 2 n` | the same | see below |
//! | `XADD k NOMKSTREAM MAXLEN = 9 LIMIT 5 id ..` | `XADD k MAXLEN = 9 id ..` | see below |
//! | `XTRIM k MAXLEN = 9 LIMIT 5` | `XTRIM k MAXLEN = 9` | see below |
//! | `XGROUP .. ENTRIESREAD n`, `XSETID .. ENTRIESADDED n` | without before 7.0 | the peer does not count |
//! | `XCLAIM .. IDLE ms` | `XCLAIM .. TIME t` | absolute |
//! | `XDELEX`, `XACKDEL` | `XDEL`, `XACK` and `XDEL` where lacking | the same effect for KEEPREF |
//! | `COPY a b` | `COPY a b REPLACE` | it took effect |
//! | `RESTORE k ttl x`, `RESTORE-ASKING` | `RESTORE k t x REPLACE ABSTTL` | it took effect; absolute |
//! | `FUNCTION LOAD x`, `FUNCTION RESTORE x` | with `REPLACE` | it took effect |
//! | `FLUSHALL SYNC` | `FLUSHALL` before 6.2 | the same effect |
//!
//! **Conditions on several elements stay.** `ZADD z NX 1 a 2 b` took effect for one of its members at least, and the stream does
//! not say for which. Without NX it would overwrite the score that made the origin skip `a`. With NX it does at the peer what it
//! did at the origin, as long as the peer had the same scores: that is exact for writes that aren't concurrent. After
//! concurrent ones the key takes the other region's value (`engine/conflict/claim.rs`). So do `GT`, `LT`, `XX` and the
//! conditions of `HPEXPIREAT`. MSETNX, MSETEX and HSETEX are all or nothing: they took effect for all.
//!
//! **LIMIT goes.** Servers of 6.2 to 9.1 turn `MAXLEN ~ n LIMIT c` into `MAXLEN = m LIMIT c`, with the exact length in `m`, and
//! accept that from a primary only: a client gets "LIMIT cannot be used without the special ~ option".
//!
//! What else the streams of Redis 6.2.14, 7.0.15 and Valkey 9.1.2 hold that one would not expect:
//!
//! * names in small letters: what a script called, and GEOADD as `zadd`, with its conditions;
//! * `SORT .. STORE`, `SINTERSTORE`, `BITOP` also when the result is empty and nothing was there to delete; `LTRIM`, `SADD`, `ZADD`
//!   and from 7.0 on `SETBIT` only when they changed something, but `HSET` and `APPEND` also when they did not;
//! * `PFCOUNT k` when it has refreshed the count that the value itself holds: sent on, so that both values stay equal in bytes;
//! * `HPEXPIREAT` and `HPERSIST` with fields that don't exist (Valkey), or without those whose condition failed (Redis);
//! * `XREADGROUP` as `XCLAIM`, `XGROUP SETID` and `XGROUP CREATECONSUMER`; `XAUTOCLAIM` as `XCLAIM`, always with `TIME`;
//! * an empty `MULTI`, `EXEC` (6.2, from a script that changed nothing).
//!
//! A value in `RESTORE` carries the version of the server that dumped it. An older target, or one of the other dialect, refuses it
//! although it may know the encoding: giving it another form is the business of [`engine::stream`](crate::engine::stream).

mod expiry;
mod hashes;
mod keyspace;
mod lists;
mod request;
mod sorted_sets;
mod streams;
mod strings;

use super::capabilities::Capabilities;
use super::table::{Rule, Spec};
use crate::wire::resp::Command;

/// What a command is executed against.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The source server's clock when it executed the command, in milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// The server that the command is for.
    pub target: &'a Capabilities,
}

/// What to send to the peer for a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// The command as it came.
    Verbatim,
    /// These requests, as many as the number says, in one transaction. None when the command changes nothing.
    Rewritten(Vec<u8>, usize),
    /// These requests, as many as the number says, in one transaction; and a report of what they leave out.
    Partial(Vec<u8>, usize, Why),
    /// Nothing, and a report.
    SetAside(Why),
}

/// Why a command, or a part of it, can't be executed at the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The peer has no such command, nor others that do the same.
    #[error("the target has no command {0}")]
    TargetLacks(&'static str),
    /// The peer has the command without this option.
    #[error("the target does not know {1} of {0}")]
    TargetLacksOption(&'static str, &'static str),
    /// The arguments have a form that we don't know.
    #[error("arguments of {0} that Duet does not know")]
    UnknownForm(&'static str),
    /// Its result depends on the server that executes it, so sources send its effect instead.
    #[error("{0} is not an effect: another server may do something else")]
    NotAnEffect(&'static str),
}

/// What to send to the peer for `command`, which must be one of `spec`.
pub fn replay(command: &Command<'_>, spec: &Spec, context: &Context<'_>) -> Replay {
    let target = context.target;
    match spec.rule {
        Rule::AsIs => verbatim(spec, target),
        Rule::Renamed(name) => keyspace::renamed(command, spec, name, target),
        Rule::KeyOnly(name) => keyspace::key_only(command, spec, name),
        Rule::WithoutTimeout(name) => lists::without_timeout(command, spec, name, target),
        Rule::Set => strings::set(command, spec, context),
        Rule::SetExpiring { scale } => strings::set_expiring(command, spec, scale, context),
        Rule::SetManyExpiring => strings::set_many_expiring(command, spec, context),
        Rule::IncrementExpiring => strings::increment_expiring(command, spec, context),
        Rule::GetExpiring => strings::get_expiring(command, spec, context),
        Rule::BitOperation => strings::bit_operation(command, spec, target),
        Rule::Expire { scale, relative } => expiry::expire(command, spec, (scale, relative), context),
        Rule::HashSetExpiring => hashes::set_expiring(command, spec, context),
        Rule::HashGetExpiring => hashes::get_expiring(command, spec, context),
        Rule::HashGetDelete => hashes::get_delete(command, spec),
        Rule::HashExpire { scale, relative } => hashes::expire(command, spec, (scale, relative), context),
        Rule::Pop { head } => lists::pop(command, spec, head, target),
        Rule::ListMove => lists::list_move(command, spec, target),
        Rule::AddScored { group } => sorted_sets::add(command, spec, group, target),
        Rule::StoreScored => sorted_sets::store(command, spec, target),
        Rule::StreamAdd => streams::add(command, spec, target),
        Rule::StreamTrim => streams::trim(command, spec, target),
        Rule::StreamGroup => streams::group(command, spec, target),
        Rule::StreamSetId => streams::set_id(command, spec, target),
        Rule::StreamClaim => streams::claim(command, spec, context),
        Rule::StreamDelete => streams::delete(command, spec, target),
        Rule::StreamAcknowledgeDelete => streams::acknowledge_delete(command, spec, target),
        Rule::Copy => keyspace::copy(command, spec, target),
        Rule::Restore => keyspace::restore(command, spec, context),
        Rule::Flush => keyspace::flush(command, spec, target),
        Rule::Function => keyspace::function(command, spec, target),
        Rule::NeverSent => Replay::SetAside(Why::NotAnEffect(spec.name)),
    }
}

/// The command as it came, if the target has it.
fn verbatim(spec: &Spec, target: &Capabilities) -> Replay {
    if target.has(spec.id) { Replay::Verbatim } else { Replay::SetAside(Why::TargetLacks(spec.name)) }
}

fn unknown_form(spec: &Spec) -> Replay {
    Replay::SetAside(Why::UnknownForm(spec.name))
}

#[cfg(test)]
mod tests;
