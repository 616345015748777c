//! Two writes at once of which one is clearly later: what is left of them, in both regions.

use super::{Pair, run_all};
use anyhow::{Result, ensure};
use duet_chaos::client::{Client, text};
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::redis::Value;
use std::time::{SystemTime, UNIX_EPOCH};

/// What was there before, the earlier write, the later one, how to look, and what must be seen. `@` is the key. Each changes
/// something where it is written: what changes nothing is not in its server's stream, and counts for nothing.
const OUTCOMES: [[&str; 5]; 25] = [
    ["", "SET @ a", "SET @ b", "GET @", "b"],
    ["SET @ o", "SET @ a", "SET @ b", "GET @", "b"],
    ["SET @ o", "SET @ a", "DEL @", "EXISTS @", "0"],
    ["SET @ o", "DEL @", "SET @ b", "GET @", "b"],
    ["SET @ 1", "SET @ 10", "INCR @", "GET @", "11"],
    ["SET @ 1", "INCR @", "SET @ 10", "GET @", "10"],
    ["SET @ 1", "INCR @", "INCRBY @ 5", "GET @", "7"],
    ["", "HSET @ f a", "HSET @ f b", "HGET @ f", "b"],
    ["HSET @ f 1 g 1", "HSET @ f a", "HDEL @ f", "HEXISTS @ f", "0"],
    ["HSET @ f 1 g 1", "HDEL @ f", "HSET @ f b", "HGET @ f", "b"],
    ["HSET @ g 1", "DEL @", "HSET @ f b", "HLEN @", "1"],
    ["HSET @ g 1", "HSET @ f a", "DEL @", "EXISTS @", "0"],
    ["HSET @ n 1", "HSET @ n 10", "HINCRBY @ n 1", "HGET @ n", "11"],
    ["SADD @ o m", "SADD @ m n", "SREM @ m", "SISMEMBER @ m", "0"],
    ["SADD @ o m", "SREM @ m", "SADD @ m n", "SISMEMBER @ m", "1"],
    ["SADD @ o", "DEL @", "SADD @ m", "SCARD @", "1"],
    ["", "ZADD @ 1 m", "ZADD @ 2 m", "ZRANGEBYSCORE @ 2 2", "m"],
    ["ZADD @ 1 m", "ZADD @ 5 m", "ZINCRBY @ 2 m", "ZRANGEBYSCORE @ 7 7", "m"],
    ["ZADD @ 1 m 1 o", "ZREM @ m", "ZADD @ 2 m", "ZCARD @", "2"],
    ["SETBIT @ 9 1", "BITFIELD @ SET u4 0 5", "BITFIELD @ SET u4 0 9", "BITFIELD_RO @ GET u4 0", "9"],
    ["SETBIT @ 9 1", "SETBIT @ 7 1", "SETBIT @ 8 1", "BITCOUNT @", "3"],
    ["RPUSH @ o", "RPUSH @ a", "DEL @", "EXISTS @", "0"],
    ["RPUSH @ o", "DEL @", "RPUSH @ b", "LLEN @", "1"],
    ["RPUSH @ o", "RPUSH @ a", "SET @ b", "GET @", "b"],
    ["SET @ o", "SET @ a EX 5000", "SET @ b", "TTL @", "-1"],
];

/// The same for lives: the longer one stays, whichever was set later, unless the whole key is written later.
const LIVES: [[&str; 5]; 6] = [
    ["SET @ o", "EXPIREAT @ 4102444800", "EXPIREAT @ 4102444000", "PTTL @", "4102444800"],
    ["SET @ o", "EXPIREAT @ 4102444000", "EXPIREAT @ 4102444800", "PTTL @", "4102444800"],
    ["SET @ o EX 9000", "PERSIST @", "EXPIREAT @ 4102444800", "PTTL @", "none"],
    ["SET @ o EX 9000", "EXPIREAT @ 4102444800", "PERSIST @", "PTTL @", "none"],
    ["SET @ o", "EXPIREAT @ 4102444800", "SET @ b EXAT 4102444000", "PTTL @", "4102444000"],
    ["SET @ o EX 9000", "PERSIST @", "SET @ b EXAT 4102444000", "PTTL @", "4102444000"],
];

/// Copies of each case: one alone could come out right by luck.
const COPIES: usize = 8;

/// How two writes meet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meeting {
    /// Neither region had the other's write when it wrote its own.
    AtOnce,
    /// The later one was written on top of the earlier one.
    InTurn,
}

/// Plays cases in both directions, and looks in both regions.
async fn come_out_as_told(west: Flavor, east: Flavor, cases: &[[&str; 5]], meeting: Meeting) -> Result<()> {
    let pair = Pair::start(west, east).await?;
    for swapped in [false, true] {
        let [before, earlier, later, looks, _] = lines(cases, swapped);
        run_all(&pair.regions.west.client().await?, &before).await?;
        pair.settle().await?;
        match meeting {
            Meeting::AtOnce => pair.at_once(&earlier, &later, swapped).await?,
            Meeting::InTurn => pair.in_turn(&earlier, &later, swapped).await?,
        }
        for server in [&pair.regions.west, &pair.regions.east] {
            let client = server.client().await?;
            for (number, look) in looks.iter().enumerate() {
                let [_, earlier, later, _, expected] = cases[number / COPIES];
                let seen = seen(&client, look).await?;
                let side = format!("{:?}, {look}, {earlier} and then {later}, swapped {swapped}", server.flavor());
                ensure!(seen == expected, "{side}: {seen:?} instead of {expected:?}");
            }
        }
    }
    Ok(())
}

/// Each column of the cases, for keys of their own.
fn lines(cases: &[[&str; 5]], swapped: bool) -> [Vec<String>; 5] {
    std::array::from_fn(|column| {
        let line = |number: usize| {
            let line = cases[number / COPIES][column];
            line.replace('@', &format!("k:{swapped}:{number}"))
        };
        (0..cases.len() * COPIES).map(line).collect()
    })
}

/// What a look shows: the first element of a list; for `PTTL` the moment in Unix seconds at which the key expires,
/// rounded to ten.
async fn seen(client: &Client, look: &str) -> Result<String> {
    let reply = match client.run(look).await? {
        Value::Array(items) => items.into_iter().next().unwrap_or(Value::Nil),
        other => other,
    };
    if !look.starts_with("PTTL") {
        return text(&reply);
    }
    let left_ms: i64 = text(&reply)?.parse()?;
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let at = (now_ms + left_ms + 5_000) / 10_000 * 10;
    Ok(if left_ms < 0 { "none".to_owned() } else { at.to_string() })
}

#[tokio::test]
async fn the_later_write_stays_between_redis_70_and_redis_70() -> Result<()> {
    come_out_as_told(Redis70, Redis70, &OUTCOMES, Meeting::AtOnce).await
}

#[tokio::test]
async fn writes_one_after_the_other_come_out_as_those_at_once() -> Result<()> {
    come_out_as_told(Redis70, Redis62, &OUTCOMES, Meeting::InTurn).await
}

#[tokio::test]
async fn the_later_write_stays_between_redis_62_and_valkey_91() -> Result<()> {
    come_out_as_told(Redis62, Valkey91, &OUTCOMES, Meeting::AtOnce).await
}

#[tokio::test]
async fn the_longer_life_stays_unless_the_key_is_written_later() -> Result<()> {
    for (west, east) in [(Redis70, Redis70), (Redis62, Valkey91)] {
        come_out_as_told(west, east, &LIVES, Meeting::AtOnce).await?;
    }
    Ok(())
}
