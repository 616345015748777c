//! How far a server's clock is from ours, and those of two servers are apart: never more exactly than a round trip tells.

use std::collections::VecDeque;

/// How long an exchange counts, microseconds.
const REMEMBERED_US: i64 = 60_000_000;
/// How much a clock may gain or lose meanwhile, parts in a million: quartz does less, and so does NTP that slews.
const DRIFT_PPM: i64 = 100;
/// Exchanges that are kept at most. Only those are that are better than all later ones.
const MOST_EXCHANGES: usize = 256;

/// How far a clock is from another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// By how much it is ahead, microseconds; negative where it is behind.
    pub offset_us: i64,
    /// By how much that may be wrong at most, microseconds.
    pub bound_us: i64,
}

/// One server's clock against ours, from the exchanges of the last minute. The one that took least time is believed.
#[derive(Debug, Clone, Default)]
pub struct Offset {
    /// When it was, and what it told; the best first, each better than all that came later.
    exchanges: VecDeque<(i64, Measured)>,
    latest_us: i64,
}

impl Offset {
    /// The server answered that its time was `server_us` when ours was between `asked_us` and `answered_us`, all in
    /// microseconds. An answer that what was known before rules out tells that the clock was set: then it alone counts.
    pub fn learn(&mut self, server_us: i64, asked_us: i64, answered_us: i64) {
        let round_trip = answered_us.saturating_sub(asked_us).max(0);
        let middle = asked_us.saturating_add(round_trip / 2);
        let told = Measured { offset_us: server_us.saturating_sub(middle), bound_us: round_trip / 2 + 1 };
        if self.at(answered_us).is_some_and(|known| !known.agrees(told)) {
            self.exchanges.clear();
        }
        self.latest_us = answered_us;
        while self.exchanges.back().is_some_and(|(at, known)| known.aged(answered_us - at).bound_us >= told.bound_us) {
            self.exchanges.pop_back();
        }
        if self.exchanges.len() == MOST_EXCHANGES {
            self.exchanges.pop_back();
        }
        self.exchanges.push_back((answered_us, told));
        while self.exchanges.front().is_some_and(|(at, _)| answered_us - at > REMEMBERED_US) {
            self.exchanges.pop_front();
        }
    }

    /// What is known when our clock says `now_us`; nothing when the server has not answered for a minute.
    pub fn at(&self, now_us: i64) -> Option<Measured> {
        let since = |at: i64| now_us.saturating_sub(at).max(0);
        let (at, known) = self.exchanges.front()?;
        (since(self.latest_us) <= REMEMBERED_US).then(|| known.aged(since(*at)))
    }
}

impl Measured {
    /// By how much the clock `theirs` is ahead of the clock `ours`, both measured against the same one.
    pub fn between(ours: Self, theirs: Self) -> Self {
        Self {
            offset_us: theirs.offset_us.saturating_sub(ours.offset_us),
            bound_us: theirs.bound_us.saturating_add(ours.bound_us),
        }
    }

    fn aged(self, age_us: i64) -> Self {
        Self { bound_us: self.bound_us.saturating_add(age_us.saturating_mul(DRIFT_PPM) / 1_000_000), ..self }
    }

    fn agrees(self, other: Self) -> bool {
        let distance = self.offset_us.saturating_sub(other.offset_us).saturating_abs();
        distance <= self.bound_us.saturating_add(other.bound_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quickest_exchange_is_believed_until_it_is_old() {
        let mut offset = Offset::default();
        offset.learn(5_000_000, 100_000, 102_000);
        assert_eq!(offset.at(102_000), Some(Measured { offset_us: 4_899_000, bound_us: 1_001 }));
        offset.learn(5_300_000, 150_000, 650_000);
        assert_eq!(offset.at(650_000).unwrap().offset_us, 4_899_000, "a slow exchange says less");
        let later = 102_000 + REMEMBERED_US;
        assert_eq!(offset.at(later).unwrap().bound_us, 1_001 + 6_000, "a clock may have run away meanwhile");
        offset.learn(4_899_000 + later, later, later + 400_000);
        assert_eq!(offset.at(later + 400_000).unwrap().bound_us, 200_001);
    }

    #[test]
    fn a_clock_that_was_set_is_believed_at_once() {
        let mut offset = Offset::default();
        offset.learn(1_000_000, 0, 2_000);
        offset.learn(1_900_000, 500_000, 900_000);
        assert_eq!(offset.at(900_000).unwrap().offset_us, 999_000, "it may still be what it was");
        offset.learn(3_601_000_000, 1_000_000, 1_010_000);
        assert_eq!(offset.at(1_010_000).unwrap(), Measured { offset_us: 3_599_995_000, bound_us: 5_001 });
    }

    #[test]
    fn nothing_is_known_of_a_server_that_has_been_silent_for_a_minute() {
        let mut offset = Offset::default();
        assert_eq!(offset.at(0), None);
        offset.learn(0, 0, 2);
        assert!(offset.at(REMEMBERED_US).is_some());
        assert_eq!(offset.at(REMEMBERED_US + 3), None);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut offset = Offset::default();
        for number in 0..1_000 {
            offset.learn(0, number * 100, number * 100 + 10 * number);
        }
        assert!(offset.exchanges.len() <= MOST_EXCHANGES);
    }
}
