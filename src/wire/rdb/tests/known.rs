//! What dumps of real servers hold is what these servers answered.

use super::*;
use serde_json::Value;

#[test]
fn every_key_has_the_value_that_its_server_answered() {
    for server in SERVERS {
        let answers: Value =
            serde_json::from_slice(&std::fs::read(data(&format!("{server}.json"))).expect("answers")).expect("JSON");
        let content = read(&dump(server), usize::MAX, Limits::default()).expect(server);
        assert!(content.ended && content.set_aside.is_empty());
        let keys = answers["keys"].as_array().expect("keys");
        assert_eq!(content.keys.len(), keys.len(), "{server}");
        for answer in keys {
            let (database, name) = (answer["db"].as_u64().expect("number") as u32, bytes_of(&answer["key"]));
            let seen = content.keys.get(&(database, name)).unwrap_or_else(|| panic!("{server}: no {answer}"));
            assert_eq!(value(seen), expected(answer), "{server}: {:?}", seen.key);
            match answer["expires_at_ms"].as_i64() {
                Some(-1) => assert_eq!(seen.key.expires_at_ms, None),
                Some(1) => assert!(seen.key.expires_at_ms.is_some()),
                time => assert_eq!(seen.key.expires_at_ms, time),
            }
        }
        check_functions(&content, &answers["functions"]);
        check_streams(&content, &answers["streams"]);
        check_field_expiry(&content, &answers["field_expires_at_ms (f0, f7)"]);
    }
}

#[test]
fn a_dump_is_the_same_in_any_reads_and_pieces() {
    for server in SERVERS {
        let dump = dump(server);
        let whole = read(&dump, usize::MAX, Limits::default()).expect(server).without_pieces();
        for (size, limits) in [(1, Limits::default()), (7, TINY), (4096, TINY), (1, TINY), (7, Limits::default())] {
            let content = read(&dump, size, limits).expect(server);
            assert!(limits != TINY || content.keys.values().all(|seen| seen.pieces > 0));
            assert_eq!(content.without_pieces(), whole, "{server} in reads of {size}");
        }
    }
}

#[test]
fn the_dialect_is_that_of_the_server() {
    for server in SERVERS {
        let mut reader = DumpReader::new(Limits::default());
        let mut buf = BytesMut::from(&dump(server)[..]);
        while !matches!(reader.next(&mut buf), Ok(Some(Event::Record(_)))) {}
        assert_eq!(reader.dialect() == Dialect::Valkey, server.starts_with("valkey"), "{server}");
    }
}

fn check_functions(content: &Content, answer: &Value) {
    let expected: Vec<_> =
        answer.as_array().into_iter().flatten().map(|library| named(library, "library_code")).collect();
    assert_eq!(
        content.functions.iter().map(|code| code.to_vec()).collect::<Vec<_>>(),
        expected.into_iter().map(|code| bytes_of(&code)).collect::<Vec<_>>()
    );
}

fn check_field_expiry(content: &Content, answer: &Value) {
    for (key, times) in answer.as_object().expect("keys") {
        let seen = &content.keys[&(0, key.as_bytes().to_vec())];
        for (field, time) in ["f0", "f7"].iter().zip(times.as_array().into_iter().flatten()) {
            let found = seen.elements.iter().find_map(|element| match element {
                Element::Field { name, expires_at_ms, .. } if name == field => Some(expires_at_ms.unwrap_or(-1)),
                _ => None,
            });
            assert_eq!(found.unwrap_or(-2), time.as_i64().expect("a time"), "{key} {field}");
        }
    }
}

fn check_streams(content: &Content, answer: &Value) {
    for (key, full) in answer.as_object().expect("keys") {
        if full.as_array().is_some_and(|full| full.first().is_some_and(|first| first == "length")) {
            check_stream(&content.keys[&(0, key.as_bytes().to_vec())].elements, full);
        }
    }
}

fn check_stream(elements: &[Element], full: &Value) {
    let state = elements.iter().find_map(|element| match element {
        Element::StreamState { length, last, counters } => Some((*length, last.to_string(), *counters)),
        _ => None,
    });
    let (length, last, counters) = state.expect("a state");
    assert_eq!((json(length), json(last)), (named(full, "length"), named(full, "last-generated-id")));
    if let Some(counters) = counters {
        assert_eq!(json(counters.max_deleted.to_string()), named(full, "max-deleted-entry-id"));
        assert_eq!(json(counters.entries_added), named(full, "entries-added"));
        assert_eq!(json(counters.first.to_string()), named(full, "recorded-first-entry-id"));
    }
    let mut groups = Vec::new();
    for group in named(full, "groups").as_array().expect("groups") {
        groups.push((
            named(group, "name"),
            named(group, "last-delivered-id"),
            found(group, "entries-read").unwrap_or_default(),
        ));
        let name = bytes_of(&named(group, "name"));
        let mut pending: Vec<Value> = elements.iter().filter_map(|element| pending_of(element, &name)).collect();
        pending.sort_by_key(|entry| sortable(&entry[0]));
        assert_eq!(json(pending), named(group, "pending"));
        let consumers = named(group, "consumers");
        let consumers =
            consumers.as_array().expect("consumers").iter().map(|consumer| bytes_of(&named(consumer, "name")));
        let seen = elements.iter().filter_map(|element| match element {
            Element::Consumer { group, name: consumer, .. } if *group == name => Some(consumer.to_vec()),
            _ => None,
        });
        assert_eq!(seen.collect::<Vec<_>>(), consumers.collect::<Vec<_>>());
    }
    let seen = elements.iter().filter_map(|element| match element {
        Element::Group { name, last, entries_read } => {
            Some((json(String::from_utf8_lossy(name)), json(last.to_string()), json(*entries_read)))
        }
        _ => None,
    });
    assert_eq!(seen.collect::<Vec<_>>(), groups);
}

