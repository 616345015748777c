use super::*;
use proptest::prelude::*;

fn all(packing: Packing, bytes: &[u8]) -> Result<Vec<Entry>, Fault> {
    let mut packed = Packed::new(packing, Bytes::copy_from_slice(bytes))?;
    std::iter::from_fn(|| packed.next().transpose()).collect()
}

fn listpack(entries: &[u8]) -> Vec<u8> {
    let mut bytes = ((entries.len() + 7) as u32).to_le_bytes().to_vec();
    bytes.extend_from_slice(&[0xff, 0xff]);
    bytes.extend_from_slice(entries);
    bytes.push(0xff);
    bytes
}

fn integers(packing: Packing, bytes: &[u8]) -> Vec<i64> {
    let entries = all(packing, bytes).expect("valid");
    entries.into_iter().map(|entry| entry.into_integer().expect("an integer")).collect()
}

#[test]
fn a_listpack_has_integers_of_six_sizes() {
    let entries = b"\x7f\x01\xdf\xff\x02\xd0\x00\x02\xf1\x00\x80\x03\xf2\xff\xff\x7f\x04\xf3\x00\x00\x00\x80\x05\xf4\xff\xff\xff\xff\xff\xff\xff\x7f\x09";
    let expected = [127, -1, -4096, -32768, 8388607, -2147483648, i64::MAX];
    assert_eq!(integers(Packing::Listpack, &listpack(entries)), expected);
}

#[test]
fn a_listpack_has_texts_of_three_sizes() {
    for size in [0usize, 1, 63, 64, 127, 4095, 4096, 16382, 20_000] {
        let head = match size {
            ..64 => vec![0x80 | size as u8],
            64..4096 => vec![0xe0 | (size >> 8) as u8, size as u8],
            _ => [&[0xf0], &(size as u32).to_le_bytes()[..]].concat(),
        };
        let total = head.len() + size;
        let behind = if total <= 127 {
            1
        } else if total < 16383 {
            2
        } else {
            3
        };
        let entry = [&head[..], &vec![b'x'; size], &vec![0; behind], &[5, 1]].concat();
        let expected = vec![Entry::Text(vec![b'x'; size].into()), Entry::Integer(5)];
        assert_eq!(all(Packing::Listpack, &listpack(&entry)), Ok(expected), "{size}");
    }
}

#[test]
fn a_ziplist_has_integers_of_six_sizes_and_long_links() {
    let entries = b"\x00\xf1\x02\xfd\x02\xfe\x80\x03\xf0\x00\x00\x80\xfe\x05\x00\x00\x00\xc0\xff\x7f\x04\xd0\x00\x00\x00\x80\x06\xe0\xff\xff\xff\xff\xff\xff\xff\x7f\xff";
    let bytes = [&[0; 10][..], entries].concat();
    assert_eq!(integers(Packing::Ziplist, &bytes), [0, 12, -128, -8388608, 32767, -2147483648, i64::MAX]);
}

#[test]
fn a_ziplist_has_texts_of_three_sizes() {
    let long = [&b"\x00\x80\x00\x00\x40\x00"[..], &[b'z'; 16384]].concat();
    let bytes = [&[0; 10][..], b"\x00\x02ab\x04\x40\x03cde", &long, &[0xff]].concat();
    let expected = ["ab".into(), "cde".into(), Bytes::from(vec![b'z'; 16384])].map(Entry::Text);
    assert_eq!(all(Packing::Ziplist, &bytes), Ok(expected.to_vec()));
}

#[test]
fn a_zipmap_may_have_unused_bytes_behind_a_value() {
    let bytes = b"\x02\x01a\x02\x02vw..\xfe\x01\x00\x00\x00b\x00\x00\xff";
    let expected = ["a", "vw", "b", ""].map(|text| Entry::Text(text.into()));
    assert_eq!(all(Packing::Zipmap, bytes), Ok(expected.to_vec()));
}

#[test]
fn a_set_of_integers_has_one_of_three_widths() {
    assert_eq!(integers(Packing::Intset, b"\x02\0\0\0\x02\0\0\0\xff\xff\x05\x00"), [-1, 5]);
    assert_eq!(integers(Packing::Intset, b"\x04\0\0\0\x01\0\0\0\x00\x00\x00\x80"), [-2147483648]);
    assert_eq!(integers(Packing::Intset, b"\x08\0\0\0\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f"), [i64::MAX]);
    for wrong in [&b"\x03\0\0\0\0\0\0\0"[..], b"\x02\0\0\0\xff\xff\xff\xff", b"\x02\0\0\0\x01\0\0\0\x01", b"\x02"] {
        assert!(all(Packing::Intset, wrong).is_err());
    }
}

