//! What holds for which keys.

use super::order::Ranking;

/// Which of two concurrent writes stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// The later one.
    #[default]
    LastUpdateWins,
    /// That of one region: 0 or 1.
    Region(usize),
    /// Neither is given up: the key is held until somebody decides.
    Hold,
}

/// The policy of each key.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    rest: Policy,
    /// The longest prefix first.
    prefixes: Vec<(Vec<u8>, Policy)>,
}

impl Policies {
    /// `rest` for all keys but those that begin with one of `prefixes`: of several that fit, the longest counts.
    pub fn new(rest: Policy, mut prefixes: Vec<(Vec<u8>, Policy)>) -> Self {
        prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Self { rest, prefixes }
    }

    /// What holds for a key.
    pub fn of(&self, key: &[u8]) -> Policy {
        let longest = self.prefixes.iter().find(|(prefix, _)| key.starts_with(prefix));
        longest.map_or(self.rest, |(_, policy)| *policy)
    }

    /// Whether a key is to be held when two writes of it meet.
    pub fn holds(&self, key: &[u8]) -> bool {
        self.of(key) == Policy::Hold
    }

    /// Whether any key may be held.
    pub fn hold_any(&self) -> bool {
        self.rest == Policy::Hold || self.prefixes.iter().any(|(_, policy)| *policy == Policy::Hold)
    }

    /// How `region` orders the writes of a key.
    pub fn ranking(&self, key: &[u8], region: usize) -> Ranking {
        match self.of(key) {
            Policy::LastUpdateWins | Policy::Hold => Ranking::Time,
            Policy::Region(winner) => Ranking::Region { ours: winner == region },
        }
    }

    /// Whether the order of any key's writes depends on what `region` had seen of the other one when it wrote.
    pub fn follow_the_other(&self, region: usize) -> bool {
        let all = self.prefixes.iter().map(|(_, policy)| policy).chain([&self.rest]);
        all.into_iter().any(|policy| *policy == Policy::Region(1 - region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_of_a_key_counts() {
        let prefixes = vec![(b"a:".to_vec(), Policy::Hold), (b"a:b:".to_vec(), Policy::Region(1))];
        let policies = Policies::new(Policy::LastUpdateWins, prefixes);
        assert_eq!(policies.of(b"a:b:c"), Policy::Region(1));
        assert_eq!(policies.of(b"a:c"), Policy::Hold);
        assert_eq!(policies.of(b"b"), Policy::LastUpdateWins);
        assert_eq!(policies.ranking(b"a:b:c", 0), Ranking::Region { ours: false });
        assert!(policies.follow_the_other(0) && !policies.follow_the_other(1));
    }
}
