//! The marker: the value that is set first in every transaction that a link applies.
//!
//! It is the loop guard and the checkpoint in one: `duet1 PHASE EPOCH ID REPLID HIGH-OFFSET HIGH-DATABASE LOW-OFFSET
//! LOW-DATABASE TIME STAMP SINCE SAW [NOTE]`, separated by single spaces. Pair and origin are in the key (see [`super::ReservedKeys`]).

use std::fmt;

use crate::engine::conflict::Note;
use crate::engine::position::{Position, ReplicationId, parse_offset};

/// The version of the value's form, its first word.
const FORM: &str = "duet1";

/// The largest epoch and id of a marker, and the latest time, Unix milliseconds. Up to there numbers can be counted on, and a
/// sorted set, which the gate is, tells them apart.
const MOST: u64 = 1 << 53;
/// The largest that a daemon begins with: what it writes from there on is a marker too. None comes so far.
pub const MOST_BELIEVED: u64 = MOST / 2;

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

    /// As [`Self::parse`], for a daemon that goes on from there: not one with numbers that no daemon has come to.
    pub fn believed(value: &[u8]) -> Option<Self> {
        let most = |marker: &Self| marker.epoch.max(marker.id).max(marker.time_ms.unsigned_abs());
        Self::parse(value).filter(|marker| most(marker) <= MOST_BELIEVED)
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
        let number = |word: &str| word.parse().ok().filter(|number| *number <= MOST);
        let epoch = number(words.next()?)?;
        let id = number(words.next()?)?;
        let replication_id: ReplicationId = words.next()?.parse().ok()?;
        let mut place = || {
            let offset = parse_offset(words.next()?)?;
            let database = words.next()?.parse().ok()?;
            Some(Position { replication_id, offset, database })
        };
        let (high, low) = (place()?, place()?);
        let time_ms = number(words.next()?)? as i64;
        let stamp_us = words.next()?.parse().ok()?;
        let (since, saw) = (parse_offset(words.next()?)?, parse_offset(words.next()?)?);
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
            phase in prop::sample::select(vec![Phase::Copying, Phase::Filling, Phase::Recopying, Phase::Streaming]), epoch in 0..=MOST, id in 0..=MOST, replid in "[0-9a-f]{40}", high in (0..1u64 << 62, any::<u32>()), low in (0..1u64 << 62, any::<u32>()),
            time_ms in 0..=1i64 << 53, stamp_us: i64, since in 0..1u64 << 62, saw in 0..1u64 << 62,
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
        let far = whole.replace(" 17 ", " 9007199254740992 ");
        assert!(Marker::parse(far.as_bytes()).is_some() && Marker::believed(far.as_bytes()).is_none());
        for broken in [
            &whole[..whole.len() - 3],
            &format!("{whole} x"),
            &whole.replace("duet1", "duet2"),
            &whole.replace(" 17 ", "  17 "),
            &whole.replace(" 3 17 ", " 18446744073709551615 17 "),
            &whole.replace(" 3 17 ", " 3 18446744073709551615 "),
            &whole.replace(" 500 ", " 18446744073709551615 "),
            &whole.replace(" 1700000000000 ", " 9223372036854775807 "),
        ] {
            assert_eq!(Marker::parse(broken.as_bytes()), None, "{broken}");
        }
    }
}
