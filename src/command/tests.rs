//! What the table promises as a whole, held against what servers say of themselves.

use super::*;
use crate::wire::rdb::Dialect;
use crate::wire::resp::{Command, FrameReader, command as encode};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// What COMMAND answered: name, first key, last key, step.
const SERVERS: [&str; 3] =
    [include_str!("data/redis-6.2.txt"), include_str!("data/redis-7.0.txt"), include_str!("data/valkey-9.1.txt")];

/// Calls `check` with a command of these arguments.
pub(super) fn with<A: AsRef<[u8]>, R>(arguments: &[A], check: impl FnOnce(&Command<'_>) -> R) -> R {
    let bytes = encode(arguments);
    let mut reader = FrameReader::new();
    reader.next(&bytes).expect("a frame").expect("whole");
    check(&Command::new(&bytes, reader.arguments()))
}

/// Calls `check` with a command written as words and the meaning of its name.
pub(super) fn with_line<R>(line: &str, check: impl FnOnce(&Command<'_>, &'static Spec) -> R) -> R {
    let words: Vec<&str> = line.split(' ').collect();
    with(&words, |command| check(command, lookup(command.name()).expect("a known command")))
}

/// The requests in `bytes`, each as words.
pub(super) fn requests(mut bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let mut reader = FrameReader::new();
        let length = reader.next(bytes).expect("a frame").expect("whole");
        found.push(Command::new(bytes, reader.arguments()).args().map(<[u8]>::to_vec).collect());
        bytes = &bytes[length..];
    }
    found
}

fn servers_commands() -> impl Iterator<Item = (&'static str, usize, isize, usize)> {
    SERVERS.into_iter().flat_map(str::lines).filter(|line| !line.starts_with('#')).map(|line| {
        let mut words = line.split(' ');
        let name = words.next().and_then(|name| name.split('|').next()).expect("a name");
        let mut number = || words.next().and_then(|word| word.parse::<isize>().ok()).expect("a number");
        let (first, last, step) = (number(), number(), number());
        (name, first.try_into().expect("a place"), last, step.try_into().expect("a distance"))
    })
}

#[test]
fn every_write_command_of_a_server_is_known() {
    for (name, ..) in servers_commands() {
        let spec = lookup(name.as_bytes()).unwrap_or_else(|| panic!("{name} is not in the table"));
        assert!(spec.name.eq_ignore_ascii_case(name));
    }
}

#[test]
fn keys_are_where_the_servers_say() {
    for (name, first, last, step) in servers_commands() {
        let mut words = vec![name];
        words.extend(["x"; 6]);
        let last = if last < 0 { words.len().saturating_add_signed(last) } else { last.unsigned_abs() };
        let theirs: BTreeSet<usize> = if first == 0 { [].into() } else { (first..=last).step_by(step).collect() };
        let ours: BTreeSet<usize> = with(&words, |command| {
            lookup(name.as_bytes()).expect("known").keys(command).map(|used| used.index).collect()
        });
        assert_eq!(ours, theirs, "{name}");
    }
}

