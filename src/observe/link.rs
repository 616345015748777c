//! One link: what it does, how far it is, and whether it moves.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use serde::{Deserialize, Serialize};

use super::set_aside::Shelf;
use super::{Counter, FullSyncProgress, HeldKey, Lags, Queues, Rounds, SetAside};
use crate::engine::conflict::departed::{DeletePolicy, Deletes};

/// How much later than two intervals a heartbeat may come before the link counts as stalled.
pub(super) const HEARTBEAT_GRACE: Duration = Duration::from_millis(100);

/// Which way a link copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The full data, then the increments.
    Forward,
    /// Increments only.
    Reverse,
}

/// What a link is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Reaching its servers, again and again.
    Connecting,
    /// Copying everything.
    FullSync,
    /// Copying increments as they come.
    Streaming,
    /// Waiting for the operator's word.
    Held,
    /// Waiting for the cause to go away.
    Halted,
    /// Waiting to be resumed, as it was ordered.
    Paused,
    /// At its end.
    Stopped,
}

/// Why a link is in its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// A stable name for programs, as `wrong_password`.
    pub code: &'static str,
    /// What happened.
    pub text: String,
    /// What to do.
    pub remedy: String,
}

/// The board of one link. The runtime writes it and anybody reads it; nobody ever waits.
#[derive(Debug)]
pub struct LinkBoard {
    /// Which way it copies.
    pub direction: Direction,
    /// The region that it reads.
    pub source: String,
    /// The region that it writes.
    pub target: String,
    /// Write commands of the source that the target has executed.
    pub writes_applied: Counter,
    /// Marked transactions that the target has executed.
    pub transactions: Counter,
    /// Our own transactions that were seen again and dropped.
    pub echoes_dropped: Counter,
    /// How often the link has begun anew after it had streamed.
    pub reconnects: Counter,
    /// Bytes of the source's stream.
    pub bytes_read: Counter,
    /// How often the loop of the link has gone round.
    pub rounds: Rounds,
    /// Keys of the source for which something is still to be done on account of a conflict.
    pub unresolved: Counter,
    /// Bytes given to the target's connection.
    pub bytes_written: Counter,
    /// Bytes of the source's history whose writes are applied.
    pub applied_offset: Counter,
    /// What waits.
    pub queues: Queues,
    /// How often the lag was how large.
    pub lags: Lags,
    held: ArcSwap<Vec<HeldKey>>,
    settling: ArcSwap<Vec<HeldKey>>,
    set_aside: Counter,
    standing: ArcSwap<Standing>,
    heartbeat: ArcSwapOption<Seen>,
    heartbeat_interval: Duration,
    full_sync: ArcSwapOption<FullSyncProgress>,
    stall_told: AtomicBool,
    shelf: Shelf,
    deletes: ArcSwap<DeletePolicy>,
}

/// State and reason belong together: a reader sees both or neither.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) state: State,
    pub(super) reason: Option<Reason>,
    pub(super) since: Instant,
}

#[derive(Debug)]
struct Seen {
    lag: Duration,
    at: Instant,
}

impl LinkBoard {
    /// A link that has not reached its servers yet.
    pub fn new(
        direction: Direction,
        source: impl Into<String>,
        target: impl Into<String>,
        heartbeat_interval: Duration,
        now: Instant,
    ) -> Self {
        Self {
            direction,
            source: source.into(),
            target: target.into(),
            writes_applied: Counter::default(),
            transactions: Counter::default(),
            echoes_dropped: Counter::default(),
            reconnects: Counter::default(),
            bytes_read: Counter::default(),
            rounds: Rounds::default(),
            unresolved: Counter::default(),
            bytes_written: Counter::default(),
            applied_offset: Counter::default(),
            queues: Queues::default(),
            lags: Lags::new(direction),
            held: ArcSwap::default(),
            settling: ArcSwap::default(),
            set_aside: Counter::default(),
            standing: ArcSwap::from_pointee(Standing { state: State::Connecting, reason: None, since: now }),
            heartbeat: ArcSwapOption::empty(),
            heartbeat_interval,
            full_sync: ArcSwapOption::empty(),
            stall_told: AtomicBool::new(false),
            shelf: Shelf::default(),
            deletes: ArcSwap::from_pointee(DeletePolicy { expiry: Deletes::Compare, eviction: Deletes::Compare }),
        }
    }

