//! Every rewriting, by what it promises. Commands are written as words, `now` is 1000.

use super::*;
use crate::command::Version;
use crate::command::tests::{requests, with_line};
use crate::wire::rdb::Dialect;

fn target(names: &[&str], dialect: Dialect, version: Version) -> Capabilities {
    let common = "SET MSET DEL EXPIRE PEXPIREAT PERSIST HSET HDEL RENAME LPUSH RPUSH LTRIM LPOP RPOP RPOPLPUSH ZADD ZINCRBY \
                  GEOADD XADD XTRIM XDEL XACK XGROUP XSETID XCLAIM RESTORE FLUSHALL FLUSHDB BITOP ZUNIONSTORE INCR MOVE";
    Capabilities::new(common.split_whitespace().chain(names.iter().copied()), dialect, version)
}

fn redis_5() -> Capabilities {
    target(&[], Dialect::Redis, Version(5, 0, 14))
}

fn redis_6_2() -> Capabilities {
    target(&["COPY", "LMOVE"], Dialect::Redis, Version(6, 2, 14))
}

fn redis_7_4() -> Capabilities {
    target(&["HPEXPIREAT", "HPERSIST"], Dialect::Redis, Version(7, 4, 0))
}

fn valkey_9_1() -> Capabilities {
    let names = ["HPEXPIREAT", "HPERSIST", "HSETEX", "MSETEX", "FUNCTION", "COPY", "LMOVE"];
    target(&names, Dialect::Valkey, Version(9, 1, 2))
}

/// What is sent for a command: `=` when it goes as it came, the requests otherwise, `~` before what leaves something out, and
/// `!` with the reason when nothing is.
fn at(target: &Capabilities, line: &str) -> String {
    let words = |bytes: &[u8]| {
        let requests: Vec<String> = requests(bytes)
            .into_iter()
            .map(|request| String::from_utf8(request.join(b" ".as_slice())).expect("text"))
            .collect();
        requests.join("; ")
    };
    with_line(line, |command, spec| match replay(command, spec, &Context { now_ms: 1000, target }) {
        Replay::Verbatim => "=".to_owned(),
        Replay::Rewritten(bytes, _) => words(&bytes),
        Replay::Partial(bytes, _, why) => format!("~{} ({why})", words(&bytes)),
        Replay::SetAside(why) => format!("!{why}"),
    })
}

fn all(line: &str) -> String {
    at(&Capabilities::all(), line)
}

#[test]
fn a_plain_command_goes_as_it_came() {
    for line in [
        "SET k v",
        "set k v",
        "SET k v KEEPTTL",
        "SET k v PXAT 9",
        "MSET a 1 b 2",
        "INCRBY k 2",
        "APPEND k x",
        "SETRANGE k 0 x",
        "BITFIELD k SET u8 0 1",
        "BITOP AND d a",
        "DEL a b",
        "PEXPIREAT k 9",
        "PERSIST k",
        "HSET k a 1",
        "HPEXPIREAT k 9 FIELDS 1 a",
        "HPERSIST k FIELDS 1 a",
        "LPUSH k a",
        "LINSERT k BEFORE a b",
        "LMOVE a b LEFT LEFT",
        "LPOP k 2",
        "SADD k a",
        "SMOVE a b m",
        "ZADD k 1 a 2 b",
        "ZADD k CH 1 a",
        "ZPOPMIN k 2",
        "ZUNIONSTORE d 1 a",
        "GEORADIUS k 1 2 3 m STORE d",
        "XADD k 1-1 a 1",
        "XADD k MAXLEN = 9 1-1 a 1",
        "XTRIM k MAXLEN 9",
        "XGROUP CREATE k g $",
        "XCLAIM k g c 0 1-1 TIME 9 RETRYCOUNT 1 FORCE JUSTID LASTID 1-1",
        "RENAME a b",
        "COPY a b REPLACE",
        "MOVE k 1",
        "RESTORE k 0 x REPLACE",
        "RESTORE k 9 x ABSTTL REPLACE",
        "SORT k STORE d",
        "FLUSHALL SYNC",
        "SWAPDB 0 1",
        "PUBLISH c m",
        "FUNCTION DELETE l",
        "FUNCTION LOAD REPLACE code",
        "EVAL return 0",
        "SELECT 3",
        "HSETEX k PXAT 9 FIELDS 1 a 1",
        "MSETEX 1 a 1 PXAT 9",
        "VADD k FP32 x e",
        "PFCOUNT k",
    ] {
        assert_eq!(all(line), "=", "{line}");
    }
}

