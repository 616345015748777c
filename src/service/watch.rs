//! Which loops have stood still, and whether a link that should move does.

use std::time::{Duration, Instant};

/// How long a link that streams may read and write nothing while both of its servers answer. Each heartbeat of the source is
/// a write in its stream, and a server that owes an answer is given up long before.
const MOVES_WITHIN: Duration = Duration::from_secs(60);

/// Watches loops by their counts of rounds.
#[derive(Debug)]
pub struct Watch {
    limit: Duration,
    seen: Vec<Seen>,
    looked: Instant,
}

#[derive(Debug)]
struct Seen {
    rounds: u64,
    at: Instant,
}

impl Watch {
    /// A watch that lets a loop take `limit` for one round. It begins at `now` with `loops` loops that have not gone round.
    pub fn new(limit: Duration, loops: usize, now: Instant) -> Self {
        Self { limit, seen: (0..loops).map(|_| Seen { rounds: 0, at: now }).collect(), looked: now }
    }

    /// Looks at the counts of all loops (`None` for one that has ended); gives the loops that have stood still for longer than they
    /// may, by their index, and for how long. Where it was not looked for that long itself, the whole process was stopped, or
    /// its machine was: that is not counted.
    pub fn look(&mut self, rounds: &[Option<u64>], now: Instant) -> Vec<(usize, Duration)> {
        let unlooked = now.saturating_duration_since(std::mem::replace(&mut self.looked, now));
        if unlooked > self.limit / 4 {
            self.seen.iter_mut().for_each(|seen| seen.at += unlooked);
        }
        let mut still = Vec::new();
        for (index, (seen, rounds)) in self.seen.iter_mut().zip(rounds).enumerate() {
            match rounds {
                Some(rounds) if *rounds == seen.rounds => {
                    let stood = now.saturating_duration_since(seen.at);
                    still.extend((stood > self.limit).then_some((index, stood)));
                }
                Some(rounds) => *seen = Seen { rounds: *rounds, at: now },
                None => seen.at = now,
            }
        }
        still
    }
}

/// Whether one session of a link moves what it is there to move.
#[derive(Debug)]
pub struct Movement {
    figures: [u64; 2],
    at: Instant,
}

impl Movement {
    /// A session that begins at `now`.
    pub fn new(now: Instant) -> Self {
        Self { figures: [0; 2], at: now }
    }

    /// Tells whether the session moves: `read` bytes of the source and `applied` transactions at the target in all, or it is
    /// `excused` from moving, or that was so not long ago.
    pub fn moves(&mut self, read: u64, applied: u64, excused: bool, now: Instant) -> bool {
        let figures = [read, applied];
        if excused || figures != self.figures {
            *self = Self { figures, at: now };
        }
        now.saturating_duration_since(self.at) <= MOVES_WITHIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn after(began: Instant, seconds: u64) -> Instant {
        began + Duration::from_secs(seconds)
    }

    /// Looks every second from behind `from` up to `to`; gives what was found then.
    fn looked(
        watch: &mut Watch,
        rounds: &[Option<u64>],
        (from, to): (u64, u64),
        began: Instant,
    ) -> Vec<(usize, Duration)> {
        let looks = (from + 1..=to).map(|second| watch.look(rounds, after(began, second)));
        looks.last().expect("it was looked")
    }

    #[test]
    fn loops_that_go_round_are_not_still_however_slowly_the_clock_is_looked_at() {
        let began = Instant::now();
        let mut watch = Watch::new(LIMIT, 2, began);
        for minute in 1..10 {
            assert_eq!(watch.look(&[Some(minute), Some(minute * 7)], after(began, minute * 60)), []);
        }
    }

    #[test]
    fn one_loop_that_stands_still_is_found_after_the_limit_while_the_others_go_round() {
        let began = Instant::now();
        let mut watch = Watch::new(LIMIT, 3, began);
        assert_eq!(watch.look(&[Some(5), Some(5), Some(5)], began), []);
        assert_eq!(looked(&mut watch, &[Some(6), Some(5), Some(6)], (0, 30), began), []);
        assert_eq!(watch.look(&[Some(7), Some(5), Some(7)], after(began, 31)), [(1, Duration::from_secs(31))]);
        assert_eq!(watch.look(&[Some(8), Some(6), Some(8)], after(began, 32)), [], "it goes round again");
        assert_eq!(looked(&mut watch, &[Some(9), Some(6), Some(9)], (32, 62), began), []);
    }

    #[test]
    fn a_loop_that_never_began_is_found_and_one_that_has_ended_is_not() {
        let began = Instant::now();
        let mut watch = Watch::new(LIMIT, 2, began);
        assert_eq!(looked(&mut watch, &[Some(0), None], (0, 100), began), [(0, Duration::from_secs(100))]);
    }

    #[test]
    fn the_time_in_which_the_whole_process_was_stopped_is_not_counted() {
        let began = Instant::now();
        let mut watch = Watch::new(LIMIT, 1, began);
        assert_eq!(looked(&mut watch, &[Some(0)], (0, 20), began), []);
        assert_eq!(watch.look(&[Some(0)], after(began, 80)), [], "it was stopped for a minute");
        assert_eq!(looked(&mut watch, &[Some(0)], (80, 90), began), [], "30 s in all");
        assert_eq!(watch.look(&[Some(0)], after(began, 91)), [(0, Duration::from_secs(31))]);
    }

    #[test]
    fn a_session_moves_while_it_reads_or_applies_or_is_excused_and_for_a_while_after() {
        let began = Instant::now();
        let mut movement = Movement::new(began);
        assert!(movement.moves(1, 0, false, after(began, 59)), "it reads");
        assert!(movement.moves(1, 1, false, after(began, 118)), "it applies");
        assert!(movement.moves(1, 1, false, after(began, 178)), "not for long yet");
        assert!(!movement.moves(1, 1, false, after(began, 179)), "a pipeline that is deadlocked");
        assert!(movement.moves(1, 1, true, after(began, 500)), "it is to hold");
        assert!(movement.moves(1, 1, false, after(began, 560)));
        assert!(!movement.moves(1, 1, false, after(began, 561)));
    }
}
