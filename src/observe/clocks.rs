//! How far the clocks of both regions are apart.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use super::Reason;
use crate::config::{Beyond, Clock};
use crate::engine::source::Measured;
use crate::error::Kind;
use crate::remedy::advice;

/// The clocks of both regions: the runtime writes what it has measured, and anybody reads it.
#[derive(Debug)]
pub struct ClockBoard {
    /// The source of the forward link, then its target.
    regions: [String; 2],
    limit: Duration,
    beyond: Beyond,
    heartbeat_interval: Duration,
    standing: ArcSwap<Standing>,
}

/// What was measured last.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Standing {
    /// By how much the clock of the forward link's target is ahead.
    apart: Option<Measured>,
    is_beyond: bool,
    /// They were known at least once.
    was_known: bool,
}

/// What is known of the clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockState {
    /// One of the servers has not told its time for a minute.
    #[default]
    Unknown,
    /// They are not known to be too far apart.
    Agree,
    /// They are too far apart; the links go on.
    Skewed,
    /// They are too far apart, and both links hold until they agree.
    Held,
}

/// The clocks at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStatus {
    /// What is known of them.
    pub state: ClockState,
    /// By how much the clock of the forward link's target is ahead of its source's, milliseconds; negative where it is
    /// behind.
    pub offset_ms: Option<i64>,
    /// By how much that may be wrong at most, milliseconds.
    pub bound_ms: Option<i64>,
    /// `clock.skew_limit`, milliseconds.
    pub limit_ms: i64,
    /// How far the times of two writes in different regions may be from the truth at most, milliseconds, while heartbeats
    /// can be written: two intervals, and what the clocks differ by.
    pub stamp_bound_ms: Option<i64>,
    /// What is wrong.
    pub reason: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl ClockBoard {
    /// Clocks of which nothing is known yet.
    pub fn new(regions: [String; 2], clock: &Clock, heartbeat_interval: Duration) -> Self {
        let Clock { skew_limit, beyond } = *clock;
        Self { regions, limit: skew_limit, beyond, heartbeat_interval, standing: ArcSwap::default() }
    }

    /// The clock of the forward link's target is `apart` from its source's, and `is_beyond` tells whether that is too far;
    /// logs one line when that changes. Tells whether it does. One task at a time may call it.
    pub fn look(&self, apart: Option<Measured>, is_beyond: bool) -> bool {
        let before = self.standing.load_full();
        let was_known = before.was_known || apart.is_some();
        self.standing.store(Arc::new(Standing { apart, is_beyond, was_known }));
        let ClockStatus { offset_ms, bound_ms, limit_ms, .. } = self.status();
        match (before.is_beyond, self.reason().filter(|_| is_beyond)) {
            (false, Some(Reason { code, text, remedy })) => {
                tracing::warn!(
                    offset_ms,
                    bound_ms,
                    limit_ms,
                    code,
                    reason = text,
                    remedy,
                    "the clocks are too far apart"
                );
            }
            (true, None) => tracing::info!(offset_ms, bound_ms, limit_ms, "the clocks agree again"),
            (false, None) | (true, Some(_)) => {}
        }
        (before.is_beyond, before.was_known) != (is_beyond, was_known)
    }

    /// Whether both links are to hold on account of the clocks; also until these are known for the first time.
    pub fn holds(&self) -> bool {
        let standing = self.standing.load();
        self.beyond == Beyond::Hold && (standing.is_beyond || !standing.was_known)
    }

    /// Why they are too far apart, when they are, or why the links hold, and what to do.
    pub fn reason(&self) -> Option<Reason> {
        let standing = self.standing.load();
        let (advice, [ours, theirs]) = (advice(Kind::ClocksApart), &self.regions);
        if !standing.is_beyond {
            let text = format!("{ours} and {theirs} have not both told their time yet");
            let remedy = "Allow the user TIME at both servers, and see whether both answer.".to_owned();
            return self.holds().then_some(Reason { code: advice.code, text, remedy });
        }
        let limit_ms = self.limit.as_millis();
        let apart = match standing.apart.map(ms) {
            Some((offset_ms, bound_ms)) => format!("{} ms (± {bound_ms} ms) apart", offset_ms.abs()),
            None => "too far apart".to_owned(),
        };
        let text = format!("the clocks of {ours} and {theirs} are {apart}: clock.skew_limit is {limit_ms} ms");
        let remedy = match self.beyond {
            Beyond::Hold => advice.remedy.to_owned(),
            Beyond::Alarm => format!("Set both with NTP; until then writes of {} win too often.", self.ahead()),
        };
        Some(Reason { code: advice.code, text, remedy })
    }

    /// The clocks now.
    pub fn status(&self) -> ClockStatus {
        let Standing { apart, is_beyond, .. } = **self.standing.load();
        let (offset_ms, bound_ms) = apart.map(ms).unzip();
        let state = match (apart, is_beyond) {
            (_, true) if self.beyond == Beyond::Hold => ClockState::Held,
            (_, true) => ClockState::Skewed,
            (Some(_), false) => ClockState::Agree,
            (None, false) => ClockState::Unknown,
        };
        let interval_ms = whole_ms(self.heartbeat_interval);
        let reason = self.reason();
        ClockStatus {
            state,
            offset_ms,
            bound_ms,
            limit_ms: whole_ms(self.limit),
            stamp_bound_ms: offset_ms.zip(bound_ms).map(|(offset, bound)| 2 * interval_ms + offset.abs() + bound),
            remedy: reason.as_ref().map(|reason| reason.remedy.clone()),
            reason: reason.map(|reason| reason.text),
        }
    }

    fn ahead(&self) -> &str {
        let offset_us = self.standing.load().apart.map_or(0, |apart| apart.offset_us);
        &self.regions[usize::from(offset_us > 0)]
    }
}

