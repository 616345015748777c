//! What the dumps of real servers at hand don't hold: rare encodings, newer types, modules, long values.

use super::*;

const ANY: &[u8] = b"\x81\x00\x00\x00\x00\x00\x00\x00\x07";

/// A length as dumps write it.
fn length(number: usize) -> Vec<u8> {
    match number {
        0..=63 => vec![number as u8],
        64..=16383 => vec![0x40 | (number >> 8) as u8, number as u8],
        _ => [&[0x80], &(number as u32).to_be_bytes()[..]].concat(),
    }
}

fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [&length(bytes.as_ref().len()), bytes.as_ref()].concat()
}

/// A dump of one value of the type code, under the key `k`.
fn dump_of(header: &[u8], code: u8, body: &[u8]) -> Vec<u8> {
    [header, &[code], b"\x01k", body, b"\xff\x00\x00\x00\x00\x00\x00\x00\x00"].concat()
}

/// The elements of a value, which must be the same whole and in pieces.
fn elements(header: &[u8], code: u8, body: &[u8]) -> Vec<Element> {
    let dump = dump_of(header, code, body);
    let whole = read(&dump, 3, Limits::default()).expect("valid").without_pieces();
    assert_eq!(read(&dump, 3, TINY).expect("valid").without_pieces(), whole);
    assert!(whole.ended);
    whole.keys[&(0, b"k".to_vec())].elements.clone()
}

const REDIS: &[u8] = b"REDIS0012";
const VALKEY: &[u8] = b"VALKEY080";

fn field(name: &'static str, value: &'static str, expires_at_ms: Option<i64>) -> Element {
    Element::Field { name: name.into(), value: value.into(), expires_at_ms }
}

#[test]
fn types_22_to_25_differ_by_dialect() {
    let expiry = 4_000_000_000_000u64;
    let absolute = [0x81].into_iter().chain(expiry.to_be_bytes()).collect::<Vec<u8>>();
    let plain = [string("f"), string("v")].concat();
    let (with, without) = (field("f", "v", Some(expiry as i64)), field("f", "v", None));
    let pre_release = [&[2], &absolute[..], &plain, &[0], &plain].concat();
    assert_eq!(elements(REDIS, 22, &pre_release), [with.clone(), without.clone()]);
    let relative = [&(expiry - 9).to_le_bytes()[..], &[2, 10], &plain, &[0], &plain].concat();
    assert_eq!(elements(REDIS, 24, &relative), [with.clone(), without.clone()]);
    let valkey = [&[2], &plain[..], &expiry.to_le_bytes(), &plain, &(-1i64).to_le_bytes()].concat();
    assert_eq!(elements(VALKEY, 22, &valkey), [with.clone(), without.clone()]);
    let listpack = b"\x16\x00\x00\x00\x06\x00\x81f\x02\x81v\x02\xf4\x00\x40\x94\x52\xa3\x03\x00\x00\x09\x81f\x02\x81v\x02\x00\x01\xff";
    let packed = string(listpack);
    assert_eq!(elements(REDIS, 23, &packed), [with.clone(), without.clone()]);
    assert_eq!(elements(REDIS, 25, &[&expiry.to_le_bytes()[..], &packed].concat()), [with, without]);
    for code in 23..=25 {
        let stopped = read(&dump_of(VALKEY, code, &packed), 64, TINY).expect("as far as it goes");
        assert_eq!(stopped.unknown.map(|(_, code)| code), Some(code));
    }
}

#[test]
fn a_node_of_a_list_may_be_a_single_item() {
    let body = [&[2, 1][..], &string("one item"), &[2], &string(b"\x0a\x00\x00\x00\x01\x00\x81x\x02\xff")].concat();
    assert_eq!(elements(REDIS, 18, &body), [Element::Item("one item".into()), Element::Item("x".into())]);
}