#[test]
fn set_loses_its_condition_and_keeps_its_lifetime() {
    assert_eq!(all("SET k v NX"), "SET k v");
    assert_eq!(all("set k v xx get"), "SET k v");
    assert_eq!(all("SET k v IFEQ NX"), "SET k v");
    assert_eq!(all("SET k v IFDNE d KEEPTTL"), "SET k v KEEPTTL");
    assert_eq!(all("SET k v PXAT 9 NX"), "SET k v PXAT 9");
}

#[test]
fn a_relative_lifetime_becomes_absolute() {
    assert_eq!(all("SET k v PX 5"), "SET k v PXAT 1005");
    assert_eq!(all("SET k v EX 5 NX"), "SET k v PXAT 6000");
    assert_eq!(all("SET k v EX 9223372036854775807"), "SET k v PXAT 9223372036854775807");
    assert_eq!(all("SETEX k 5 v"), "SET k v PXAT 6000");
    assert_eq!(all("PSETEX k 5 v"), "SET k v PXAT 1005");
    assert_eq!(all("EXPIRE k 5"), "PEXPIREAT k 6000");
    assert_eq!(all("PEXPIRE k -5"), "PEXPIREAT k 995");
    assert_eq!(all("EXPIREAT k 9"), "PEXPIREAT k 9000");
    assert_eq!(all("GETEX k EX 5"), "PEXPIREAT k 6000");
    assert_eq!(all("GETEX k EXAT 5"), "PEXPIREAT k 5000");
    assert_eq!(all("INCREX k BYINT 2 UBOUND 9 EX 5 ENX"), "INCREX k BYINT 2 UBOUND 9 ENX PXAT 6000");
    assert_eq!(all("XCLAIM k g c 0 1-1 IDLE 400 FORCE"), "XCLAIM k g c 0 1-1 TIME 600 FORCE");
}

#[test]
fn set_for_a_server_before_6_2_needs_a_second_request() {
    assert_eq!(at(&redis_5(), "SET k v PX 5"), "SET k v; PEXPIREAT k 1005");
    assert_eq!(at(&redis_5(), "SET k v PXAT 5"), "SET k v; PEXPIREAT k 5");
    assert_eq!(at(&redis_5(), "SETEX k 5 v"), "SET k v; PEXPIREAT k 6000");
    assert_eq!(at(&redis_5(), "SET k v KEEPTTL"), "!the target does not know KEEPTTL of SET");
    assert_eq!(at(&redis_6_2(), "SET k v PX 5"), "SET k v PXAT 1005");
}

#[test]
fn options_that_nobody_knows_are_set_aside() {
    for line in [
        "SET k v NEW",
        "SET k v EX",
        "SET k v PERSIST",
        "SET k v EX soon",
        "SET k",
        "EXPIRE k",
        "EXPIRE k 5 NEW",
        "GETEX k KEEPTTL",
        "MSETEX 2 a 1",
        "MSETEX 1 a 1 NEW",
        "HSETEX k FIELDS 2 a 1",
        "HSETEX k NEW FIELDS 1 a 1",
        "HPEXPIREAT k 9 NEW FIELDS 1 a",
        "ZADD k NX 1",
        "ZADD k NX 1 a 2",
        "XADD k NEW 1-1 a 1",
        "XTRIM k NEW 1",
        "RESTORE k x",
        "SETNX k",
        "INCREX k NEW",
    ] {
        assert!(all(line).starts_with("!arguments of"), "{line}: {}", all(line));
    }
}

