//! Bytes that are no dump, or one that was damaged, give an error or fewer keys: never a panic, never much memory.

use super::*;
use proptest::prelude::*;

/// Reads a dump to its end or its first error, twice: whole records and pieces must tell the same of it.
fn survive(dump: &[u8], read: usize) {
    let whole = super::read(dump, read, Limits::default());
    let pieces = super::read(dump, read, TINY);
    if let (Ok(whole), Ok(pieces)) = (&whole, &pieces) {
        assert_eq!(whole.keys.len(), pieces.keys.len());
    }
    assert!(!matches!((&whole, &pieces), (Ok(whole), Err(_)) if whole.ended));
}

/// A dump's first bytes, of a version without checksum so that what was damaged is looked at.
fn unsummed(mut dump: Vec<u8>) -> Vec<u8> {
    let end = dump.len();
    dump[end - 8..].fill(0);
    dump
}

#[test]
fn a_damaged_byte_is_found_by_the_checksum() {
    let mut dump = dump("redis-7.2.6");
    let at = dump.windows(5).position(|bytes| bytes == b"hello").expect("a value");
    dump[at] = b'j';
    let error = read(&dump, 4096, Limits::default()).expect_err("damaged");
    assert!(matches!(error.fault, Fault::Checksum { .. }), "{error}");
    assert_eq!(error.at, dump.len() as u64 - 8);
}

#[test]
fn a_dump_that_ends_early_does_not_end() {
    let dump = dump("valkey-9.1.2");
    for end in (0..dump.len()).step_by(997) {
        let content = read(&dump[..end], usize::MAX, Limits::default()).expect("as far as it goes");
        assert!(!content.ended);
    }
}

#[test]
fn an_unknown_opcode_is_named_with_its_place() {
    for (header, code) in [(b"REDIS0012", 0xf6), (b"VALKEY080", 0xf2)] {
        let dump = [header, &b"\x00\x01a\x01b"[..], &[code]].concat();
        let error = read(&dump, 1, Limits::default()).expect_err("unknown");
        assert_eq!(error, DumpError { at: 14, key: None, fault: Fault::UnknownOpcode(code) });
        let text =
            format!("byte 14 of the dump: opcode {code} is not known, so that the rest of the dump can't be read");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn an_error_stays() {
    let mut reader = DumpReader::new(Limits::default());
    let mut buf = BytesMut::from(&b"RODIS0011"[..]);
    let error = reader.next(&mut buf).expect_err("no dump");
    assert_eq!(error.fault, Fault::NotADump);
    assert_eq!(reader.next(&mut buf), Err(error));
}

#[test]
fn absurd_lengths_are_refused_without_memory_for_them() {
    const HUGE: &[u8] = b"\x81\x80\x00\x00\x00\x00\x00\x00\x00";
    let absurd: [(&[u8], &[u8]); 9] = [
        (b"\x00", HUGE),
        (b"\xf5", HUGE),
        (b"\xfa", HUGE),
        (b"\x01\x01k", &[HUGE, HUGE].concat()),
        (b"\x04\x01k\x01", HUGE),
        (b"\x10\x01k", HUGE),
        (b"\x0f\x01k", &[HUGE, HUGE].concat()),
        (b"\x00\x01k", &[b"\xc3\x05", HUGE, b"\x00a\xe0\xff\x00"].concat()),
        (b"\x12\x01k", &[HUGE, b"\x02", HUGE].concat()),
    ];
    for (start, length) in absurd {
        let dump = [b"REDIS0011", start, length].concat();
        let error = read(&dump, 1, Limits::default()).expect_err("absurd");
        assert!(matches!(error.fault, Fault::TooLong { .. } | Fault::Malformed(_)), "{start:?} {error}");
    }
}

#[test]
fn a_string_without_end_is_taken_in_pieces() {
    let head = b"REDIS0011\x00\x01k\x81\x80\x00\x00\x00\x00\x00\x00\x00";
    let mut reader = DumpReader::new(Limits { whole_bytes: 1000, piece_bytes: 1000 });
    let mut buf = BytesMut::from(&head[..]);
    let mut taken = 0;
    for _ in 0..1000 {
        buf.extend_from_slice(&[b'x'; 100]);
        while let Some(event) = reader.next(&mut buf).expect("no fault so far") {
            if let Event::Piece(piece) = event {
                taken += piece.iter().map(|element| text(element).len()).sum::<usize>();
            }
        }
        assert!(buf.len() < 1000);
    }
    assert_eq!(taken + buf.len(), 100_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_panic(start in 0..3usize, bytes in prop::collection::vec(any::<u8>(), 0..400), size in 1..50usize) {
        let start: &[u8] = [&b"REDIS0012"[..], b"VALKEY080", b""][start];
        survive(&[start, &bytes].concat(), size);
    }

    #[test]
    fn no_value_panics(valkey in any::<bool>(), code in 0u8..30, bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0u8..6], 0..200)) {
        let start: &[u8] = if valkey { b"VALKEY080" } else { b"REDIS0012" };
        survive(&[start, &[code], b"\x03key", &bytes].concat(), 64);
    }

    #[test]
    fn no_damaged_dump_panics(
        server in 0..SERVERS.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut dump = unsummed(dump(SERVERS[server]));
        for (at, byte) in damage {
            let at = at.index(dump.len());
            dump[at] = byte;
        }
        survive(&dump, 4096);
    }
}
