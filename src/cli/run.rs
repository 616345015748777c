//! `duet run`.

use std::fmt::Display;
use std::net::TcpListener;
use std::panic::PanicHookInfo;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::{failed, misconfigured};
use crate::admin::{self, Audit, Order, Orders};
use crate::config::{Config, ConfigError, Served, load, token};
use crate::health::Health;
use crate::http::{AdminServer, HttpServer, Known};
use crate::journal::{Journal, place};
use crate::metrics::Telemetry;
use crate::observe::{Board, Direction, News, log};
use crate::runtime::{self, Options};
use crate::service::{Service, reloading};

/// Threads for the links: one for each direction.
const WORKERS: usize = 2;
/// What a stop may take beyond `shutdown.timeout` before it is cut short.
const STOP_GRACE: Duration = Duration::from_secs(1);

const AFTER_HELP: &str = "\
Duet needs no local state: a start goes on where the regions themselves say that the last run ended. It keeps trying \
for ever when a server is away; `duet status` and /readyz say what is in the way.

SIGTERM and Ctrl-C finish what is on its way and exit 0; a second one exits at once, which loses nothing either.

Examples:
  duet run --config pair.toml
  DUET__LOG__FORMAT=json duet run --config pair.toml
  duet run --config pair.toml --full-sync forward    what a held pair may wait for";

/// Keep a pair equal, until SIGTERM or Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Run {
    /// The configuration of the pair, as TOML
    #[arg(long, value_name = "FILE", env = "DUET_CONFIG")]
    config: PathBuf,

    /// Begin with a full copy along this link, over the data of its target: the operator's word that a held pair waits
    /// for
    #[arg(long, value_name = "LINK")]
    full_sync: Option<Link>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Link {
    /// From forward.source to forward.target
    Forward,
    /// From forward.target to forward.source
    Reverse,
}

impl Run {
    pub(super) fn execute(self) -> ExitCode {
        let config = match load(&self.config) {
            Ok(config) => Arc::new(config),
            Err(error) => return misconfigured(&error),
        };
        let news = log::init(&config.log);
        std::panic::set_hook(Box::new(log_panic));
        // Before anything can be seen of the daemon it must know how to stop.
        let (threads, shutdown, hangups) = match threads() {
            Ok(threads) => threads,
            Err(error) => return failed(&format!("cannot start: {error}")),
        };
        let telemetry = match Telemetry::start(&config) {
            Ok(telemetry) => telemetry,
            Err(error) => return failed(&format!("cannot start: {error:#}")),
        };
        let board = Arc::new(Board::new(&config, Instant::now()));
        let place = place(&config, std::env::var_os("STATE_DIRECTORY"));
        let journal = match Journal::start(&config, place, Arc::clone(&board)) {
            Ok(journal) => journal,
            Err(error) => return failed(&format!("cannot start: {error}")),
        };
        let http = match self.serve(&config, &board, &journal, news) {
            Ok(http) => http,
            Err(error) => return misconfigured(&error),
        };
        let audit = admin::place(&config, std::env::var_os("STATE_DIRECTORY"));
        let (orders, desk) = Orders::new(Audit::start(&config, audit, Arc::clone(&board)));
        threads.spawn(reload_on(hangups, orders.clone()));
        let admin = match self.take_orders(&config, orders) {
            Ok(admin) => admin,
            Err(error) => return misconfigured(&error),
        };
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            pair = %config.pair.name,
            source = %config.source().name,
            target = %config.target().name,
            http = http.as_ref().map(|http| http.address().to_string()),
            admin = admin.as_ref().map(|admin| admin.place().to_string()),
            "started"
        );
        board.journal.announce();
        let service = match Service::start(Arc::clone(&board), http.is_some(), &shutdown) {
            Ok(service) => service,
            Err(error) => return failed(&format!("cannot start: {error}")),
        };
        let traces = telemetry.as_ref().map(|telemetry| {
            telemetry.observe(&board);
            telemetry.traces(config.telemetry.trace_every)
        });
        let full_sync = self.full_sync.map(Direction::from);
        let options = Options { config: Some(self.config.clone()), full_sync, traces };
        let started = runtime::run(Arc::clone(&config), board, journal.clone(), options, desk, shutdown.clone());
        let ended = keep_equal(threads, shutdown, config.shutdown.timeout, started);
        service.stop();
        journal.stop();
        if let Some(telemetry) = telemetry {
            telemetry.stop();
        }
        if let Some(admin) = admin {
            admin.stop();
        }
        if let Some(http) = http {
            http.stop();
        }
        match ended {
            Ok(()) => {
                tracing::info!("stopped");
                ExitCode::SUCCESS
            }
            Err(error) => failed(&format!("{error:#}")),
        }
    }

    fn serve(
        &self,
        config: &Config,
        board: &Arc<Board>,
        journal: &Journal,
        news: News,
    ) -> Result<Option<HttpServer>, ConfigError> {
        self.check_certificate(config)?;
        let Some(listen) = config.http.listen else { return Ok(None) };
        let agent = config.health.agent_listen.map(|listen| {
            TcpListener::bind(listen).map_err(|error| self.cannot_listen("health.agent_listen", &listen, &error))
        });
        let health = Arc::new(Health::new(config, Arc::clone(board)));
        let (board, journal) = (Arc::clone(board), journal.clone());
        let known = Known { board, journal, history: Arc::default(), news, health };
        let http = HttpServer::start(listen, config.http.tls.clone(), agent.transpose()?, known);
        http.map(Some).map_err(|error| self.cannot_listen("http.listen", &listen, &error))
    }

    fn take_orders(&self, config: &Config, orders: Orders) -> Result<Option<AdminServer>, ConfigError> {
        let Some(listen) = &config.admin.listen else { return Ok(None) };
        if let Some(Err(problem)) = config.admin.token_file.as_deref().map(token) {
            let remedy = "Write a long random text there that Duet may read, as `openssl rand -hex 32` gives it";
            let problem = format!("names a file that cannot be used: {problem}");
            return Err(ConfigError::at(self.place(), "admin.token_file", problem, remedy));
        }
        let server = AdminServer::start(listen, config.http.tls.clone(), config.admin.clone(), orders);
        server.map(Some).map_err(|error| self.cannot_listen("admin.listen", listen, &error))
    }

    fn check_certificate(&self, config: &Config) -> Result<(), ConfigError> {
        let Some(Err(problem)) = config.http.tls.as_ref().map(Served::server) else { return Ok(()) };
        let remedy = "Give files in PEM that Duet may read: certificate_file, and the key_file of that certificate";
        let problem = format!("cannot be used: {problem}");
        Err(ConfigError::at(self.place(), "http.certificate_file", problem, remedy))
    }

    fn cannot_listen(&self, key: &str, listen: &dyn Display, error: &std::io::Error) -> ConfigError {
        let problem = format!("cannot be used: {listen}: {error}");
        let remedy = "Take a free port and an address of this machine (or a directory that Duet may write), or look whether \
                      another Duet is running";
        ConfigError::at(self.place(), key, problem, remedy)
    }

    fn place(&self) -> String {
        self.config.display().to_string()
    }
}

