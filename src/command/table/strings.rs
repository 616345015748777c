//! Strings, counters, bits and HyperLogLogs.

use super::{Rule, Spec};
use crate::command::keys::{Access, SECOND_CHANGE};
use crate::command::keys::{CHANGE, PAIRS, PAIRS_COUNTED, Place, READ_ALL, WRITE};
use crate::command::unit::{Elements, Unit};

/// BITOP operation destination source [source ...]
const BITOP: &[Place] =
    &[Place::At { index: 2, access: Access::Write }, Place::Range { first: 3, omit: 0, step: 1, access: Access::Read }];
/// PFMERGE adds to its destination what the others hold.
const PFMERGE: &[Place] = &[
    Place::At { index: 1, access: Access::ReadWrite },
    Place::Range { first: 2, omit: 0, step: 1, access: Access::Read },
];

pub(super) const SPECS: &[Spec] = &[
    Spec::write("SET", WRITE, Unit::Whole, Rule::Set),
    Spec::write("SETNX", WRITE, Unit::Whole, Rule::Renamed("SET")),
    Spec::write("SETEX", WRITE, Unit::Whole, Rule::SetExpiring { scale: 1000 }),
    Spec::write("PSETEX", WRITE, Unit::Whole, Rule::SetExpiring { scale: 1 }),
    Spec::write("GETSET", WRITE, Unit::Whole, Rule::Renamed("SET")),
    Spec::write("MSET", PAIRS, Unit::Whole, Rule::AsIs),
    Spec::write("MSETNX", PAIRS, Unit::Whole, Rule::Renamed("MSET")),
    Spec::write("MSETEX", PAIRS_COUNTED, Unit::Whole, Rule::SetManyExpiring),
    Spec::write("GETDEL", WRITE, Unit::Whole, Rule::KeyOnly("DEL")),
    Spec::write("DELIFEQ", WRITE, Unit::Whole, Rule::KeyOnly("DEL")),
    Spec::write("DELEX", WRITE, Unit::Whole, Rule::KeyOnly("DEL")),
    Spec::write("GETEX", CHANGE, Unit::Lifetime, Rule::GetExpiring),
    Spec::write("APPEND", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("SETRANGE", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("INCR", CHANGE, Unit::Counter, Rule::AsIs),
    Spec::write("INCRBY", CHANGE, Unit::Counter, Rule::AsIs),
    Spec::write("DECR", CHANGE, Unit::Counter, Rule::AsIs),
    Spec::write("DECRBY", CHANGE, Unit::Counter, Rule::AsIs),
    Spec::write("INCRBYFLOAT", CHANGE, Unit::Counter, Rule::AsIs),
    Spec::write("INCREX", CHANGE, Unit::Sequence, Rule::IncrementExpiring),
    Spec::write("SETBIT", CHANGE, Unit::Bits(Elements::At(2)), Rule::AsIs),
    Spec::write("BITFIELD", CHANGE, Unit::Bits(Elements::Unnamed), Rule::AsIs),
    Spec::write("BITOP", BITOP, Unit::Whole, Rule::BitOperation),
    Spec::write("PFADD", CHANGE, Unit::Registers, Rule::AsIs),
    Spec::write("PFMERGE", PFMERGE, Unit::Registers, Rule::AsIs),
    Spec::write("PFCOUNT", READ_ALL, Unit::Nothing, Rule::AsIs),
    Spec::write("PFDEBUG", SECOND_CHANGE, Unit::Registers, Rule::NeverSent),
];
