//! What the tasks of one pair know of each other.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::clock::ServerClock;
use super::events::Fences;
use super::pauses::PauseOrder;
use super::sampled::Sampled;
use super::settings::{RegionSettings, Settings};
use crate::config::{Config, ServerDeletes};
use crate::drill::Drill;
use crate::engine::conflict::SharedExchange;
use crate::engine::conflict::departed::{DeletePolicy, Deletes, SharedDeparted};
use crate::engine::copy::onto::SharedOnto;
use crate::engine::origin::{Marker, ReservedKeys};
use crate::engine::plan::Ordered;
use crate::engine::position::Position;
use crate::error::Fault;
use crate::journal::Journal;
use crate::observe::{ClockBoard, DrillBoard, LinkBoard, PrecheckBoard, RegionBoard, VerifyBoard};

/// How often a link that waits for the other one to hold looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Heartbeats on their way that are remembered: more than can be in flight.
const MAX_HEARTBEATS: usize = 4096;

/// One pair: its regions and its two links.
#[derive(Debug)]
pub struct Pair {
    /// Every setting as it is in force.
    pub settings: Settings,
    /// The keys that are ours.
    pub reserved: ReservedKeys,
    /// Where conflicts are recorded.
    pub journal: Journal,
    /// What is known of copies onto the two regions.
    pub onto: [SharedOnto; 2],
    /// What both links know of concurrent writes.
    pub exchange: SharedExchange,
    /// Makes the hashes of keys unforeseeable.
    pub seed: u64,
    /// The value of a key is to be read at one of the regions.
    pub values: Notify,
    /// What the servers of the two regions have removed by themselves.
    pub departed: [SharedDeparted; 2],
    /// The fences between what they tell.
    pub fences: [Fences; 2],
    /// How far the clocks of the regions are apart.
    pub clocks: Arc<ClockBoard>,
    /// How the daemon's own verification does.
    pub verification: Arc<VerifyBoard>,
    /// What the precheck of this start found.
    pub precheck: Arc<PrecheckBoard>,
    /// It has found something.
    pub prechecked: Notify,
    /// The failover drill that is under way, or the last one.
    pub drill: tokio::sync::Mutex<Option<Drill>>,
    /// The same for everybody to read.
    pub drill_board: Arc<DrillBoard>,
    /// The region whose writers are to be kept from writing.
    pub fencing: tokio::sync::Mutex<Option<usize>>,
    /// The source of the forward link, then its target.
    pub regions: [RegionPulse; 2],
    /// The forward link, then the reverse one.
    pub links: [LinkState; 2],
    /// The daemon was told to stop.
    pub shutdown: tokio_util::sync::CancellationToken,
    /// Another daemon has taken over: both links and the heartbeats stop.
    pub superseded: tokio_util::sync::CancellationToken,
}

/// A place up to which everything is applied, beyond what the marker says.
#[derive(Debug, Clone, Copy)]
struct Settled {
    epoch: u64,
    id: u64,
    position: Position,
}

/// Why a link waits for the operator's word.
#[derive(Debug, Clone)]
pub struct HeldLink {
    /// What was found.
    pub fault: Fault,
    /// Where the target's history stood then.
    pub target_offset: u64,
}

/// One region's heartbeat and clock.
#[derive(Debug)]
pub struct RegionPulse {
    /// The region's clock.
    pub clock: ServerClock,
    /// What everybody may read.
    pub board: Arc<RegionBoard>,
    epoch: Instant,
    /// Keys that it holds, ours among them; negative while that is not known.
    keys: AtomicI64,
    /// When a heartbeat was last written there, milliseconds since `epoch`; negative for never.
    beat_ms: AtomicI64,
}

