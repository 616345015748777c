//! One region as a run sees it: a connection that is made again when it is lost, and the bounds of what is asked.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::config::Region;
use crate::engine::source::{Info, Server};
use crate::error::{Fault, Kind};
use crate::runtime::client::{Client, Reply, text};
use crate::verify::{Pace, Plan, Share};
use crate::wire::rdb::Dialect;

/// How often a connection is tried again before a run gives up.
const TRIES: u32 = 5;
/// The wait before the first new try; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Looks at how long the way to the server takes.
const PINGS: usize = 3;

/// What one server may be asked, by all tasks of a run together.
#[derive(Debug)]
pub struct Limits {
    began: Instant,
    requests: Mutex<Pace>,
    bytes: Mutex<Pace>,
    busy: Mutex<Pace>,
    /// Bytes of the server's replies.
    pub received: AtomicU64,
    /// For how long it was kept busy, microseconds: the time of each answer without the way.
    pub busy_us: AtomicU64,
}

impl Limits {
    /// The limits of `plan`, and a share of the server's time.
    pub fn new(plan: &Plan, share: Option<Share>) -> Self {
        Self {
            began: Instant::now(),
            requests: Mutex::new(Pace::new(plan.qps)),
            bytes: Mutex::new(Pace::new(plan.bandwidth)),
            busy: Mutex::new(share.map_or_else(|| Pace::new(0), Share::pace)),
            received: AtomicU64::new(0),
            busy_us: AtomicU64::new(0),
        }
    }

    fn take(&self, pace: &Mutex<Pace>, amount: u64) -> Duration {
        pace.lock().map_or(Duration::ZERO, |mut pace| pace.take(amount, self.began.elapsed()))
    }
}

/// A region.
#[derive(Debug)]
pub struct End {
    region: Region,
    client: Option<Client>,
    /// Which program it is.
    pub server: Server,
    run_id: String,
    /// The way there and back.
    pub round_trip: Duration,
    limits: std::sync::Arc<Limits>,
}

impl End {
    /// Connects to a region.
    ///
    /// # Errors
    /// A [`Fault`] that names the address and what failed.
    pub async fn open(region: &Region, limits: std::sync::Arc<Limits>) -> Result<Self, Fault> {
        let mut client = Client::connect(region, region.primary()).await?;
        let info = Info::parse(&text(&client.call(&["INFO", "server"]).await?));
        let mut round_trip = Duration::MAX;
        for _ in 0..PINGS {
            let asked = Instant::now();
            client.call(&["PING"]).await?;
            round_trip = round_trip.min(asked.elapsed());
        }
        let (server, run_id) = (info.server()?, info.run_id()?);
        Ok(Self { region: region.clone(), client: Some(client), server, run_id, round_trip, limits })
    }

    /// Another connection to the same server.
    ///
    /// # Errors
    /// As [`Self::open`], and when the server was restarted.
    pub async fn again(&self) -> Result<Self, Fault> {
        let other = Self::open(&self.region, std::sync::Arc::clone(&self.limits)).await?;
        self.is_same(&other)?;
        Ok(other)
    }

    /// Which run of the server it is: places of a scan are good for one only.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The name of the region.
    pub fn name(&self) -> &str {
        self.region.name.as_str()
    }

    fn is_same(&self, other: &Self) -> Result<(), Fault> {
        if self.run_id == other.run_id {
            return Ok(());
        }
        Err(Fault::new(Kind::Disconnected, format!("{}: the server was restarted during the run", self.region.name)))
    }

    /// Whether the server tells absolute times of expiry.
    pub fn is_absolute(&self) -> bool {
        self.server.version.0 >= 7
    }

    /// The command that tells how long a key lives.
    pub fn expiry_command(&self) -> &'static [u8] {
        if self.is_absolute() { b"PEXPIRETIME" } else { b"PTTL" }
    }

    /// When a key expires of which that command said so, at `now_ms` of the server's clock; Unix milliseconds.
    pub fn expires_at(&self, told: i64, now_ms: i64) -> Option<i64> {
        match told {
            ..0 => None,
            _ if self.is_absolute() => Some(told),
            _ => Some(now_ms.saturating_add(told)),
        }
    }

    /// Whether fields of hashes may expire there.
    pub fn has_field_ttl(&self) -> bool {
        let version = self.server.version;
        match self.server.dialect {
            Dialect::Redis => (version.0, version.1) >= (7, 4),
            Dialect::Valkey => version.0 >= 9,
        }
    }

    /// Sends requests together and gives all replies, within the limits. A lost connection is made again, and the requests
    /// are sent again: they change nothing.
    ///
    /// # Errors
    /// A [`Fault`] when the server can't be reached, or was restarted. Errors of the server are among the replies.
    pub async fn ask<A: AsRef<[u8]>>(&mut self, requests: &[impl AsRef<[A]>]) -> Result<Vec<Reply>, Fault> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        pause(self.limits.take(&self.limits.requests, requests.len() as u64)).await;
        let mut wait = FIRST_WAIT;
        for tried in 1.. {
            let asked = Instant::now();
            match self.try_ask(requests).await {
                Ok(replies) => {
                    let busy = asked.elapsed().saturating_sub(self.round_trip);
                    let received: u64 = replies.iter().map(size).sum();
                    self.limits.received.fetch_add(received, Ordering::Relaxed);
                    self.limits.busy_us.fetch_add(busy.as_micros() as u64, Ordering::Relaxed);
                    pause(self.limits.take(&self.limits.bytes, received)).await;
                    pause(self.limits.take(&self.limits.busy, busy.as_micros() as u64)).await;
                    return Ok(replies);
                }
                Err(fault) if tried >= TRIES || !passes(fault.kind) => return Err(fault),
                Err(_) => pause(wait).await,
            }
            wait *= 2;
        }
        Err(Fault::new(Kind::Disconnected, "given up"))
    }

    async fn try_ask<A: AsRef<[u8]>>(&mut self, requests: &[impl AsRef<[A]>]) -> Result<Vec<Reply>, Fault> {
        if self.client.is_none() {
            let mut other = self.again().await?;
            self.client = other.client.take();
            self.round_trip = self.round_trip.min(other.round_trip);
        }
        let Some(client) = &mut self.client else { return Err(Fault::new(Kind::Disconnected, "no connection")) };
        let replies = client.calls(requests).await;
        if replies.is_err() {
            // Answers may still come on it.
            self.client = None;
        }
        replies
    }
}

/// What may be gone at the next try.
fn passes(kind: Kind) -> bool {
    matches!(kind, Kind::Unreachable | Kind::Disconnected | Kind::TimedOut | Kind::Loading | Kind::Busy)
}

async fn pause(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

/// About how many bytes a reply has.
fn size(reply: &Reply) -> u64 {
    match reply {
        Reply::SimpleString(bytes) | Reply::BulkString(bytes) => bytes.len() as u64 + 8,
        Reply::Error(error) => error.len() as u64 + 3,
        Reply::Integer(_) | Reply::Null => 5,
        Reply::Array(elements) => elements.iter().map(size).sum::<u64>() + 8,
    }
}

/// The fault of an error among replies about keys: a key of another type than a moment ago is none.
///
/// # Errors
/// That fault.
pub(super) fn no_refusal(replies: &[Reply], place: &str) -> Result<(), Fault> {
    let refusal = replies.iter().find_map(|reply| match reply {
        Reply::Error(error) if !error.starts_with("WRONGTYPE") && !error.contains("no such key") => Some(error),
        _ => None,
    });
    refusal.map_or(Ok(()), |error| Err(Fault::of_reply(error, &format!("{place} was asked about keys"))))
}