#[test]
fn a_command_that_took_effect_loses_its_condition() {
    assert_eq!(all("SETNX k v"), "SET k v");
    assert_eq!(all("GETSET k v"), "SET k v");
    assert_eq!(all("MSETNX a 1 b 2"), "MSET a 1 b 2");
    assert_eq!(all("HSETNX k a 1"), "HSET k a 1");
    assert_eq!(all("RENAMENX a b"), "RENAME a b");
    assert_eq!(all("LPUSHX k a b"), "LPUSH k a b");
    assert_eq!(all("RPUSHX k a"), "RPUSH k a");
    assert_eq!(all("COPY a b DB 1"), "COPY a b DB 1 REPLACE");
    assert_eq!(all("PEXPIREAT k 9 GT"), "PEXPIREAT k 9");
    assert_eq!(all("EXPIREAT k 9 XX"), "PEXPIREAT k 9000");
    assert_eq!(all("INCREX k NX BYINT 2"), "INCREX k BYINT 2");
    assert_eq!(all("FUNCTION LOAD code"), "FUNCTION LOAD REPLACE code");
    assert_eq!(all("FUNCTION LOAD REPLACE"), "FUNCTION LOAD REPLACE REPLACE");
    assert_eq!(all("FUNCTION RESTORE x"), "FUNCTION RESTORE x REPLACE");
}

#[test]
fn reading_and_deleting_is_deleting() {
    assert_eq!(all("GETDEL k"), "DEL k");
    assert_eq!(all("DELIFEQ k v"), "DEL k");
    assert_eq!(all("DELEX k IFNE v"), "DEL k");
    assert_eq!(all("HGETDEL k FIELDS 2 a b"), "HDEL k a b");
    assert_eq!(all("GETEX k PERSIST"), "PERSIST k");
    assert_eq!(all("GETEX k"), "");
}

#[test]
fn many_sets_are_one_where_the_target_has_it() {
    assert_eq!(all("MSETEX 2 a 1 b 2 NX EX 5"), "MSETEX 2 a 1 b 2 PXAT 6000");
    assert_eq!(all("MSETEX 2 a 1 b 2 XX KEEPTTL"), "MSETEX 2 a 1 b 2 KEEPTTL");
    assert_eq!(at(&redis_6_2(), "MSETEX 2 a 1 b 2 PXAT 9"), "SET a 1 PXAT 9; SET b 2 PXAT 9");
    assert_eq!(at(&redis_6_2(), "MSETEX 2 a 1 b 2 XX KEEPTTL"), "SET a 1 KEEPTTL; SET b 2 KEEPTTL");
    assert_eq!(at(&redis_5(), "MSETEX 2 a 1 b 2"), "SET a 1; SET b 2");
}

#[test]
fn conditions_on_one_member_go_and_on_several_stay() {
    assert_eq!(all("ZADD k NX 1 a"), "ZADD k 1 a");
    assert_eq!(all("zadd k XX GT CH 1 a"), "ZADD k 1 a");
    assert_eq!(all("ZADD k NX 1 a 2 b"), "=");
    assert_eq!(all("ZADD k GT CH 1 a 2 b"), "=");
    assert_eq!(all("GEOADD k NX 1 2 a"), "GEOADD k 1 2 a");
    assert_eq!(all("GEOADD k NX 1 2 a 3 4 b"), "=");
    assert_eq!(all("ZADD k INCR 2 a"), "ZINCRBY k 2 a");
    assert_eq!(all("ZADD k XX INCR 2 a"), "ZINCRBY k 2 a");
    assert_eq!(at(&redis_5(), "ZADD k GT 1 a"), "ZADD k 1 a");
    assert_eq!(at(&redis_5(), "ZADD k GT 1 a 2 b"), "!the target does not know GT or LT of ZADD");
    assert_eq!(all("HPEXPIREAT k 9 NX FIELDS 1 a"), "HPEXPIREAT k 9 FIELDS 1 a");
    assert_eq!(all("HPEXPIREAT k 9 NX FIELDS 2 a b"), "=");
    assert_eq!(all("HEXPIRE k 5 NX FIELDS 2 a b"), "HPEXPIREAT k 6000 NX FIELDS 2 a b");
}