/// What one link lets the other know.
#[derive(Debug)]
pub struct LinkState {
    /// What everybody may read.
    pub board: Arc<LinkBoard>,
    /// Whether the operator has ordered a copy, and whose; taken back once it is done.
    pub ordered: Mutex<Option<Ordered>>,
    /// The transaction that is traced.
    pub sampled: Sampled,
    /// Something changed that the other link may wait for.
    pub changed: Notify,
    /// The target has lost marker and gate of this link.
    pub marker_lost: Notify,
    /// The other link has posted writes for the target of this one.
    pub mail: Notify,
    /// The other link wants this one to hold what it reads, and this one does.
    hold: AtomicBool,
    holding: AtomicBool,
    /// One of the two has changed.
    pub hold_changed: Notify,
    /// Who has ordered the link to pause, while it is to.
    paused: watch::Sender<Option<String>>,
    /// What was ordered about that, to be kept over a restart.
    pub pause_order: PauseOrder,
    /// Why the link waits for the operator's word, while it does.
    held: watch::Sender<Option<HeldLink>>,
    /// What is before this offset of the source's history is accepted by the operator.
    accepted: AtomicU64,
    /// The source's clock at the last checkpoint that this daemon has seen at the target, milliseconds.
    known_ms: AtomicI64,
    /// The databases of the target that they were moved to.
    pub moved_to: Mutex<Vec<u32>>,
    settled: Mutex<Option<Settled>>,
    /// Epoch and id of the transaction that the target refused last.
    refused: Mutex<Option<(u64, u64)>>,
    /// The link is attached, and its checkpoint is at the target: from here on it misses nothing.
    in_step: AtomicBool,
    /// This daemon has been the only writer of the link at its target at least once.
    claimed: AtomicBool,
    /// Bytes of the source's history whose writes are applied.
    applied: AtomicU64,
    heartbeats: Mutex<VecDeque<(u64, i64)>>,
}

impl Pair {
    /// Every setting as it is in force.
    pub fn config(&self) -> Arc<Config> {
        self.settings.config()
    }

    /// The region whose stream the link `index` reads.
    pub fn source(&self, index: usize) -> RegionSettings {
        self.settings.region(index)
    }

    /// How deletions that the servers make by themselves are told, where they let it.
    pub fn deletes(&self) -> DeletePolicy {
        let of = |configured| match configured {
            ServerDeletes::Events => Deletes::Events,
            ServerDeletes::Compare => Deletes::Compare,
            ServerDeletes::Propagate => Deletes::Propagate,
        };
        let configured = &self.config().deletes;
        DeletePolicy { expiry: of(configured.expiry), eviction: of(configured.eviction) }
    }

    /// How far the servers' clocks may be apart, and what is known of them wrong, milliseconds.
    pub fn linger_ms(&self) -> i64 {
        let config = self.config();
        let longest = config.clock.skew_limit + config.heartbeat.interval * 4;
        i64::try_from(longest.as_millis()).unwrap_or(i64::MAX)
    }

    /// The region that the link `index` writes.
    pub fn target(&self, index: usize) -> RegionSettings {
        self.source(1 - index)
    }
}

/// A link that holds what it reads, for as long as this lasts.
#[derive(Debug)]
pub struct Held<'a>(&'a LinkState);

impl<'a> Held<'a> {
    /// Waits until `link` holds and everything that it had read is executed at its target.
    pub async fn hold(link: &'a LinkState) -> Self {
        let held = Self(link);
        link.hold.store(true, Ordering::Release);
        link.hold_changed.notify_one();
        while !link.holding.load(Ordering::Acquire) {
            link.changes(LOOK_EVERY).await;
        }
        held
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.hold.store(false, Ordering::Release);
        self.0.hold_changed.notify_one();
    }
}

impl RegionPulse {
    /// A region that has not been reached yet.
    pub fn new(board: Arc<RegionBoard>, epoch: Instant) -> Self {
        Self { clock: ServerClock::new(epoch), board, epoch, keys: AtomicI64::new(-1), beat_ms: AtomicI64::new(-1) }
    }

