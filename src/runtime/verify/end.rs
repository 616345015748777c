//! One region as a run sees it: a connection that is made again when it is lost, and the bounds of what is asked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::config::Region;
use crate::engine::source::{Info, Server};
use crate::error::{Fault, Kind};
use crate::runtime::client::{Client, Reply, text};
use crate::verify::{Pace, Plan, Share, Stretch};
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
    /// A scan may be made in several parts at once: see [`Stretch`].
    pub scans_in_parts: bool,
    /// The way there and back.
    pub round_trip: Duration,
    limits: Arc<Limits>,
}

impl End {
    /// Connects to a region.
    ///
    /// # Errors
    /// A [`Fault`] that names the address and what failed.
    pub async fn open(region: &Region, limits: Arc<Limits>) -> Result<Self, Fault> {
        let mut client = Client::connect(region, region.primary()).await?;
        let info = Info::parse(&text(&client.call(&["INFO", "server"]).await?));
        let mut round_trip = Duration::MAX;
        for _ in 0..PINGS {
            let asked = Instant::now();
            client.call(&["PING"]).await?;
            round_trip = round_trip.min(asked.elapsed());
        }
        let (server, run_id) = (info.server()?, info.run_id()?);
        let scans_in_parts = info.get::<String>("redis_mode").is_some_and(|mode| Stretch::is_known(server, &mode));
        Ok(Self { region: region.clone(), client: Some(client), server, run_id, scans_in_parts, round_trip, limits })
    }

    /// Another one of the same server, which connects when it is asked something.
    pub fn again(&self) -> Self {
        let (region, run_id, limits) = (self.region.clone(), self.run_id.clone(), Arc::clone(&self.limits));
        Self { region, client: None, run_id, limits, ..*self }
    }

    /// Which run of the server it is: places of a scan are good for one only.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The name of the region.
    pub fn name(&self) -> &str {
        self.region.name.as_str()
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

    /// The type of keys that its `SCAN` is asked for, if it leaves out others by itself.
    pub(super) fn scanned_type<'p>(&self, plan: &'p Plan) -> Option<&'p str> {
        match plan.filter.types.as_slice() {
            [one] if self.server.version.0 >= 6 => Some(one),
            _ => None,
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
        self.admit(requests.len() as u64).await;
        let mut tries = Tries::default();
        loop {
            let asked = Instant::now();
            let replies = match self.connected().await {
                Ok(client) => client.calls(requests).await,
                Err(fault) => Err(fault),
            };
            match replies {
                Ok(replies) => {
                    self.charge(&replies, asked).await;
                    return Ok(replies);
                }
                Err(fault) => self.again_after(fault, &mut tries).await?,
            }
        }
    }

    /// Waits until so many requests may be sent.
    pub(super) async fn admit(&self, requests: u64) {
        pause(self.limits.take(&self.limits.requests, requests)).await;
    }

    /// Counts replies to what was asked then, and waits for as long as the limits say.
    pub(super) async fn charge(&self, replies: &[Reply], asked: Instant) {
        let busy = asked.elapsed().saturating_sub(self.round_trip);
        let received: u64 = replies.iter().map(size).sum();
        self.limits.received.fetch_add(received, Ordering::Relaxed);
        self.limits.busy_us.fetch_add(busy.as_micros() as u64, Ordering::Relaxed);
        pause(self.limits.take(&self.limits.bytes, received)).await;
        pause(self.limits.take(&self.limits.busy, busy.as_micros() as u64)).await;
    }

    /// The connection, made where there is none.
    ///
    /// # Errors
    /// A [`Fault`] when the server can't be reached, or was restarted.
    pub(super) async fn connected(&mut self) -> Result<&mut Client, Fault> {
        let client = match self.client.take() {
            Some(client) => client,
            None => self.connect().await?,
        };
        Ok(self.client.insert(client))
    }

    /// The connection, where there is one.
    pub(super) fn client(&mut self) -> Option<&mut Client> {
        self.client.as_mut()
    }

    /// Gives the connection up: answers may still come on it.
    pub(super) fn disconnect(&mut self) {
        self.client = None;
    }

    async fn connect(&self) -> Result<Client, Fault> {
        let mut client = Client::connect(&self.region, self.region.primary()).await?;
        let info = Info::parse(&text(&client.call(&["INFO", "server"]).await?));
        if info.run_id()? != self.run_id {
            let error = format!("{}: the server was restarted during the run", self.region.name);
            return Err(Fault::new(Kind::Disconnected, error));
        }
        Ok(client)
    }

    /// Gives the connection up after a fault, and waits before the next try.
    ///
    /// # Errors
    /// That fault, when it does not pass or was met too often.
    pub(super) async fn again_after(&mut self, fault: Fault, tries: &mut Tries) -> Result<(), Fault> {
        self.disconnect();
        tries.done += 1;
        if tries.done >= TRIES || !passes(fault.kind) {
            return Err(fault);
        }
        pause(FIRST_WAIT * 2_u32.pow(tries.done - 1)).await;
        Ok(())
    }
}

/// How often something was tried.
#[derive(Debug, Default)]
pub(super) struct Tries {
    done: u32,
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