fn pending_of(element: &Element, of_group: &[u8]) -> Option<Value> {
    match element {
        Element::Pending { group, consumer, id, delivered_at_ms, deliveries } if group == of_group => {
            Some(json((id.to_string(), String::from_utf8_lossy(consumer), delivered_at_ms, deliveries)))
        }
        _ => None,
    }
}

fn sortable(id: &Value) -> (u64, u64) {
    let (ms, seq) = id.as_str().and_then(|id| id.split_once('-')).expect("an id");
    (ms.parse().expect("ms"), seq.parse().expect("seq"))
}

/// A value in the form of [`expected`].
fn value(seen: &Seen) -> Value {
    let elements = &seen.elements;
    match seen.key.kind {
        Kind::String => shown(text(&elements[0])),
        Kind::List => elements
            .iter()
            .map(|element| match element {
                Element::Item(item) => shown(item),
                other => panic!("{other:?}"),
            })
            .collect(),
        Kind::Set => {
            let mut members: Vec<Vec<u8>> = elements
                .iter()
                .map(|element| match element {
                    Element::Member(member) => member.to_vec(),
                    other => panic!("{other:?}"),
                })
                .collect();
            members.sort();
            members.iter().map(|member| shown(member)).collect()
        }
        Kind::SortedSet => {
            let mut members: Vec<(f64, Vec<u8>)> = elements
                .iter()
                .map(|element| match element {
                    Element::Scored { member, score } => (*score, member.to_vec()),
                    other => panic!("{other:?}"),
                })
                .collect();
            members.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
            members.iter().flat_map(|(score, member)| [shown(member), json(score.to_string())]).collect()
        }
        Kind::Hash => {
            let mut fields: Vec<(Vec<u8>, Value)> = elements
                .iter()
                .map(|element| match element {
                    Element::Field { name, value, .. } => (name.to_vec(), shown(value)),
                    other => panic!("{other:?}"),
                })
                .collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            fields.iter().map(|(name, value)| json((shown(name), value))).collect()
        }
        Kind::Stream => stream(elements),
        Kind::Module | Kind::Array | Kind::Unknown => panic!("not in the dumps"),
    }
}

fn stream(elements: &[Element]) -> Value {
    let mut entries = Vec::new();
    let mut groups: Vec<(String, String, usize)> = Vec::new();
    let mut at = String::new();
    for element in elements {
        match element {
            Element::Entry { id, fields } => {
                let fields: Vec<Value> =
                    fields.iter().flat_map(|(field, value)| [shown(field), shown(value)]).collect();
                entries.push(json((id.to_string(), fields)));
            }
            Element::StreamState { last, .. } => at = last.to_string(),
            Element::Group { name, last, .. } => {
                groups.push((String::from_utf8_lossy(name).into_owned(), last.to_string(), 0));
            }
            Element::Pending { .. } => groups.last_mut().expect("a group").2 += 1,
            Element::Consumer { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    json((entries, at, groups))
}

fn expected(answer: &Value) -> Value {
    answer["value"].clone()
}

fn json(value: impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("JSON")
}

fn shown(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json(text),
        Err(_) => json(BTreeMap::from([("base64", to_base64(bytes))])),
    }
}

/// The member after the member `name` in a flat list of names and values.
fn named(list: &Value, name: &str) -> Value {
    found(list, name).unwrap_or_else(|| panic!("no {name}"))
}

fn found(list: &Value, name: &str) -> Option<Value> {
    let list = list.as_array().expect("a list");
    list.iter().position(|member| member == name).map(|at| list[at + 1].clone())
}

fn bytes_of(value: &Value) -> Vec<u8> {
    match value["base64"].as_str() {
        Some(base64) => from_base64(base64),
        None => value.as_str().expect("text").as_bytes().to_vec(),
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_base64(bytes: &[u8]) -> String {
    let group = |three: &[u8]| {
        let bits = (0..3).fold(0u32, |bits, at| bits << 8 | u32::from(*three.get(at).unwrap_or(&0)));
        let digit = move |place: u32| char::from(DIGITS[(bits >> (18 - 6 * place) & 63) as usize]);
        (0..4u32).map(move |place| if place as usize <= three.len() { digit(place) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

fn from_base64(digits: &str) -> Vec<u8> {
    let values: Vec<u32> =
        digits.bytes().filter_map(|digit| DIGITS.iter().position(|&d| d == digit)).map(|v| v as u32).collect();
    values
        .chunks(4)
        .flat_map(|four| {
            let bits = (0..4).fold(0u32, |bits, at| bits << 6 | four.get(at).unwrap_or(&0));
            bits.to_be_bytes()[1..four.len()].to_vec()
        })
        .collect()
}