/// An entry of a listpack, in the shortest form that a server writes, with its length behind it.
fn listpack_entry(entry: &Entry) -> Vec<u8> {
    let body = match entry {
        Entry::Integer(number @ 0..=127) => vec![*number as u8],
        Entry::Integer(number @ -4096..=4095) => ((*number as u16 & 0x1fff) | 0xc000).to_be_bytes().to_vec(),
        Entry::Integer(number) => integer(*number, [0xf1, 0xf2, 0xf3, 0xf4]),
        Entry::Text(text) => match text.len() {
            length @ ..64 => [&[0x80 | length as u8], &text[..]].concat(),
            length @ ..4096 => [&(0xe000 | length as u16).to_be_bytes(), &text[..]].concat(),
            length => [&[0xf0], &(length as u32).to_le_bytes()[..], text].concat(),
        },
    };
    // Seven bits a byte, the lowest last; all but the first say that one more stands before them.
    let mut back = vec![body.len() as u8 & 0x7f];
    let mut rest = body.len() >> 7;
    while rest > 0 {
        back[0] |= 0x80;
        back.insert(0, rest as u8 & 0x7f);
        rest >>= 7;
    }
    back[0] &= 0x7f;
    back.iter_mut().skip(1).for_each(|byte| *byte |= 0x80);
    [body, back].concat()
}

/// A code and the fewest of 2, 3, 4 or 8 bytes that hold the number.
fn integer(number: i64, codes: [u8; 4]) -> Vec<u8> {
    let (at, size) = match number {
        -0x8000..0x8000 => (0, 2),
        -0x80_0000..0x80_0000 => (1, 3),
        -0x8000_0000..0x8000_0000 => (2, 4),
        _ => (3, 8),
    };
    [&codes[at..=at], &number.to_le_bytes()[..size]].concat()
}

fn ziplist(entries: &[Entry]) -> Vec<u8> {
    let (mut bytes, mut before) = (vec![0; 10], 0usize);
    for entry in entries {
        let body = match entry {
            Entry::Integer(number @ 0..=12) => vec![0xf1 + *number as u8],
            Entry::Integer(number @ -128..=127) => vec![0xfe, *number as u8],
            Entry::Integer(number) => integer(*number, [0xc0, 0xf0, 0xd0, 0xe0]),
            Entry::Text(text) => match text.len() {
                length @ ..64 => [&[length as u8], &text[..]].concat(),
                length @ ..16384 => [&(0x4000 | length as u16).to_be_bytes(), &text[..]].concat(),
                length => [&[0x80], &(length as u32).to_be_bytes()[..], text].concat(),
            },
        };
        let link = match before {
            ..254 => vec![before as u8],
            before => [&[0xfe], &(before as u32).to_le_bytes()[..]].concat(),
        };
        before = link.len() + body.len();
        bytes.extend([link, body].concat());
    }
    bytes.push(0xff);
    bytes
}

fn zipmap(texts: &[Bytes]) -> Vec<u8> {
    let mut bytes = vec![(texts.len() / 2) as u8];
    for (at, text) in texts.iter().enumerate() {
        match text.len() {
            length @ ..254 => bytes.push(length as u8),
            length => bytes.extend([&[0xfe], &(length as u32).to_le_bytes()[..]].concat()),
        }
        let unused = (at % 2) * (at % 7);
        bytes.extend(std::iter::repeat_n(unused as u8, at % 2));
        bytes.extend_from_slice(text);
        bytes.extend(std::iter::repeat_n(b'.', unused));
    }
    bytes.push(0xff);
    bytes
}

fn texts() -> impl Strategy<Value = Bytes> {
    let length = prop_oneof![0..300usize, 16_380..16_390usize];
    (length, any::<u8>()).prop_map(|(length, byte)| vec![byte; length].into())
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let number =
        prop_oneof![any::<i64>(), any::<i32>().prop_map(i64::from), any::<i16>().prop_map(i64::from), -5000..5000i64];
    prop::collection::vec(prop_oneof![number.prop_map(Entry::Integer), texts().prop_map(Entry::Text)], 0..12)
}

proptest! {
    #[test]
    fn what_was_packed_is_read(entries in entries(), texts in prop::collection::vec(texts(), 0..8)) {
        let body: Vec<u8> = entries.iter().flat_map(listpack_entry).collect();
        prop_assert_eq!(all(Packing::Listpack, &listpack(&body)), Ok(entries.clone()));
        prop_assert_eq!(all(Packing::Ziplist, &ziplist(&entries)), Ok(entries));
        let pairs = &texts[..texts.len() / 2 * 2];
        let expected = pairs.iter().cloned().map(Entry::Text).collect();
        prop_assert_eq!(all(Packing::Zipmap, &zipmap(pairs)), Ok(expected));
    }

    #[test]
    fn integers_of_a_set_are_read(numbers in prop::collection::vec(any::<i64>(), 0..20), width in prop::sample::select(vec![2usize, 4, 8])) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()[..width].to_vec()).collect();
        let head = [(width as u32).to_le_bytes(), (numbers.len() as u32).to_le_bytes()].concat();
        let shift = 64 - 8 * width;
        let expected: Vec<i64> = numbers.iter().map(|number| number << shift >> shift).collect();
        prop_assert_eq!(integers(Packing::Intset, &[head, bytes].concat()), expected);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        for packing in [Packing::Listpack, Packing::Ziplist, Packing::Zipmap, Packing::Intset] {
            let entries = all(packing, &bytes).map_or(0, |entries| entries.len());
            prop_assert!(entries <= bytes.len());
        }
    }
}
