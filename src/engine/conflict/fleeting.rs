//! Keys whose time is over, or nearly, when they are put at the target: it may hold nothing of them then. At the source they
//! may have been prolonged since the dump was fixed. What the stream brings of such a key in part would be all that the target
//! holds, so the key takes the source's value. (A key that expires later is removed by the target itself, which its stream
//! shows.)

use std::collections::HashMap;

use super::window::shown;

/// A key is one if it has no longer to live than this when it is read from the dump, milliseconds: what it takes to get to the
/// target.
const SOON_MS: i64 = 60_000;
/// So many are told apart; beyond that every key that is written counts as one, as long as any may be.
const MOST: usize = 1 << 20;

/// Such keys, by hash, with the time at which they expire.
#[derive(Debug, Default)]
pub struct Fleeting {
    keys: HashMap<u64, i64>,
    /// There were more.
    overflows: bool,
    /// None expires later.
    last_ms: i64,
}

/// A write of a key.
#[derive(Debug, Clone, Copy)]
pub struct Touch {
    /// It sets or removes the whole value.
    pub replaces: bool,
    /// When it was made, by the source's clock, Unix milliseconds.
    pub at_ms: i64,
    /// That clock now.
    pub now_ms: i64,
    /// How far clocks may be apart, milliseconds.
    pub linger_ms: i64,
}

impl Fleeting {
    /// A key that expires at `expires_at_ms` is put at the target; the source's clock says `now_ms`.
    pub fn put(&mut self, database: u32, name: &[u8], expires_at_ms: i64, now_ms: i64) {
        if expires_at_ms > now_ms + SOON_MS {
            return;
        }
        self.last_ms = self.last_ms.max(expires_at_ms);
        if self.keys.len() < MOST {
            self.keys.insert(shown(database, name), expires_at_ms);
        } else {
            self.overflows = true;
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && !self.overflows
    }

    /// A key is written. Tells whether the target may lack what it held: once.
    pub fn lacks(&mut self, database: u32, name: &[u8], touch: Touch) -> bool {
        let Touch { replaces, at_ms, now_ms, linger_ms } = touch;
        if at_ms > self.last_ms + linger_ms {
            *self = Self::default();
            return false;
        }
        let key = shown(database, name);
        let expires_at_ms = self.keys.get(&key).copied().or(self.overflows.then_some(self.last_ms));
        let Some(expires_at_ms) = expires_at_ms else { return false };
        let is_there = now_ms + linger_ms < expires_at_ms;
        if is_there && !replaces {
            return false;
        }
        self.keys.remove(&key);
        // What was written behind its end made it anew.
        !replaces && at_ms <= expires_at_ms + linger_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(at_ms: i64, now_ms: i64) -> Touch {
        Touch { replaces: false, at_ms, now_ms, linger_ms: 10 }
    }

    #[test]
    fn a_key_that_was_prolonged_in_time_and_is_over_at_the_target_is_told_once() {
        let mut fleeting = Fleeting::default();
        for (name, expires_at_ms) in [(b"a", 1_000), (b"b", 1_000), (b"c", 1_000), (b"d", 500_000)] {
            fleeting.put(0, name, expires_at_ms, 900);
        }
        assert!(!fleeting.lacks(0, b"d", touch(950, 400_000)), "it lives long enough");
        assert!(!fleeting.lacks(1, b"a", touch(950, 2_000)), "another database");
        assert!(!fleeting.lacks(0, b"a", touch(950, 960)), "it is there still");
        assert!(fleeting.lacks(0, b"a", touch(950, 2_000)));
        assert!(!fleeting.lacks(0, b"a", touch(950, 2_000)), "once");
        assert!(!fleeting.lacks(0, b"b", Touch { replaces: true, ..touch(950, 2_000) }));
        assert!(!fleeting.lacks(0, b"b", touch(951, 2_000)), "it was replaced");
        assert!(!fleeting.is_empty() && !fleeting.lacks(0, b"c", touch(1_011, 2_000)), "it was made anew");
        assert!(fleeting.is_empty(), "nothing of then can come any more");
    }

    #[test]
    fn beyond_so_many_every_key_counts() {
        let mut fleeting = Fleeting::default();
        (0..=MOST).for_each(|key| fleeting.put(0, &key.to_be_bytes(), 1_000, 900));
        assert!(fleeting.lacks(0, b"any", touch(950, 2_000)));
        (0..MOST).for_each(|key| assert!(fleeting.lacks(0, &key.to_be_bytes(), touch(950, 2_000))));
        assert!(!fleeting.is_empty(), "there were more than were told apart");
        assert!(!fleeting.lacks(0, b"any", touch(1_011, 2_000)) && fleeting.is_empty());
    }
}
