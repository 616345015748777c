//! What a stream holds besides data of keys: its own words, whole databases, messages, code.

use super::{Class, Rule, Spec};
use crate::command::keys::{Access, Place};
use crate::command::unit::Unit;

/// EVAL script count key [key ...]
const SCRIPT_KEYS: &[Place] = &[Place::Counted { count: 2, step: 1, access: Access::ReadWrite }];

const fn script(name: &'static str) -> Spec {
    Spec { name, class: Class::Eval, places: SCRIPT_KEYS, unit: Unit::Whole, rule: Rule::AsIs, id: 0 }
}

pub(super) const SPECS: &[Spec] = &[
    Spec::other("SELECT", Class::Select, Unit::Nothing, Rule::AsIs),
    Spec::other("MULTI", Class::Multi, Unit::Nothing, Rule::AsIs),
    Spec::other("EXEC", Class::Exec, Unit::Nothing, Rule::AsIs),
    Spec::other("PING", Class::Ping, Unit::Nothing, Rule::AsIs),
    Spec::other("REPLCONF", Class::Replconf, Unit::Nothing, Rule::AsIs),
    Spec::other("FLUSHDB", Class::Database, Unit::Database, Rule::Flush),
    Spec::other("FLUSHALL", Class::Database, Unit::Database, Rule::Flush),
    Spec::other("SWAPDB", Class::Database, Unit::Database, Rule::AsIs),
    Spec::other("PUBLISH", Class::Publish, Unit::Nothing, Rule::AsIs),
    Spec::other("SPUBLISH", Class::Publish, Unit::Nothing, Rule::AsIs),
    Spec::other("FUNCTION", Class::Function, Unit::Nothing, Rule::Function),
    Spec::other("SCRIPT", Class::Script, Unit::Nothing, Rule::AsIs),
    script("EVAL"),
    script("EVALSHA"),
    script("FCALL"),
    Spec::other("CLUSTER", Class::Cluster, Unit::Nothing, Rule::NeverSent),
    Spec::other("SFLUSH", Class::Cluster, Unit::Database, Rule::NeverSent),
    Spec::other("TRIMSLOTS", Class::Cluster, Unit::Database, Rule::NeverSent),
];
