//! Lists, and the arrays of Redis 8.8: places count, so what is done to one is done in an order.

use super::{Rule, Spec};
use crate::command::keys::{BLOCKING_COUNTED, BLOCKING_RANGE, CHANGE, COUNTED_CHANGE, TWO_CHANGES};
use crate::command::unit::{Elements, Unit};

pub(super) const SPECS: &[Spec] = &[
    Spec::write("LPUSH", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("RPUSH", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("LPUSHX", CHANGE, Unit::Sequence, Rule::Renamed("LPUSH")),
    Spec::write("RPUSHX", CHANGE, Unit::Sequence, Rule::Renamed("RPUSH")),
    Spec::write("LINSERT", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("LSET", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("LREM", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("LTRIM", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("LPOP", CHANGE, Unit::Sequence, Rule::Pop { head: true }),
    Spec::write("RPOP", CHANGE, Unit::Sequence, Rule::Pop { head: false }),
    Spec::write("RPOPLPUSH", TWO_CHANGES, Unit::Sequence, Rule::AsIs),
    Spec::write("LMOVE", TWO_CHANGES, Unit::Sequence, Rule::ListMove),
    Spec::write("BRPOPLPUSH", TWO_CHANGES, Unit::Sequence, Rule::WithoutTimeout("RPOPLPUSH")),
    Spec::write("BLMOVE", TWO_CHANGES, Unit::Sequence, Rule::WithoutTimeout("LMOVE")),
    Spec::write("BLPOP", BLOCKING_RANGE, Unit::Sequence, Rule::NeverSent),
    Spec::write("BRPOP", BLOCKING_RANGE, Unit::Sequence, Rule::NeverSent),
    Spec::write("LMPOP", COUNTED_CHANGE, Unit::Sequence, Rule::NeverSent),
    Spec::write("BLMPOP", BLOCKING_COUNTED, Unit::Sequence, Rule::NeverSent),
    Spec::write("ARSET", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("ARMSET", CHANGE, Unit::Element(Elements::Every { first: 2, step: 2 }), Rule::AsIs),
    Spec::write("ARDEL", CHANGE, Unit::Element(Elements::Every { first: 2, step: 1 }), Rule::AsIs),
    Spec::write("ARDELRANGE", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("ARINSERT", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("ARRING", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("ARSEEK", CHANGE, Unit::Sequence, Rule::AsIs),
];
