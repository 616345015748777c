//! The marker: the value that is set first in every transaction that a link applies.
//!
//! It is the loop guard and the checkpoint in one: `duet1 PHASE EPOCH ID REPLID HIGH-OFFSET HIGH-DATABASE LOW-OFFSET
//! LOW-DATABASE TIME STAMP SINCE SAW [NOTE]`, separated by single spaces. Pair and origin are in the key (see [`super::ReservedKeys`]).

use std::fmt;

use crate::engine::conflict::Note;
use crate::engine::position::{Position, ReplicationId};

/// The version of the value's form, its first word.
const FORM: &str = "duet1";

/// How far a link has come at its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A full copy is intended or under way: what the target holds is not whole, a restart copies again.
    Copying,
    /// As [`Phase::Copying`], into a target that held nothing: what it holds beyond the source is left over from this copy,
    /// or was brought to the source by the other link, so a copy that is made again ends with deletions.
    Filling,
    /// As [`Phase::Copying`], and in the end what the source no longer holds is deleted: the pair was in step before.
    Recopying,
    /// Everything before `high` is applied; a restart reads on.
    Streaming,
}

/// One marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// How far the link has come.
    pub phase: Phase,
    /// The epoch of the daemon that wrote it.
    pub epoch: u64,
    /// The id of the transaction, growing by one within an epoch and link.
    pub id: u64,
    /// Every local write of the source before this place was sent.
    pub high: Position,
    /// Every local write of the source before this place is finished for good: a restart reads from here. It is in the
    /// same history as `high`, and equal to it as long as nothing holds it back.
    pub low: Position,
    /// The source's clock when the link stood at `high`, Unix milliseconds.
    pub time_ms: i64,
    /// When the writes of the transaction were made, see [`Stamp`](crate::engine::conflict::Stamp): microseconds.
    pub stamp_us: i64,
    /// The writes of the transaction are those of the source between here and `high`: bytes of its history.
    pub since: u64,
    /// Up to where the source had executed the target's writes then: bytes of the target's history.
    pub saw: u64,
}

impl Marker {
    /// The marker in `value`, or `None` where that is not a valid one.
    pub fn parse(value: &[u8]) -> Option<Self> {
        Self::parse_with_note(value).map(|(marker, _)| marker)
    }

    /// As [`Self::parse`], with what the marker says besides.
    pub fn parse_with_note(value: &[u8]) -> Option<(Self, Note)> {
        let mut words = std::str::from_utf8(value).ok()?.split(' ');
        if words.next()? != FORM {
            return None;
        }
        let phase = match words.next()? {
            "copying" => Phase::Copying,
            "filling" => Phase::Filling,
            "recopying" => Phase::Recopying,
            "streaming" => Phase::Streaming,
            _ => return None,
        };
        let epoch = words.next()?.parse().ok()?;
        let id = words.next()?.parse().ok()?;
        let replication_id: ReplicationId = words.next()?.parse().ok()?;
        let mut place = || {
            let offset = words.next()?.parse().ok()?;
            let database = words.next()?.parse().ok()?;
            Some(Position { replication_id, offset, database })
        };
        let (high, low) = (place()?, place()?);
        let time_ms = words.next()?.parse().ok()?;
        let stamp_us = words.next()?.parse().ok()?;
        let (since, saw) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let note = words.next().map_or(Some(Note::Writes), Note::parse)?;
        let marker = Self { phase, epoch, id, high, low, time_ms, stamp_us, since, saw };
        words.next().is_none().then_some((marker, note))
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self.phase {
            Phase::Copying => "copying",
            Phase::Filling => "filling",
            Phase::Recopying => "recopying",
            Phase::Streaming => "streaming",
        };
        let Self { epoch, id, high, low, time_ms, stamp_us, since, saw, .. } = self;
        let (h, l) = ((high.offset, high.database), (low.offset, low.database));
        let id = format_args!("{epoch} {id} {}", high.replication_id);
        write!(f, "{FORM} {phase} {id} {} {} {} {} {time_ms} {stamp_us} {since} {saw}", h.0, h.1, l.0, l.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(
            phase in prop::sample::select(vec![Phase::Copying, Phase::Filling, Phase::Recopying, Phase::Streaming]), epoch: u64, id: u64, replid in "[0-9a-f]{40}", high: (u64, u32), low: (u64, u32), time_ms: i64,
            stamp_us: i64, since: u64, saw: u64,
        ) {
            let replication_id = replid.parse().expect("40 digits");
            let place = |(offset, database)| Position { replication_id, offset, database };
            let marker = Marker { phase, epoch, id, high: place(high), low: place(low), time_ms, stamp_us, since, saw };
            prop_assert_eq!(Marker::parse(marker.to_string().as_bytes()), Some(marker));
        }

        #[test]
        fn other_values_are_no_markers(value in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Marker::parse(&value), None);
        }
    }

    #[test]
    fn a_marker_is_whole_or_none() {
        let whole =
            format!("duet1 streaming 3 17 {} 500 2 400 0 1700000000000 1700000000000000 450 90", "ab".repeat(20));
        assert!(Marker::parse(whole.as_bytes()).is_some());
        for broken in [
            &whole[..whole.len() - 3],
            &format!("{whole} x"),
            &whole.replace("duet1", "duet2"),
            &whole.replace(" 17 ", "  17 "),
        ] {
            assert_eq!(Marker::parse(broken.as_bytes()), None, "{broken}");
        }
    }
}
