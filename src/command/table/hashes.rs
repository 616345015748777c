//! Hashes and the times to live of their fields.

use super::{Rule, Spec};
use crate::command::keys::CHANGE;
use crate::command::unit::{Elements, Unit};

const FIELDS: Unit = Unit::Element(Elements::Fields { step: 1 });

pub(super) const SPECS: &[Spec] = &[
    Spec::write("HSET", CHANGE, Unit::Element(Elements::Every { first: 2, step: 2 }), Rule::AsIs),
    Spec::write("HMSET", CHANGE, Unit::Element(Elements::Every { first: 2, step: 2 }), Rule::AsIs),
    Spec::write("HSETNX", CHANGE, Unit::Element(Elements::At(2)), Rule::Renamed("HSET")),
    Spec::write("HDEL", CHANGE, Unit::Element(Elements::Every { first: 2, step: 1 }), Rule::AsIs),
    Spec::write("HINCRBY", CHANGE, Unit::ElementCounter(Elements::At(2)), Rule::AsIs),
    Spec::write("HINCRBYFLOAT", CHANGE, Unit::ElementCounter(Elements::At(2)), Rule::AsIs),
    Spec::write("HSETEX", CHANGE, Unit::Element(Elements::Fields { step: 2 }), Rule::HashSetExpiring),
    Spec::write("HGETEX", CHANGE, FIELDS, Rule::HashGetExpiring),
    Spec::write("HGETDEL", CHANGE, FIELDS, Rule::HashGetDelete),
    Spec::write("HPERSIST", CHANGE, FIELDS, Rule::AsIs),
    Spec::write("HEXPIRE", CHANGE, FIELDS, Rule::HashExpire { scale: 1000, relative: true }),
    Spec::write("HPEXPIRE", CHANGE, FIELDS, Rule::HashExpire { scale: 1, relative: true }),
    Spec::write("HEXPIREAT", CHANGE, FIELDS, Rule::HashExpire { scale: 1000, relative: false }),
    Spec::write("HPEXPIREAT", CHANGE, FIELDS, Rule::HashExpire { scale: 1, relative: false }),
];
