//! Which names were in a dump: what the target holds beside them is deleted in the end.
//!
//! What the source holds *then* does not tell it: a key that was deleted before the dump and written again since is held
//! at the source, and the target still has what it held before. The increments begin at the dump, so what they are
//! executed on has to be what was in the dump, no more.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Names are kept in so many parts, so that growing takes no long moment at a time.
const PARTS: usize = 256;

/// The names of a dump, each as a hash of 64 bits: 10 to 21 bytes a name. Beside 100 million of them, one of a million
/// other names is taken for one of them once in 180,000 copies.
#[derive(Debug)]
pub struct Dumped {
    /// Random, so that nobody can choose names that are taken for others.
    seed: u64,
    parts: Vec<HashSet<u64>>,
}

impl Dumped {
    /// No names yet. `seed` is a random number.
    pub fn new(seed: u64) -> Self {
        Self { seed, parts: vec![HashSet::new(); PARTS] }
    }

    /// The dump holds a key of this name in `database`.
    pub fn add(&mut self, database: u32, name: &[u8]) {
        let hash = self.hash(database, name);
        self.parts[part(hash)].insert(hash);
    }

    /// Whether the dump holds a key of this name in `database`.
    pub fn holds(&self, database: u32, name: &[u8]) -> bool {
        let hash = self.hash(database, name);
        self.parts[part(hash)].contains(&hash)
    }

    fn hash(&self, database: u32, name: &[u8]) -> u64 {
        xxh3_64_with_seed(name, self.seed ^ u64::from(database).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

fn part(hash: u64) -> usize {
    (hash >> 32) as usize % PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_held_in_its_database_only() {
        let mut dumped = Dumped::new(7);
        (0..5000).for_each(|index| dumped.add(index % 16, format!("key:{index}").as_bytes()));
        assert!((0..5000).all(|index| dumped.holds(index % 16, format!("key:{index}").as_bytes())));
        assert!(!(0..5000).any(|index| dumped.holds((index + 1) % 16, format!("key:{index}").as_bytes())));
        assert!(!dumped.holds(0, b"") && !dumped.holds(0, b"another"));
    }
}
