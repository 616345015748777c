//! Exactly once: the daemon is killed again and again under INCR, LPUSH and XADD, and every total is exact.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::load::{Counted, Totals};
use duet_chaos::pair::{DEADLINE, Regions};
use duet_chaos::servers::Server;
use duet_chaos::wait::eventually;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Rounds of each side: 200,000 INCRs, LPUSHes and XADDs each, 1.2 million writes in all.
const ROUNDS: u64 = 200_000;
/// Rounds written between two looks at the clock; the load must outlive the kills.
const STEP: u64 = 500;
/// How often the daemon is killed.
const KILLS: u64 = 8;
/// How long the copy of 400,000 keys may take on a machine that has other work.
const COPY: Duration = Duration::from_secs(150);

/// A load that writes its share of rounds for each kill, so that every kill is in the middle of it.
struct Steady {
    allowed: watch::Sender<u64>,
    done: Arc<AtomicU64>,
    task: JoinHandle<Result<()>>,
}

impl Steady {
    async fn start(server: &Server, name: &'static str) -> Result<Self> {
        let client = server.client().await?;
        let (allowed, mut limit) = watch::channel(0);
        let done = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&done);
        let task = tokio::spawn(async move {
            while count.load(Ordering::SeqCst) < ROUNDS {
                limit.wait_for(|limit| count.load(Ordering::SeqCst) < *limit).await?;
                Counted::new(name).write(&client, STEP).await?;
                count.fetch_add(STEP, Ordering::SeqCst);
            }
            Ok(())
        });
        Ok(Self { allowed, done, task })
    }

    async fn reach(&self, rounds: u64) -> Result<()> {
        eventually("the load to go on", DEADLINE, async || {
            Ok((self.done.load(Ordering::SeqCst) >= rounds.min(ROUNDS)).then_some(()))
        })
        .await
    }
}

async fn totals_are_exact_after_kills(west: Flavor, east: Flavor) -> Result<()> {
    // A backlog that reaches back over every pause: what is promised where it does not is another matter.
    let backlog = ["--repl-backlog-size", "256mb"];
    let regions = Regions::start_with((west, &backlog), (east, &backlog)).await?;
    let mut daemon = regions.daemon(duet()).await?;
    let loads = [Steady::start(&regions.west, "w").await?, Steady::start(&regions.east, "e").await?];
    let share = ROUNDS / KILLS;
    for kill in 0..KILLS {
        for load in &loads {
            load.allowed.send_replace((kill + 1) * share);
        }
        for load in &loads {
            load.reach(kill * share + fastrand::u64(1..share)).await?;
        }
        daemon.kill9()?;
        daemon.resume()?;
        // Every other time it is killed again before it streams.
        if kill % 2 == 0 {
            daemon.wait_streaming(DEADLINE).await?;
        }
    }
    for load in loads {
        load.allowed.send_replace(ROUNDS);
        load.task.await??;
    }
    regions.wait_equal().await?;
    daemon.wait_streaming(DEADLINE).await?;
    let exact = Totals { increments: ROUNDS, pushes: ROUNDS, additions: ROUNDS };
    let (at_west, at_east) = regions.clients().await?;
    for (client, name) in [(&at_west, "w"), (&at_west, "e"), (&at_east, "w"), (&at_east, "e")] {
        let totals = Counted::new(name).totals(client).await?;
        ensure!(totals == exact, "{name}: {totals:?}");
    }
    Ok(())
}

#[tokio::test]
async fn totals_are_exact_after_kills_between_redis_62_and_redis_62() -> Result<()> {
    totals_are_exact_after_kills(Redis62, Redis62).await
}

#[tokio::test]
async fn totals_are_exact_after_kills_between_redis_70_and_redis_70() -> Result<()> {
    totals_are_exact_after_kills(Redis70, Redis70).await
}

#[tokio::test]
async fn totals_are_exact_after_kills_between_redis_70_and_valkey_91() -> Result<()> {
    totals_are_exact_after_kills(Redis70, Valkey91).await
}

#[tokio::test]
async fn a_resume_in_the_middle_of_a_run_in_another_database_stays_in_it() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let mut daemon = regions.daemon(duet()).await?;
    let (west_9, east_9) = (regions.west.client_in(9).await?, regions.east.client_in(9).await?);
    for _ in 0..5 {
        // One client in one database: the stream has a single SELECT, long before the position.
        Counted::new("nine").write(&west_9, 400).await?;
        daemon.kill9()?;
        Counted::new("nine").write(&west_9, 400).await?;
        daemon.resume()?;
        daemon.wait_streaming(DEADLINE).await?;
    }
    regions.wait_equal().await?;
    ensure!(
        Counted::new("nine").totals(&east_9).await? == Totals { increments: 4_000, pushes: 4_000, additions: 4_000 }
    );
    Ok(())
}

#[tokio::test]
async fn a_kill_during_the_full_sync_ends_in_a_full_copy() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let (west, east) = regions.clients().await?;
    west.run("DEBUG POPULATE 400000 key 64").await?;
    let mut daemon = duet_chaos::daemon::Daemon::start(duet(), &regions.config(&Default::default()))?;
    for share in [50_000, 150_000] {
        let begun = async || Ok((east.int("DBSIZE").await? > share).then_some(()));
        eventually("a part of the copy", COPY, begun).await?;
        daemon.kill9()?;
        west.run("INCR during").await?;
        daemon.resume()?;
    }
    daemon.wait_streaming(COPY).await?;
    regions.wait_equal().await
}