impl fmt::Display for ClockState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Agree => "agree",
            Self::Skewed => "skewed",
            Self::Held => "held",
        })
    }
}

/// Offset and bound in whole milliseconds; the bound takes in what rounding adds.
fn ms(measured: Measured) -> (i64, i64) {
    let Measured { offset_us, bound_us } = measured;
    let offset_ms = offset_us.saturating_add(500 * offset_us.signum()) / 1000;
    let rounded = offset_us.saturating_sub(offset_ms.saturating_mul(1000)).abs();
    (offset_ms, bound_us.saturating_add(rounded).saturating_add(999) / 1000)
}

fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(beyond: Beyond) -> ClockBoard {
        let clock = Clock { skew_limit: Duration::from_millis(500), beyond };
        ClockBoard::new(["eu".to_owned(), "us".to_owned()], &clock, Duration::from_millis(250))
    }

    fn measured(offset_us: i64, bound_us: i64) -> Option<Measured> {
        Some(Measured { offset_us, bound_us })
    }

    #[test]
    fn nothing_is_said_of_clocks_that_are_not_known() {
        let status = board(Beyond::Alarm).status();
        assert_eq!(status, ClockStatus { limit_ms: 500, ..ClockStatus::default() });
    }

    #[test]
    fn the_bound_of_a_writes_time_is_two_heartbeats_and_what_the_clocks_differ_by() {
        let board = board(Beyond::Alarm);
        board.look(measured(-12_400, 700), false);
        let status = board.status();
        assert_eq!((status.offset_ms, status.bound_ms, status.stamp_bound_ms), (Some(-12), Some(2), Some(514)));
        assert_eq!((status.state, status.reason), (ClockState::Agree, None));
    }

    #[test]
    fn an_alarm_names_the_clocks_and_what_to_do_and_holds_nothing() {
        let board = board(Beyond::Alarm);
        assert!(board.look(measured(612_000, 1_000), true));
        assert!(!board.look(measured(612_000, 1_000), true), "it is no news");
        let status = board.status();
        assert_eq!(status.state, ClockState::Skewed);
        assert_eq!(
            status.reason.as_deref(),
            Some("the clocks of eu and us are 612 ms (± 1 ms) apart: clock.skew_limit is 500 ms")
        );
        assert_eq!(status.remedy.as_deref(), Some("Set both with NTP; until then writes of us win too often."));
        assert!(!board.holds());
    }

    #[test]
    fn links_that_are_to_hold_wait_for_the_first_look_at_the_clocks() {
        let board = board(Beyond::Hold);
        assert!(board.holds() && board.status().state == ClockState::Unknown && board.reason().is_some());
        assert!(board.look(measured(0, 1), false), "the links may go on");
        assert!(!board.holds() && board.reason().is_none());
        assert!(!board.look(None, false), "what is no longer known changes nothing");
        assert!(!board.holds());
    }

    #[test]
    fn a_hold_lasts_until_the_clocks_agree() {
        let board = board(Beyond::Hold);
        board.look(measured(-612_000, 1_000), true);
        assert!(board.holds() && board.status().state == ClockState::Held);
        assert!(board.look(measured(-12_000, 1_000), false));
        assert!(!board.holds() && board.status().state == ClockState::Agree && board.reason().is_none());
    }
}
