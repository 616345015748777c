//! The held keys of one region as the region itself keeps them, in a hash of Duet's: they wait for a person, so a restart must
//! not forget them.
//!
//! A change is written by the link that writes the region, in a transaction of its own, and counts as written once that is
//! read in the region's stream. Until then checkpoints are held back, so that a restart finds what led to it again.

use std::collections::BTreeMap;

use super::exchange::Name;
use super::order::Order;

/// Changes in one transaction.
const MOST_CHANGES: usize = 64;
/// A held key with a longer name is kept until the daemon restarts: all of them are read in one reply.
const LONGEST_NAME: usize = 32 * 1024;

/// What the region is to keep of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub name: Name,
    /// The latest write that was executed; nothing for a key that is no longer held.
    pub latest: Option<Order>,
    /// Which change of the key it is.
    id: u64,
}

/// A change that was not read in the region's stream.
#[derive(Debug)]
struct Pending {
    id: u64,
    sent: bool,
    /// Holds the checkpoints back.
    pin: Option<u64>,
    /// Another one, to be sent once this one is read: a key that is written all the time holds nothing back for long.
    next: Option<(u64, Option<u64>)>,
}

/// What is known of the hash of one region.
#[derive(Debug, Default)]
pub struct Kept {
    /// What the region keeps was not read yet.
    pub unread: bool,
    /// A copy has decided since what it may keep.
    pub over: bool,
    pending: BTreeMap<Name, Pending>,
}

impl Kept {
    /// The region is to keep another thing of this key; `id` is larger than any before. Gives a pin that is of no use.
    pub fn change(&mut self, name: Name, id: u64, pin: Option<u64>) -> Option<u64> {
        if name.1.len() > LONGEST_NAME {
            return pin;
        }
        let Some(pending) = self.pending.get_mut(&name) else {
            self.pending.insert(name, Pending { id, sent: false, pin, next: None });
            return None;
        };
        // What is sent then is what holds then.
        let Pending { sent, pin: first, next, .. } = pending;
        let held_back = if *sent { &mut next.get_or_insert((id, None)).1 } else { first };
        match held_back {
            // The older one holds back at least as much.
            Some(_) => pin,
            None => {
                *held_back = pin;
                None
            }
        }
    }

    /// Whether there are changes to be sent.
    pub fn is_due(&self) -> bool {
        self.pending.values().any(|pending| !pending.sent)
    }

    /// The next changes to be sent, by what is `held` now.
    pub fn take(&mut self, held: &BTreeMap<Name, Order>) -> Vec<Change> {
        let due = self.pending.iter_mut().filter(|(_, pending)| !pending.sent).take(MOST_CHANGES);
        due.map(|(name, pending)| {
            pending.sent = true;
            Change { name: name.clone(), latest: held.get(name).copied(), id: pending.id }
        })
        .collect()
    }

    /// The connection on which they were sent is gone: all that was not read is sent again.
    pub fn send_again(&mut self) {
        self.pending.values_mut().for_each(|pending| pending.sent = false);
    }

    /// Changes were read in the region's stream. Gives the pins to let go of.
    pub fn written(&mut self, changes: &[Change]) -> Vec<u64> {
        let mut pins = Vec::new();
        for change in changes {
            let Some(pending) = self.pending.get_mut(&change.name).filter(|pending| pending.id == change.id) else {
                continue;
            };
            pins.extend(pending.pin.take());
            match pending.next.take() {
                Some((id, pin)) => *pending = Pending { id, sent: false, pin, next: None },
                None => drop(self.pending.remove(&change.name)),
            }
        }
        pins
    }

    /// Whether this pin holds for a change.
    pub fn has_pin(&self, pin: u64) -> bool {
        let pins = |pending: &Pending| [pending.pin, pending.next.and_then(|(_, pin)| pin)].contains(&Some(pin));
        self.pending.values().any(pins)
    }
}

/// A key as a field of the hash.
pub fn field((database, name): &Name) -> Vec<u8> {
    [format!("{database}:").as_bytes(), name].concat()
}

/// The place of the latest write as the field's value.
pub fn value(Order(first, second, third): Order) -> String {
    format!("{first}.{second}.{third}")
}

/// What a field of the hash says, or `None` where Duet has not written it.
pub fn parse(field: &[u8], value: &[u8]) -> Option<(Name, Order)> {
    let colon = field.iter().position(|byte| *byte == b':')?;
    let database = std::str::from_utf8(field.get(..colon)?).ok()?.parse().ok()?;
    let mut numbers = std::str::from_utf8(value).ok()?.split('.');
    let order = Order(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    numbers.next().is_none().then_some(((database, field.get(colon + 1..)?.to_vec()), order))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(database: u32, name: Vec<u8>, order: (i64, u8, u64)) {
            let (name, order) = ((database, name), Order(order.0, order.1, order.2));
            prop_assert_eq!(parse(&field(&name), value(order).as_bytes()), Some((name, order)));
        }
    }

    #[test]
    fn a_change_is_sent_once_the_one_before_is_written_and_holds_back_until_then() {
        let (mut kept, name) = (Kept::default(), (0, b"k".to_vec()));
        let held = BTreeMap::from([(name.clone(), Order(1, 0, 1))]);
        assert_eq!(kept.change(name.clone(), 1, Some(10)), None);
        assert_eq!(
            kept.change(name.clone(), 2, Some(11)),
            Some(11),
            "it is sent with the first, which holds back more"
        );
        let first = kept.take(&held);
        assert!(!kept.is_due() && first[0].latest == Some(Order(1, 0, 1)));
        // Let go, and held once more, before the first was read.
        assert_eq!(kept.change(name.clone(), 3, Some(12)), None);
        assert_eq!(kept.change(name, 4, Some(13)), Some(13));
        assert!(!kept.is_due() && kept.has_pin(10) && kept.has_pin(12));
        assert_eq!(kept.written(&first), [10]);
        let second = kept.take(&BTreeMap::new());
        assert!(second[0].latest.is_none() && kept.written(&first).is_empty() && kept.has_pin(12));
        // The connection ends: it is not known whether the second has come.
        kept.send_again();
        assert!(kept.is_due());
        assert_eq!(kept.written(&second), [12]);
        assert!(!kept.is_due());
    }

    #[test]
    fn a_name_that_is_too_long_is_not_kept() {
        let mut kept = Kept::default();
        assert_eq!(kept.change((0, vec![b'k'; LONGEST_NAME + 1]), 1, Some(7)), Some(7));
        assert!(!kept.is_due());
    }
}
