//! Sorted sets and places on the earth, which are sorted sets too (a stream holds GEOADD as ZADD).

use super::{Rule, Spec};
use crate::command::keys::{Access, BLOCKING_COUNTED, BLOCKING_RANGE, CHANGE, COUNTED_CHANGE, DESTINATION, Place};
use crate::command::unit::{Elements, Unit};

/// ZUNIONSTORE destination count key [key ...]
const DESTINATION_OF_COUNTED: &[Place] =
    &[Place::At { index: 1, access: Access::Write }, Place::Counted { count: 2, step: 1, access: Access::Read }];
/// GEORADIUS and its sister: where STORE or STOREDIST stand (`t_georadius`, georadiusGetKeys: the last one counts).
const STORE: &[&str] = &["STORE", "STOREDIST"];
const GEORADIUS: &[Place] = &[
    Place::At { index: 1, access: Access::Read },
    Place::Option { from: 6, names: STORE, skip: &[], access: Access::Write },
];
const GEORADIUSBYMEMBER: &[Place] = &[
    Place::At { index: 1, access: Access::Read },
    Place::Option { from: 5, names: STORE, skip: &[], access: Access::Write },
];

pub(super) const SPECS: &[Spec] = &[
    Spec::write("ZADD", CHANGE, Unit::Element(Elements::Scored { group: 2 }), Rule::AddScored { group: 2 }),
    Spec::write("GEOADD", CHANGE, Unit::Element(Elements::Scored { group: 3 }), Rule::AddScored { group: 3 }),
    Spec::write("ZINCRBY", CHANGE, Unit::ElementCounter(Elements::At(3)), Rule::AsIs),
    Spec::write("ZREM", CHANGE, Unit::Element(Elements::Every { first: 2, step: 1 }), Rule::AsIs),
    Spec::write("ZREMRANGEBYLEX", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("ZREMRANGEBYRANK", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("ZREMRANGEBYSCORE", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("ZPOPMIN", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("ZPOPMAX", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("BZPOPMIN", BLOCKING_RANGE, Unit::Sequence, Rule::NeverSent),
    Spec::write("BZPOPMAX", BLOCKING_RANGE, Unit::Sequence, Rule::NeverSent),
    Spec::write("ZMPOP", COUNTED_CHANGE, Unit::Sequence, Rule::NeverSent),
    Spec::write("BZMPOP", BLOCKING_COUNTED, Unit::Sequence, Rule::NeverSent),
    Spec::write("ZUNIONSTORE", DESTINATION_OF_COUNTED, Unit::Whole, Rule::StoreScored),
    Spec::write("ZINTERSTORE", DESTINATION_OF_COUNTED, Unit::Whole, Rule::StoreScored),
    Spec::write("ZDIFFSTORE", DESTINATION_OF_COUNTED, Unit::Whole, Rule::AsIs),
    Spec::write("ZRANGESTORE", DESTINATION, Unit::Whole, Rule::AsIs),
    Spec::write("GEOSEARCHSTORE", DESTINATION, Unit::Whole, Rule::AsIs),
    Spec::write("GEORADIUS", GEORADIUS, Unit::Whole, Rule::AsIs),
    Spec::write("GEORADIUSBYMEMBER", GEORADIUSBYMEMBER, Unit::Whole, Rule::AsIs),
];
