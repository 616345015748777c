//! Streams: what is added must come after what is there, so all of it is done in an order.

use super::{Rule, Spec};
use crate::command::keys::{Access, CHANGE, Place, SECOND_CHANGE};
use crate::command::unit::Unit;

/// XREADGROUP GROUP group consumer [options] STREAMS key [key ...] id [id ...]
const AFTER_STREAMS: &[Place] = &[Place::HalfAfter { from: 4, name: "STREAMS", access: Access::ReadWrite }];

pub(super) const SPECS: &[Spec] = &[
    Spec::write("XADD", CHANGE, Unit::Sequence, Rule::StreamAdd),
    Spec::write("XTRIM", CHANGE, Unit::Sequence, Rule::StreamTrim),
    Spec::write("XDEL", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("XDELEX", CHANGE, Unit::Sequence, Rule::StreamDelete),
    Spec::write("XSETID", CHANGE, Unit::Sequence, Rule::StreamSetId),
    Spec::write("XGROUP", SECOND_CHANGE, Unit::Sequence, Rule::StreamGroup),
    Spec::write("XACK", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("XACKDEL", CHANGE, Unit::Sequence, Rule::StreamAcknowledgeDelete),
    Spec::write("XNACK", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("XCLAIM", CHANGE, Unit::Sequence, Rule::StreamClaim),
    Spec::write("XCFGSET", CHANGE, Unit::Sequence, Rule::AsIs),
    Spec::write("XAUTOCLAIM", CHANGE, Unit::Sequence, Rule::NeverSent),
    Spec::write("XREADGROUP", AFTER_STREAMS, Unit::Sequence, Rule::NeverSent),
];
