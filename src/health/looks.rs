//! Looking again and again, and what is answered in between.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::hysteresis::{Edges, Hysteresis};
use super::standing::{Standing, View, kept_away};
use crate::config::{self, Config};
use crate::observe::{Board, Duty};

/// Different lags that are kept an eye on; of more, the one that nobody has asked for the longest goes.
const MOST_LIMITS: usize = 64;

/// The health of both regions.
#[derive(Debug)]
pub struct Health {
    board: Arc<Board>,
    settings: config::Health,
    interval: Duration,
    looks: Mutex<Looks>,
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Looks {
    /// The one that was asked for last is at the end.
    limits: Vec<Limit>,
    was_alone: [bool; 2],
}

/// One lag that somebody bears.
#[derive(Debug)]
struct Limit {
    max_lag_ms: u64,
    answers: [Hysteresis; 2],
}

/// Whether a balancer may send traffic to a region, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The region that was asked for.
    pub region: String,
    /// Whether clients may be sent there: 200 or 503.
    pub serve: bool,
    /// How the region stands: `in_step`, `alone`, `lagging`, `stalled`, `unproven`, `connecting`, `full_sync`, `paused`, `held`,
    /// `halted`, `stopped`, `unreachable`, `drained` or `fenced`.
    pub state: String,
    /// How far it is behind the other region, milliseconds.
    pub lag_ms: Option<u64>,
    /// The lag that is borne, milliseconds.
    pub max_lag_ms: u64,
    /// Why, in one line.
    pub reason: Option<String>,
    /// A stable name of the reason.
    pub error_code: Option<String>,
}

/// A region was asked for that is none of the pair's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{asked:?} is no region of this pair: it has {} and {}", .regions[0], .regions[1])]
pub struct NoSuchRegion {
    asked: String,
    regions: [String; 2],
}

impl Health {
    /// The health of the regions of `board`.
    pub fn new(config: &Config, board: Arc<Board>) -> Self {
        Self { board, settings: config.health, interval: config.heartbeat.interval, looks: Mutex::default() }
    }

    /// The time between two looks.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Looks once; to be called once in each [`interval`](Self::interval).
    pub fn look(&self, now: Instant) {
        self.board.looks.count();
        let mut looks = self.lock();
        let views = looks.see(&self.board, &self.settings, now);
        let edges = self.edges();
        for limit in &mut looks.limits {
            limit.look(edges, views);
        }
    }

    /// Whether a balancer may send traffic to `region`, when a lag of `max_lag_ms` is borne (`health.max_lag` when
    /// `None`).
    ///
    /// # Errors
    /// The pair has no such region.
    pub fn answer(&self, region: &str, max_lag_ms: Option<u64>, now: Instant) -> Result<Answer, NoSuchRegion> {
        let regions = &self.board.regions;
        let index = regions.iter().position(|known| known.name == region).ok_or_else(|| NoSuchRegion {
            asked: region.to_owned(),
            regions: [0, 1].map(|index: usize| regions[index].name.clone()),
        })?;
        let default_ms = u64::try_from(self.settings.max_lag.as_millis()).unwrap_or(u64::MAX);
        let max_lag_ms = max_lag_ms.unwrap_or(default_ms);
        let mut looks = self.lock();
        let was_alone = looks.was_alone;
        let views = [0, 1].map(|index: usize| View::of(&self.board, index, self.settings.alone, was_alone[index], now));
        let kept = looks.limit(max_lag_ms, self.edges(), views).answers[index];
        drop(looks);
        Ok(self.told(index, views[index], max_lag_ms, kept, now))
    }

    /// Whether a word is needed that ends an earlier drain: clients have been told to come back a moment ago.
    pub fn has_just_returned(&self, region: &str, within: Duration) -> bool {
        let Some(region) = self.board.region(region) else { return false };
        let duty = region.duty();
        let age = Timestamp::now().duration_since(duty.since);
        duty.duty == Duty::Serving && age.unsigned_abs() <= within
    }

