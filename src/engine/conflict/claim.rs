//! What a write claims of its keys, and how two claims stand to each other.

use super::table::{Key, KeyHasher};
use crate::command::{Access, Spec, Unit};
use crate::wire::resp::Command;

/// What a write claims of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Sets or removes the whole value.
    Whole,
    /// Sets the time to live.
    Lifetime,
    /// Adds to a number.
    Counter,
    /// Adds to a HyperLogLog.
    Registers,
    /// Sets these elements, by the hashes of their names.
    Elements(Vec<u64>),
    /// Adds to numbers in these elements.
    ElementCounters(Vec<u64>),
    /// Changes the value in a way that depends on all of it.
    Sequence,
    /// Depends on the value without changing it.
    Read,
}

/// Where a write claims something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One key.
    Key(Key),
    /// One database.
    Database(u32),
    /// All databases.
    Everything,
}

/// How a write `o` stands to an earlier one `p` of the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Their order does not matter.
    Independent,
    /// `p` sets all that `o` touches.
    Covered,
    /// `o` sets all that `p` touches, or both only set: executing `o` again, and after it those `p` that are later, gives
    /// the same from any order.
    Resettable,
    /// Their order matters, and neither undoes the other.
    Ordered,
}

impl Claim {
    /// How a write with this claim stands to a write with the claim `other`.
    pub fn relation(&self, other: &Self) -> Relation {
        use Claim::{Counter, ElementCounters, Elements, Lifetime, Read, Registers, Sequence, Whole};
        match (self, other) {
            (Read, Read) => Relation::Independent,
            (Read, _) | (_, Read) => Relation::Ordered,
            (_, Whole) => Relation::Covered,
            (Whole, _) => Relation::Resettable,
            (Lifetime, Lifetime) => Relation::Covered,
            (Lifetime, _) | (_, Lifetime) => Relation::Independent,
            (Counter, Counter) | (Registers, Registers) | (ElementCounters(_), ElementCounters(_)) => {
                Relation::Independent
            }
            (Elements(ours) | ElementCounters(ours), Elements(theirs)) if disjoint(ours, theirs) => {
                Relation::Independent
            }
            (Elements(ours), ElementCounters(theirs)) if disjoint(ours, theirs) => Relation::Independent,
            (Elements(ours) | ElementCounters(ours), Elements(theirs)) if within(ours, theirs) => Relation::Covered,
            (Elements(_), Elements(_)) => Relation::Resettable,
            (Elements(ours), ElementCounters(theirs)) if within(theirs, ours) => Relation::Resettable,
            (Elements(_), ElementCounters(_)) | (ElementCounters(_), Elements(_)) => Relation::Ordered,
            (Counter | Registers | Elements(_) | ElementCounters(_) | Sequence, _) => Relation::Ordered,
        }
    }
}

/// What `command` claims, and where; nothing when it changes nothing.
pub fn claims(command: &Command<'_>, spec: &Spec, database: u32, hasher: &KeyHasher) -> Vec<(Scope, Claim)> {
    let unit = spec.unit_of(command);
    match unit {
        Unit::Nothing => return Vec::new(),
        Unit::Database if spec.name == "FLUSHALL" => return vec![(Scope::Everything, Claim::Whole)],
        Unit::Database if spec.name == "FLUSHDB" => return vec![(Scope::Database(database), Claim::Whole)],
        // Databases that change places: what follows depends on everything.
        Unit::Database => return vec![(Scope::Everything, Claim::Read)],
        _ => {}
    }
    let mut claims = Vec::with_capacity(1);
    for used in spec.keys(command) {
        let scope = Scope::Key(hasher.key(used.database.unwrap_or(database), used.key));
        let claim = match used.access {
            Access::Read => Claim::Read,
            Access::Write => Claim::Whole,
            Access::ReadWrite if depends(spec, command) => Claim::Sequence,
            Access::ReadWrite => of_unit(unit, command, spec, hasher),
        };
        claims.push((scope, claim));
    }
    claims
}

