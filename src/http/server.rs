//! Connections: each bounded in time, all of them bounded in number.

use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answers::Known;
use super::listener::{Bound, Peer, Stream};
use super::{actions, agent, answers};
use crate::admin::Orders;
use crate::config::{Admin, Listen, Served};

/// Most connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 512;
/// How long a client may take to send the head of a request, and to send the next one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may be used before it is asked to close.
const CONNECTION_LIFE: Duration = Duration::from_secs(60);
/// How long it may take to close after that, and when the server stops.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Most bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// Wait after a failed accept, as when all file descriptors are in use.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What answers questions.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    server: Server,
}

/// What takes orders.
#[derive(Debug)]
pub struct AdminServer(Server);

/// A server, on its own thread.
#[derive(Debug)]
struct Server {
    place: Listen,
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl HttpServer {
    /// Listens on `listen` (port 0 takes a free one), by TLS where there is a certificate, and answers from what is known;
    /// agent checks on a listener of their own, where there is one, never by TLS.
    ///
    /// # Errors
    /// The address cannot be bound, or the thread cannot be started.
    pub fn start(
        listen: SocketAddr,
        tls: Option<Served>,
        agent: Option<TcpListener>,
        known: Known,
    ) -> io::Result<Self> {
        agent.iter().try_for_each(|listener| listener.set_nonblocking(true))?;
        let seen = known.clone();
        let beside = async move { agent::run(agent, &seen).await };
        let server = Server::start("http", &Listen::Tcp(listen), tls, answers::routes(known), beside)?;
        let address = match server.place {
            Listen::Tcp(address) => address,
            Listen::Unix(_) => listen,
        };
        Ok(Self { address, server })
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener, lets answers that have begun end, and waits for that (about a second at most).
    pub fn stop(self) {
        self.server.stop();
    }
}

impl AdminServer {
    /// Listens on `listen` as `admin` says, at an address by TLS where there is a certificate, and gives what comes to
    /// `orders`.
    ///
    /// # Errors
    /// The address cannot be bound, or the thread cannot be started.
    pub fn start(listen: &Listen, tls: Option<Served>, admin: Admin, orders: Orders) -> io::Result<Self> {
        let tls = tls.filter(|_| matches!(listen, Listen::Tcp(_)));
        Server::start("admin", listen, tls, actions::routes(orders, Arc::new(admin)), pending()).map(Self)
    }

    /// Where it listens.
    pub fn place(&self) -> &Listen {
        &self.0.place
    }

    /// As [`HttpServer::stop`].
    pub fn stop(self) {
        self.0.stop();
    }
}

impl Server {
    /// `beside` runs on the same thread for as long as `routes` are served.
    fn start(
        name: &'static str,
        listen: &Listen,
        tls: Option<Served>,
        routes: Router,
        beside: impl Future<Output = io::Result<()>> + Send + 'static,
    ) -> io::Result<Self> {
        let bound = Bound::bind(listen)?;
        let place = bound.place()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            let served = async {
                tokio::select! {
                    ended = serve(bound, tls, routes, stopped) => ended,
                    ended = beside => ended,
                }
            };
            if let Err(error) = runtime.block_on(served) {
                tracing::error!(%error, name, "HTTP cannot be served");
            }
        })?;
        Ok(Self { place, stop, thread })
    }

    fn stop(self) {
        self.stop.cancel();
        if self.thread.join().is_err() {
            tracing::error!("an HTTP thread had panicked");
        }
    }
}

async fn serve(bound: Bound, tls: Option<Served>, routes: Router, stop: CancellationToken) -> io::Result<()> {
    let listener = bound.listener()?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
            (place, listener.accept().await)
        };
        tokio::select! {
            () = stop.cancelled() => break,
            (place, accepted) = accepted => match accepted {
                Ok((stream, peer)) => {
                    let (tls, routes, stop) = (tls.clone(), routes.clone(), stop.clone());
                    connections.spawn(async move {
                        if let Some(stream) = encrypted(stream, tls.as_ref()).await {
                            connection(stream, peer, routes, stop).await;
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "an HTTP connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

/// Shakes hands where there is a certificate. A client that does not is no news.
async fn encrypted(stream: Box<dyn Stream>, tls: Option<&Served>) -> Option<Box<dyn Stream>> {
    let Some(tls) = tls else { return Some(stream) };
    let server = match tls.server() {
        Ok(server) => server,
        Err(problem) => {
            tracing::error!(problem, "HTTP cannot be served by TLS");
            return None;
        }
    };
    match timeout(HEAD_TIMEOUT, TlsAcceptor::from(server).accept(stream)).await {
        Ok(Ok(stream)) => Some(Box::new(stream)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a client does not speak TLS as it is spoken here");
            None
        }
        Err(_) => None,
    }
}

/// A client that goes away, or is too slow, is no news: the outcome is not looked at.
async fn connection(stream: Box<dyn Stream>, peer: Peer, routes: Router, stop: CancellationToken) {
    let routes = TowerToHyperService::new(routes);
    let routes = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        routes.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), routes);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        () = sleep(CONNECTION_LIFE) => {}
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _too_slow = timeout(CLOSE_TIMEOUT, connection).await;
}
