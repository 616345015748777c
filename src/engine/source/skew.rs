//! Whether the clocks of both regions are too far apart.

use super::offset::Measured;

/// They agree again below so many percent of the limit: what hovers about the limit does not come and go.
const AGREE_PERCENT: i64 = 90;

/// Judges how far the clocks of both regions are apart.
#[derive(Debug, Clone)]
pub struct Skew {
    limit_us: i64,
    beyond: bool,
}

impl Skew {
    /// Clocks that may be `limit_us` microseconds apart, and are believed to agree until they are known not to.
    pub fn new(limit_us: i64) -> Self {
        Self { limit_us, beyond: false }
    }

    /// Whether they are too far apart by what is known now. Beyond the limit is only what certainly is: a slow network
    /// raises no alarm. What is not known changes nothing.
    pub fn judge(&mut self, apart: Option<Measured>) -> bool {
        if let Some(Measured { offset_us, bound_us }) = apart {
            let distance = offset_us.saturating_abs();
            self.beyond = if self.beyond {
                distance > self.limit_us.saturating_mul(AGREE_PERCENT) / 100
            } else {
                distance.saturating_sub(bound_us) > self.limit_us
            };
        }
        self.beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(offset_ms: i64, bound_ms: i64) -> Option<Measured> {
        Some(Measured { offset_us: offset_ms * 1_000, bound_us: bound_ms * 1_000 })
    }

    #[test]
    fn only_what_is_certainly_beyond_the_limit_is_beyond_it() {
        let mut skew = Skew::new(500_000);
        assert!(!skew.judge(None));
        assert!(!skew.judge(apart(-900, 400)), "the network was slow");
        assert!(skew.judge(apart(-901, 400)));
    }

    #[test]
    fn clocks_about_the_limit_do_not_come_and_go() {
        let mut skew = Skew::new(500_000);
        assert!(skew.judge(apart(502, 1)));
        for offset_ms in [500, 499, 451, -460] {
            assert!(skew.judge(apart(offset_ms, 1)), "{offset_ms}");
        }
        assert!(skew.judge(None), "what is not known changes nothing");
        assert!(!skew.judge(apart(450, 1)));
        assert!(!skew.judge(apart(500, 1)));
    }
}