impl From<Link> for Direction {
    fn from(link: Link) -> Self {
        match link {
            Link::Forward => Self::Forward,
            Link::Reverse => Self::Reverse,
        }
    }
}

/// The threads of the links, what tells them to stop, and the signals that ask for a reload: signals are listened to from
/// here on.
fn threads() -> std::io::Result<(Runtime, CancellationToken, Signal)> {
    let threads = Builder::new_multi_thread().worker_threads(WORKERS).thread_name("link").enable_all().build()?;
    let shutdown = CancellationToken::new();
    let inside = threads.enter();
    listen_to_signals(shutdown.clone())?;
    let hangups = signal(SignalKind::hangup())?;
    drop(inside);
    Ok((threads, shutdown, hangups))
}

/// Has the configuration read again with each SIGHUP.
async fn reload_on(mut hangups: Signal, orders: Orders) {
    while hangups.recv().await.is_some() {
        match reloading(orders.give(Order::Reload {}, "SIGHUP")).await {
            Ok(done) => tracing::info!("{}", done.text),
            Err(refused) => tracing::error!(code = refused.error_code, reason = refused.error, "not reloaded"),
        }
    }
}

/// Runs both links until a signal, or until they cannot go on; then they may take `timeout` for what is on its way.
fn keep_equal(
    threads: Runtime,
    shutdown: CancellationToken,
    timeout: Duration,
    links: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) -> anyhow::Result<()> {
    let limit = timeout + STOP_GRACE;
    let ended = threads.block_on(async {
        // A task of its own, so that its panic comes back as an error.
        let links = tokio::spawn(links);
        let mut links = std::pin::pin!(links);
        tokio::select! {
            ended = links.as_mut() => return ended?,
            () = shutdown.cancelled() => {}
        }
        match tokio::time::timeout(limit, links).await {
            Ok(ended) => ended?,
            Err(_) => {
                tracing::warn!(?limit, "the stop was cut short: the next start sends what is missing");
                Ok(())
            }
        }
    });
    threads.shutdown_timeout(STOP_GRACE);
    ended
}

/// The first signal asks for a stop, the second one is obeyed at once.
fn listen_to_signals(shutdown: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if shutdown.is_cancelled() {
                tracing::warn!(signal = name, "stopping at once");
                std::process::exit(1);
            }
            tracing::info!(signal = name, "stopping: what is on its way is finished first");
            shutdown.cancel();
        }
    });
    Ok(())
}

/// A panic is a mistake in this program: it goes where all errors go, whoever waits for the task.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let what = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let location = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    tracing::error!(what, location, thread = thread.name(), "a task panicked: please report this");
}