#[test]
fn scores_keep_every_digit() {
    let body = [&[5][..], b"\x01a\xfe", b"\x01b\xff", b"\x01c\x023e", b"\x01d\x02-0", b"\x01e\x130.10000000000000001"];
    let wrong = read(&dump_of(REDIS, 3, &body.concat()), 64, TINY).expect_err("3e is no number");
    assert_eq!(wrong.fault, Fault::Malformed("a score is not a number"));
    let body = [&[4][..], b"\x01a\xfe", b"\x01b\xff", b"\x01d\x02-0", b"\x01e\x130.10000000000000001"].concat();
    let scores = elements(REDIS, 3, &body).into_iter().map(|element| match element {
        Element::Scored { score, .. } => score.to_bits(),
        other => panic!("{other:?}"),
    });
    let expected = [f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.1].map(f64::to_bits);
    assert_eq!(scores.collect::<Vec<_>>(), expected);
}

#[test]
fn newer_streams_are_read_and_written_in_older_forms() {
    let id = |ms: u64, seq: u64| [ms.to_be_bytes(), seq.to_be_bytes()].concat();
    let node = b"\x1a\x00\x00\x00\x0a\x00\x01\x01\x00\x01\x01\x01\x81f\x02\x00\x01\x02\x01\x00\x01\x00\x01\x81v\x02\x04\x01\xff";
    let entries = [&[1][..], &string(id(7, 1)), &string(node), &[1, 7, 1]].concat();
    let group = [string("g"), vec![7, 1]].concat();
    let pending = [&[1][..], &id(7, 1), &5i64.to_le_bytes(), &[3]].concat();
    let consumer = [&[1][..], &string("c"), &6i64.to_le_bytes()].concat();
    let active = 7i64.to_le_bytes();
    let owned = [&[1][..], &id(7, 1)].concat();
    let counters: &[u8] = &[7, 1, 0, 0, 1];
    let idempotence = [&[9, 9, 1][..], &string("producer"), &[1], &string("iid"), &[7, 1], &[1, 0]].concat();
    let first = [&entries[..], &[1], &group, &pending, &consumer, &owned].concat();
    let second = [&entries[..], counters, &[1], &group, &[1], &pending, &consumer, &owned].concat();
    let third = [&entries[..], counters, &[1], &group, &[1], &pending, &consumer, &active, &owned].concat();
    let fourth = [&third[..], &idempotence].concat();
    let fifth = [&third[..], &[0], &idempotence].concat();
    let forms = [(15, first), (19, second), (21, third), (26, fourth), (27, fifth)];
    let newest = elements(REDIS, 27, &forms[4].1);
    assert!(
        matches!(
            &newest[..],
            [
                Element::Entry { .. },
                Element::StreamState { .. },
                Element::Group { .. },
                Element::Consumer { .. },
                Element::Pending { delivered_at_ms: 5, deliveries: 3, .. }
            ]
        ),
        "{newest:?}"
    );
    for (code, body) in &forms[1..] {
        assert_eq!(elements(REDIS, *code, body), newest);
    }
    let key = Key { database: 0, name: "k".into(), expires_at_ms: None, kind: Kind::Stream };
    for (code, body) in &forms {
        let body = Bytes::copy_from_slice(body);
        let record = Record { key: key.clone(), dialect: Dialect::Redis, type_code: *code, body };
        for (server, (older, expected)) in [(6, 2), (7, 0), (7, 2), (8, 6), (8, 8)].into_iter().zip(&forms) {
            let target = Restorable::of_server(Dialect::Redis, (server.0, server.1, 0));
            let payload = record.payload_for(&target).expect("a payload");
            let (form, expected) = if older < code { (*older, &expected[..]) } else { (*code, &record.body[..]) };
            assert_eq!((payload[0], &payload[1..payload.len() - 10]), (form, expected), "{code} to {server:?}");
        }
        assert!(record.payload_for(&Restorable::of_server(Dialect::Valkey, (9, 0, 0))).expect("a payload")[0] <= 21);
    }
}

#[test]
fn what_modules_wrote_is_set_aside() {
    let id = [0x81].into_iter().chain(0x0123_4567_89ab_cdefu64.to_be_bytes()).collect::<Vec<u8>>();
    let data =
        [&[1][..], ANY, &[2, 3], &[3, 0, 0, 0, 0], &[4, 0, 0, 0, 0, 0, 0, 0, 0], &[5], &string("text"), &[0]].concat();
    let dump = [
        b"REDIS0013\xf7",
        &id[..],
        &[2, 1],
        &data,
        &[0xfc],
        &9i64.to_le_bytes(),
        b"\x07\x01m",
        &id,
        &data,
        &[0xf3, 1, 0, 0, 0, 0],
        &data,
        b"\x00\x01k\x01v\xff\x00\x00\x00\x00\x00\x00\x00\x00",
    ]
    .concat();
    for (size, limits) in [(1, TINY), (1000, Limits::default())] {
        let content = read(&dump, size, limits).expect("valid");
        assert_eq!(
            content.set_aside,
            ["data of the module ASNFZ4mrz", "a value of the module ASNFZ4mrz", "module data of a key"]
        );
        assert_eq!(content.keys.len(), 1);
        assert_eq!(content.keys[&(0, b"k".to_vec())].key.expires_at_ms, None);
    }
}

