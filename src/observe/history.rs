//! The last minutes of a pair, second by second: what a person sees who opens the console after something has happened.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Board, LinkBoard};

/// Between two points.
const EVERY: Duration = Duration::from_secs(1);
/// Points that are kept: a quarter of an hour.
const MOST_POINTS: usize = 900;

/// The points so far; the one who looks at the board writes, and anybody reads.
#[derive(Debug, Default)]
pub struct History(Mutex<Points>);

#[derive(Debug, Default)]
struct Points {
    points: VecDeque<Point>,
    last: Option<(Instant, [Totals; 2])>,
}

/// What only grows.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    writes: u64,
    bytes: u64,
}

/// A pair at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Point {
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// The forward link, then the reverse one.
    pub links: [LinkPoint; 2],
}

/// A link at one moment.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct LinkPoint {
    /// End-to-end lag, milliseconds.
    pub lag_ms: Option<u64>,
    /// Writes a second that the target has executed, since the point before.
    pub writes_per_s: f64,
    /// Bytes a second of the source's stream, likewise.
    pub bytes_per_s: f64,
    /// Whether it streams and moves.
    pub moves: bool,
}

impl History {
    /// Adds a point when one is due; call it as often as you like.
    pub fn look(&self, board: &Board, now: Instant) {
        let mut points = self.lock();
        let since = points.last.map(|(last, _)| now.saturating_duration_since(last));
        if since.is_some_and(|since| since < EVERY) {
            return;
        }
        let totals = board.links.each_ref().map(|link| Totals::of(link));
        let before = points.last.map_or(totals, |(_, before)| before);
        points.last = Some((now, totals));
        let seconds = since.unwrap_or(EVERY).as_secs_f64();
        let link = |index: usize| {
            let per_s = |of: fn(&Totals) -> u64| (of(&totals[index]) - of(&before[index])) as f64 / seconds;
            let link = &board.links[index];
            LinkPoint {
                lag_ms: link.lag_ms(now),
                writes_per_s: per_s(|totals| totals.writes),
                bytes_per_s: per_s(|totals| totals.bytes),
                moves: link.moves(now),
            }
        };
        let point = Point { at_ms: Timestamp::now().as_millisecond(), links: [link(0), link(1)] };
        if points.points.len() >= MOST_POINTS {
            points.points.pop_front();
        }
        points.points.push_back(point);
    }

    /// The points after this moment (Unix milliseconds), oldest first.
    pub fn since(&self, at_ms: i64) -> Vec<Point> {
        let points = self.lock();
        let first = points.points.partition_point(|point| point.at_ms <= at_ms);
        points.points.range(first..).cloned().collect()
    }

    /// Held for a few instructions only; nothing in there can panic half way.
    fn lock(&self) -> MutexGuard<'_, Points> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Totals {
    fn of(link: &LinkBoard) -> Self {
        Self { writes: link.writes_applied.get(), bytes: link.bytes_read.get() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::tests::board;

    #[test]
    fn a_point_a_second_with_the_rates_since_the_one_before() {
        let start = Instant::now();
        let (board, history) = (board(start), History::default());
        history.look(&board, start);
        board.forward().writes_applied.add(300);
        history.look(&board, start + Duration::from_millis(900));
        history.look(&board, start + Duration::from_millis(1500));
        let points = history.since(0);
        assert_eq!(points.len(), 2, "one was not due");
        let rates: Vec<_> = points.iter().map(|point| point.links[0].writes_per_s).collect();
        assert_eq!(rates, [0.0, 200.0]);
        assert!(!points[0].links[0].moves && points[0].links[0].lag_ms.is_none());
    }

    #[test]
    fn a_quarter_of_an_hour_is_kept_and_what_is_known_is_not_given_again() {
        let start = Instant::now();
        let (board, history) = (board(start), History::default());
        for second in 0..1_000 {
            history.look(&board, start + Duration::from_secs(second));
        }
        let points = history.since(0);
        assert_eq!(points.len(), MOST_POINTS);
        assert!(history.since(points[MOST_POINTS - 1].at_ms).is_empty());
    }
}
