//! A value as parts that are the same whatever the encoding and the version of the server that holds it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::wire::rdb::{DumpError, Element, Fault, Payload};

/// What a part of a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// The bytes of a string from an offset on.
    Text,
    /// An item of a list, named by its index.
    Item,
    /// A member of a set.
    Member,
    /// A member of a sorted set; its score is the value.
    Score,
    /// A field of a hash.
    Field,
    /// When a field expires, Unix milliseconds.
    FieldTtl,
    /// An entry of a stream, named by its id.
    Entry,
    /// What a stream knows besides its entries.
    Counter,
    /// A group of a stream; what it has delivered is the value.
    Group,
    /// A consumer of a group.
    Consumer,
    /// An entry that is pending at a consumer.
    Pending,
    /// A value that can't be taken apart.
    Whole,
}

impl PartKind {
    /// As results name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Item => "item",
            Self::Member => "member",
            Self::Score => "score",
            Self::Field => "field",
            Self::FieldTtl => "field_ttl",
            Self::Entry => "entry",
            Self::Counter => "counter",
            Self::Group => "group",
            Self::Consumer => "consumer",
            Self::Pending => "pending",
            Self::Whole => "whole",
        }
    }
}

impl fmt::Display for PartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Parts by kind and name; the name of a list's item is its index as eight bytes.
pub type Parts = BTreeMap<(PartKind, Vec<u8>), Vec<u8>>;

/// What both servers know of a value, so that it can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// Fields of hashes may expire.
    pub field_ttl: bool,
    /// Streams count what was added, groups what they have read, and every consumer that is made is copied (7.0).
    pub stream_counters: bool,
}

/// The parts of a value as `DUMP` gives it. Fields that are over at `now_ms`, the server's clock in Unix milliseconds, are
/// no longer there. When entries were delivered is left out: a claim that travels sets it anew.
///
/// # Errors
/// [`DumpError`] when the payload can't be read. One of an unknown type is one part.
pub fn parts_of(payload: &[u8], features: Features, now_ms: i64) -> Result<Parts, DumpError> {
    let Some(taken) = Payload::parse(payload) else { return Ok(whole(payload)) };
    let record = taken.record(0, b"", None);
    let elements = match record.elements() {
        Ok(elements) => elements,
        Err(DumpError { fault: Fault::Opaque(_), .. }) => return Ok(whole(taken.body)),
        Err(error) => return Err(error),
    };
    let mut parts = Parts::new();
    let mut items = 0u64;
    for element in elements {
        add(&mut parts, element, features, now_ms, &mut items);
    }
    Ok(parts)
}

fn whole(body: &[u8]) -> Parts {
    Parts::from([((PartKind::Whole, Vec::new()), body.to_vec())])
}