    fn told(&self, index: usize, view: View, max_lag_ms: u64, kept: Hysteresis, now: Instant) -> Answer {
        let region = &self.board.regions[index];
        let (duty, standing) = (region.duty(), view.standing(max_lag_ms));
        let base = Answer {
            region: region.name.clone(),
            serve: kept.serves(),
            state: standing.name().to_owned(),
            lag_ms: view.lag_ms,
            max_lag_ms,
            reason: None,
            error_code: None,
        };
        if let Some(name) = kept_away(duty.duty) {
            let [by, why] = [&duty.by, &duty.why].map(|word| word.as_deref().unwrap_or("?"));
            let reason = Some(format!("{name} by {by}: {why}"));
            return Answer { serve: false, state: name.to_owned(), reason, error_code: Some(name.to_owned()), ..base };
        }
        let (code, mut text) = self.cause(index, view, standing, max_lag_ms, now);
        if let Some((looks, needed)) = kept.turning(self.edges()) {
            let word = if standing.serves() { "good" } else { "bad" };
            let turning = format!("{looks} of {needed} {word} looks until the answer changes");
            text = Some(text.map_or(turning.clone(), |text| format!("{text}; {turning}")));
        }
        Answer { reason: text, error_code: code, ..base }
    }

    /// Code and text of what keeps a region from being in step.
    fn cause(
        &self,
        index: usize,
        view: View,
        standing: Standing,
        max_lag_ms: u64,
        now: Instant,
    ) -> (Option<String>, Option<String>) {
        let (region, other) = (&self.board.regions[index].name, &self.board.regions[1 - index].name);
        let named = |text: String| (Some(standing.name().to_owned()), Some(text));
        match standing {
            Standing::InStep => (None, None),
            Standing::Alone if view.other_reachable => {
                named(format!("{other} is back, and neither region is in step yet"))
            }
            Standing::Alone => named(format!("{other} does not answer: newer data is nowhere to be had")),
            Standing::Lagging => {
                let lag_ms = view.lag_ms.unwrap_or_default();
                named(format!("{region} is {lag_ms} ms behind {other}: more than {max_lag_ms} ms"))
            }
            Standing::Unproven => named(format!("no heartbeat of {other} has come to {region} yet")),
            Standing::Unreachable => named(format!("the server of {region} does not answer")),
            Standing::Stalled | Standing::Link(_) => {
                let link = self.board.links[1 - index].status(now);
                let text = link.reason.map_or(String::new(), |reason| format!(": {reason}"));
                let text = format!("the link from {other} is {}{text}", link.state);
                (link.error_code.or_else(|| Some(standing.name().to_owned())), Some(text))
            }
        }
    }

    fn edges(&self) -> Edges {
        Edges { rise: self.settings.rise, fall: self.settings.fall }
    }

    /// Held for a few instructions only; nothing in there can panic half way.
    fn lock(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Looks {
    /// Both regions as they are now. Who serves alone goes on with that until one of both is in step.
    fn see(&mut self, board: &Board, settings: &config::Health, now: Instant) -> [View; 2] {
        let default_ms = u64::try_from(settings.max_lag.as_millis()).unwrap_or(u64::MAX);
        let was_alone = self.was_alone;
        let views = [0, 1].map(|index: usize| View::of(board, index, settings.alone, was_alone[index], now));
        let standings = views.map(|view| view.standing(default_ms));
        let in_step = standings.contains(&Standing::InStep);
        self.was_alone = standings.map(|standing| standing == Standing::Alone && !in_step);
        views
    }

    /// The answers for this lag; kept from now on.
    fn limit(&mut self, max_lag_ms: u64, edges: Edges, views: [View; 2]) -> &Limit {
        let known = self.limits.iter().position(|limit| limit.max_lag_ms == max_lag_ms);
        match known {
            Some(place) => self.limits[place..].rotate_left(1),
            None => {
                let mut limit = Limit { max_lag_ms, answers: [Hysteresis::default(); 2] };
                limit.look(edges, views);
                if self.limits.len() >= MOST_LIMITS {
                    self.limits.remove(0);
                }
                self.limits.push(limit);
            }
        }
        self.limits.last().expect("one was pushed, or put at the end")
    }
}

impl Limit {
    fn look(&mut self, edges: Edges, views: [View; 2]) {
        for (answer, view) in self.answers.iter_mut().zip(views) {
            let standing = view.standing(self.max_lag_ms);
            answer.look(edges, standing.serves(), standing.is_certain());
        }
    }
}
