//! What two sights of a key differ in.

use serde::{Deserialize, Serialize};

use super::{Content, PartKind, Parts, Plan, Sight, TextHash, hash_of};

/// Differing parts of one key that are kept; beyond it they are only counted.
pub const MOST_PARTS: usize = 1_000;
/// Bytes of a part's value that are kept.
const SHOWN_BYTES: usize = 256;
/// Bytes shown before the first differing one of a string.
const CONTEXT_BYTES: usize = 16;

/// One way in which a key differs between the regions: the forward link's source stands left, its target right.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Difference {
    /// There is no such key at the left, or at the right; what stands at the other side is known by its hash.
    Missing {
        /// 0 the left, 1 the right.
        side: usize,
        /// What the other side holds.
        other: TextHash,
    },
    /// Two types.
    Type([String; 2]),
    /// Two lengths.
    Length([u64; 2]),
    /// Two times to live, or one.
    Ttl([Option<i64>; 2]),
    /// Two values that were compared by a hash only.
    Digest([TextHash; 2]),
    /// A part of the value.
    Part(PartDifference),
}

/// A part that is in one region only, or different in both.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PartDifference {
    /// What it is.
    pub kind: PartKind,
    /// Its name, see [`Parts`].
    pub name: Vec<u8>,
    /// The beginning of its value, at the left and at the right; nothing where there is no such part.
    pub values: [Option<Vec<u8>>; 2],
    /// The whole values.
    pub hashes: [TextHash; 2],
}

/// All that two sights differ in, by `plan`. Of differing parts [`MOST_PARTS`] are kept.
pub fn differences(left: &Sight, right: &Sight, plan: &Plan) -> Vec<Difference> {
    match (left.exists(), right.exists()) {
        (false, false) => return Vec::new(),
        (false, true) => return vec![Difference::Missing { side: 0, other: right.digest() }],
        (true, false) => return vec![Difference::Missing { side: 1, other: left.digest() }],
        (true, true) => {}
    }
    if left.kind != right.kind {
        return vec![Difference::Type([left.kind.clone(), right.kind.clone()])];
    }
    let mut found = Vec::new();
    if plan.ttl && !plan.close(left.expires_at_ms, right.expires_at_ms) {
        found.push(Difference::Ttl([left.expires_at_ms, right.expires_at_ms]));
    }
    match (&left.content, &right.content) {
        (Content::Parts(left), Content::Parts(right)) => {
            found.extend(of_parts(left, right, plan).map(Difference::Part).take(MOST_PARTS));
        }
        (Content::Digest(left), Content::Digest(right)) if left != right => {
            found.push(Difference::Digest([*left, *right]));
        }
        _ => {}
    }
    if left.length != right.length && found.iter().all(|found| matches!(found, Difference::Ttl(_))) {
        found.push(Difference::Length([left.length, right.length]));
    }
    found
}

/// The parts that differ, in order.
pub fn of_parts<'a>(left: &'a Parts, right: &'a Parts, plan: &'a Plan) -> impl Iterator<Item = PartDifference> + 'a {
    let here = left.iter().filter_map(move |(part, value)| {
        let there = right.get(part);
        let same = match there {
            Some(there) if part.0 == PartKind::FieldTtl => plan.close(number(value), number(there)),
            Some(there) => value == there,
            None => {
                part.0 == PartKind::FieldTtl && (!plan.ttl || !right.contains_key(&(PartKind::Field, part.1.clone())))
            }
        };
        (!same).then(|| part_difference(part, Some(value), there))
    });
    let only_there = right.iter().filter(move |(part, _)| {
        let ttl_of_nothing =
            part.0 == PartKind::FieldTtl && (!plan.ttl || !left.contains_key(&(PartKind::Field, part.1.clone())));
        !left.contains_key(*part) && !ttl_of_nothing
    });
    here.chain(only_there.map(|(part, value)| part_difference(part, None, Some(value))))
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn part_difference(part: &(PartKind, Vec<u8>), left: Option<&Vec<u8>>, right: Option<&Vec<u8>>) -> PartDifference {
    let (kind, name) = part;
    let hashes = [left, right].map(|value| value.map_or(0, |value| hash_of(value)));
    // Of two strings the first byte that differs is shown, and named by its offset.
    let at = match (kind, left, right) {
        (PartKind::Text, Some(left), Some(right)) => left.iter().zip(right).take_while(|(a, b)| a == b).count(),
        _ => 0,
    };
    let offset = u64::from_be_bytes(name.as_slice().try_into().unwrap_or_default());
    let name = if *kind == PartKind::Text { (offset + at as u64).to_be_bytes().to_vec() } else { name.clone() };
    let from = at.saturating_sub(CONTEXT_BYTES);
    let values =
        [left, right].map(|value| value.map(|value| value.iter().skip(from).take(SHOWN_BYTES).copied().collect()));
    PartDifference { kind: *kind, name, values, hashes }
}

