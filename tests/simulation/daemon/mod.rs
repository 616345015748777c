//! The daemon with the real engine and a shell that does what the runtime does, connection by connection.
//!
//! Its tasks are futures that the simulation polls, one at a time, in an order that the seed gives. To kill the daemon is
//! to drop them: that can happen wherever a task waits. `start` and `link` follow `src/runtime` step by step.

mod attach;
mod client;
mod events;
mod heartbeat;
mod link;
mod start;
mod sweep;
mod unresolved;
mod values;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use duet::engine::apply::Bounds;
use duet::engine::conflict::departed::DeletePolicy;
use duet::engine::conflict::{Exchange, Policies, Policy, SharedExchange, hold};
use duet::engine::copy::onto::SharedOnto;
use duet::engine::origin::{Marker, ReservedKeys};
use duet::engine::position::Position;
use duet::error::Kind;

pub use unresolved::Unresolved;

use crate::network::Shared;
use crate::oracle::Place;

/// The names of the regions.
pub const REGIONS: [&str; 2] = ["a", "b"];

/// What of the shell is switched off, to see that somebody notices.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flaws {
    /// Connections of an earlier run are not ended.
    pub no_fence: bool,
    /// A restart goes on from what was acknowledged last, not from what the marker says.
    pub own_memory: bool,
    /// A copy does not end with deletions.
    pub no_sweep: bool,
    /// A copy does not wait for the other link.
    pub no_drain: bool,
    /// A copy takes reserved keys for data.
    pub reserved_copied: bool,
    /// More is sent ahead than was allowed.
    pub unbounded: bool,
    /// What of the resolving of conflicts is switched off.
    pub unresolved: Unresolved,
    /// No more than [`MOST_LOGGED`] executions are kept of keys that have met something.
    pub forgetful: bool,
}

/// So many executions of keys that have met something a forgetful daemon keeps.
const MOST_LOGGED: usize = 8;

/// What a daemon is told.
#[derive(Debug, Clone)]
pub struct Settings {
    pub bounds: Bounds,
    pub heartbeat_ms: i64,
    /// How far the servers' clocks may be apart, and what is known of them wrong, milliseconds.
    pub linger_ms: i64,
    /// Bytes that one read may bring.
    pub read_bytes: usize,
    /// A value with a longer encoding is copied in pieces, bytes.
    pub value_bytes: usize,
    pub reserved: ReservedKeys,
    /// How deletions by the servers are told.
    pub deletes: DeletePolicy,
    /// Both regions write the same keys: a write may find another type at the target.
    pub clashes: bool,
    /// The region whose concurrent writes win, where it is not the later one that does.
    pub winner: Option<usize>,
    /// Keys that begin like this are held when two writes meet.
    pub held: &'static [&'static str],
    pub flaws: Flaws,
}

/// What outlives a daemon, for one that keeps positions by itself.
pub type Notes = Rc<RefCell<[Option<Position>; 2]>>;

/// What the tasks of one daemon know of each other.
pub struct Pair {
    pub world: Shared,
    pub settings: Settings,
    pub links: [LinkState; 2],
    pub superseded: Cell<bool>,
    pub notes: Notes,
    pub onto: [SharedOnto; 2],
    pub exchange: SharedExchange,
    /// What is known of what the servers remove by themselves.
    pub watched: [events::Watched; 2],
}

/// What one link lets the other know.
#[derive(Default)]
pub struct LinkState {
    pub in_step: Cell<bool>,
    pub applied: Cell<u64>,
    pub marker_lost: Cell<bool>,
    /// Databases that marker and gate were moved to.
    pub moved_to: RefCell<Vec<u32>>,
    /// Epoch and last transaction of the last session, and the place before which everything was applied then.
    settled: Cell<Option<(u64, u64, Position)>>,
    pub last_fault: RefCell<String>,
    /// Epoch and id of the transaction that the target refused last.
    pub refused: Cell<Option<(u64, u64)>>,
    /// The other link wants this one to hold, and it does.
    pub hold: Cell<bool>,
    pub holding: Cell<bool>,
}

/// A link that holds what it reads, for as long as this lasts.
pub struct Held<'a>(&'a LinkState);

