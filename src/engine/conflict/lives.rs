//! Keys whose times to live are compared: where additions and removals of elements changed places, a key may have lost its
//! last element, and with it its time to live, in one region and not in the other. Its elements are right all the same.

use std::collections::BTreeMap;

use super::exchange::Name;

/// How long a key is let alone before it is looked at, milliseconds: doubling from look to look.
const FIRST_PAUSE_MS: i64 = 20;
/// Looks that have to find the same difference: one alone may have found a change that is on its way.
const LOOKS: u32 = 3;
/// Looks at the most, where each finds another difference: then the key is made equal.
const MOST_LOOKS: u32 = 8;
/// How far the same life may seem apart at servers that tell relative times, milliseconds.
const BLUR_MS: i64 = 10;

/// Until when a key lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// There is no such key.
    None,
    /// For ever.
    Endless,
    /// Until then, Unix milliseconds.
    Until(i64),
}

impl Life {
    /// What `PEXPIRETIME` says, or the time by the server's clock with what `PTTL` says added, Unix milliseconds.
    pub fn told(expires_at_ms: i64) -> Self {
        match expires_at_ms {
            -1 => Self::Endless,
            at if at < 0 => Self::None,
            at => Self::Until(at),
        }
    }

    /// Whether a key with these lives in the two regions needs no mending.
    fn agrees(self, other: Self) -> bool {
        match (self, other) {
            (Self::Until(one), Self::Until(other)) => (one - other).abs() <= BLUR_MS,
            _ => self == other,
        }
    }

    /// The longer life counts as the larger.
    fn length(self) -> i64 {
        match self {
            Self::None => i64::MIN,
            Self::Until(at) => at,
            Self::Endless => i64::MAX,
        }
    }
}

/// One key that is compared.
#[derive(Debug)]
struct Compared {
    /// On whose account, and what holds the checkpoints back until it is decided.
    pin: (usize, u64),
    /// It was asked for again meanwhile: another comparison follows.
    next: Option<(usize, u64)>,
    not_before_ms: Option<i64>,
    asked: [bool; 2],
    found: [Option<Life>; 2],
    /// What the last look found, and how many in a row did; how many there were.
    last: Option<[Life; 2]>,
    same: u32,
    looks: u32,
}

impl Compared {
    fn new(pin: (usize, u64)) -> Self {
        Self {
            pin,
            next: None,
            not_before_ms: None,
            asked: [false; 2],
            found: [None; 2],
            last: None,
            same: 0,
            looks: 0,
        }
    }

    fn look_again(&mut self) {
        (self.not_before_ms, self.asked, self.found) = (None, [false; 2], [None; 2]);
    }
}

/// What a comparison came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Decided {
    /// What held the checkpoints back until now.
    pub pin: u64,
    /// The region with the shorter life, if they differ: it takes the other one's value.
    pub differs: Option<usize>,
}

/// All keys that are compared.
#[derive(Debug, Default)]
pub struct Lives {
    keys: BTreeMap<Name, Compared>,
}

impl Lives {
    /// The lives of a key are to be compared, on account of `region`; `pin` holds the checkpoints back until then. Gives a
    /// pin that is not needed.
    pub fn compare(&mut self, name: Name, region: usize, pin: u64) -> Option<u64> {
        match self.keys.get_mut(&name) {
            Some(compared) if compared.next.is_some() => Some(pin),
            Some(compared) => {
                compared.next = Some((region, pin));
                None
            }
            None => {
                self.keys.insert(name, Compared::new((region, pin)));
                None
            }
        }
    }

    /// A session of the link that reads `region` begins: it finds again what it had asked for.
    pub fn begin(&mut self, region: usize) {
        self.keys.retain(|_, compared| {
            let rest: Vec<_> =
                [Some(compared.pin), compared.next].into_iter().flatten().filter(|pin| pin.0 != region).collect();
            let Some(first) = rest.first() else { return false };
            *compared = Compared { next: rest.get(1).copied(), ..Compared::new(*first) };
            true
        });
    }