impl PartDifference {
    /// The name for a person: an offset or an index in digits, anything else escaped.
    pub fn shown_name(&self) -> String {
        match (self.kind, <[u8; 8]>::try_from(self.name.as_slice())) {
            (PartKind::Text, Ok(at)) => format!("byte {}", u64::from_be_bytes(at)),
            (PartKind::Item, Ok(at)) => format!("index {}", u64::from_be_bytes(at)),
            (PartKind::Whole, _) => "the whole value".to_owned(),
            _ => self.name.escape_ascii().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(kind: &str, parts: &[(PartKind, &str, &str)]) -> Sight {
        let parts =
            parts.iter().map(|(kind, name, value)| ((*kind, name.as_bytes().to_vec()), value.as_bytes().to_vec()));
        Sight { kind: kind.into(), length: 1, expires_at_ms: None, content: Content::Parts(parts.collect()) }
    }

    #[test]
    fn equal_sights_differ_in_nothing() {
        let one = sight("hash", &[(PartKind::Field, "f", "v")]);
        assert_eq!(differences(&one, &one, &Plan::default()), []);
        assert_eq!(differences(&Sight::none(), &Sight::none(), &Plan::default()), []);
    }

    #[test]
    fn each_differing_part_is_named() {
        let one =
            sight("hash", &[(PartKind::Field, "a", "1"), (PartKind::Field, "b", "1"), (PartKind::Field, "c", "1")]);
        let other =
            sight("hash", &[(PartKind::Field, "b", "2"), (PartKind::Field, "c", "1"), (PartKind::Field, "d", "1")]);
        let found = differences(&one, &other, &Plan::default());
        let names: Vec<_> = found
            .iter()
            .map(|found| match found {
                Difference::Part(part) => (part.shown_name(), part.values.clone().map(|value| value.is_some())),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [("a", [true, false]), ("b", [true, true]), ("d", [false, true])];
        assert_eq!(names, expected.map(|(name, there)| (name.to_owned(), there)));
    }

    #[test]
    fn one_bit_of_a_string_is_told_by_its_offset() {
        let name = 4096u64.to_be_bytes().to_vec();
        let with = |bytes: &[u8]| Sight {
            kind: "string".into(),
            length: 100,
            expires_at_ms: None,
            content: Content::Parts(Parts::from([((PartKind::Text, name.clone()), bytes.to_vec())])),
        };
        let (one, mut other) = (vec![7u8; 100], vec![7u8; 100]);
        other[42] ^= 1;
        let found = differences(&with(&one), &with(&other), &Plan::default());
        let [Difference::Part(part)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(part.shown_name(), "byte 4138");
    }

    #[test]
    fn times_to_live_may_differ_by_the_tolerance() {
        let plan = Plan::default();
        let tolerance = i64::try_from(plan.ttl_tolerance.as_millis()).unwrap();
        let at = |at| Sight { expires_at_ms: at, ..sight("string", &[]) };
        assert!(differences(&at(Some(100_000)), &at(Some(100_000 + tolerance)), &plan).is_empty());
        assert_eq!(differences(&at(Some(0)), &at(Some(tolerance + 1)), &plan).len(), 1);
        assert_eq!(differences(&at(Some(0)), &at(None), &plan).len(), 1);
        let without = Plan { ttl: false, ..plan };
        assert!(differences(&at(Some(0)), &at(None), &without).is_empty());
    }

    #[test]
    fn a_field_that_is_missing_is_told_once() {
        let ttl = [(PartKind::Field, "f", "v"), (PartKind::FieldTtl, "f", "99")];
        let (with, without) = (sight("hash", &ttl), sight("hash", &[]));
        assert_eq!(differences(&with, &without, &Plan::default()).len(), 1);
        let lasting = sight("hash", &ttl[..1]);
        let found = differences(&with, &lasting, &Plan::default());
        assert!(matches!(&found[..], [Difference::Part(part)] if part.kind == PartKind::FieldTtl), "{found:?}");
    }
}
