//! A TCP proxy that delays, cuts, freezes and throttles what passes through it.
//!
//! Each direction of a connection is a queue of (due time, bytes): a delay does not limit the bandwidth, and what was
//! queued is still delivered after its sender has gone, as on a real network.

mod pump;
mod time;

use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client that connected to us, to the server.
    ToServer,
    /// From the server back to the client.
    ToClient,
}

impl Direction {
    const fn index(self) -> usize {
        match self {
            Self::ToServer => 0,
            Self::ToClient => 1,
        }
    }
}

/// What the network is like now. Connections are numbered in the order in which they came.
#[derive(Clone, Debug, Default)]
struct Weather {
    delay: [Duration; 2],
    jitter: Duration,
    bytes_per_second: [Option<u64>; 2],
    refuse: bool,
    frozen_below: [u64; 2],
    cut_below: u64,
    hold: Option<Vec<u8>>,
    ahead_ms: i64,
}

/// Budget of a direction that is not going to be cut.
const UNLIMITED: i64 = i64::MAX;

#[derive(Debug)]
struct Shared {
    to: Mutex<String>,
    weather: watch::Sender<Weather>,
    next_connection: AtomicU64,
    open: AtomicU64,
    bytes: [AtomicU64; 2],
    budget: [AtomicI64; 2],
    holding: AtomicU64,
}

/// A listening proxy; dropping it closes every connection.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and forwards to `to`, an address like `127.0.0.1:6379`.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(to: &str) -> Result<Self> {
        Self::start_at("127.0.0.1:0", to).await
    }

    /// Like [`Self::start`], on this address.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start_at(listen: &str, to: &str) -> Result<Self> {
        let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            to: Mutex::new(to.to_owned()),
            weather: watch::Sender::new(Weather::default()),
            next_connection: AtomicU64::new(0),
            open: AtomicU64::new(0),
            bytes: Default::default(),
            budget: [AtomicI64::new(UNLIMITED), AtomicI64::new(UNLIMITED)],
            holding: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Delays every byte that is read from now on, one way, for each direction.
    pub fn delay(&self, one_way: Duration) {
        self.change(|weather| weather.delay = [one_way; 2]);
    }

    /// Delays every piece that is read from now on by a random time up to `most` more; what was sent first arrives first.
    pub fn jitter(&self, most: Duration) {
        self.change(|weather| weather.jitter = most);
    }

    /// Forwards new connections to another address, and cuts those that there are: as a name that follows the primary.
    pub fn lead_to(&self, to: &str) {
        to.clone_into(&mut self.shared.to.lock().unwrap_or_else(PoisonError::into_inner));
        self.cut();
    }

    /// Limits the bytes per second of a direction, per connection; `None` lifts the limit.
    pub fn throttle(&self, direction: Direction, bytes_per_second: Option<u64>) {
        self.change(|weather| weather.bytes_per_second[direction.index()] = bytes_per_second);
    }

    /// Closes every connection at once, with a reset; what was on the way is lost.
    pub fn cut(&self) {
        let below = self.shared.next_connection.load(Ordering::SeqCst);
        self.change(|weather| weather.cut_below = below);
    }

    /// Lets `bytes` more pass in a direction and then cuts every connection, in the middle of a frame if need be.
    pub fn cut_after(&self, direction: Direction, bytes: u32) {
        self.shared.budget[direction.index()].store(i64::from(bytes), Ordering::SeqCst);
    }

    /// Resets new connections as soon as they are made, or accepts them again.
    pub fn refuse(&self, refuse: bool) {
        self.change(|weather| weather.refuse = refuse);
    }

    /// Stops delivery on every connection, those to come included, without closing any: bytes are kept.
    pub fn blackhole(&self) {
        self.change(|weather| weather.frozen_below = [u64::MAX; 2]);
    }

    /// Like [`Self::blackhole`], in one direction: bytes of the other one still pass.
    pub fn blackhole_one_way(&self, direction: Direction) {
        self.change(|weather| weather.frozen_below[direction.index()] = u64::MAX);
    }

    /// Stops delivery on the connections that exist now; new ones work.
    pub fn freeze_existing(&self) {
        let below = self.shared.next_connection.load(Ordering::SeqCst);
        self.change(|weather| weather.frozen_below = [below; 2]);
    }

    /// Ends [`Self::blackhole`] and [`Self::freeze_existing`]: what was kept is delivered, late.
    pub fn thaw(&self) {
        self.change(|weather| weather.frozen_below = [0; 2]);
    }

    /// Keeps back, on the way to the server, the first bytes read at once in which `word` stands, and all that come
    /// after them on the same connection. Everything else passes: a link can be held while its source is read.
    pub fn hold(&self, word: &str) {
        self.change(|weather| weather.hold = Some(word.as_bytes().to_vec()));
    }

    /// Ends [`Self::hold`]: what was kept back is delivered, late.
    pub fn release(&self) {
        self.change(|weather| weather.hold = None);
    }

    /// Lets the server's clock be so many milliseconds ahead for whoever asks it through this proxy (`TIME`); negative for
    /// behind, 0 for as it is. What the server does by its clock stays as it is.
    pub fn clock_ahead(&self, milliseconds: i64) {
        self.change(|weather| weather.ahead_ms = milliseconds);
    }

    /// How many connections [`Self::hold`] keeps back now.
    pub fn holding(&self) -> u64 {
        self.shared.holding.load(Ordering::SeqCst)
    }

    /// How many connections were made in all.
    pub fn connections(&self) -> u64 {
        self.shared.next_connection.load(Ordering::SeqCst)
    }

    /// How many connections are open, those counted that still hold bytes to deliver.
    pub fn open(&self) -> u64 {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// How many bytes were delivered in a direction.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.shared.bytes[direction.index()].load(Ordering::SeqCst)
    }

    fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.shared.weather.send_modify(change);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // An error here is one of the connection, not of the listener: the next one may be fine.
    loop {
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if shared.weather.borrow().refuse {
            drop(client.set_zero_linger());
            continue;
        }
        let number = shared.next_connection.fetch_add(1, Ordering::SeqCst);
        let to = shared.to.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            shared.open.fetch_add(1, Ordering::SeqCst);
            match TcpStream::connect(&to).await {
                Ok(server) => pump::connection(number, client, server, &shared).await,
                // As the server would have done: nobody listens there.
                Err(_) => drop(client.set_zero_linger()),
            }
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

#[cfg(test)]
mod tests;
