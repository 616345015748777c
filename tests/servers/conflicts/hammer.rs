//! Two clients hammer the same 50 keys with every write command, over a long way, under kills: all ends equal.

use super::{Kills, Pair, number_in};
use anyhow::{Context, Result};
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::hammer::{Hammer, Plan, Whole};

/// What is struck.
#[derive(Clone, Copy)]
struct Case {
    prefixes: [&'static str; 2],
    expiring: bool,
    whole: Whole,
    kills: Kills,
}

/// The same keys from both sides, with kills.
const SAME_KEYS: Case = Case { prefixes: ["h:"; 2], expiring: false, whole: Whole::Left, kills: Kills::Some };

async fn ends_equal(west: Flavor, east: Flavor, case: Case) -> Result<()> {
    let seed = number_in("DUET_HAMMER_SEED", fastrand::u64(..))?;
    let struck = async {
        let mut pair = Pair::start(west, east).await?;
        let plan = |prefix, seed, peer| Plan { prefix, seed, peer, expiring: case.expiring, whole: case.whole };
        let at_west = Hammer::new(west, plan(case.prefixes[0], seed, east));
        let at_east = Hammer::new(east, plan(case.prefixes[1], seed.wrapping_add(1), west));
        pair.under_load(at_west, at_east, case.kills).await.map(drop)
    };
    struck.await.with_context(|| format!("DUET_HAMMER_SEED={seed} draws the same commands again"))
}

#[tokio::test]
async fn hammered_keys_end_equal_between_redis_62_and_redis_62() -> Result<()> {
    ends_equal(Redis62, Redis62, SAME_KEYS).await
}

#[tokio::test]
async fn hammered_keys_end_equal_between_redis_70_and_redis_70() -> Result<()> {
    ends_equal(Redis70, Redis70, SAME_KEYS).await
}

#[tokio::test]
async fn hammered_keys_end_equal_between_valkey_91_and_valkey_91() -> Result<()> {
    ends_equal(Valkey91, Valkey91, SAME_KEYS).await
}

#[tokio::test]
async fn hammered_keys_end_equal_between_redis_62_and_redis_70() -> Result<()> {
    ends_equal(Redis62, Redis70, SAME_KEYS).await
}

#[tokio::test]
async fn hammered_keys_end_equal_between_redis_70_and_valkey_91() -> Result<()> {
    ends_equal(Redis70, Valkey91, SAME_KEYS).await
}

#[tokio::test]
async fn hammered_keys_end_equal_between_valkey_91_and_redis_62() -> Result<()> {
    ends_equal(Valkey91, Redis62, SAME_KEYS).await
}

#[tokio::test]
async fn hammered_keys_end_equal_without_any_kill() -> Result<()> {
    ends_equal(Redis70, Redis70, Case { kills: Kills::None, ..SAME_KEYS }).await
}

#[tokio::test]
async fn hammered_keys_that_expire_meanwhile_end_equal() -> Result<()> {
    ends_equal(Redis70, Redis70, Case { expiring: true, ..SAME_KEYS }).await
}

#[tokio::test]
async fn hammered_keys_end_equal_while_whole_databases_are_emptied() -> Result<()> {
    ends_equal(Redis70, Redis70, Case { whole: Whole::Emptied, kills: Kills::None, ..SAME_KEYS }).await
}

#[tokio::test]
async fn hammered_keys_end_equal_while_whole_databases_are_emptied_and_the_daemon_is_killed() -> Result<()> {
    ends_equal(Redis70, Redis70, Case { whole: Whole::Emptied, ..SAME_KEYS }).await
}

#[tokio::test]
async fn hammered_keys_of_different_versions_end_equal_while_whole_databases_are_emptied_and_the_daemon_is_killed()
-> Result<()> {
    ends_equal(Redis62, Valkey91, Case { whole: Whole::Emptied, ..SAME_KEYS }).await
}

#[tokio::test]
async fn hammers_on_keys_of_their_own_end_equal_between_equal_versions() -> Result<()> {
    for (west, east) in [(Redis70, Redis70), (Redis62, Redis62), (Valkey91, Valkey91)] {
        ends_equal(west, east, Case { prefixes: ["w:", "e:"], ..SAME_KEYS }).await?;
    }
    Ok(())
}

#[tokio::test]
async fn hammers_on_keys_of_their_own_end_equal_between_different_versions() -> Result<()> {
    for (west, east) in [(Redis62, Redis70), (Redis70, Valkey91), (Valkey91, Redis62)] {
        ends_equal(west, east, Case { prefixes: ["w:", "e:"], ..SAME_KEYS }).await?;
    }
    Ok(())
}