#[test]
fn names_are_found_in_any_case_and_nothing_else_is() {
    for spec in super::table::TABLE.iter() {
        assert_eq!(lookup(spec.name.as_bytes()).map(|found| found.id), Some(spec.id), "{} is there once", spec.name);
        assert_eq!(lookup(spec.name.to_lowercase().as_bytes()).map(|found| found.id), Some(spec.id));
        assert!(spec.name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-'));
        assert!(lookup(format!("{}.", spec.name).as_bytes()).is_none());
    }
    for name in ["", "GET", "JSON.SET", "BF.ADD", "SE", "SETT", "a name that is longer than any other"] {
        assert!(lookup(name.as_bytes()).is_none(), "{name}");
    }
}

/// Index, access and, where there is one, database of each key.
fn keys_of(line: &str) -> Vec<(usize, Access, Option<u32>)> {
    with_line(line, |command, spec| spec.keys(command).map(|used| (used.index, used.access, used.database)).collect())
}

#[test]
fn keys_are_found_behind_counts_and_words() {
    use Access::{Read, ReadWrite, Write};
    let here = |keys: &[(usize, Access)]| keys.iter().map(|&(at, access)| (at, access, None)).collect::<Vec<_>>();
    assert_eq!(keys_of("MSETEX 2 a 1 b 2 EX 9"), here(&[(2, Write), (4, Write)]));
    assert_eq!(keys_of("ZUNIONSTORE d 2 a b WEIGHTS 1 2"), here(&[(1, Write), (3, Read), (4, Read)]));
    assert_eq!(keys_of("BITOP NOT d a"), here(&[(2, Write), (3, Read)]));
    assert_eq!(keys_of("PFMERGE d a b"), here(&[(1, ReadWrite), (2, Read), (3, Read)]));
    assert_eq!(keys_of("SMOVE a b m"), here(&[(1, ReadWrite), (2, ReadWrite)]));
    assert_eq!(keys_of("RENAME a b"), here(&[(1, ReadWrite), (2, Write)]));
    assert_eq!(keys_of("EVAL return 2 a b c"), here(&[(3, ReadWrite), (4, ReadWrite)]));
    assert_eq!(keys_of("BLMPOP 0 2 a b LEFT"), here(&[(3, ReadWrite), (4, ReadWrite)]));
    assert_eq!(keys_of("XREADGROUP GROUP g c STREAMS a b 0 0"), here(&[(5, ReadWrite), (6, ReadWrite)]));
    assert_eq!(keys_of("SORT a STORE x BY STORE GET y STORE d"), here(&[(1, Read), (9, Write)]));
    assert_eq!(keys_of("SORT a BY STORE"), here(&[(1, Read)]));
    assert_eq!(keys_of("GEORADIUS a 1 2 3 m COUNT 1 STORE d"), here(&[(1, Read), (9, Write)]));
    assert_eq!(keys_of("GEORADIUSBYMEMBER a m 3 m STOREDIST d"), here(&[(1, Read), (6, Write)]));
    assert_eq!(keys_of("EVAL return 99999999999999999999 a"), []);
    assert_eq!(keys_of("EVAL return 18446744073709551615 a"), here(&[(3, ReadWrite)]));
}

#[test]
fn a_key_in_another_database_is_told_apart() {
    assert_eq!(keys_of("MOVE k 3"), [(1, Access::ReadWrite, None), (1, Access::Write, Some(3))]);
    assert_eq!(keys_of("COPY a b DB 2"), [(1, Access::Read, None), (2, Access::Write, Some(2))]);
    assert_eq!(keys_of("COPY a b REPLACE"), [(1, Access::Read, None), (2, Access::Write, None)]);
}

#[test]
fn elements_are_found_behind_options() {
    let elements = |line: &str| {
        with_line(line, |command, spec| {
            spec.elements(command).map(|element| String::from_utf8_lossy(element).into_owned()).collect::<Vec<_>>()
        })
    };
    assert_eq!(elements("HSET k a 1 b 2"), ["a", "b"]);
    assert_eq!(elements("SADD k a b"), ["a", "b"]);
    assert_eq!(elements("SMOVE a b m"), ["m"]);
    assert_eq!(elements("ZADD k NX CH 1 a 2 b"), ["a", "b"]);
    assert_eq!(elements("GEOADD k CH 1 2 a 3 4 b"), ["a", "b"]);
    assert_eq!(elements("ZINCRBY k 1 a"), ["a"]);
    assert_eq!(elements("HSETEX k PXAT 9 FIELDS 2 a 1 b 2"), ["a", "b"]);
    assert_eq!(elements("HPEXPIREAT k 9 NX FIELDS 2 a b"), ["a", "b"]);
    assert_eq!(elements("HPEXPIREAT k 9 NX FIELDS 3 a b"), [""; 0]);
    assert_eq!(elements("SETBIT k 7 1"), ["7"]);
    assert_eq!(elements("VADD k REDUCE 2 VALUES 2 0.5 0.5 e SETATTR x"), ["e"]);
    assert_eq!(elements("VADD k FP32 blob e"), ["e"]);
    assert_eq!(elements("SET k a"), [""; 0]);
}

#[test]
fn adding_to_a_score_is_counting() {
    let unit = |line: &str| with_line(line, |command, spec| spec.unit_of(command));
    assert_eq!(unit("ZADD k XX INCR 1 a"), Unit::ElementCounter(Elements::Scored { group: 2 }));
    assert_eq!(unit("ZADD k XX 1 a"), Unit::Element(Elements::Scored { group: 2 }));
    assert_eq!(unit("INCR k"), Unit::Counter);
}

#[test]
fn an_unknown_command_is_reported_with_its_first_argument() {
    with(&["JSON.SET", "k", "$", "1"], |command| assert_eq!(guess_key(command), Some(b"k".as_slice())));
    with(&["NONSENSE"], |command| assert_eq!(guess_key(command), None));
}

/// Commands of every form that the rewritings tell apart, to start from.
const FORMS: &[&str] = &[
    "SET k v XX PX 5",
    "SETEX k 5 v",
    "MSETNX a 1 duet:b 2",
    "MSETEX 3 a 1 duet:b 2 c 3 NX EX 5",
    "GETEX k EX 5",
    "INCREX k NX BYINT 2 EX 5 ENX",
    "BITOP DIFF d a b",
    "EXPIRE k 5 NX",
    "HSETEX k FNX EX 5 FIELDS 2 a 1 b 2",
    "HGETEX k PX 5 FIELDS 1 a",
    "HGETDEL k FIELDS 2 a b",
    "HEXPIRE k 5 NX FIELDS 2 a b",
    "LPOP k 2",
    "LMOVE a b RIGHT LEFT",
    "BLMOVE a b LEFT LEFT 0",
    "ZADD k NX CH 1 a 2 b",
    "GEOADD k NX 1 2 a",
    "ZUNIONSTORE d 2 a duet:b AGGREGATE COUNT",
    "XADD k NOMKSTREAM DELREF IDMP p i MAXLEN = 9 LIMIT 5 1-1 a 1",
    "XTRIM k MAXLEN ~ 9 LIMIT 5",
    "XDELEX k DELREF IDS 2 1-1 1-2",
    "XGROUP CREATE k g 0 ENTRIESREAD 7",
    "XSETID k 1-1 ENTRIESADDED 7",
    "XCLAIM k g c 0 1-1 IDLE 9 FORCE",
    "XACKDEL k g IDS 1 1-1",
    "COPY a duet:b DB 1",
    "RESTORE k 5 x FREQ 3",
    "FLUSHALL SYNC",
    "FUNCTION RESTORE x APPEND",
    "DEL a duet:b c",
    "UNLINK duet:b c",
    "MSET a 1 duet:b 2",
    "MOVE k 1",
    "SORT a LIMIT 0 1 BY x STORE d",
    "EVAL x 2 a duet:b c",
    "GEORADIUS k 1 2 3 m STORE d",
    "VADD k REDUCE 2 VALUES 2 0.5 0.5 e",
    "SETBIT k 7 1",
    "XREADGROUP GROUP g c STREAMS a b 0 0",
    "SPOP k",
    "RENAMENX a duet:b",
    "GETDEL k",
    "HSETNX k f v",
    "FUNCTION LOAD code",
    "SMOVE a b m",
];

/// Arguments that are likely to matter to some command.
fn argument() -> impl Strategy<Value = Vec<u8>> {
    let words = "NX XX GT LT CH INCR EX PX EXAT PXAT KEEPTTL PERSIST GET IFEQ FIELDS FNX STORE BY LIMIT COUNT STREAMS IDS \
                 MAXLEN MINID ~ = * $ NOMKSTREAM IDMP ACKED DELREF IDLE DB REPLACE ABSTTL LOAD RESTORE REDUCE VALUES FP32 \
                 AGGREGATE RIGHT LEFT SYNC duet:a duet:b k 0 1 2 3 -1 9223372036854775807 18446744073709551615";
    prop_oneof![
        4 => prop::sample::select(words.split_whitespace().collect::<Vec<_>>()).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

/// A command: one of the forms with some arguments replaced, added or taken out, or a name with any arguments.
fn arguments() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let changes =
        prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(argument()), any::<bool>()), 0..4);
    let formed = (prop::sample::select(FORMS), changes).prop_map(|(form, changes)| {
        let mut arguments: Vec<Vec<u8>> = form.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        for (place, value, replace) in changes {
            let at = 1 + place.index(arguments.len());
            if (replace || value.is_none()) && at < arguments.len() {
                arguments.remove(at);
            }
            arguments.splice(at.min(arguments.len())..at.min(arguments.len()), value);
        }
        arguments
    });
    let any = (0..super::table::COUNT, prop::collection::vec(argument(), 0..10)).prop_map(|(id, mut tail)| {
        tail.insert(0, super::table::TABLE[id].name.as_bytes().to_vec());
        tail
    });
    prop_oneof![2 => formed, 1 => any]
}

