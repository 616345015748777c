//! An answer that does not flap.

/// How many looks in a row must agree before the answer changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edges {
    /// Good ones, before a region that was out is back in.
    pub rise: u32,
    /// Bad ones, before a region that was in is out.
    pub fall: u32,
}

/// One answer. The first look is believed at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hysteresis {
    serves: bool,
    /// Looks in a row that say the opposite.
    against: u32,
    began: bool,
}

impl Hysteresis {
    /// One more look: `good` or not. A bad one that is `certain` counts at once.
    pub fn look(&mut self, edges: Edges, good: bool, certain: bool) {
        if !self.began || (certain && !good) {
            *self = Self { serves: good, against: 0, began: true };
            return;
        }
        if good == self.serves {
            self.against = 0;
            return;
        }
        self.against += 1;
        if self.against >= self.needed(edges) {
            *self = Self { serves: good, against: 0, began: true };
        }
    }

    /// The answer.
    pub fn serves(self) -> bool {
        self.serves
    }

    /// Looks that agree on the opposite of the answer, and how many are needed; `None` when the last one agreed with it.
    pub fn turning(self, edges: Edges) -> Option<(u32, u32)> {
        (self.against > 0).then(|| (self.against, self.needed(edges)))
    }

    fn needed(self, edges: Edges) -> u32 {
        if self.serves { edges.fall } else { edges.rise }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGES: Edges = Edges { rise: 3, fall: 2 };

    fn after(looks: &str) -> bool {
        let mut answer = Hysteresis::default();
        looks.chars().for_each(|look| answer.look(EDGES, look == '+', look == '!'));
        answer.serves()
    }

    #[test]
    fn the_first_look_is_believed() {
        assert!(after("+"));
        assert!(!after("-"));
    }

    #[test]
    fn out_after_fall_bad_looks_in_a_row_and_back_after_rise_good_ones() {
        assert!(after("+-") && !after("+--"));
        assert!(!after("-++") && after("-+++"));
    }

    #[test]
    fn looks_that_alternate_change_nothing() {
        assert!(after("+-+-+-+-+-+"));
        assert!(!after("-++-++-++-++"));
    }

    #[test]
    fn what_is_certain_counts_at_once_and_comes_back_slowly() {
        assert!(!after("++++!"));
        assert!(!after("++++!++") && after("++++!+++"));
    }

    #[test]
    fn what_is_about_to_change_can_be_told() {
        let mut answer = Hysteresis::default();
        for good in [false, true, true] {
            answer.look(EDGES, good, false);
        }
        assert_eq!(answer.turning(EDGES), Some((2, 3)));
        answer.look(EDGES, true, false);
        assert_eq!(answer.turning(EDGES), None);
    }
}
