//! A scan in several parts at once, so that a long way to the server is waited for once and not for each step.
//!
//! Outside of cluster mode a cursor of `SCAN` is a number whose bits, read from the last one to the first, count up: a step
//! gives all keys whose hashes, read the same way, lie from there up to the cursor that it returns, whatever size the table
//! has at that moment, and also while it is being made larger or smaller. (Redis 5.0 to 8.0: `dictScan` in `src/dict.c`, and
//! since 7.4 `kvstoreScan` in `src/kvstore.c`, which adds nothing where there is one dictionary; Valkey since 8.1:
//! `hashtableScanDefrag` in `src/hashtable.c`. All skip what has moved to the other table only where that one is gone through
//! in the same step.) So a step depends on nothing but its cursor, and a scan may begin anywhere: what is true of the scan as
//! a whole, that it gives each key that is there all the time, is true of each part of that range.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::source::Server;
use crate::wire::rdb::Dialect;

/// Names that one step goes through: the server does nothing else for about half a millisecond.
pub const STEP: u64 = 1_000;
/// So many names a second are to come however long the way is.
const PER_SECOND: f64 = 300_000.0;
/// The most parts.
const MOST: u64 = 64;
/// Steps that a part is worth.
const STEPS: u64 = 4;

/// What is left of a part of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Where it goes on.
    cursor: u64,
    /// Where the next one begins, read from the last bit to the first; 0 for the last one.
    until: u64,
}

impl Stretch {
    /// Whether the cursors of a server are known to be as described above: its program and version, and the `redis_mode` of
    /// its `INFO`.
    pub fn is_known(server: Server, mode: &str) -> bool {
        let versions = match server.dialect {
            Dialect::Redis => 5..=8,
            Dialect::Valkey => 7..=9,
        };
        mode == "standalone" && versions.contains(&server.version.0)
    }

    /// A whole scan in so many parts, a power of two up to 64.
    pub fn parts(count: u64) -> Vec<Self> {
        let each = (u64::MAX / count.max(1)).wrapping_add(1);
        (0..count.max(1))
            .map(|at| Self { cursor: each.wrapping_mul(at).reverse_bits(), until: each.wrapping_mul(at + 1) })
            .collect()
    }

    /// In how many parts a database of so many keys is worth to be scanned, over a way that takes `round_trip` there and
    /// back.
    pub fn worth(keys: u64, round_trip: Duration) -> u64 {
        let on_their_way = round_trip.as_secs_f64() * PER_SECOND / STEP as f64;
        let useful = (on_their_way as u64).max(1).next_power_of_two();
        let fitting = (keys / (STEPS * STEP)).max(1);
        useful.min(MOST).min(1 << fitting.ilog2())
    }

    /// What the next step is asked with.
    pub fn cursor(self) -> u64 {
        self.cursor
    }

    /// What is left after a step that has returned `cursor`.
    pub fn after(self, cursor: u64) -> Option<Self> {
        let is_over = cursor == 0 || (self.until != 0 && cursor.reverse_bits() >= self.until);
        (!is_over).then_some(Self { cursor, ..self })
    }

    /// The cursor of the part into which a step has reached that has returned `cursor`: what that one gives first may be
    /// among what this step has given.
    pub fn reached(self, cursor: u64) -> Option<u64> {
        let is_beyond = self.until != 0 && (cursor == 0 || cursor.reverse_bits() > self.until);
        is_beyond.then(|| self.until.reverse_bits())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::command::Version;

    /// A step of a server: the positions that it gives in a table of so many bits, and the next cursor.
    fn step(cursor: u64, bits: u32) -> ([u64; 2], u64) {
        let size = 1_u64 << (64 - bits);
        let first = cursor.reverse_bits() & !(size - 1);
        ([first, first + (size - 1)], first.wrapping_add(size).reverse_bits())
    }

    #[test]
    fn one_part_is_the_whole_scan() {
        let [whole] = Stretch::parts(1)[..] else { panic!("not one") };
        assert_eq!(whole.cursor(), 0);
        assert_eq!(whole.after(0), None);
        assert_eq!(whole.after(5).map(Stretch::cursor), Some(5));
        assert_eq!(whole.reached(0), None);
    }

    #[test]
    fn parts_begin_at_the_lowest_bits() {
        let cursors: BTreeSet<u64> = Stretch::parts(8).into_iter().map(Stretch::cursor).collect();
        assert_eq!(cursors, (0..8).collect());
    }

    #[test]
    fn a_long_way_is_worth_many_parts_and_few_keys_are_not() {
        let ms = Duration::from_millis;
        let worth = |keys, way| Stretch::worth(keys, ms(way));
        assert_eq!((worth(1_000_000, 0), worth(1_000_000, 80), worth(1_000_000_000, 900)), (1, 32, 64));
        assert_eq!((worth(0, 80), worth(7_999, 80), worth(8_000, 80), worth(100_000, 80)), (1, 1, 2, 16));
    }

    #[test]
    fn a_cluster_and_a_version_to_come_are_scanned_as_a_whole() {
        let server = |dialect, major| Server { dialect, version: Version(major, 0, 0) };
        for (dialect, major) in [(Dialect::Redis, 6), (Dialect::Redis, 8), (Dialect::Valkey, 9)] {
            assert!(Stretch::is_known(server(dialect, major), "standalone"));
            assert!(!Stretch::is_known(server(dialect, major), "cluster"));
        }
        assert!(!Stretch::is_known(server(Dialect::Redis, 9), "standalone"));
        assert!(!Stretch::is_known(server(Dialect::Valkey, 10), "standalone"));
    }

    proptest! {
        /// Whatever size the table has at each step, all positions are given, and no part goes on for ever.
        #[test]
        fn all_parts_together_give_everything(power in 0_u32..7, sizes in proptest::collection::vec(1_u32..9, 1..50)) {
            let mut given: Vec<[u64; 2]> = Vec::new();
            let mut sizes = sizes.iter().cycle();
            for part in Stretch::parts(1 << power) {
                let mut left = Some(part);
                let mut steps = 0;
                while let (Some(stretch), Some(bits)) = (left, sizes.next()) {
                    let (positions, next) = step(stretch.cursor(), *bits);
                    given.push(positions);
                    if let Some(begins) = stretch.reached(next) {
                        prop_assert!(positions[1] >= begins.reverse_bits());
                    }
                    left = stretch.after(next);
                    steps += 1;
                    prop_assert!(steps <= 256);
                }
            }
            given.sort_unstable();
            let mut until = 0;
            for [first, last] in given {
                prop_assert!(first <= until, "nothing gave {until:x}");
                until = until.max(last.saturating_add(1));
            }
            prop_assert_eq!(until, u64::MAX);
        }
    }
}
