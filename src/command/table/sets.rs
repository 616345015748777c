//! Sets, and the vector sets of Redis 8.

use super::{Rule, Spec};
use crate::command::keys::{CHANGE, DESTINATION_OF_REST, TWO_CHANGES};
use crate::command::unit::{Elements, Unit};

pub(super) const SPECS: &[Spec] = &[
    Spec::write("SADD", CHANGE, Unit::Element(Elements::Every { first: 2, step: 1 }), Rule::AsIs),
    Spec::write("SREM", CHANGE, Unit::Element(Elements::Every { first: 2, step: 1 }), Rule::AsIs),
    Spec::write("SMOVE", TWO_CHANGES, Unit::Element(Elements::At(3)), Rule::AsIs),
    Spec::write("SPOP", CHANGE, Unit::Whole, Rule::NeverSent),
    Spec::write("SINTERSTORE", DESTINATION_OF_REST, Unit::Whole, Rule::AsIs),
    Spec::write("SUNIONSTORE", DESTINATION_OF_REST, Unit::Whole, Rule::AsIs),
    Spec::write("SDIFFSTORE", DESTINATION_OF_REST, Unit::Whole, Rule::AsIs),
    Spec::write("VADD", CHANGE, Unit::Element(Elements::Vector), Rule::AsIs),
    Spec::write("VREM", CHANGE, Unit::Element(Elements::At(2)), Rule::AsIs),
    Spec::write("VSETATTR", CHANGE, Unit::Element(Elements::At(2)), Rule::AsIs),
];
