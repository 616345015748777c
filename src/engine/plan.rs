//! What a link does when it starts: read on, copy everything, fix its position, wait or hold.
//!
//! Takes what both servers say, gives one plan. The same rules serve both directions; the only difference is which link
//! copies when a pair is new. `docs/architecture.md` tells the reasons as a table.

use super::origin::{Marker, Phase};
use super::position::Position;
use super::source::Replication;
use crate::error::{Fault, Kind};

/// A source with fewer keys than one in so many of the target's has shrunk, if the target has at least [`SHRUNK_FROM`].
const SHRUNK_TO_ONE_IN: u64 = 2;
/// Below so many keys at the target only an empty source counts as shrunk.
const SHRUNK_FROM: u64 = 1000;

/// One end of a link.
#[derive(Debug, Clone)]
pub struct End {
    /// The region's name.
    pub region: String,
    /// The history that it can continue.
    pub replication: Replication,
    /// Its keys, ours not counted.
    pub keys: u64,
    /// The marker that the link writing to it has left there.
    pub marker: Option<Marker>,
}

/// What a plan is made from.
#[derive(Debug, Clone)]
pub struct View {
    /// Where the link reads.
    pub source: End,
    /// Where it writes.
    pub target: End,
    /// Whether it is the link that copies when the pair is new.
    pub copies_first: bool,
    /// The operator has ordered a copy: by this link, or by the other one.
    pub ordered: Option<Ordered>,
    /// Whether a lost position is answered by a copy.
    pub copy_when_lost: bool,
    /// The target executed transactions behind one that it had refused: what the marker says can't be relied on.
    pub marker_broken: bool,
    /// The same of the other link's marker, at the source of this one.
    pub other_broken: bool,
    /// Both regions have moved whole databases, each in another order, or may have: it is this link that makes them equal by a
    /// copy.
    pub disordered: bool,
}

/// Which link copies by order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordered {
    /// This one.
    This,
    /// The other one.
    Other,
}

/// Why everything is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyReason {
    /// The pair is new.
    Initial {
        /// The target held nothing.
        into_nothing: bool,
    },
    /// An earlier copy did not come to its end.
    Interrupted {
        /// What that copy was.
        phase: Phase,
        /// This one ends with deletions.
        sweeps: bool,
    },
    /// The source can't continue from the link's position.
    PositionLost,
    /// Both regions have moved whole databases, each in another order, or may have. The position is known until the copy is
    /// announced.
    Disordered,
    /// The target holds nothing.
    Refill,
    /// The operator has ordered it.
    Ordered,
}

impl CopyReason {
    /// Whether what the target holds beside the dump is deleted in the end.
    pub fn sweeps(self) -> bool {
        match self {
            Self::Initial { .. } | Self::Refill => false,
            Self::Interrupted { sweeps, .. } => sweeps,
            Self::PositionLost | Self::Disordered | Self::Ordered => true,
        }
    }

    /// What the marker says while it is under way.
    pub fn phase(self) -> Phase {
        match self {
            Self::Initial { into_nothing: false } => Phase::Copying,
            Self::Initial { into_nothing: true } | Self::Refill => Phase::Filling,
            Self::Interrupted { phase, .. } => phase,
            Self::PositionLost | Self::Disordered | Self::Ordered => Phase::Recopying,
        }
    }
}

/// What leaves databases of which nobody can tell which keys differ.
pub const SWAPPED: &str = "SWAPDB has met FLUSHDB or SWAPDB of the other region, or came while a session began";

/// What a link does.
#[derive(Debug)]
pub enum Plan {
    /// Read on from here.
    Resume(Position),
    /// Begin with what is written from now on.
    Fix,
    /// Copy everything, then read on.
    Copy(CopyReason),
    /// Look again soon: the other link has to go first.
    Wait,
    /// Do nothing until the operator decides or the cause is gone.
    Hold(Fault),
}

/// From where a link that resumes at `high` reads: what was concurrent with writes that were sent has to be seen again. From
/// `high` itself where the source no longer has that.
pub fn reads_from(view: &View, high: Position) -> Position {
    let low = view.target.marker.map_or(high, |marker| marker.low);
    let low = Position { replication_id: high.replication_id, ..low };
    if low.offset < high.offset && view.source.replication.continues(&low) { low } else { high }
}