impl<'a> Held<'a> {
    /// Waits until `link` holds.
    pub async fn hold(link: &'a LinkState, world: &Shared) -> Self {
        let held = Self(link);
        link.hold.set(true);
        while !link.holding.get() {
            client::sleep(world, 1).await;
        }
        held
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.hold.set(false);
    }
}

impl LinkState {
    /// Whether transactions behind a refused one were executed.
    pub fn has_broken(&self, marker: Marker) -> bool {
        self.refused.get().is_some_and(|(epoch, id)| marker.epoch == epoch && marker.id > id)
    }

    /// The marker of this link with the place that is known to be applied, if it is the one that the last session left.
    fn settled(&self, marker: Marker) -> Marker {
        match self.settled.get() {
            Some((epoch, id, position)) if (epoch, id) == (marker.epoch, marker.id) => {
                Marker { high: position, ..marker }
            }
            _ => marker,
        }
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// A running daemon.
pub struct Daemon {
    pub pair: Rc<Pair>,
    tasks: Vec<Option<Task>>,
}

impl Daemon {
    /// Starts one.
    pub fn new(world: Shared, settings: Settings, notes: Notes) -> Self {
        let policy = settings.winner.map_or(Policy::LastUpdateWins, Policy::Region);
        let held = settings.held.iter().map(|prefix| (prefix.as_bytes().to_vec(), Policy::Hold));
        let exchange = Exchange::new(Policies::new(policy, held.collect()));
        let exchange = if settings.flaws.forgetful { exchange.with_most_logged(MOST_LOGGED) } else { exchange };
        let exchange = Arc::new(Mutex::new(exchange));
        let pair = Pair {
            world,
            settings,
            links: Default::default(),
            superseded: Cell::new(false),
            notes,
            onto: Default::default(),
            exchange,
            watched: Default::default(),
        };
        let pair = Rc::new(pair);
        let mut tasks: Vec<Option<Task>> = Vec::new();
        for index in [0, 1] {
            tasks.push(Some(Box::pin(link::run(Rc::clone(&pair), index))));
            tasks.push(Some(Box::pin(heartbeat::run(Rc::clone(&pair), index))));
            tasks.push(Some(Box::pin(values::run(Rc::clone(&pair), index))));
            tasks.push(Some(Box::pin(events::run(Rc::clone(&pair), index))));
        }
        Self { pair, tasks }
    }

    /// One of its tasks goes on until it waits. A daemon that was superseded stops.
    pub fn poll(&mut self, which: usize) {
        // Both links, then heartbeats and values, which have less to do, and events.
        let index = [0, 4, 0, 4, 0, 4, 1, 5, 0, 4, 2, 6, 3, 7, 3, 7][which % 16];
        let slot = &mut self.tasks[index];
        if let Some(task) = slot
            && task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
        {
            *slot = None;
        }
        if self.pair.superseded.get() {
            self.tasks.iter_mut().for_each(|task| *task = None);
        }
    }

    /// Whether it has stopped by itself.
    pub fn is_over(&self) -> bool {
        self.pair.superseded.get()
    }

    /// The keys that it holds.
    pub fn held(&self) -> BTreeSet<Place> {
        let exchange = hold(&self.pair.exchange);
        (0..2).flat_map(|region| exchange.held(region).keys().cloned()).collect()
    }

    /// Whether a link holds since only its operator can tell which region counts: one came back empty, or is
    /// to be copied where databases were moved in different orders, or both have lost their positions.
    pub fn asks(&self) -> bool {
        let asks = |link: &LinkState| {
            let fault = link.last_fault.borrow();
            let is_of = |kind: &Kind| fault.starts_with(&format!("{kind:?}:"));
            (!link.in_step.get() || hold(&self.pair.exchange).is_disordered(0))
                && [Kind::SourceShrunk, Kind::BothPositionsLost].iter().any(is_of)
        };
        self.pair.links.iter().any(asks)
    }

    /// What it says of its links.
    pub fn describe(&self) -> String {
        let link =
            |link: &LinkState| format!("in step {}, last fault '{}'", link.in_step.get(), link.last_fault.borrow());
        format!("forward: {}; reverse: {}", link(&self.pair.links[0]), link(&self.pair.links[1]))
    }
}