#[test]
fn lifetimes_of_fields_become_absolute() {
    assert_eq!(all("HEXPIRE k 5 FIELDS 2 a b"), "HPEXPIREAT k 6000 FIELDS 2 a b");
    assert_eq!(all("HPEXPIRE k 5 GT FIELDS 1 a"), "HPEXPIREAT k 1005 FIELDS 1 a");
    assert_eq!(all("HGETEX k PX 5 FIELDS 1 a"), "HPEXPIREAT k 1005 FIELDS 1 a");
    assert_eq!(all("HGETEX k PERSIST FIELDS 1 a"), "HPERSIST k FIELDS 1 a");
    assert_eq!(all("HGETEX k FIELDS 1 a"), "");
    assert_eq!(all("HSETEX k FNX EX 5 FIELDS 2 a 1 b 2"), "HSETEX k PXAT 6000 FIELDS 2 a 1 b 2");
    assert_eq!(at(&valkey_9_1(), "HSETEX k FXX KEEPTTL FIELDS 1 EX 1"), "HSETEX k KEEPTTL FIELDS 1 EX 1");
}

#[test]
fn lifetimes_of_fields_are_kept_as_far_as_the_target_can() {
    assert_eq!(at(&redis_7_4(), "HSETEX k PX 5 FIELDS 2 a 1 b 2"), "HSET k a 1 b 2; HPEXPIREAT k 1005 FIELDS 2 a b");
    assert_eq!(at(&redis_7_4(), "HSETEX k FIELDS 1 a 1"), "HSET k a 1");
    assert_eq!(
        at(&redis_7_4(), "HSETEX k KEEPTTL FIELDS 1 a 1"),
        "~HSET k a 1 (the target does not know KEEPTTL of HSET)"
    );
    assert_eq!(at(&redis_6_2(), "HSETEX k KEEPTTL FIELDS 1 a 1"), "HSET k a 1");
    assert_eq!(at(&redis_6_2(), "HSETEX k PXAT 9 FIELDS 1 a 1"), "~HSET k a 1 (the target has no command HPEXPIREAT)");
    assert_eq!(at(&redis_6_2(), "HPEXPIREAT k 9 FIELDS 1 a"), "!the target has no command HPEXPIREAT");
    assert_eq!(at(&redis_6_2(), "HEXPIRE k 9 FIELDS 1 a"), "!the target has no command HPEXPIREAT");
    assert_eq!(at(&redis_6_2(), "HGETEX k PERSIST FIELDS 1 a"), "!the target has no command HPERSIST");
    assert_eq!(at(&redis_6_2(), "HGETDEL k FIELDS 1 a"), "HDEL k a");
}

#[test]
fn lists_reach_servers_without_counts_and_directions() {
    assert_eq!(at(&redis_5(), "LPOP k 2"), "LTRIM k 2 -1");
    assert_eq!(at(&redis_5(), "RPOP k 2"), "LTRIM k 0 -3");
    assert_eq!(at(&redis_5(), "RPOP k"), "=");
    assert_eq!(at(&redis_5(), "LMOVE a b right left"), "RPOPLPUSH a b");
    assert_eq!(at(&redis_5(), "LMOVE a b LEFT LEFT"), "!the target has no command LMOVE");
    assert_eq!(all("BLMOVE a b LEFT LEFT 0"), "LMOVE a b LEFT LEFT");
    assert_eq!(all("BRPOPLPUSH a b 0"), "RPOPLPUSH a b");
}

#[test]
fn exact_trimming_loses_its_limit() {
    assert_eq!(all("XADD k MAXLEN = 9 LIMIT 5 1-1 a 1"), "XADD k MAXLEN = 9 1-1 a 1");
    assert_eq!(all("XADD k NOMKSTREAM MINID 9 1-1 LIMIT 1"), "XADD k MINID 9 1-1 LIMIT 1");
    assert_eq!(all("XTRIM k MAXLEN = 9 LIMIT 5"), "XTRIM k MAXLEN = 9");
    assert_eq!(all("XTRIM k MINID = 9-1 LIMIT 5"), "XTRIM k MINID = 9-1");
    assert_eq!(all("XTRIM k MAXLEN ~ 9 LIMIT 5"), "=");
}