/// What the link does.
pub fn plan(view: &View) -> Plan {
    let View { source, target, .. } = view;
    let own = target.marker;
    let own_continues = !view.marker_broken && continues(own.as_ref(), source);
    let other_continues = !view.other_broken && continues(source.marker.as_ref(), target);
    match view.ordered {
        Some(Ordered::This) if source.keys == 0 && target.keys > 0 => return shrunk(view),
        Some(Ordered::This) => return Plan::Copy(CopyReason::Ordered),
        Some(Ordered::Other) if !own_continues => return Plan::Fix,
        Some(Ordered::Other) | None => {}
    }
    if own_continues {
        // If the other link can't go on, it copies everything itself.
        return if view.disordered && other_continues { copy(view, CopyReason::Disordered) } else { resume(own) };
    }
    let copies = |marker: Option<Marker>| marker.map(|marker| marker.phase).filter(|phase| *phase != Phase::Streaming);
    let other_copies = copies(source.marker).is_some();
    match (own, source.marker) {
        // Two orders in opposite directions, neither carried out: only their giver knows which one counts.
        _ if copies(own) == Some(Phase::Recopying) && copies(source.marker) == Some(Phase::Recopying) => {
            both_lost(view)
        }
        (Some(Marker { phase: phase @ (Phase::Copying | Phase::Filling | Phase::Recopying), .. }), _)
            if view.copies_first || !other_copies =>
        {
            again(view, phase, other_continues)
        }
        _ if other_copies => Plan::Fix,
        (None, None) if view.copies_first => Plan::Copy(CopyReason::Initial { into_nothing: target.keys == 0 }),
        (None, None) => Plan::Wait,
        (Some(_), _) | (_, Some(_)) => lost(view, other_continues),
    }
}

/// A copy did not come to its end. If this one is to end with deletions, what makes them safe must hold: the source is
/// not empty, and the other link has brought it all that was written at the target.
fn again(view: &View, phase: Phase, other_continues: bool) -> Plan {
    let View { source, target, .. } = view;
    let sweeps = match phase {
        Phase::Recopying => true,
        Phase::Filling => other_continues,
        Phase::Copying | Phase::Streaming => false,
    };
    // What an interrupted first copy has brought would stay for ever once its source is empty.
    let emptied = phase == Phase::Filling && source.keys == 0 && target.keys > 0;
    if emptied || (sweeps && has_shrunk(source, target)) {
        return shrunk(view);
    }
    if phase == Phase::Recopying && source.marker.is_some() && !other_continues {
        return both_lost(view);
    }
    Plan::Copy(CopyReason::Interrupted { phase, sweeps })
}

fn resume(marker: Option<Marker>) -> Plan {
    marker.map_or(Plan::Wait, |marker| Plan::Resume(marker.high))
}

/// The position is gone. When the other link is in step, a copy from its target side loses nothing: all that the other
/// region wrote is in what is copied.
fn lost(view: &View, other_continues: bool) -> Plan {
    let View { source, target, .. } = view;
    if target.keys == 0 && source.keys > 0 {
        return Plan::Copy(CopyReason::Refill);
    }
    if !other_continues {
        return match source.keys {
            0 => Plan::Fix,
            _ => both_lost(view),
        };
    }
    copy(view, CopyReason::PositionLost)
}

/// The other link is in step: a copy with deletions, unless it was ruled out, or would spread emptiness.
fn copy(view: &View, reason: CopyReason) -> Plan {
    let View { source, target, .. } = view;
    if !view.copy_when_lost {
        return Plan::Hold(match reason {
            CopyReason::Disordered => {
                Fault::new(Kind::DatabasesDiffer, format!("{SWAPPED}; position_lost is \"hold\""))
            }
            _ => Fault::new(
                Kind::PositionLost,
                format!("{} can't continue from where the link stood; position_lost is \"hold\"", source.region),
            ),
        });
    }
    if has_shrunk(source, target) {
        return shrunk(view);
    }
    Plan::Copy(reason)
}

/// Whether a copy would spread emptiness.
fn has_shrunk(source: &End, target: &End) -> bool {
    let smaller = target.keys >= SHRUNK_FROM && source.keys * SHRUNK_TO_ONE_IN < target.keys;
    smaller || (source.keys == 0 && target.keys > 0)
}