    /// Keys that are to be looked at in `region` now, up to `most`; and whether there may be others later.
    pub fn wanted(&mut self, region: usize, now_ms: i64, most: usize) -> (Vec<Name>, bool) {
        let (mut names, mut later) = (Vec::new(), false);
        for (name, compared) in &mut self.keys {
            let pause = FIRST_PAUSE_MS << compared.looks.min(MOST_LOOKS);
            let not_before_ms = *compared.not_before_ms.get_or_insert(now_ms + pause);
            // Until the other region has answered it is not known whether another look is needed.
            later = true;
            if compared.asked[region] || not_before_ms > now_ms || names.len() >= most {
                continue;
            }
            compared.asked[region] = true;
            names.push(name.clone());
        }
        (names, later)
    }

    /// The look could not be made.
    pub fn not_found(&mut self, region: usize, name: &Name) {
        if let Some(compared) = self.keys.get_mut(name) {
            compared.asked[region] = false;
        }
    }

    /// So long the key lives in `region`. Gives what a comparison came to that is over.
    pub fn found(&mut self, region: usize, name: &Name, life: Life) -> Option<Decided> {
        let compared = self.keys.get_mut(name)?;
        compared.found[region] = Some(life);
        let [Some(one), Some(other)] = compared.found else { return None };
        let lives = [one, other];
        compared.looks += 1;
        compared.same = if compared.last.replace(lives) == Some(lives) { compared.same + 1 } else { 1 };
        let agrees = one.agrees(other);
        if !agrees && compared.same < LOOKS && compared.looks < MOST_LOOKS {
            compared.look_again();
            return None;
        }
        let (_, pin) = compared.pin;
        match compared.next.take() {
            Some(next) => *compared = Compared::new(next),
            None => drop(self.keys.remove(name)),
        }
        let shorter = usize::from(one.length() > other.length());
        Some(Decided { pin, differs: (!agrees).then_some(shorter) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Name {
        (0, b"k".to_vec())
    }

    /// One look in both regions.
    fn look(lives: &mut Lives, found: [Life; 2]) -> Option<Decided> {
        for region in [0, 1] {
            lives.wanted(region, 0, 9);
            assert_eq!(lives.wanted(region, i64::MAX / 2, 9).0, [name()]);
        }
        assert_eq!(lives.found(0, &name(), found[0]), None);
        lives.found(1, &name(), found[1])
    }

    #[test]
    fn equal_lives_end_the_comparison() {
        let mut lives = Lives::default();
        lives.compare(name(), 0, 7);
        assert_eq!(look(&mut lives, [Life::Endless; 2]), Some(Decided { pin: 7, differs: None }));
        assert_eq!(lives.wanted(0, 0, 9), (vec![], false));
    }

    #[test]
    fn only_a_difference_that_stays_is_one_and_the_longer_life_counts() {
        let mut lives = Lives::default();
        lives.compare(name(), 0, 7);
        let differ = [Life::Endless, Life::Until(5)];
        assert_eq!(look(&mut lives, differ), None);
        assert_eq!(look(&mut lives, [Life::Until(900), Life::Until(5)]), None, "it changes still");
        assert_eq!(look(&mut lives, differ), None);
        assert_eq!(look(&mut lives, differ), None);
        assert_eq!(look(&mut lives, differ), Some(Decided { pin: 7, differs: Some(1) }));
    }

    #[test]
    fn what_is_asked_for_meanwhile_is_compared_behind_it() {
        let mut lives = Lives::default();
        assert_eq!(lives.compare(name(), 0, 7), None);
        assert_eq!(lives.compare(name(), 1, 8), None);
        assert_eq!(lives.compare(name(), 1, 9), Some(9));
        assert_eq!(look(&mut lives, [Life::None; 2]), Some(Decided { pin: 7, differs: None }));
        assert_eq!(look(&mut lives, [Life::None; 2]), Some(Decided { pin: 8, differs: None }));
    }

    #[test]
    fn a_session_that_begins_asks_again_for_what_it_had_asked_for() {
        let mut lives = Lives::default();
        lives.compare(name(), 0, 7);
        lives.compare(name(), 1, 8);
        lives.begin(0);
        assert_eq!(look(&mut lives, [Life::None; 2]), Some(Decided { pin: 8, differs: None }));
        lives.compare(name(), 1, 9);
        lives.begin(1);
        assert_eq!(lives.wanted(0, 0, 9), (vec![], false));
    }
}
