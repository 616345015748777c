//! Keys that are to be looked at: whether they are there still, and how long they live.

use super::{Exchange, Name};
use crate::engine::conflict::lives::{Decided, Life};

/// A key that is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It has expired in the other region.
    Departed(Name),
    /// Its lives in both regions are compared.
    Life(Name),
}

impl Look {
    /// The key.
    pub fn name(&self) -> &Name {
        match self {
            Self::Departed(name) | Self::Life(name) => name,
        }
    }
}

impl Exchange {
    /// These keys have expired at the other region, and nobody in `region` had prolonged them: so it is to be looked at
    /// whether they are about to expire there, too.
    pub fn look(&mut self, region: usize, names: Vec<Name>) {
        self.sides[region].looks.extend(names);
    }

    /// The time to live of a key is to be compared, on account of `region`, whose `pin` holds the checkpoints back until then.
    pub fn compare_lives(&mut self, name: Name, region: usize, pin: u64) {
        if let Some(pin) = self.lives.compare(name, region, pin) {
            self.unpin(pin);
        }
    }

    /// What is to be looked at in `region` now, up to `most` keys; `now_ms` counts from anywhere, and never back. And whether
    /// there is more later.
    pub fn take_looks(&mut self, region: usize, now_ms: i64, most: usize) -> (Vec<Look>, bool) {
        let looks = &mut self.sides[region].looks;
        let departed: Vec<Name> = looks.drain(..most.min(looks.len())).collect();
        let more = !looks.is_empty();
        let (lives, later) = self.lives.wanted(region, now_ms, most - departed.len());
        let looks = departed.into_iter().map(Look::Departed).chain(lives.into_iter().map(Look::Life));
        (looks.collect(), more || later)
    }

    /// A look at a key of `region` could not be made.
    pub fn not_looked(&mut self, region: usize, look: Look) {
        match look {
            Look::Departed(name) => self.sides[region].looks.push(name),
            Look::Life(name) => self.lives.not_found(region, &name),
        }
    }

    /// What a look at a key of `region` has shown, whose clock says `now_ms`. A key that has expired in the other region is made
    /// equal by its value if it lives longer than clocks can be apart, `linger_ms`; one whose lives were to be compared if
    /// they differ. Gives whether it is.
    pub fn looked(&mut self, region: usize, look: Look, life: Life, (now_ms, linger_ms): (i64, i64)) -> bool {
        match look {
            Look::Departed(name) => {
                let lives_on = match life {
                    Life::None => false,
                    Life::Endless => true,
                    Life::Until(at) => at - now_ms > linger_ms,
                };
                let stays = lives_on && !self.settles.has(name.0, &name.1);
                if stays {
                    self.refused(region, name);
                }
                stays
            }
            Look::Life(name) => {
                let Some(Decided { pin, differs }) = self.lives.found(region, &name, life) else { return false };
                match differs {
                    // Held back until the key waits for the value.
                    Some(shorter) => {
                        self.refused(shorter, name);
                        self.sides[shorter].left.push(pin);
                    }
                    None => self.unpin(pin),
                }
                differs.is_some()
            }
        }
    }
}
