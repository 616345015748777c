//! What a marker says besides, for transactions that hold no new writes.
//!
//! `again:STAMP.RANK.ID.SEEN,STAMP.RANK.ID.SEEN,...`: the requests of the transaction are executed again; each was written
//! at STAMP (microseconds) in the region with this RANK, stands at ID of that region's stream (bytes), and was written when
//! that region had executed the other one's writes up to SEEN.
//! `value:AT.COVERED[.ORDER.ORDER.ORDER][+STAMP.RANK.ID.SEEN,...]`: the transaction puts a value there that was taken at AT
//! of the other region's stream, when that region had executed this one's writes up to COVERED; it is later than anything
//! up to the place in the order of the key's writes (`order.rs`). Behind it the writes are executed again, as above, that
//! are known to have been executed there already and that it lacks.
//! `held`: the transaction changes which keys are held at the region.

use std::fmt;

use super::order::Order;
use super::stamp::Stamp;

/// A write that is executed again: its stamp, its place in the stream of its region, and what that had seen.
pub type Again = (Stamp, u64, u64);

/// The form of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Note {
    /// New writes.
    #[default]
    Writes,
    /// Writes that are executed again.
    Again(Vec<Again>),
    /// A value.
    Value {
        /// Where it was taken.
        at: u64,
        /// What of this region's writes it contains.
        covered: u64,
        /// It is later than anything before this.
        floor: Option<Order>,
        /// What is executed again behind it, as in [`Self::Again`].
        again: Vec<Again>,
    },
    /// Which keys are held.
    Held,
}

impl Note {
    /// The note in `word`, or `None` where that is not a valid one.
    pub fn parse(word: &str) -> Option<Self> {
        if word == "held" {
            return Some(Self::Held);
        }
        if let Some(list) = word.strip_prefix("again:") {
            return parse_list(list).map(Self::Again);
        }
        let value = word.strip_prefix("value:")?;
        let (value, again) = value.split_once('+').map_or((value, None), |(value, list)| (value, Some(list)));
        let again = again.map_or(Some(Vec::new()), parse_list)?;
        let mut numbers = value.split('.');
        let (at, covered) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        let floor = match numbers.next() {
            None => None,
            Some(first) => {
                Some(Order(first.parse().ok()?, numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
            }
        };
        numbers.next().is_none().then_some(Self::Value { at, covered, floor, again })
    }
}

fn parse_list(list: &str) -> Option<Vec<Again>> {
    let one = |item: &str| {
        let mut numbers = item.split('.');
        let stamp = Stamp { time_us: numbers.next()?.parse().ok()?, rank: numbers.next()?.parse().ok()? };
        let (id, seen) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        numbers.next().is_none().then_some((stamp, id, seen))
    };
    list.split(',').map(one).collect()
}

fn write_list(f: &mut fmt::Formatter<'_>, list: &[Again]) -> fmt::Result {
    for (index, (Stamp { time_us, rank }, id, seen)) in list.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(f, "{comma}{time_us}.{rank}.{id}.{seen}")?;
    }
    Ok(())
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writes => Ok(()),
            Self::Held => f.write_str("held"),
            Self::Again(items) => {
                f.write_str("again:")?;
                write_list(f, items)
            }
            Self::Value { at, covered, floor, again } => {
                write!(f, "value:{at}.{covered}")?;
                if let Some(Order(first, second, third)) = floor {
                    write!(f, ".{first}.{second}.{third}")?;
                }
                if !again.is_empty() {
                    f.write_str("+")?;
                }
                write_list(f, again)
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
        fn what_was_written_is_read(items in prop::collection::vec((any::<i64>(), any::<u8>(), any::<u64>(), any::<u64>()), 1..5), at: u64, covered: u64, floor: Option<(i64, u8, u64)>) {
            let items: Vec<Again> = items.into_iter().map(|(time_us, rank, id, seen)| (Stamp { time_us, rank }, id, seen)).collect();
            let floor = floor.map(|(first, second, third)| Order(first, second, third));
            for note in [Note::Again(items.clone()), Note::Value { at, covered, floor, again: items }, Note::Value { at, covered, floor, again: vec![] }, Note::Held] {
                prop_assert_eq!(Note::parse(&note.to_string()), Some(note));
            }
        }
    }
}