    /// How deletes that the source makes by itself are told from those of its clients, from now on.
    pub fn set_deletes(&self, deletes: DeletePolicy) {
        self.deletes.store(Arc::new(deletes));
    }

    /// How deletes that the source makes by itself are told from those of its clients.
    pub fn deletes(&self) -> DeletePolicy {
        **self.deletes.load()
    }

    /// Changes state and reason, and logs one line when the state or the reason's code changes. One task at a time
    /// may call it: the one that drives the link.
    pub fn enter(&self, state: State, reason: Option<Reason>) {
        self.enter_at(state, reason, Instant::now());
    }

    /// As [`enter`](Self::enter), at a moment that is given.
    pub fn enter_at(&self, state: State, reason: Option<Reason>, now: Instant) {
        let before = self.standing.load();
        let code = |reason: &Option<Reason>| reason.as_ref().map(|reason| reason.code);
        let same_state = before.state == state;
        let news = !same_state || code(&before.reason) != code(&reason);
        let since = if same_state { before.since } else { now };
        if news {
            self.log(state, reason.as_ref());
        }
        self.standing.store(Arc::new(Standing { state, reason, since }));
    }

    /// What the link is doing.
    pub fn state(&self) -> State {
        self.standing.load().state
    }

    /// The code of a link that is held until somebody orders a full copy.
    pub fn held_for_copy(&self) -> Option<&'static str> {
        let standing = self.standing.load();
        let code = standing.reason.as_ref()?.code;
        let waits = matches!(code, "position_lost" | "databases_differ" | "both_positions_lost" | "source_shrunk");
        (standing.state == State::Held && waits).then_some(code)
    }

    /// A heartbeat has travelled through the link: `lag` is from the source's clock at its write to the echo of our
    /// transaction at the target, which was seen `at`.
    pub fn heartbeat_seen(&self, lag: Duration, at: Instant) {
        self.lags.record(lag);
        self.heartbeat.store(Some(Arc::new(Seen { lag, at })));
    }

    /// End-to-end lag in milliseconds. When heartbeats are missing it grows with the age of the last one; `None`
    /// before the first.
    pub fn lag_ms(&self, now: Instant) -> Option<u64> {
        let seen = self.heartbeat.load();
        let seen = seen.as_deref()?;
        let age = now.saturating_duration_since(seen.at);
        let lag = if age > self.patience() { age + seen.lag } else { seen.lag };
        Some(u64::try_from(lag.as_millis()).unwrap_or(u64::MAX))
    }

    /// Whether the link streams, but no heartbeat has come through for two intervals and a bit.
    pub fn stalled(&self, now: Instant) -> bool {
        self.still_for(now).is_some_and(|still| still > self.patience())
    }

    /// Whether the link streams, and heartbeats come through.
    pub fn moves(&self, now: Instant) -> bool {
        self.state() == State::Streaming && !self.stalled(now)
    }

    /// How long a streaming link has been without a heartbeat; `None` in any other state.
    pub(super) fn still_for(&self, now: Instant) -> Option<Duration> {
        let standing = self.standing.load();
        let seen = self.heartbeat.load();
        let moved = seen.as_deref().map_or(standing.since, |seen| seen.at.max(standing.since));
        (standing.state == State::Streaming).then(|| now.saturating_duration_since(moved))
    }

    /// A full sync begins: gives the figures to write into.
    pub fn begin_full_sync(&self, now: Instant) -> Arc<FullSyncProgress> {
        let progress = Arc::new(FullSyncProgress::new(now));
        self.full_sync.store(Some(Arc::clone(&progress)));
        progress
    }

    /// Writes a line of progress when none was written for 5 s; call it as often as you like.
    pub fn log_full_sync(&self, now: Instant) {
        if let Some(progress) = self.full_sync().filter(|progress| progress.line_is_due(now)) {
            self.log_progress("full sync", &progress, now);
        }
    }

    /// The full sync is done.
    pub fn end_full_sync(&self, now: Instant) {
        if let Some(progress) = self.full_sync.swap(None) {
            self.log_progress("full sync ended", &progress, now);
        }
    }

    /// The full sync that ran, if one did, was given up.
    pub fn give_up_full_sync(&self, now: Instant) {
        if let Some(progress) = self.full_sync.swap(None) {
            self.log_progress("full sync given up", &progress, now);
        }
    }

    /// Logs one line when the link stalls, and one when it moves again; call it as often as you like.
    pub fn log_stall(&self, now: Instant) {
        let stalled = self.stalled(now);
        if self.stall_told.swap(stalled, Ordering::Relaxed) != stalled {
            let (link, source, target) = (self.direction, &*self.source, &*self.target);
            if stalled {
                tracing::warn!(%link, source, target, "stalled: connected, but no heartbeat comes through");
            } else {
                tracing::info!(%link, source, target, "no longer stalled");
            }
        }
    }

    /// The full sync that runs.
    pub fn full_sync(&self) -> Option<Arc<FullSyncProgress>> {
        self.full_sync.load_full()
    }

    /// Something was left out: counts it, names it in the log (not every one of a flood) and keeps the last ones.
    pub fn set_aside(&self, item: SetAside) {
        self.set_aside.add(1);
        let (what, why, database, key) = (item.what.clone(), item.why.clone(), item.database, item.key.clone());
        if self.shelf.keep(item) {
            tracing::warn!(link = %self.direction, source = self.source, database, key, what, why, "set aside");
        }
    }

    /// These keys of the source are held from now on; logs how many.
    pub fn set_held(&self, held: Vec<HeldKey>) {
        let (count, before) = (held.len(), self.held.swap(Arc::new(held)).len());
        let source = &*self.source;
        if count > before {
            tracing::warn!(source, held = count, "a key is held: decide with `duet resolve KEY --winner REGION`");
        } else {
            tracing::info!(source, held = count, "a key is no longer held");
        }
    }

    /// These keys are being made equal by their values, the first of them.
    pub fn set_settling(&self, settling: Vec<HeldKey>) {
        if **self.settling.load() != settling {
            self.settling.store(Arc::new(settling));
        }
    }

    /// The first of the keys that are being made equal by their values.
    pub fn settling(&self) -> Arc<Vec<HeldKey>> {
        self.settling.load_full()
    }

    /// The keys of the source that are held.
    pub fn held(&self) -> Arc<Vec<HeldKey>> {
        self.held.load_full()
    }

    /// How many things were left out.
    pub fn set_aside_count(&self) -> u64 {
        self.set_aside.get()
    }

    /// The same by kind.
    pub fn set_aside_kinds(&self) -> BTreeMap<String, u64> {
        self.shelf.kinds()
    }

    pub(super) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    pub(super) fn standing(&self) -> Arc<Standing> {
        self.standing.load_full()
    }

    fn patience(&self) -> Duration {
        self.heartbeat_interval * 2 + HEARTBEAT_GRACE
    }

    fn log(&self, state: State, reason: Option<&Reason>) {
        let (link, source, target) = (self.direction, &*self.source, &*self.target);
        match (state, reason) {
            (State::Held | State::Halted, Some(Reason { code, text, remedy })) => {
                tracing::error!(%link, source, target, %state, code, reason = text, remedy, "{link} is {state}");
            }
            (State::Held | State::Halted, None) => tracing::error!(%link, source, target, %state, "{link} is {state}"),
            (State::Connecting | State::FullSync | State::Streaming | State::Paused | State::Stopped, Some(reason)) => {
                let Reason { code, text, remedy } = reason;
                tracing::warn!(%link, source, target, %state, code, reason = text, remedy, "{link} is {state}");
            }
            (State::Connecting | State::FullSync | State::Streaming | State::Paused | State::Stopped, None) => {
                tracing::info!(%link, source, target, %state, "{link} is {state}");
            }
        }
    }

    fn log_progress(&self, what: &str, progress: &FullSyncProgress, now: Instant) {
        tracing::info!(
            link = %self.direction,
            keys_done = progress.keys_done.get(),
            keys_total = progress.keys_total.get(),
            bytes_done = progress.bytes_done.get(),
            keys_per_s = progress.keys_per_second(now),
            bytes_per_s = progress.bytes_per_second(now),
            seconds_left = progress.seconds_left(now),
            "{what}"
        );
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::FullSync => "full_sync",
            Self::Streaming => "streaming",
            Self::Held => "held",
            Self::Halted => "halted",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}