fn targets() -> [Capabilities; 4] {
    let names =
        |server: usize| SERVERS[server].lines().filter_map(|line| line.split([' ', '|']).next()).collect::<Vec<_>>();
    [
        Capabilities::all(),
        Capabilities::new(names(0), Dialect::Redis, Version(6, 2, 14)),
        Capabilities::new(names(2), Dialect::Valkey, Version(9, 1, 2)),
        Capabilities::new(["SET", "DEL"], Dialect::Redis, Version(5, 0, 0)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_arguments_panic_and_what_is_written_is_frames(
        arguments in arguments(), now_ms in any::<i64>(),
    ) {
        let spec = lookup(&arguments[0]).expect("known");
        with(&arguments, |command| {
            prop_assert!(spec.keys(command).all(|used| used.index > 0 && used.index < command.len()));
            let _ = (spec.elements(command).count(), spec.unit_of(command), guess_key(command));
            for target in &targets() {
                let (Replay::Rewritten(bytes, count) | Replay::Partial(bytes, count, _)) =
                    replay(command, spec, &Context { now_ms, target }) else { continue };
                let written = requests(&bytes);
                prop_assert_eq!(written.len(), count);
                prop_assert!(written.iter().all(|request| lookup(&request[0]).is_some()));
            }
            Ok(())
        })?;
    }

    #[test]
    fn no_reserved_key_remains(arguments in arguments()) {
        let spec = lookup(&arguments[0]).expect("known");
        with(&arguments, |command| {
            let reserved = |command: &Command<'_>| spec.keys(command).any(|used| used.key.starts_with(b"duet:"));
            match without_reserved(command, spec, b"duet:") {
                Unreserved::Untouched => prop_assert!(!reserved(command)),
                Unreserved::Nothing | Unreserved::Entangled => prop_assert!(reserved(command)),
                Unreserved::Rest(bytes) => {
                    let rest = requests(&bytes);
                    prop_assert_eq!(rest.len(), 1);
                    with(&rest[0], |rest| {
                        prop_assert!(!reserved(rest));
                        prop_assert!(spec.keys(rest).next().is_some());
                        Ok(())
                    })?;
                }
            }
            Ok(())
        })?;
    }
}

#[test]
fn commands_of_lists_are_told_from_others() {
    let of_list = |name: &str| lookup(name.as_bytes()).expect("it is known").is_of_list();
    assert!(["RPUSH", "LREM", "LMOVE", "BLPOP"].into_iter().all(of_list));
    assert!(!["SET", "HSET", "SADD", "ZADD", "XADD", "DEL"].into_iter().any(of_list));
}
