//! The board at one moment, in the form that `/status`, `/readyz` and `duet status` show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{
    AuditStatus, Board, ClockStatus, ConflictStatus, Direction, HeldKey, JournalStatus, LinkBoard, RegionStatus,
    SetAside, State, VerifyStatus,
};
use crate::check::Precheck;
use crate::drill::Drill;
use crate::engine::conflict::departed::DeletePolicy;

/// How many of the keys that are held are named.
const HELD_SHOWN: usize = 100;

/// The code of a link that streams but does not move.
const STALLED: &str = "stalled";

/// The whole pair. A reader of this form must bear fields that it does not know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The name of the pair.
    pub pair: String,
    /// The version of the daemon.
    pub version: String,
    /// Whole seconds since its start.
    pub uptime_s: u64,
    /// Whether both links stream and move.
    pub ready: bool,
    /// Forward, then reverse.
    pub links: Vec<LinkStatus>,
    /// The source of the forward link, then its target.
    #[serde(default)]
    pub regions: Vec<RegionStatus>,
    /// How far the clocks of both regions are apart.
    #[serde(default)]
    pub clock: ClockStatus,
    /// How conflicts ended, and how many have not yet.
    pub conflicts: ConflictStatus,
    /// How their record does.
    #[serde(default)]
    pub journal: JournalStatus,
    /// How the daemon's own verification does.
    #[serde(default)]
    pub verify: VerifyStatus,
    /// The last orders.
    #[serde(default)]
    pub audit: AuditStatus,
    /// The failover drill that is under way, or the last one.
    #[serde(default)]
    pub drill: Option<Arc<Drill>>,
    /// What the precheck of this start found; absent until it has ended.
    #[serde(default)]
    pub precheck: Option<Arc<Precheck>>,
}

/// One link.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkStatus {
    /// Which way it copies.
    pub direction: Direction,
    /// The region that it reads.
    pub source: String,
    /// The region that it writes.
    pub target: String,
    /// What it is doing.
    pub state: State,
    /// Why, when there is something to say.
    pub reason: Option<String>,
    /// A stable name of the reason.
    pub error_code: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Whole seconds in this state.
    pub since_s: u64,
    /// Whether it streams without moving.
    pub stalled: bool,
    /// End-to-end lag in milliseconds; absent before the first heartbeat has come through.
    pub lag_ms: Option<u64>,
    /// The full sync that runs.
    pub full_sync: Option<FullSyncStatus>,
    /// Write commands that the target has executed.
    pub writes_applied: u64,
    /// Marked transactions that the target has executed.
    pub transactions: u64,
    /// Our own transactions that were seen again and dropped.
    pub echoes_dropped: u64,
    /// How many things were left out.
    pub set_aside: u64,
    /// The same by kind.
    pub set_aside_by_kind: BTreeMap<String, u64>,
    /// The last of them, oldest first.
    pub set_aside_recent: Vec<SetAside>,
    /// How often a connection was made again.
    pub reconnects: u64,
    /// Bytes of the source's stream.
    pub bytes_read: u64,
    /// How deletes that the source makes by itself are told from those of its clients, at present.
    pub deletes: DeletePolicy,
}

/// A full sync that runs; a total is 0 while it is unknown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FullSyncStatus {
    /// Keys that the target has confirmed.
    pub keys_done: u64,
    /// Keys of the source when the dump began.
    pub keys_total: u64,
    /// Bytes of the dump that were read.
    pub bytes_done: u64,
    /// Bytes of the dump.
    pub bytes_total: u64,
    /// Keys a second since the start.
    pub keys_per_s: u64,
    /// Whole seconds until the end at this rate.
    pub seconds_left: Option<u64>,
}

/// Whether the pair serves its purpose, and why not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Readiness {
    /// Both links stream and move.
    pub ready: bool,
    /// What is in the way, of all links, in one line.
    pub reason: Option<String>,
    /// Forward, then reverse.
    pub links: Vec<ReadyLink>,
}

