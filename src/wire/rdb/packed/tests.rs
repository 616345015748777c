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

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        for packing in [Packing::Listpack, Packing::Ziplist, Packing::Zipmap, Packing::Intset] {
            let entries = all(packing, &bytes).map_or(0, |entries| entries.len());
            prop_assert!(entries <= bytes.len());
        }
    }
}