fn shrunk(view: &View) -> Plan {
    let View { source, target, .. } = view;
    Plan::Hold(Fault::new(
        Kind::SourceShrunk,
        format!("{} holds {} keys, {} holds {}", source.region, source.keys, target.region, target.keys),
    ))
}

fn both_lost(view: &View) -> Plan {
    let View { source, target, .. } = view;
    let regions = format!("{} ({} keys) nor {} ({} keys)", source.region, source.keys, target.region, target.keys);
    let text = format!("neither {regions} can continue from where Duet stood");
    Plan::Hold(Fault::new(Kind::BothPositionsLost, text))
}

/// Whether the link that left `marker` can read on at `source`.
fn continues(marker: Option<&Marker>, source: &End) -> bool {
    marker.is_some_and(|marker| marker.phase == Phase::Streaming && source.replication.continues(&marker.high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::position::ReplicationId;

    fn id(digit: &str) -> ReplicationId {
        digit.repeat(40).parse().expect("40 digits")
    }

    fn end(region: &str, history: &str, keys: u64, marker: Option<Marker>) -> End {
        let replication =
            Replication { id: id(history), second: None, offset: 1000, backlog: Some((1, 1000)), is_primary: true };
        End { region: region.to_owned(), replication, keys, marker }
    }

    fn marker(phase: Phase, history: &str) -> Option<Marker> {
        let high = Position { replication_id: id(history), offset: 500, database: 0 };
        Some(Marker { phase, epoch: 1, id: 1, high, low: high, time_ms: 0, stamp_us: 0, since: 0, saw: 0 })
    }

    /// The link from `source` (history a) to `target` (history b).
    fn view(source: End, target: End) -> View {
        View {
            source,
            target,
            copies_first: true,
            ordered: None,
            copy_when_lost: true,
            marker_broken: false,
            other_broken: false,
            disordered: false,
        }
    }

    fn told(view: &View) -> String {
        match plan(view) {
            Plan::Resume(_) => "resume".to_owned(),
            Plan::Fix => "fix".to_owned(),
            Plan::Wait => "wait".to_owned(),
            Plan::Copy(reason) => format!("copy {reason:?}"),
            Plan::Hold(fault) => format!("hold {:?}", fault.kind),
        }
    }

    #[test]
    fn a_new_pair_copies_forward_and_fixes_the_reverse_link_first() {
        let mut new = view(end("a", "a", 10, None), end("b", "b", 0, None));
        assert_eq!(told(&new), "copy Initial { into_nothing: true }");
        new.copies_first = false;
        assert_eq!(told(&new), "wait");
        let mut reverse = view(end("b", "b", 0, marker(Phase::Copying, "a")), end("a", "a", 10, None));
        reverse.copies_first = false;
        assert_eq!(told(&reverse), "fix");
    }

    #[test]
    fn a_known_position_is_read_on_from() {
        let both =
            view(end("a", "a", 9, marker(Phase::Streaming, "b")), end("b", "b", 9, marker(Phase::Streaming, "a")));
        assert_eq!(told(&both), "resume");
    }

    #[test]
    fn an_interrupted_copy_is_made_again() {
        let other = marker(Phase::Streaming, "b");
        let again = view(end("a", "a", 9, other), end("b", "b", 4, marker(Phase::Copying, "a")));
        assert_eq!(told(&again), "copy Interrupted { phase: Copying, sweeps: false }");
        let filled = view(end("a", "a", 9, other), end("b", "b", 4, marker(Phase::Filling, "a")));
        assert_eq!(
            told(&filled),
            "copy Interrupted { phase: Filling, sweeps: true }",
            "it may have brought what is gone"
        );
        let emptied = view(end("a", "a", 0, None), end("b", "b", 4, marker(Phase::Filling, "a")));
        assert_eq!(told(&emptied), "hold SourceShrunk");
        let alone = view(end("a", "a", 9, None), end("b", "b", 4, marker(Phase::Filling, "a")));
        assert_eq!(told(&alone), "copy Interrupted { phase: Filling, sweeps: false }", "or what clients wrote there");
        let before_fix = view(end("a", "a", 9, None), end("b", "b", 0, marker(Phase::Copying, "a")));
        assert_eq!(told(&before_fix), "copy Interrupted { phase: Copying, sweeps: false }");
    }

    #[test]
    fn a_link_whose_source_is_being_copied_over_begins_anew() {
        let other = marker(Phase::Recopying, "b");
        let reverse = View {
            copies_first: false,
            ..view(end("b", "b", 9, other), end("a", "a", 9, marker(Phase::Streaming, "0")))
        };
        assert_eq!(told(&reverse), "fix");
        let both = view(end("a", "a", 9, other), end("b", "b", 9, marker(Phase::Recopying, "a")));
        assert_eq!(told(&both), "hold BothPositionsLost", "of two copies none is made");
        assert_eq!(told(&View { copies_first: false, ..both }), "hold BothPositionsLost");
    }

    #[test]
    fn a_lost_position_is_copied_only_when_the_other_link_is_in_step() {
        let other = marker(Phase::Streaming, "b");
        let own = marker(Phase::Streaming, "0");
        assert_eq!(told(&view(end("a", "a", 9, other), end("b", "b", 9, own))), "copy PositionLost");
        let mut told_to_hold = view(end("a", "a", 9, other), end("b", "b", 9, own));
        told_to_hold.copy_when_lost = false;
        assert_eq!(told(&told_to_hold), "hold PositionLost");
        let both = view(end("a", "a", 9, marker(Phase::Streaming, "0")), end("b", "b", 9, own));
        assert_eq!(told(&both), "hold BothPositionsLost");
    }

    #[test]
    fn emptiness_does_not_spread() {
        let other = marker(Phase::Streaming, "b");
        let own = marker(Phase::Streaming, "0");
        assert_eq!(told(&view(end("a", "a", 0, other), end("b", "b", 9, own))), "hold SourceShrunk");
        assert_eq!(told(&view(end("a", "a", 400, other), end("b", "b", 1000, own))), "hold SourceShrunk");
        assert_eq!(told(&view(end("a", "a", 0, None), end("b", "b", 9, own))), "fix", "the other link refills it");
        assert_eq!(told(&view(end("b", "b", 9, own), end("a", "a", 0, None))), "copy Refill");
    }

    #[test]
    fn a_copy_with_deletions_is_not_made_again_from_what_has_become_empty() {
        let other = marker(Phase::Streaming, "b");
        let own = marker(Phase::Recopying, "a");
        assert_eq!(
            told(&view(end("a", "a", 9, other), end("b", "b", 9, own))),
            "copy Interrupted { phase: Recopying, sweeps: true }"
        );
        assert_eq!(told(&view(end("a", "a", 0, other), end("b", "b", 9, own))), "hold SourceShrunk");
        let lost = marker(Phase::Streaming, "0");
        assert_eq!(told(&view(end("a", "a", 9, lost), end("b", "b", 9, own))), "hold BothPositionsLost");
        let mut ordered = view(end("a", "a", 0, other), end("b", "b", 9, own));
        ordered.ordered = Some(Ordered::This);
        assert_eq!(told(&ordered), "hold SourceShrunk");
    }

    #[test]
    fn the_operators_order_decides() {
        let own = marker(Phase::Streaming, "0");
        let mut both = view(end("a", "a", 9, marker(Phase::Streaming, "0")), end("b", "b", 9, own));
        both.ordered = Some(Ordered::This);
        assert_eq!(told(&both), "copy Ordered");
        both.ordered = Some(Ordered::Other);
        assert_eq!(told(&both), "fix");
    }

    #[test]
    fn a_marker_that_passed_a_refused_write_is_not_believed() {
        let mut both =
            view(end("a", "a", 9, marker(Phase::Streaming, "b")), end("b", "b", 9, marker(Phase::Streaming, "a")));
        both.marker_broken = true;
        assert_eq!(told(&both), "copy PositionLost");
        both.other_broken = true;
        assert_eq!(told(&both), "hold BothPositionsLost");
    }

    #[test]
    fn databases_in_another_order_are_copied_unless_the_other_link_does_that_itself() {
        let both =
            view(end("a", "a", 9, marker(Phase::Streaming, "b")), end("b", "b", 9, marker(Phase::Streaming, "a")));
        let mut both = View { disordered: true, ..both };
        assert_eq!(told(&both), "copy Disordered");
        assert_eq!(told(&View { copy_when_lost: false, ..both.clone() }), "hold DatabasesDiffer");
        both.source.marker = marker(Phase::Streaming, "0");
        assert_eq!(told(&both), "resume", "nothing that was written here since may be left out");
        both.source.marker = marker(Phase::Recopying, "b");
        assert_eq!(told(&both), "resume");
    }
}
