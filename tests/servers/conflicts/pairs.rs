//! Every write with every other at once, on keys of every type: equal afterwards.

use super::Pair;
use super::run_all;
use anyhow::Result;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};

/// What a key holds before: nothing, or one of each type. `@` is the key, `@b` one beside it.
const BEFORE: [&str; 7] =
    ["", "SET @ 5", "RPUSH @ a b c d", "SADD @ a b c 7", "ZADD @ 1 a 2 b 3 c", "HSET @ a 1 b 2 c 3", "XADD @ 1-1 f 1"];

/// Writes that meet each other. What a command depends on beside the key is in it, so that all of them do something.
const WRITES: [&str; 42] = [
    "SET @ x",
    "SET @ y EX 5000",
    "SET @ z KEEPTTL",
    "SETNX @ n",
    "GETSET @ g",
    "MSET @ m @b m",
    "APPEND @ 12",
    "SETRANGE @ 2 range",
    "INCR @",
    "DECRBY @ 3",
    "INCRBYFLOAT @ 0.5",
    "SETBIT @ 3 1",
    "PFADD @ a",
    "DEL @",
    "UNLINK @ @b",
    "EXPIRE @ 7000",
    "PEXPIREAT @ 4102444800123",
    "PERSIST @",
    "RENAME @ @b",
    "COPY @ @b REPLACE",
    "RPUSH @ r s",
    "LPUSH @ l",
    "LPOP @",
    "RPOP @ 2",
    "LSET @ 0 first",
    "LTRIM @ 1 2",
    "LMOVE @ @b LEFT RIGHT",
    "SORT @ ALPHA STORE @b",
    "SADD @ a x",
    "SREM @ a b",
    "SMOVE @ @b a",
    "SUNIONSTORE @ @ @b",
    "ZADD @ 9 a 8 x",
    "ZINCRBY @ 2.5 b",
    "ZREMRANGEBYRANK @ 0 0",
    "ZPOPMAX @",
    "ZUNIONSTORE @ 2 @ @b",
    "HSET @ a x d x",
    "HDEL @ a b",
    "HINCRBY @ b 5",
    "XADD @ 5-1 f 5",
    "XTRIM @ MAXLEN 1",
];

/// One line for each case, made from what is before and the two writes.
fn lines<'a>(pick: impl Fn(&'a str, &'a str, &'a str) -> &'a str) -> Vec<String> {
    let mut lines = Vec::new();
    for before in BEFORE {
        for first in WRITES {
            for second in WRITES {
                let key = format!("k{}", lines.len());
                lines.push(pick(before, first, second).replace('@', &key));
            }
        }
    }
    lines
}

async fn every_write_with_every_other(west: Flavor, east: Flavor) -> Result<()> {
    let pair = Pair::start(west, east).await?;
    run_all(&pair.regions.west.client().await?, &lines(|before, _, _| before)).await?;
    pair.settle().await?;
    pair.at_once(&lines(|_, first, _| first), &lines(|_, _, second| second), false).await
}

#[tokio::test]
async fn every_write_with_every_other_at_once_ends_equal_between_redis_70_and_redis_70() -> Result<()> {
    every_write_with_every_other(Redis70, Redis70).await
}

#[tokio::test]
async fn every_write_with_every_other_at_once_ends_equal_between_redis_62_and_valkey_91() -> Result<()> {
    every_write_with_every_other(Redis62, Valkey91).await
}