    /// The region holds so many keys.
    pub fn set_keys(&self, keys: u64) {
        self.keys.store(i64::try_from(keys).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// How many keys it held of late, if that is known.
    pub fn keys(&self) -> Option<u64> {
        u64::try_from(self.keys.load(Ordering::Relaxed)).ok()
    }

    /// A heartbeat was written there.
    pub fn beat(&self, now: Instant) {
        self.beat_ms.store(self.since(now), Ordering::Relaxed);
        self.board.answered(now);
    }

    /// Whether a heartbeat was written within `within`.
    pub fn is_beating(&self, now: Instant, within: Duration) -> bool {
        let beat = self.beat_ms.load(Ordering::Relaxed);
        beat >= 0 && self.since(now) - beat <= i64::try_from(within.as_millis()).unwrap_or(i64::MAX)
    }

    fn since(&self, now: Instant) -> i64 {
        i64::try_from(now.saturating_duration_since(self.epoch).as_millis()).unwrap_or(i64::MAX)
    }
}

impl LinkState {
    /// A link that has not begun.
    pub fn new(board: Arc<LinkBoard>, ordered: Option<Ordered>, sampled: Sampled) -> Self {
        Self {
            board,
            sampled,
            ordered: Mutex::new(ordered),
            changed: Notify::new(),
            marker_lost: Notify::new(),
            mail: Notify::new(),
            hold: AtomicBool::new(false),
            holding: AtomicBool::new(false),
            hold_changed: Notify::new(),
            paused: watch::Sender::new(None),
            pause_order: PauseOrder::default(),
            held: watch::Sender::new(None),
            accepted: AtomicU64::new(0),
            known_ms: AtomicI64::new(0),
            moved_to: Mutex::new(Vec::new()),
            settled: Mutex::new(None),
            refused: Mutex::new(None),
            in_step: AtomicBool::new(false),
            claimed: AtomicBool::new(false),
            applied: AtomicU64::new(0),
            heartbeats: Mutex::new(VecDeque::new()),
        }
    }

    /// The link is to pause, on the word of `by`.
    pub fn pause(&self, by: &str) {
        self.paused.send_replace(Some(by.to_owned()));
    }

    /// The link is to go on. Tells whether it was to pause.
    pub fn resume(&self) -> bool {
        self.paused.send_replace(None).is_some()
    }

    /// On whose word the link is to pause.
    pub fn paused_by(&self) -> Option<String> {
        self.paused.borrow().clone()
    }

    /// Waits until the link is to pause, or no longer.
    pub async fn pausing(&self, is_to_pause: bool) {
        is_given(&self.paused, is_to_pause).await;
    }

    /// The link waits for the operator's word from now on; `target_offset` is where the target's history stands.
    pub fn hold_for_word(&self, fault: Fault, target_offset: u64) {
        self.held.send_replace(Some(HeldLink { fault, target_offset }));
    }

    /// The link may go on; everything before `accepted` of the source's history is accepted, if that is given. Tells whether
    /// it was held.
    pub fn release(&self, accepted: Option<u64>) -> bool {
        if let Some(offset) = accepted {
            self.accepted.store(offset, Ordering::Release);
            self.known_ms.store(0, Ordering::Release);
        }
        self.held.send_replace(None).is_some()
    }

    /// Why the link waits for the operator's word.
    pub fn held(&self) -> Option<HeldLink> {
        self.held.borrow().clone()
    }

    /// Waits until the link is to wait for the operator's word, or no longer.
    pub async fn holding_for_word(&self, is_to_hold: bool) {
        is_given(&self.held, is_to_hold).await;
    }

    /// What the operator has accepted of the source's history.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Acquire)
    }

    /// The target holds a checkpoint of this time of the source's clock.
    pub fn set_known(&self, time_ms: i64) {
        self.known_ms.store(time_ms, Ordering::Release);
    }

    /// The source's clock at the last checkpoint that was seen at the target; 0 for none.
    pub fn known_ms(&self) -> i64 {
        self.known_ms.load(Ordering::Acquire)
    }

    /// This daemon has become the only writer of the link.
    pub fn set_claimed(&self) {
        self.claimed.store(true, Ordering::Release);
    }

    /// Whether it ever was.
    pub fn is_claimed(&self) -> bool {
        self.claimed.load(Ordering::Acquire)
    }

    /// The link has come into step, or lost it.
    pub fn set_in_step(&self, in_step: bool) {
        if self.in_step.swap(in_step, Ordering::AcqRel) != in_step {
            self.changed.notify_waiters();
        }
    }

    /// Whether the link misses nothing from here on.
    pub fn is_in_step(&self) -> bool {
        self.in_step.load(Ordering::Acquire)
    }

    /// Whether the other link wants this one to hold what it reads.
    pub fn is_to_hold(&self) -> bool {
        self.hold.load(Ordering::Acquire)
    }

    /// The link holds, or goes on.
    pub fn set_holding(&self, holding: bool) {
        if self.holding.swap(holding, Ordering::AcqRel) != holding {
            self.changed.notify_waiters();
        }
    }

    /// All writes before `offset` of the source's history are applied.
    pub fn set_applied(&self, offset: u64) {
        self.applied.store(offset, Ordering::Release);
    }

    /// Waits until something changes that the other link may wait for, and no longer than `within`: what is waited for is
    /// looked at again and again, since a change may come just before the wait begins.
    pub async fn changes(&self, within: Duration) {
        let _ = tokio::time::timeout(within, self.changed.notified()).await;
    }

    /// Up to where all writes of the source's history are applied.
    pub fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// The session ended with everything before a place applied, the last transaction having the id that stands with it,
    /// of an epoch; or without knowing such a place: then what an earlier session knew no longer counts either.
    pub fn settle(&self, known: Option<(u64, (u64, Position))>) {
        if let Ok(mut settled) = self.settled.lock() {
            *settled = known.map(|(epoch, (id, position))| Settled { epoch, id, position });
        }
    }

    /// The target refused this transaction (epoch and id), or none in the session that begins.
    pub fn refused(&self, transaction: Option<(u64, u64)>) {
        if let Ok(mut refused) = self.refused.lock() {
            *refused = transaction;
        }
    }

    /// Whether transactions behind a refused one were executed, so that the marker says more than is applied.
    pub fn has_broken(&self, marker: Marker) -> bool {
        let refused = self.refused.lock().map_or(None, |refused| *refused);
        refused.is_some_and(|(epoch, id)| marker.epoch == epoch && marker.id > id)
    }

    /// The marker of this link as it is at the target, with the place that is known to be applied. It is known only as
    /// long as the marker is the one that the last session left.
    pub fn settled(&self, marker: Marker) -> Marker {
        let settled = self.settled.lock().map_or(None, |settled| *settled);
        match settled {
            Some(Settled { epoch, id, position }) if (epoch, id) == (marker.epoch, marker.id) => {
                Marker { high: position, ..marker }
            }
            _ => marker,
        }
    }

    /// The transaction `id` carries the heartbeat that the source wrote at `written_ms`.
    pub fn heartbeat_sent(&self, id: u64, written_ms: i64) {
        let Ok(mut heartbeats) = self.heartbeats.lock() else { return };
        heartbeats.push_back((id, written_ms));
        if heartbeats.len() > MAX_HEARTBEATS {
            heartbeats.pop_front();
        }
    }

    /// The connection is new: what was on its way no longer counts.
    pub fn forget_heartbeats(&self) {
        if let Ok(mut heartbeats) = self.heartbeats.lock() {
            heartbeats.clear();
        }
    }

    /// The target has executed the transaction `id`; `source` tells the clock at which its heartbeat was written.
    pub fn arrived(&self, id: u64, source: &RegionPulse, now: Instant) {
        let Ok(mut heartbeats) = self.heartbeats.lock() else { return };
        let mut newest = None;
        while heartbeats.front().is_some_and(|(sent, _)| *sent <= id) {
            newest = heartbeats.pop_front();
        }
        drop(heartbeats);
        if let Some((_, written_ms)) = newest {
            let lag = source.clock.at_ms(now).saturating_sub(written_ms);
            self.board.heartbeat_seen(Duration::from_millis(u64::try_from(lag).unwrap_or(0)), now);
        }
    }
}

/// Waits until there is something, or, without `given`, nothing.
async fn is_given<T>(what: &watch::Sender<Option<T>>, given: bool) {
    // The sender is lent for as long as is waited: it is not gone.
    let _ = what.subscribe().wait_for(|what| what.is_some() == given).await;
}
