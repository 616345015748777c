//! How a region stands at one moment: it is about the link that brings the other region's writes to it.

use std::time::Instant;

use crate::config::Alone;
use crate::observe::{Board, Duty, State};

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// The region's server answers.
    pub reachable: bool,
    /// The other region's server answers.
    pub other_reachable: bool,
    /// What the link into the region is doing.
    pub link: State,
    /// It streams without moving.
    pub stalled: bool,
    /// Its end-to-end lag, milliseconds; unknown before the first heartbeat has come through.
    pub lag_ms: Option<u64>,
    /// Whether a region serves while the other one does not answer.
    pub alone: Alone,
    /// It has served alone, and no region has been in step since.
    pub was_alone: bool,
}

/// How it stands, apart from its duty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has what the other region has, within the lag that is borne.
    InStep,
    /// The other region's server does not answer, or has come back and is not in step yet: nowhere is newer data to be had.
    Alone,
    /// It is further behind than is borne.
    Lagging,
    /// The link streams, and nothing comes through.
    Stalled,
    /// The link has not brought a heartbeat yet.
    Unproven,
    /// The link is not streaming.
    Link(State),
    /// Its own server does not answer.
    Unreachable,
}

impl View {
    /// The region with this place in [`Board::regions`], at `now`.
    pub fn of(board: &Board, index: usize, alone: Alone, was_alone: bool, now: Instant) -> Self {
        // The forward link goes into the second region, the reverse link into the first.
        let link = &board.links[1 - index];
        Self {
            reachable: board.regions[index].is_reachable(now),
            other_reachable: board.regions[1 - index].is_reachable(now),
            link: link.state(),
            stalled: link.stalled(now),
            lag_ms: link.lag_ms(now),
            alone,
            was_alone,
        }
    }

    /// How it stands for somebody who bears a lag of `max_lag_ms`.
    pub fn standing(self, max_lag_ms: u64) -> Standing {
        let standing = match (self.link, self.lag_ms) {
            _ if !self.reachable => return Standing::Unreachable,
            // What is being copied is not whole: certain, whatever the other region does.
            (State::FullSync | State::Stopped, _) => return Standing::Link(self.link),
            (State::Streaming, _) if self.stalled => Standing::Stalled,
            (State::Streaming, None) => Standing::Unproven,
            (State::Streaming, Some(lag_ms)) if lag_ms > max_lag_ms => Standing::Lagging,
            (State::Streaming, Some(_)) => return Standing::InStep,
            (State::Connecting | State::Paused | State::Held | State::Halted, _) => Standing::Link(self.link),
        };
        let serves_alone = self.alone == Alone::Serve && (self.was_alone || !self.other_reachable);
        if serves_alone { Standing::Alone } else { standing }
    }
}

impl Standing {
    /// Whether clients may be sent there.
    pub fn serves(self) -> bool {
        match self {
            Self::InStep | Self::Alone => true,
            Self::Lagging | Self::Stalled | Self::Unproven | Self::Link(_) | Self::Unreachable => false,
        }
    }

    /// Whether nobody has to look twice.
    pub fn is_certain(self) -> bool {
        matches!(self, Self::Link(State::FullSync | State::Stopped))
    }

    /// Its stable name, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::InStep => "in_step",
            Self::Alone => "alone",
            Self::Lagging => "lagging",
            Self::Stalled => "stalled",
            Self::Unproven => "unproven",
            Self::Link(State::Connecting) => "connecting",
            Self::Link(State::FullSync) => "full_sync",
            Self::Link(State::Streaming) => "streaming",
            Self::Link(State::Paused) => "paused",
            Self::Link(State::Held) => "held",
            Self::Link(State::Halted) => "halted",
            Self::Link(State::Stopped) => "stopped",
            Self::Unreachable => "unreachable",
        }
    }
}

/// The name of a duty that keeps clients away.
pub(super) fn kept_away(duty: Duty) -> Option<&'static str> {
    match duty {
        Duty::Serving => None,
        Duty::Drained => Some("drained"),
        Duty::Fenced => Some("fenced"),
    }
}
