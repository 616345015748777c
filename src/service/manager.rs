//! Telling the service manager, by the datagrams of `sd_notify(3)`. Without one (`$NOTIFY_SOCKET` is not set) nothing is sent, and
//! the log alone says when a loop stands still.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use super::watch::Watch;
use crate::observe::{Board, Rounds};

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often a status is sent at the most.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// The watchdog's time where the service manager has none.
const WATCHDOG: Duration = Duration::from_secs(60);
/// Longest text of a status, in characters.
const STATUS: usize = 500;

/// What tells the service manager.
#[derive(Debug)]
pub struct Service {
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

/// Reads the settings again, and tells that this is being done.
pub async fn reloading<T>(reload: impl Future<Output = T>) -> T {
    let told = |states: &[NotifyState<'_>]| {
        if let Err(error) = sd_notify::notify(states) {
            tracing::debug!(%error, "the service manager can't be told of the reload");
        }
    };
    // From version 253 on it wants to know when.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => told(&[NotifyState::Reloading, now]),
        Err(_) => told(&[NotifyState::Reloading]),
    }
    let done = reload.await;
    told(&[NotifyState::Ready]);
    done
}

/// What was told so far.
struct Telling {
    board: Arc<Board>,
    serves_http: bool,
    watch: Watch,
    feed_every: Duration,
    fed: Option<Instant>,
    ready: bool,
    status: String,
    status_at: Option<Instant>,
    /// The loops that the log says stand still.
    still: Vec<&'static str>,
    /// A datagram could not be sent, and the log says so.
    failing: bool,
}

impl Service {
    /// Begins to tell how the daemon of `board` does, until `shutdown`. With `serves_http`, the thread that answers over HTTP is
    /// among what has to go round.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(board: Arc<Board>, serves_http: bool, shutdown: &CancellationToken) -> io::Result<Self> {
        let stop = shutdown.child_token();
        let stopped = stop.clone();
        let mut telling = Telling::new(board, serves_http, Instant::now());
        let thread = std::thread::Builder::new().name("service".into()).spawn(move || {
            while !stopped.is_cancelled() {
                telling.look(Instant::now());
                std::thread::park_timeout(LOOK_EVERY);
            }
            telling.stopping();
        })?;
        Ok(Self { stop, thread })
    }

    /// Tells that the daemon stops, unless that was told already, and ends.
    pub fn stop(self) {
        self.stop.cancel();
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            tracing::error!("the thread that tells the service manager had panicked");
        }
    }
}

impl Telling {
    fn new(board: Arc<Board>, serves_http: bool, now: Instant) -> Self {
        let watchdog = sd_notify::watchdog_enabled().filter(|time| !time.is_zero()).unwrap_or(WATCHDOG);
        let mut telling = Self {
            board,
            serves_http,
            watch: Watch::new(watchdog / 2, 0, now),
            feed_every: watchdog / 4,
            fed: None,
            ready: false,
            status: String::new(),
            status_at: None,
            still: Vec::new(),
            failing: false,
        };
        let loops = telling.loops().len();
        telling.watch = Watch::new(watchdog / 2, loops, now);
        telling
    }

    /// The loops that have to go round, by name.
    fn loops(&self) -> Vec<(&'static str, &Rounds)> {
        let [forward, reverse] = &self.board.links;
        let mut loops = vec![("the forward link", &forward.rounds), ("the reverse link", &reverse.rounds)];
        loops.extend(self.serves_http.then_some(("the answers over HTTP", &self.board.looks)));
        loops
    }

    fn look(&mut self, now: Instant) {
        let (names, rounds): (Vec<_>, Vec<_>) = self.loops().iter().map(|(name, rounds)| (*name, rounds.get())).unzip();
        let still = self.watch.look(&rounds, now);
        self.log(still.iter().map(|(index, stood)| (names[*index], *stood)).collect());
        if still.is_empty() && !self.ready && rounds.iter().all(|rounds| *rounds != Some(0)) {
            self.ready = true;
            self.tell(&[NotifyState::Ready]);
        }
        let due = |told: Option<Instant>, every| told.is_none_or(|told| now.saturating_duration_since(told) >= every);
        if still.is_empty() && self.ready && due(self.fed, self.feed_every) {
            self.fed = Some(now);
            self.tell(&[NotifyState::Watchdog]);
        }
        if !due(self.status_at, STATUS_EVERY) {
            return;
        }
        let status = match still.first() {
            Some((index, stood)) => format!("STUCK: {} has not gone round for {} s", names[*index], stood.as_secs()),
            None => standing(&self.board, now),
        };
        if status != self.status {
            self.tell(&[NotifyState::Status(&status)]);
            (self.status, self.status_at) = (status, Some(now));
        }
    }

    /// One line when a loop begins to stand still, and one when it goes round again.
    fn log(&mut self, still: Vec<(&'static str, Duration)>) {
        for (name, stood) in &still {
            if !self.still.contains(name) {
                let stood_s = stood.as_secs();
                tracing::error!(
                    stood_s,
                    "{name} is stuck: the watchdog is fed no more until it goes on; please report this"
                );
            }
        }
        for name in &self.still {
            if !still.iter().any(|(other, _)| other == name) {
                tracing::warn!("{name} goes on: the watchdog is fed again");
            }
        }
        self.still = still.into_iter().map(|(name, _)| name).collect();
    }

    fn stopping(&mut self) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status("stopping: what is on its way is finished first")]);
    }

    /// A service manager that does not listen is said once, until it does again.
    fn tell(&mut self, states: &[NotifyState<'_>]) {
        let told = sd_notify::notify(states);
        if let (Err(error), false) = (&told, self.failing) {
            tracing::warn!(%error, "the service manager can't be told how the daemon does");
        }
        self.failing = told.is_err();
    }
}

/// How the pair does, in one line.
fn standing(board: &Board, now: Instant) -> String {
    let readiness = board.readiness(now);
    let text = match readiness.reason {
        None => "ready: both links stream".to_owned(),
        Some(reason) => format!("not ready: {reason}"),
    };
    // A line break would end the status, and begin another message.
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(STATUS).collect()
}
