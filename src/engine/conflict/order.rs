//! In which order the writes of one key count.

use super::stamp::Stamp;

/// The place of a write among all of its key: the larger one is the later one.
///
/// By time: stamp, rank of the region, and within one transaction as they were executed. By region: see `Ranking`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order(pub i64, pub u8, pub u64);

impl Order {
    /// Before any write.
    pub const WEAKEST: Self = Self(i64::MIN, 0, 0);
}

/// How the writes of a key are ordered, as one of the two regions sees it. Both come to the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ranking {
    /// By their stamps.
    #[default]
    Time,
    /// Of concurrent writes those of one region are later. All are ordered by their place in that region's stream: its own
    /// stand at their own, one of the other region directly behind the last that it had seen. That needs no clock, and a
    /// write is later than all that it had seen, whichever region made it.
    Region {
        /// Whether it is the region that looks.
        ours: bool,
    },
}

/// A write, as its order depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Author {
    /// Whether a client of the region that looks wrote it.
    pub local: bool,
    /// When it was written.
    pub stamp: Stamp,
    /// Where it stands in the stream of its region.
    pub id: u64,
    /// Up to where its region had executed the other one's writes when it was written, in that one's stream.
    pub seen: u64,
}

impl Ranking {
    /// The place of a write.
    pub fn order(self, write: Author) -> Order {
        let Author { local, stamp, id, seen } = write;
        let place = |place: u64| i64::try_from(place).unwrap_or(i64::MAX);
        match self {
            // What a server did by itself is no rival of a client's write, wherever it stands.
            Self::Region { .. } if stamp.time_us > Stamp::WEAKEST.time_us => {
                if self == (Self::Region { ours: local }) {
                    Order(place(id), 0, id)
                } else {
                    Order(place(seen), 1, id)
                }
            }
            Self::Time | Self::Region { .. } => Order(stamp.time_us, stamp.rank, id),
        }
    }

    /// Whether a write had seen another one, of which only the place is known: it was executed behind it in its own region.
    pub fn has_seen(self, write: Author, other: Order) -> bool {
        let Order(_, rank, place) = other;
        let of_its_region = match self {
            Self::Time => rank == write.stamp.rank,
            Self::Region { ours } => (rank == 0) == (ours == write.local),
        };
        if of_its_region { place < write.id } else { place <= write.seen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A write of region 0 or 1: its place, and what it had seen of the other region.
    #[derive(Debug, Clone, Copy)]
    struct Write {
        region: usize,
        id: u64,
        seen: u64,
    }

    impl Write {
        /// Its place where `winner` is the region whose concurrent writes are later, as `at` sees it.
        fn order(self, at: usize, winner: usize) -> Order {
            let stamp = Stamp { time_us: 1_000 - self.id as i64, rank: self.region as u8 };
            let ranking = Ranking::Region { ours: at == winner };
            ranking.order(Author { local: self.region == at, stamp, id: self.id, seen: self.seen })
        }

        fn has_seen(self, other: Self) -> bool {
            if self.region == other.region { self.id > other.id } else { other.id <= self.seen }
        }
    }

    /// What two regions wrote and saw: each sees more and more of the other, and nothing that is not there.
    fn writes() -> impl Strategy<Value = Vec<Write>> {
        prop::collection::vec((0..2usize, 1..5u64, any::<bool>()), 1..40).prop_map(|steps| {
            let (mut places, mut seen, mut writes) = ([0; 2], [0; 2], Vec::new());
            for (region, length, looks) in steps {
                if looks {
                    seen[region] = places[1 - region];
                }
                places[region] += length;
                writes.push(Write { region, id: places[region], seen: seen[region] });
            }
            writes
        })
    }

    proptest! {
        #[test]
        fn both_regions_order_writes_alike_whatever_the_clocks_say(writes in writes(), winner in 0..2usize) {
            let sorted = |at: usize| {
                let mut writes = writes.clone();
                writes.sort_by_key(|write| write.order(at, winner));
                writes.iter().map(|write| (write.region, write.id)).collect::<Vec<_>>()
            };
            prop_assert_eq!(sorted(0), sorted(1));
        }

        #[test]
        fn a_write_is_later_than_what_it_had_seen_and_of_concurrent_ones_the_regions(writes in writes(), winner in 0..2usize) {
            for one in &writes {
                for other in &writes {
                    let later = one.order(0, winner) > other.order(0, winner);
                    if one.has_seen(*other) && one.id != other.id {
                        prop_assert!(later, "{:?} had seen {:?}", one, other);
                    }
                    if one.region != other.region && !one.has_seen(*other) && !other.has_seen(*one) {
                        prop_assert_eq!(later, one.region == winner, "{:?}, {:?}", one, other);
                    }
                }
            }
        }
    }

    #[test]
    fn what_a_server_did_by_itself_is_earlier_than_a_clients_write() {
        let write = |stamp, local| Author { local, stamp, id: 7, seen: 5 };
        let client = Stamp { time_us: 1, rank: 0 };
        for ranking in [Ranking::Time, Ranking::Region { ours: true }, Ranking::Region { ours: false }] {
            for local in [true, false] {
                let server = ranking.order(write(Stamp::WEAKEST, local));
                assert!(server < ranking.order(write(client, !local)), "{ranking:?}");
            }
        }
    }
}
