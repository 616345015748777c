//! Keys of any type: deleting, renaming, times to live, whole values.

use super::{Rule, Spec};
use crate::command::keys::{ALL, Access, CHANGE, Place, WRITE};
use crate::command::unit::Unit;

const RENAME: &[Place] =
    &[Place::At { index: 1, access: Access::ReadWrite }, Place::At { index: 2, access: Access::Write }];
/// COPY source destination [DB destination-database] [REPLACE]
const COPY: &[Place] = &[
    Place::At { index: 1, access: Access::Read },
    Place::ElsewhereAfter { index: 2, from: 3, name: "DB", access: Access::Write },
];
/// MOVE key database
const MOVE: &[Place] = &[
    Place::At { index: 1, access: Access::ReadWrite },
    Place::Elsewhere { index: 1, database: 2, access: Access::Write },
];
/// SORT key ... STORE destination: the last STORE counts, and words that are values of other options don't (`db.c`,
/// sortGetKeys). What BY and GET with a pattern read is not among the arguments.
const SORT: &[Place] = &[
    Place::At { index: 1, access: Access::Read },
    Place::Option { from: 2, names: &["STORE"], skip: &[("LIMIT", 2), ("GET", 1), ("BY", 1)], access: Access::Write },
];
/// MIGRATE host port key ..., whose keys leave the source; never sent.
const MIGRATE: &[Place] = &[Place::At { index: 3, access: Access::ReadWrite }];

pub(super) const SPECS: &[Spec] = &[
    Spec::write("DEL", ALL, Unit::Whole, Rule::AsIs),
    Spec::write("UNLINK", ALL, Unit::Whole, Rule::AsIs),
    Spec::write("EXPIRE", CHANGE, Unit::Lifetime, Rule::Expire { scale: 1000, relative: true }),
    Spec::write("PEXPIRE", CHANGE, Unit::Lifetime, Rule::Expire { scale: 1, relative: true }),
    Spec::write("EXPIREAT", CHANGE, Unit::Lifetime, Rule::Expire { scale: 1000, relative: false }),
    Spec::write("PEXPIREAT", CHANGE, Unit::Lifetime, Rule::Expire { scale: 1, relative: false }),
    Spec::write("PERSIST", CHANGE, Unit::Lifetime, Rule::AsIs),
    Spec::write("RENAME", RENAME, Unit::Whole, Rule::AsIs),
    Spec::write("RENAMENX", RENAME, Unit::Whole, Rule::Renamed("RENAME")),
    Spec::write("COPY", COPY, Unit::Whole, Rule::Copy),
    Spec::write("MOVE", MOVE, Unit::Whole, Rule::AsIs),
    Spec::write("SORT", SORT, Unit::Whole, Rule::AsIs),
    Spec::write("RESTORE", WRITE, Unit::Whole, Rule::Restore),
    Spec::write("RESTORE-ASKING", WRITE, Unit::Whole, Rule::Restore),
    Spec::write("MIGRATE", MIGRATE, Unit::Whole, Rule::NeverSent),
];