/// Whether what the command leaves behind depends on what was there, although it names what it changes.
fn depends(spec: &Spec, command: &Command<'_>) -> bool {
    let compares = || {
        let words = [b"NX", b"XX", b"GT", b"LT"];
        command.args().skip(2).take(3).any(|word| words.iter().any(|name| word.eq_ignore_ascii_case(*name)))
    };
    match spec.name {
        // The expiry of a field stays when the field is set no more than the field is set by its expiry.
        "SMOVE" | "HPERSIST" | "HEXPIRE" | "HPEXPIRE" | "HEXPIREAT" | "HPEXPIREAT" | "HGETEX" | "VADD" | "VSETATTR" => {
            true
        }
        "ZADD" | "GEOADD" => compares(),
        _ => spec.unit == Unit::Whole,
    }
}

fn of_unit(unit: Unit, command: &Command<'_>, spec: &Spec, hasher: &KeyHasher) -> Claim {
    let elements = || {
        let names: Vec<u64> = spec.elements(command).map(|name| hasher.element(name)).collect();
        (!names.is_empty()).then_some(names)
    };
    match unit {
        Unit::Whole | Unit::Database => Claim::Whole,
        Unit::Lifetime => Claim::Lifetime,
        Unit::Counter => Claim::Counter,
        Unit::Registers => Claim::Registers,
        Unit::Element(_) => elements().map_or(Claim::Sequence, Claim::Elements),
        Unit::ElementCounter(_) => elements().map_or(Claim::Sequence, Claim::ElementCounters),
        Unit::Bits(_) if spec.name == "SETBIT" => elements().map_or(Claim::Sequence, Claim::Elements),
        Unit::Bits(_) | Unit::Sequence | Unit::Nothing => Claim::Sequence,
    }
}

fn disjoint(ours: &[u64], theirs: &[u64]) -> bool {
    !ours.iter().any(|element| theirs.contains(element))
}

fn within(ours: &[u64], theirs: &[u64]) -> bool {
    ours.iter().all(|element| theirs.contains(element))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(ours: Claim, theirs: Claim) -> Relation {
        ours.relation(&theirs)
    }

    #[test]
    fn the_later_of_two_that_set_the_same_covers_the_other() {
        use Claim::{Counter, Elements, Sequence, Whole};
        for ours in [Whole, Counter, Sequence, Elements(vec![1])] {
            assert_eq!(relation(ours, Whole), Relation::Covered);
        }
        assert_eq!(relation(Elements(vec![1]), Elements(vec![1, 2])), Relation::Covered);
        assert_eq!(relation(Claim::ElementCounters(vec![1]), Elements(vec![1])), Relation::Covered);
    }

    #[test]
    fn what_sets_more_can_be_executed_again() {
        use Claim::{Counter, ElementCounters, Elements, Sequence, Whole};
        for theirs in [Counter, Sequence, Elements(vec![1])] {
            assert_eq!(relation(Whole, theirs), Relation::Resettable);
        }
        assert_eq!(relation(Elements(vec![1, 2]), Elements(vec![2, 3])), Relation::Resettable);
        assert_eq!(relation(Elements(vec![1, 2]), ElementCounters(vec![1])), Relation::Resettable);
    }

    #[test]
    fn additions_and_different_elements_are_independent() {
        use Claim::{Counter, ElementCounters, Elements, Lifetime};
        assert_eq!(relation(Counter, Counter), Relation::Independent);
        assert_eq!(relation(ElementCounters(vec![1]), ElementCounters(vec![1])), Relation::Independent);
        assert_eq!(relation(Elements(vec![1]), Elements(vec![2])), Relation::Independent);
        assert_eq!(relation(Lifetime, Counter), Relation::Independent);
    }

    #[test]
    fn two_that_depend_on_all_of_the_value_are_ordered() {
        assert_eq!(relation(Claim::Sequence, Claim::Sequence), Relation::Ordered);
        assert_eq!(relation(Claim::Read, Claim::Whole), Relation::Ordered);
        assert_eq!(relation(Claim::Sequence, Claim::Counter), Relation::Ordered);
    }
}
