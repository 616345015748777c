//! What a marker says besides, for transactions that hold no new writes.
//!
//! `again:STAMP.RANK.ID,STAMP.RANK.ID,...`: the requests of the transaction are executed again; each was written at STAMP
//! (microseconds) in the region with this RANK, and executed first at ID (bytes of the region's stream).
//! `value:AT.COVERED[.STAMP.RANK]`: the transaction puts a value there that was taken at AT of the other region's stream, when that region
//! had executed this one's writes up to COVERED; it is later than anything up to the stamp.

use std::fmt;

use super::stamp::Stamp;

/// The form of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Note {
    /// New writes.
    #[default]
    Writes,
    /// Writes that are executed again: stamp and first execution of each.
    Again(Vec<(Stamp, u64)>),
    /// A value.
    Value {
        /// Where it was taken.
        at: u64,
        /// What of this region's writes it contains.
        covered: u64,
        /// It is later than anything before this.
        floor: Option<Stamp>,
    },
}

impl Note {
    /// The note in `word`, or `None` where that is not a valid one.
    pub fn parse(word: &str) -> Option<Self> {
        if let Some(list) = word.strip_prefix("again:") {
            let one = |item: &str| {
                let mut numbers = item.split('.');
                let stamp = Stamp { time_us: numbers.next()?.parse().ok()?, rank: numbers.next()?.parse().ok()? };
                let id = numbers.next()?.parse().ok()?;
                numbers.next().is_none().then_some((stamp, id))
            };
            return list.split(',').map(one).collect::<Option<Vec<_>>>().map(Self::Again);
        }
        let mut numbers = word.strip_prefix("value:")?.split('.');
        let (at, covered) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        let floor = match (numbers.next(), numbers.next()) {
            (None, _) => None,
            (Some(time_us), rank) => Some(Stamp { time_us: time_us.parse().ok()?, rank: rank?.parse().ok()? }),
        };
        numbers.next().is_none().then_some(Self::Value { at, covered, floor })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writes => Ok(()),
            Self::Again(items) => {
                f.write_str("again:")?;
                for (index, (Stamp { time_us, rank }, id)) in items.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma}{time_us}.{rank}.{id}")?;
                }
                Ok(())
            }
            Self::Value { at, covered, floor: None } => write!(f, "value:{at}.{covered}"),
            Self::Value { at, covered, floor: Some(Stamp { time_us, rank }) } => {
                write!(f, "value:{at}.{covered}.{time_us}.{rank}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(items in prop::collection::vec((any::<i64>(), any::<u8>(), any::<u64>()), 1..5), at: u64, covered: u64, floor: Option<(i64, u8)>) {
            let items = items.into_iter().map(|(time_us, rank, id)| (Stamp { time_us, rank }, id)).collect();
            let floor = floor.map(|(time_us, rank)| Stamp { time_us, rank });
            for note in [Note::Again(items), Note::Value { at, covered, floor }] {
                prop_assert_eq!(Note::parse(&note.to_string()), Some(note));
            }
        }
    }
}
