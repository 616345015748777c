//! Effects: sockets, the clock, random numbers. Performs what the engine decides.
//!
//! * [`run`]: a pair, until it is told to stop; `link`: one direction, session after session.
//! * `start` (with `fence`, `attach`, `names`): a session begins; `session`, `pump`: it works; `inquiry`: what a copy
//!   has to ask; `sweep`: deletions after a copy; `values`: reading values that are made equal.
//! * [`precheck`]: what is looked at before every start; [`check`]: gathers its facts.
//! * `heartbeat`, `clock`: a region's pulse; `skew`: how far their clocks are apart; `events`: what its server removes by
//!   itself; `survey`: what it says of itself; `sampled`: the transaction that is traced; `shared`: what these tasks know of
//!   each other; `client`, `socket`: requests and replies, plain or by TLS.
//! * `drill`: the failover drill, and the fence that it keeps.
//! * `orders`: what a person orders of the running daemon; `outlook`: what would happen if a held link went on.
//! * `pauses`: pauses that outlast the daemon; `settings`: what is in force, and its change by a reload.

mod attach;
pub mod check;
pub(crate) mod client;
mod clock;
mod drill;
pub mod events;
mod fence;
mod heartbeat;
mod inquiry;
mod link;
mod mend;
mod names;
mod orders;
mod outlook;
mod pauses;
pub mod precheck;
mod pump;
mod sampled;
mod session;
mod settings;
mod shared;
mod skew;
mod socket;
mod start;
mod survey;
mod sweep;
mod values;
pub mod verify;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admin::Desk;
use crate::config::Config;
use crate::engine::conflict::Exchange;
use crate::engine::origin::ReservedKeys;
use crate::engine::plan::Ordered;
use crate::journal::Journal;
use crate::metrics::Traces;
use crate::observe::{Board, Direction};
use sampled::Sampled;
use settings::Settings;
use shared::{LinkState, Pair, RegionPulse};

/// What the operator says at a start.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The file that the configuration came from: a reload reads it again.
    pub config: Option<PathBuf>,
    /// The link whose source is copied in full over its target: the word that a held pair waits for.
    pub full_sync: Option<Direction>,
    /// Who is told of sampled transactions.
    pub traces: Option<Traces>,
}

/// Keeps the pair equal until `shutdown`, and drains then. Conflicts go to `journal`, orders come from `desk`.
///
/// # Errors
/// When a task of the daemon itself fails: what happens to servers and connections is shown on the board instead.
pub async fn run(
    config: Arc<Config>,
    board: Arc<Board>,
    journal: Journal,
    options: Options,
    desk: Desk,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let epoch = Instant::now();
    let timeout = config.shutdown.timeout;
    let order = |direction| match options.full_sync {
        None => None,
        Some(ordered) if ordered == direction => Some(Ordered::This),
        Some(_) => Some(Ordered::Other),
    };
    let sampled = || Sampled::new(options.traces.clone());
    let pair = Arc::new(Pair {
        exchange: Arc::new(Mutex::new(Exchange::new(config.conflicts.policies()))),
        clocks: Arc::clone(&board.clocks),
        verification: Arc::clone(&board.verification),
        precheck: Arc::clone(&board.precheck),
        prechecked: tokio::sync::Notify::new(),
        drill: Default::default(),
        drill_board: Arc::clone(&board.drill),
        fencing: Default::default(),
        seed: fastrand::u64(..),
        values: tokio::sync::Notify::new(),
        journal,
        onto: Default::default(),
        reserved: ReservedKeys::new(config.pair.reserved_prefix.as_str(), config.pair.name.as_str()),
        settings: Settings::new(config, options.config),
        departed: Default::default(),
        fences: Default::default(),
        regions: [0, 1].map(|index: usize| RegionPulse::new(Arc::clone(&board.regions[index]), epoch)),
        links: [
            LinkState::new(Arc::clone(board.forward()), order(Direction::Forward), sampled()),
            LinkState::new(Arc::clone(board.reverse()), order(Direction::Reverse), sampled()),
        ],
        shutdown: shutdown.clone(),
        superseded: CancellationToken::new(),
    });
    let mut tasks = JoinSet::new();
    for index in [0, 1] {
        tasks.spawn(link::run(Arc::clone(&pair), index));
        tasks.spawn(values::run(Arc::clone(&pair), index));
        let keeping = Arc::clone(&pair);
        tasks.spawn(async move { pauses::run(&keeping, index).await });
        let beating = Arc::clone(&pair);
        tasks.spawn(async move { heartbeat::run(&beating, index).await });
        let watching = Arc::clone(&pair);
        tasks.spawn(async move { watch(&watching, index).await });
    }
    let looking = Arc::clone(&pair);
    tasks.spawn(async move { skew::run(&looking).await });
    tasks.spawn(verify::continuous(Arc::clone(&pair), Arc::clone(&board)));
    tasks.spawn(orders::run(Arc::clone(&pair), desk));
    let drilling = Arc::clone(&pair);
    tasks.spawn(async move { drill::run(&drilling).await });
    let checking = Arc::clone(&pair);
    tasks.spawn(async move { precheck::run(&checking).await });
    let mut running = true;
    while running {
        tokio::select! {
            () = shutdown.cancelled() => running = false,
            // A task ends before the shutdown when another daemon takes over; when it panics, the daemon ends.
            Some(ended) = tasks.join_next() => ended?,
        }
    }
    let drained = async {
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        Ok(())
    };
    match tokio::time::timeout(timeout, drained).await {
        Ok(ended) => ended,
        Err(_) => {
            tracing::warn!("not everything was drained in time; the next start resumes where the targets say");
            Ok(())
        }
    }
}

/// Receives the events of region `index` until the daemon stops.
async fn watch(pair: &Pair, index: usize) {
    loop {
        let renewals = pair.settings.renewals();
        let (region, config) = (pair.source(index), pair.config());
        let watch = events::Watch {
            region: &region,
            retry: &config.retry,
            policy: pair.deletes(),
            departed: &pair.departed[index],
            fences: &pair.fences[index],
            board: &pair.links[index].board,
        };
        tokio::select! {
            () = watch.run() => return,
            () = pair.settings.renewed(renewals) => watch.end(),
            () = pair.shutdown.cancelled() => return,
            () = pair.superseded.cancelled() => return,
        }
    }
}
