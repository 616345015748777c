//! The nemesis: plays the strikes of a round, each as a task, and writes down when each fault began and ended.

pub mod burden;
mod daemon;
mod failover;
mod history;
mod refusal;
mod server;
mod way;

use crate::fault::Fault;
use crate::plan::{Round, Strike};
use crate::region::Region;
use crate::workload::Notes;
use crate::world::World;
use anyhow::{Context, Result};
use fastrand::Rng;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

/// A strike as it was played.
#[derive(Clone, Debug)]
pub struct Played {
    pub strike: Strike,
    /// From when to when the fault was there.
    pub begun: Option<Instant>,
    pub healed: Option<Instant>,
    pub notes: Vec<String>,
    /// Why the nemesis failed, which is no fault of the daemon's.
    pub error: Option<String>,
}

/// One strike at work: the world, what clients wrote, and what is written down.
pub struct Scene {
    pub world: Arc<World>,
    pub notes: Arc<Notes>,
    pub strike: Strike,
    pub rng: Rng,
    played: Mutex<Played>,
}

impl Scene {
    /// The region that is struck.
    pub fn region(&self) -> &Region {
        self.world.region(self.strike.side)
    }

    /// The fault is there from now on.
    pub fn begun(&self) {
        self.write(|played| played.begun = Some(Instant::now()));
    }

    /// It is being taken away.
    pub fn healed(&self) {
        self.write(|played| played.healed = Some(Instant::now()));
    }

    /// Something for the report.
    pub fn note(&self, what: String) {
        self.write(|played| played.notes.push(what));
    }

    /// For as long as the fault is to last.
    pub async fn last(&self) {
        tokio::time::sleep(self.strike.lasts).await;
    }

    /// Does something again and again while the fault lasts.
    pub async fn again<F: AsyncFnMut() -> Result<()>>(&self, pause: Duration, mut act: F) -> Result<()> {
        let until = Instant::now() + self.strike.lasts;
        while Instant::now() < until {
            act().await?;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    fn write(&self, change: impl FnOnce(&mut Played)) {
        change(&mut self.played.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Plays a round and returns when all of it is over and healed.
///
/// # Errors
/// When a task panicked.
pub async fn play(world: &Arc<World>, notes: &Arc<Notes>, round: &Round) -> Result<Vec<Played>> {
    // All on this thread: what is done again and again borrows its scene.
    let together = LocalSet::new();
    let mut tasks = Vec::new();
    for strike in &round.strikes {
        let played = Played { strike: strike.clone(), begun: None, healed: None, notes: Vec::new(), error: None };
        let scene = Scene {
            world: Arc::clone(world),
            notes: Arc::clone(notes),
            strike: strike.clone(),
            rng: Rng::with_seed(strike.dice),
            played: Mutex::new(played),
        };
        tasks.push(together.spawn_local(one(scene)));
    }
    together.await;
    let mut played = Vec::new();
    for task in tasks {
        played.push(task.await.context("a strike panicked")?);
    }
    Ok(played)
}

async fn one(mut scene: Scene) -> Played {
    tokio::time::sleep(scene.strike.at).await;
    let error = strike(&mut scene).await.err().map(|error| format!("{error:#}"));
    let mut played = scene.played.into_inner().unwrap_or_else(PoisonError::into_inner);
    if played.begun.is_some() && played.healed.is_none() {
        played.healed = Some(Instant::now());
    }
    Played { error, ..played }
}

async fn strike(scene: &mut Scene) -> Result<()> {
    match scene.strike.fault {
        Fault::DaemonKill => daemon::kill(scene).await,
        Fault::DaemonStop => daemon::stop(scene).await,
        Fault::DaemonTerm => daemon::term(scene).await,
        Fault::DaemonStarve => daemon::starve(scene).await,
        Fault::DaemonReload => daemon::reload(scene).await,
        Fault::LinkPaused => daemon::paused(scene).await,
        Fault::TwoDaemons => daemon::two(scene).await,
        Fault::ServerKill => server::kill(scene).await,
        Fault::ServerRestart => server::restart(scene).await,
        Fault::ServerEmpty => server::empty(scene).await,
        Fault::ServerOld => server::old(scene).await,
        Fault::ServerStop => server::stop(scene).await,
        Fault::ServerPause => server::pause(scene).await,
        Fault::ServerBusy => server::busy(scene).await,
        Fault::Failover => failover::whole(scene).await,
        Fault::FailoverLossy => failover::lossy(scene).await,
        Fault::NetReset => way::reset(scene).await,
        Fault::NetHalfOpen => way::half_open(scene).await,
        Fault::NetLate => way::late(scene).await,
        Fault::NetOneWay => way::one_way(scene).await,
        Fault::NetSlow => way::slow(scene).await,
        Fault::NetJitter => way::jitter(scene).await,
        Fault::NetCutFrame => way::cut_frame(scene).await,
        Fault::LinkDown => way::link_down(scene).await,
        Fault::LinkOneWay => way::link_one_way(scene).await,
        Fault::BacklogSmall => history::backlog_small(scene).await,
        Fault::BothBacklogsSmall => history::both_backlogs_small(scene).await,
        Fault::OutputLimit => history::output_limit(scene).await,
        Fault::DiskFull => refusal::disk_full(scene).await,
        Fault::OutOfMemory => refusal::out_of_memory(scene).await,
        Fault::CannotSave => refusal::cannot_save(scene).await,
        Fault::NoPermission => refusal::no_permission(scene).await,
        Fault::WrongPassword => refusal::wrong_password(scene).await,
        Fault::PasswordRotated => refusal::password_rotated(scene).await,
        Fault::TooFewReplicas => refusal::too_few_replicas(scene).await,
        Fault::ClockAhead => burden::clock(scene, burden::AHEAD_S).await,
        Fault::ClockBehind => burden::clock(scene, -burden::BEHIND_S).await,
        Fault::CpuBurn => burden::cpu(scene).await,
        Fault::ClientKill => burden::client_kill(scene).await,
        Fault::Administrator => burden::administrator(scene).await,
        Fault::MarkerDeleted => history::marker_deleted(scene).await,
        Fault::BigValues => burden::big_values(scene).await,
    }
}
