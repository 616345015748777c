//! The regions themselves: what they are for at the moment, and whether the daemon reaches them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::link::HEARTBEAT_GRACE;
use super::server::{ServerStatus, Told};

/// Whether clients belong to a region. An operator or a drill sets it, health and console read it. It stops no client by
/// itself: load balancers ask for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duty {
    /// It serves clients.
    #[default]
    Serving,
    /// Clients are to leave it.
    Drained,
    /// Its writers are stopped at the server.
    Fenced,
}

/// A region's duty, and whose word that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DutyStatus {
    /// What the region is for.
    pub duty: Duty,
    /// Who said so, as `drill` or the name of an operator; absent when nobody has.
    pub by: Option<String>,
    /// Why.
    pub why: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// The board of one region. Reading it never waits.
#[derive(Debug)]
pub struct RegionBoard {
    /// Its name.
    pub name: String,
    duty: ArcSwap<DutyStatus>,
    beat: ArcSwapOption<Instant>,
    server: ArcSwapOption<Told>,
    heartbeat_interval: Duration,
}

/// A region at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RegionStatus {
    /// Its name.
    pub name: String,
    /// Whether clients belong to it.
    #[serde(flatten)]
    pub duty: DutyStatus,
    /// Its server answers the daemon.
    pub reachable: bool,
    /// What its server says of itself; absent until it has.
    #[serde(default)]
    pub server: Option<ServerStatus>,
    /// How long a link from it may be cut, at the present rate of writes, before a full copy is needed; seconds.
    #[serde(default)]
    pub backlog_lasts_s: Option<f64>,
}

impl RegionBoard {
    /// A region that serves, and has not been reached yet.
    pub fn new(name: impl Into<String>, heartbeat_interval: Duration) -> Self {
        let serving = DutyStatus { duty: Duty::Serving, by: None, why: None, since: Timestamp::now() };
        Self {
            name: name.into(),
            duty: ArcSwap::from_pointee(serving),
            beat: ArcSwapOption::empty(),
            server: ArcSwapOption::empty(),
            heartbeat_interval,
        }
    }

    /// From now on the region has this duty, on the word of `by`, because of `why`; one line in the log when that is
    /// news. Its own duty again changes who and why, and not since when.
    pub fn set_duty(&self, duty: Duty, by: &str, why: &str) {
        let before = self.duty.load();
        let is_news = before.duty != duty;
        let since = if is_news { Timestamp::now() } else { before.since };
        self.duty.store(Arc::new(DutyStatus { duty, by: Some(by.to_owned()), why: Some(why.to_owned()), since }));
        if is_news {
            tracing::warn!(region = self.name, %duty, by, why, "{} is {duty}", self.name);
        }
    }

    /// The duty, who said so, why and since when.
    pub fn duty(&self) -> Arc<DutyStatus> {
        self.duty.load_full()
    }

    /// The server has answered `at`.
    pub fn answered(&self, at: Instant) {
        self.beat.store(Some(Arc::new(at)));
    }

    /// The server has told this of itself, `at`.
    pub fn told(&self, status: ServerStatus, at: Instant) {
        let before = self.server.load();
        let after = before.as_ref().map_or(Duration::ZERO, |before| at.saturating_duration_since(before.at));
        let status = status.since(before.as_ref().map(|before| before.status), after);
        self.server.store(Some(Arc::new(Told { status, at })));
    }

    /// What the server has told last.
    pub fn server(&self) -> Option<ServerStatus> {
        self.server.load().as_ref().map(|told| told.status)
    }

    /// Whether the server has answered within the last two heartbeats and a bit.
    pub fn is_reachable(&self, now: Instant) -> bool {
        let patience = self.heartbeat_interval * 2 + HEARTBEAT_GRACE;
        let beat = self.beat.load();
        beat.as_deref().is_some_and(|beat| now.saturating_duration_since(*beat) <= patience)
    }

    /// This region, at `now`.
    pub fn status(&self, now: Instant) -> RegionStatus {
        RegionStatus {
            name: self.name.clone(),
            duty: DutyStatus::clone(&self.duty.load()),
            reachable: self.is_reachable(now),
            server: self.server(),
            backlog_lasts_s: self.server().and_then(|server| server.backlog_lasts_s()),
        }
    }
}

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Serving => "serving",
            Self::Drained => "drained",
            Self::Fenced => "fenced",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region() -> RegionBoard {
        RegionBoard::new("eu-west", Duration::from_millis(250))
    }

    #[test]
    fn a_region_serves_until_somebody_says_otherwise() {
        let region = region();
        assert_eq!((region.duty().duty, region.duty().by.as_deref()), (Duty::Serving, None));
        region.set_duty(Duty::Drained, "drill", "rehearsal of May");
        let drained = region.duty();
        assert_eq!((drained.duty, drained.by.as_deref()), (Duty::Drained, Some("drill")));
        assert_eq!(drained.why.as_deref(), Some("rehearsal of May"));
    }

    #[test]
    fn the_same_duty_again_keeps_its_beginning() {
        let region = region();
        region.set_duty(Duty::Fenced, "drill", "first");
        let since = region.duty().since;
        region.set_duty(Duty::Fenced, "ops", "second");
        assert_eq!((region.duty().since, region.duty().why.as_deref()), (since, Some("second")));
    }

    #[test]
    fn a_region_is_reachable_for_two_heartbeats_and_a_bit_after_its_last_answer() {
        let (region, now) = (region(), Instant::now());
        assert!(!region.is_reachable(now), "it has never answered");
        region.answered(now);
        assert!(region.is_reachable(now + Duration::from_millis(600)));
        assert!(!region.is_reachable(now + Duration::from_millis(601)));
    }

    #[test]
    fn a_status_reads_flat() {
        let region = region();
        region.set_duty(Duty::Drained, "ops", "patch day");
        let status = serde_json::to_value(region.status(Instant::now())).unwrap();
        assert_eq!(
            (&status["name"], &status["duty"], &status["why"]),
            (&"eu-west".into(), &"drained".into(), &"patch day".into())
        );
    }
}