fn add(parts: &mut Parts, element: Element, features: Features, now_ms: i64, items: &mut u64) {
    match element {
        Element::Text(text) => parts.entry((PartKind::Text, Vec::new())).or_default().extend_from_slice(&text),
        Element::Item(item) => {
            parts.insert((PartKind::Item, items.to_be_bytes().to_vec()), item.to_vec());
            *items += 1;
        }
        Element::Member(member) => put(parts, PartKind::Member, member.to_vec(), Vec::new()),
        Element::Scored { member, score } => put(parts, PartKind::Score, member.to_vec(), score_text(score)),
        Element::Field { name, value, expires_at_ms } => {
            let expires_at_ms = expires_at_ms.filter(|_| features.field_ttl);
            if expires_at_ms.is_some_and(|at| at <= now_ms) {
                return;
            }
            if let Some(at) = expires_at_ms {
                put(parts, PartKind::FieldTtl, name.to_vec(), at.to_string().into_bytes());
            }
            put(parts, PartKind::Field, name.to_vec(), value.to_vec());
        }
        Element::Entry { id, fields } => {
            put(
                parts,
                PartKind::Entry,
                id.to_string().into_bytes(),
                fields_text(fields.iter().flat_map(|(a, b)| [a, b])),
            );
        }
        Element::StreamState { length: _, last, counters } => {
            put(parts, PartKind::Counter, b"last id".to_vec(), last.to_string().into_bytes());
            if let Some(counters) = counters.filter(|_| features.stream_counters) {
                put(
                    parts,
                    PartKind::Counter,
                    b"entries added".to_vec(),
                    counters.entries_added.to_string().into_bytes(),
                );
                let deleted = counters.max_deleted.to_string().into_bytes();
                put(parts, PartKind::Counter, b"largest deleted id".to_vec(), deleted);
            }
        }
        Element::Group { name, last, entries_read: _ } => {
            put(parts, PartKind::Group, name.to_vec(), last.to_string().into_bytes());
        }
        Element::Consumer { group, name, pending } => {
            if features.stream_counters || pending > 0 {
                put(parts, PartKind::Consumer, fields_text([&group, &name]), Vec::new());
            }
        }
        Element::Pending { group, consumer, id, delivered_at_ms: _, deliveries } => {
            let name = [&group[..], b" ", id.to_string().as_bytes()].concat();
            let state = [&consumer[..], b" ", deliveries.to_string().as_bytes()].concat();
            put(parts, PartKind::Pending, name, state);
        }
    }
}

fn put(parts: &mut Parts, kind: PartKind, name: Vec<u8>, value: Vec<u8>) {
    parts.insert((kind, name), value);
}

/// A score in digits that are the same for the same number: versions write it in different ways. Zero has no sign.
pub(crate) fn score_text(score: f64) -> Vec<u8> {
    (score + 0.0).to_string().into_bytes()
}

/// Several texts as one that no other texts give: each behind its length where there is more than one.
pub(crate) fn fields_text<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut joined = Vec::new();
    for (at, text) in texts.into_iter().enumerate() {
        if at > 0 {
            joined.push(b' ');
        }
        for &byte in text.as_ref() {
            if matches!(byte, b' ' | b'\\') {
                joined.push(b'\\');
            }
            joined.push(byte);
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FEATURES: Features = Features { field_ttl: true, stream_counters: true };

    #[test]
    fn a_string_is_the_same_as_number_and_as_text() {
        // 17 as an integer in one byte, and as two characters; both of version 11.
        let number = [b"\0\xc0\x11".as_slice(), &[11, 0], &[0; 8]].concat();
        let text = [b"\0\x0217".as_slice(), &[9, 0], &[0; 8]].concat();
        assert_eq!(parts_of(&number, FEATURES, 0).unwrap(), parts_of(&text, FEATURES, 0).unwrap());
    }

    #[test]
    fn what_is_of_an_unknown_type_is_one_part() {
        let payload = [b"\x63body".as_slice(), &[11, 0], &[0; 8]].concat();
        let parts = parts_of(&payload, FEATURES, 0).unwrap();
        assert_eq!(parts, Parts::from([((PartKind::Whole, Vec::new()), b"body".to_vec())]));
    }

    #[test]
    fn zero_has_no_sign_and_infinity_is_a_word() {
        assert_eq!(score_text(-0.0), score_text(0.0));
        assert_eq!(score_text(f64::INFINITY), b"inf");
    }

    #[test]
    fn a_field_that_is_over_is_gone() {
        let field = |at| Element::Field { name: "f".into(), value: "v".into(), expires_at_ms: at };
        for (at, left) in [(Some(5), 0), (Some(6), 2), (None, 1)] {
            let mut parts = Parts::new();
            add(&mut parts, field(at), FEATURES, 5, &mut 0);
            assert_eq!(parts.len(), left, "{at:?}");
        }
    }

    proptest! {
        #[test]
        fn different_texts_are_joined_differently(
            a in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 1..4),
            b in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 1..4),
        ) {
            prop_assert_eq!(a == b, fields_text(&a) == fields_text(&b));
        }
    }
}