#[test]
fn streams_reach_servers_that_know_less() {
    assert_eq!(at(&redis_6_2(), "XGROUP CREATE k g 0 MKSTREAM ENTRIESREAD 7"), "XGROUP CREATE k g 0 MKSTREAM");
    assert_eq!(at(&redis_6_2(), "XGROUP SETID k g 1-1 ENTRIESREAD 7"), "XGROUP SETID k g 1-1");
    assert_eq!(at(&redis_6_2(), "XSETID k 1-1 ENTRIESADDED 7 MAXDELETEDID 1-0"), "XSETID k 1-1");
    assert_eq!(at(&redis_5(), "XGROUP CREATECONSUMER k g c"), "!the target does not know CREATECONSUMER of XGROUP");
    assert_eq!(at(&redis_5(), "XADD k MINID = 1 1-1 a 1"), "~XADD k 1-1 a 1 (the target does not know MINID of XADD)");
    assert_eq!(at(&redis_5(), "XTRIM k MINID = 1"), "!the target does not know MINID of XTRIM");
    assert_eq!(at(&valkey_9_1(), "XADD k KEEPREF IDMP p i MAXLEN 9 1-1 a 1"), "XADD k MAXLEN 9 1-1 a 1");
    assert_eq!(
        at(&valkey_9_1(), "XADD k DELREF MAXLEN 9 1-1 a 1"),
        "~XADD k MAXLEN 9 1-1 a 1 (the target does not know DELREF or ACKED of XADD)"
    );
    assert_eq!(at(&redis_6_2(), "XDELEX k IDS 2 1-1 1-2"), "XDEL k 1-1 1-2");
    assert_eq!(
        at(&redis_6_2(), "XDELEX k IDS 1 1-1 DELREF"),
        "~XDEL k 1-1 (the target does not know DELREF of XDELEX)"
    );
    assert_eq!(at(&redis_6_2(), "XDELEX k ACKED IDS 1 1-1"), "!the target has no command XDELEX");
    assert_eq!(at(&redis_6_2(), "XACKDEL k g KEEPREF IDS 1 1-1"), "XACK k g 1-1; XDEL k 1-1");
}

#[test]
fn an_entry_without_an_id_is_set_aside() {
    assert_eq!(all("XADD k * a 1"), "!XADD without an ID is not an effect: another server may do something else");
    assert!(all("XADD k 7-* a 1").starts_with("!XADD without an ID"));
}

#[test]
fn a_restored_value_replaces_and_its_end_is_absolute() {
    assert_eq!(all("RESTORE k 0 x"), "RESTORE k 0 x REPLACE");
    assert_eq!(all("RESTORE k 500 x"), "RESTORE k 1500 x REPLACE ABSTTL");
    assert_eq!(all("RESTORE k 500 x ABSTTL"), "RESTORE k 500 x REPLACE ABSTTL");
    assert_eq!(all("RESTORE k 500 x REPLACE FREQ 3"), "RESTORE k 1500 x REPLACE ABSTTL FREQ 3");
    assert_eq!(all("RESTORE-ASKING k 0 x REPLACE"), "RESTORE k 0 x REPLACE");
}

#[test]
fn a_command_that_the_target_lacks_is_set_aside() {
    assert_eq!(at(&redis_5(), "COPY a b"), "!the target has no command COPY");
    assert_eq!(at(&redis_6_2(), "FUNCTION LOAD code"), "!the target has no command FUNCTION");
    assert_eq!(at(&redis_6_2(), "SPUBLISH c m"), "!the target has no command SPUBLISH");
    assert_eq!(at(&valkey_9_1(), "VADD k FP32 x e"), "!the target has no command VADD");
    assert_eq!(at(&valkey_9_1(), "BITOP DIFF d a b"), "!the target does not know DIFF of BITOP");
    assert_eq!(
        at(&valkey_9_1(), "ZUNIONSTORE d 1 a AGGREGATE COUNT"),
        "!the target does not know AGGREGATE COUNT of ZUNIONSTORE"
    );
    assert_eq!(at(&redis_5(), "FLUSHALL SYNC"), "FLUSHALL");
}

#[test]
fn what_no_stream_holds_is_set_aside() {
    for line in [
        "SPOP k",
        "BLPOP k 0",
        "XREADGROUP GROUP g c STREAMS k >",
        "MIGRATE h 1 k 0 9",
        "CLUSTER SYNCSLOTS x",
        "LMPOP 1 k LEFT",
        "ZMPOP 1 k MIN",
        "TRIMSLOTS RANGES 1 0 1",
        "XAUTOCLAIM k g c 0 0",
    ] {
        assert!(all(line).starts_with('!'), "{line}");
    }
}