#[test]
fn a_hash_may_refer_to_a_template() {
    let template = [&[0xf2, 5, 2][..], &string("n"), &string("name")].concat();
    let packed = b"\x0d\x00\x00\x00\x03\x00\x05\x01\x01\x01\x02\x01\xff";
    let dump = |values: &[u8]| [b"REDIS0015", &template[..], values, &[0xff], &[0; 8]].concat();
    let fields = [field("n", "1", None), field("name", "2", None)];
    for value in [[b"\x1e\x01k", &string(packed)[..]].concat(), b"\x20\x01k\x05\xc0\x01\xc0\x02".to_vec()] {
        for (size, limits) in [(1, TINY), (1000, Limits::default())] {
            let content = read(&dump(&value), size, limits).expect("valid");
            assert_eq!(content.keys[&(0, b"k".to_vec())].elements, fields);
        }
    }
    let short = string(b"\x0b\x00\x00\x00\x02\x00\x05\x01\x01\x01\xff");
    let long = string(b"\x0f\x00\x00\x00\x04\x00\x05\x01\x01\x01\x02\x01\x03\x01\xff");
    let unknown = string(b"\x09\x00\x00\x00\x01\x00\x06\x01\xff");
    for wrong in [short, long, unknown] {
        assert!(read(&dump(&[b"\x1e\x01k", &wrong[..]].concat()), 9, TINY).is_err());
    }
}

#[test]
fn what_concerns_slots_is_passed_over() {
    let import = [b"VALKEY080\xf3", &string("a job's name")[..], &[2, 0, 5, 7, 9], b"\xf4\x07\x02\x01"].concat();
    let dump =
        [&import[..], b"\xf9\x05\xf8\x05\xfd\x10\x00\x00\x00\x00\x01k\xc0\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00"];
    let content = read(&dump.concat(), 1, Limits::default()).expect("valid");
    let seen = &content.keys[&(0, b"k".to_vec())];
    assert_eq!((seen.key.expires_at_ms, &seen.elements[..]), (Some(16000), &[Element::Text("-1".into())][..]));
}

#[test]
fn an_array_comes_whole_or_not_at_all() {
    let body = [&[3, 1, 9, 0, 0][..], &string("text"), &[1, 1], &[0; 8], &[5, 3], &string("abc")].concat();
    let dump = dump_of(b"REDIS0014", 28, &body);
    let mut reader = DumpReader::new(Limits::default());
    let mut buf = BytesMut::from(&dump[..]);
    assert!(matches!(reader.next(&mut buf), Ok(Some(Event::Header { version: 14, dialect: Dialect::Redis }))));
    let Ok(Some(Event::Record(record))) = reader.next(&mut buf) else { panic!("no record") };
    assert_eq!((record.key.kind, &record.body[..]), (Kind::Array, &body[..]));
    assert_eq!(record.elements().expect_err("opaque").fault, Fault::Opaque(28));
    let content = read(&dump, 1, TINY).expect("valid");
    assert_eq!((content.keys.len(), content.set_aside.len(), content.ended), (0, 1, true));
}