/// One link of a [`Readiness`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReadyLink {
    /// Which way it copies.
    pub direction: Direction,
    /// What it is doing.
    pub state: State,
    /// Why.
    pub reason: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Board {
    /// Everything, at `now`.
    pub fn status(&self, now: Instant) -> Status {
        let links: Vec<_> = self.links.iter().map(|link| link.status(now)).collect();
        let mut held: Vec<_> = self.links.iter().flat_map(|link| link.held().to_vec()).collect();
        held.sort();
        held.dedup();
        Status {
            pair: self.pair.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: now.saturating_duration_since(self.started).as_secs(),
            ready: links.iter().all(LinkStatus::ready),
            links,
            regions: self.regions.iter().map(|region| region.status(now)).collect(),
            clock: self.clocks.status(),
            conflicts: ConflictStatus {
                held_now: held.len() as u64,
                held_keys: held.into_iter().take(HELD_SHOWN).collect(),
                counts: self.conflicts.counts(),
                unresolved_keys: self.unresolved_keys(),
                unresolved: self.links.iter().map(|link| link.unresolved.get()).sum(),
            },
            journal: self.journal.status(),
            verify: self.verification.status(jiff::Timestamp::now()),
            audit: self.audit.status(),
            precheck: self.precheck.get(),
            drill: self.drill.get(),
        }
    }

    /// Keys that are being made equal, as far as the links have told them.
    fn unresolved_keys(&self) -> Vec<HeldKey> {
        let mut keys: Vec<_> = self.links.iter().flat_map(|link| link.settling().to_vec()).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// Whether the pair serves its purpose at `now`.
    pub fn readiness(&self, now: Instant) -> Readiness {
        let links: Vec<_> = self.links.iter().map(|link| link.status(now)).collect();
        let obstacles: Vec<_> = links.iter().filter(|link| !link.ready()).map(LinkStatus::obstacle).collect();
        Readiness {
            ready: obstacles.is_empty(),
            reason: (!obstacles.is_empty()).then(|| obstacles.join("; ")),
            links: links
                .into_iter()
                .map(|LinkStatus { direction, state, reason, remedy, .. }| ReadyLink {
                    direction,
                    state,
                    reason,
                    remedy,
                })
                .collect(),
        }
    }
}

impl LinkBoard {
    /// This link, at `now`.
    pub fn status(&self, now: Instant) -> LinkStatus {
        let standing = self.standing();
        let stalled = self.stalled(now);
        let (reason, error_code, remedy) = match &standing.reason {
            _ if stalled => self.stall(now),
            Some(reason) => (Some(reason.text.clone()), Some(reason.code.to_owned()), Some(reason.remedy.clone())),
            None => (None, None, None),
        };
        LinkStatus {
            direction: self.direction,
            source: self.source.clone(),
            target: self.target.clone(),
            state: standing.state,
            reason,
            error_code,
            remedy,
            since_s: now.saturating_duration_since(standing.since).as_secs(),
            stalled,
            lag_ms: self.lag_ms(now),
            full_sync: self.full_sync().map(|progress| FullSyncStatus {
                keys_done: progress.keys_done.get(),
                keys_total: progress.keys_total.get(),
                bytes_done: progress.bytes_done.get(),
                bytes_total: progress.bytes_total.get(),
                keys_per_s: progress.keys_per_second(now),
                seconds_left: progress.seconds_left(now),
            }),
            writes_applied: self.writes_applied.get(),
            transactions: self.transactions.get(),
            echoes_dropped: self.echoes_dropped.get(),
            set_aside: self.set_aside_count(),
            set_aside_by_kind: self.set_aside_kinds(),
            set_aside_recent: self.shelf().recent(),
            reconnects: self.reconnects.get(),
            bytes_read: self.bytes_read.get(),
            deletes: self.deletes(),
        }
    }

    fn stall(&self, now: Instant) -> (Option<String>, Option<String>, Option<String>) {
        let still = self.still_for(now).unwrap_or_default().as_secs_f64();
        let text = format!("{STALLED}: no heartbeat has come through for {still:.1} s");
        let remedy = format!(
            "Look whether {} answers and takes writes, and whether {} is overloaded; the link goes on by itself",
            self.source, self.target
        );
        (Some(text), Some(STALLED.to_owned()), Some(remedy))
    }
}

impl LinkStatus {
    /// Whether the link streams and moves.
    pub fn ready(&self) -> bool {
        self.state == State::Streaming && !self.stalled
    }

    fn obstacle(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{} is {}: {reason}", self.direction, self.state),
            None => format!("{} is {}", self.direction, self.state),
        }
    }
}