#[test]
fn a_payload_is_what_a_server_dumps() {
    let dumped: [&[u8]; 4] = [
        b"\x00\x05\x68\x65\x6c\x6c\x6f\x0a\x00\x63\x72\xdf\x76\x65\x34\x20\x0a",
        b"\x10\x14\x14\x00\x00\x00\x04\x00\x81\x61\x02\x01\x01\x81\x62\x02\x83\x74\x77\x6f\x04\xff\x0a\x00\x04\x28\xb5\x25\xe1\xe2\x6b\x12",
        b"\x0e\x01\x15\x15\x00\x00\x00\x10\x00\x00\x00\x03\x00\x00\x01\x61\x03\x01\x62\x03\xc0\x2c\x01\xff\x09\x00\x35\x94\x0c\x2d\xb1\xed\x61\x57",
        b"\x16\x01\x01\x66\x01\x76\x00\x40\x94\x52\xa3\x03\x00\x00\x50\x00\x95\x39\x71\xd0\xcc\x3d\x26\x43",
    ];
    let key = Key { database: 0, name: "k".into(), expires_at_ms: None, kind: Kind::String };
    for payload in dumped {
        let (value, footer) = payload.split_at(payload.len() - 10);
        let body = Bytes::copy_from_slice(&value[1..]);
        let record = Record { key: key.clone(), dialect: Dialect::Redis, type_code: value[0], body };
        let version = u32::from(footer[0]) | u32::from(footer[1]) << 8;
        assert_eq!(record.payload(version), payload);
    }
}

#[test]
fn a_long_value_is_held_in_bounded_memory() {
    const LIMITS: Limits = Limits { whole_bytes: 10_000, piece_bytes: 10_000 };
    const READ: usize = 4096;
    let members: Vec<u8> =
        (0..50_000u32).flat_map(|n| [string(n.to_string()), f64::from(n).to_le_bytes().to_vec()].concat()).collect();
    let zeros = [&[0, 0][..], &b"\xe0\xff\x00".repeat(5000)].concat();
    let compressed = [&[0xc3][..], &length(zeros.len()), &length(1 + 264 * 5000), &zeros].concat();
    let values = [
        (0, [length(2_000_000), vec![b'x'; 2_000_000]].concat(), 200),
        (0, compressed, 132),
        (5, [length(50_000), members].concat(), 300),
    ];
    for (code, body, pieces) in values {
        let dump = dump_of(REDIS, code, &body);
        let mut reader = DumpReader::new(LIMITS);
        let mut buf = BytesMut::new();
        let mut seen = 0;
        for part in dump.chunks(READ) {
            buf.extend_from_slice(part);
            while let Some(event) = reader.next(&mut buf).expect("valid") {
                if let Event::Piece(piece) = event {
                    let weight: usize = piece.iter().map(Element::weight).sum();
                    assert!(weight <= LIMITS.piece_bytes + 1000, "{weight}");
                    seen += 1;
                }
            }
            assert!(buf.len() <= LIMITS.whole_bytes + READ, "{}", buf.len());
        }
        assert!(seen >= pieces, "type {code}: {seen} pieces");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_dumped_is_read(
        strings in proptest::collection::btree_map("[a-z]{1,8}", (0..3u32, proptest::option::of(0..i64::MAX / 2), 0..20_000usize), 0..6),
        items in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80), 1..20),
        step in 1..5_000usize,
    ) {
        let mut dump = REDIS.to_vec();
        for (name, (database, expires, size)) in &strings {
            dump.extend([&[0xfe][..], &length(*database as usize)].concat());
            dump.extend(expires.iter().flat_map(|at| [&[0xfc][..], &at.to_le_bytes()].concat()));
            dump.extend([&[0][..], &string(name), &string(vec![b'v'; *size])].concat());
        }
        let list = items.iter().flat_map(string).collect::<Vec<u8>>();
        dump.extend([&b"\xfe\x07\x01"[..], &string("list"), &length(items.len()), &list, b"\xff", &[0; 8]].concat());
        let whole = read(&dump, step, Limits::default()).expect("valid").without_pieces();
        proptest::prop_assert_eq!(&read(&dump, step, TINY).expect("valid").without_pieces(), &whole);
        proptest::prop_assert_eq!(whole.keys.len(), strings.len() + 1);
        for (name, (database, expires, size)) in strings {
            let seen = &whole.keys[&(database, name.into_bytes())];
            proptest::prop_assert_eq!(seen.key.expires_at_ms, expires);
            proptest::prop_assert_eq!(&seen.elements, &[Element::Text(vec![b'v'; size].into())]);
        }
        let expected: Vec<Element> = items.into_iter().map(|item| Element::Item(item.into())).collect();
        proptest::prop_assert_eq!(&whole.keys[&(7, b"list".to_vec())].elements, &expected);
    }
}
