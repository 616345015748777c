//! Reading the values of keys that are to be made equal: each with its exact place in the region's stream; setting the fences
//! that a region's stream has to be read up to before values are put there. And looking how long keys live that have expired in
//! the other region, or may live shorter in one of the two.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::client::{Client, MAX_REPLY, Reply, clock_us, elements, integer};
use super::shared::Pair;
use crate::engine::conflict::{Errand, Life, Look, Wanted, hold};
use crate::engine::source::Info;
use crate::error::{Fault, Kind};
use crate::runtime::client::text;

/// How often a value that has to wait is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Reads values at one region until the daemon stops.
pub async fn run(pair: Arc<Pair>, region: usize) {
    let began = Instant::now();
    let (mut reader, mut one_by_one) = (None, false);
    let mut renewals = pair.settings.renewals();
    loop {
        let notified = pair.values.notified();
        if std::mem::replace(&mut renewals, pair.settings.renewals()) != renewals {
            reader = None;
        }
        let now_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let Errand { values, fence, later } = hold(&pair.exchange).errand(region, now_ms);
        // After a fault one by one: where one value is too long, the others are to be read all the same.
        let (all, each) = values.split_at(if one_by_one { 0 } else { values.len() });
        let trips = std::iter::once(Trip { fence, values: all });
        let trips = trips.chain(each.chunks(1).map(|values| Trip { fence: None, values }));
        one_by_one = false;
        // One line for each fault: it may be that of all that was to be read.
        let mut unread: BTreeMap<String, usize> = BTreeMap::new();
        for trip in trips.filter(|trip| trip.fence.is_some() || !trip.values.is_empty()) {
            let faults = go(&pair, region, &trip, &mut reader).await.unwrap_or_else(|fault| {
                trip.fence.iter().chain(trip.values.iter().map(|one| &one.id)).map(|id| (*id, fault.clone())).collect()
            });
            for (id, fault) in faults {
                if trip.fence == Some(id) {
                    tracing::warn!(region = %pair.source(region).name, %fault, "values can't be put: no message could be sent");
                    hold(&pair.exchange).not_set(region, now_ms);
                    continue;
                }
                one_by_one = true;
                *unread.entry(fault.to_string()).or_default() += 1;
                hold(&pair.exchange).not_read(id, now_ms);
            }
        }
        for (fault, keys) in unread {
            tracing::warn!(region = %pair.source(region).name, keys, fault, "values could not be read: they will be in a while");
        }
        let more = look(&pair, region, now_ms, &mut reader).await;
        tokio::select! {
            () = notified => {}
            () = tokio::time::sleep(LOOK_EVERY), if later || more || !values.is_empty() => {}
            () = pair.shutdown.cancelled() => return,
            () = pair.superseded.cancelled() => return,
        }
    }
}

/// Looks how long keys live that have expired in the other region, or may have lost their time to live in one of the two, and
/// makes those equal that differ. Tells whether there is more to look at.
async fn look(pair: &Pair, region: usize, now_ms: i64, reader: &mut Option<Reader>) -> bool {
    let (looks, later) = hold(&pair.exchange).take_looks(region, now_ms, MOST_LOOKS);
    if looks.is_empty() {
        return later;
    }
    match lives(pair, region, &looks, reader).await {
        Ok(lives) => {
            let mut exchange = hold(&pair.exchange);
            let mut wanted = false;
            for (look, (life, server_ms)) in looks.into_iter().zip(lives) {
                wanted |= exchange.looked(region, look, life, (server_ms, pair.linger_ms()));
            }
            drop(exchange);
            if wanted {
                tracing::debug!(region = %pair.source(region).name, "keys that live longer in one region are made equal");
                pair.links.iter().for_each(|link| link.mail.notify_one());
            }
        }
        Err(fault) => {
            tracing::debug!(region = %pair.source(region).name, %fault, "could not look how long keys live");
            *reader = None;
            let mut exchange = hold(&pair.exchange);
            looks.into_iter().for_each(|look| exchange.not_looked(region, look));
        }
    }
    true
}

/// Until when keys live, each with the time by the server's clock, Unix milliseconds.
async fn lives(
    pair: &Pair,
    region: usize,
    looks: &[Look],
    reader: &mut Option<Reader>,
) -> Result<Vec<(Life, i64)>, Fault> {
    let mut open = Reader::open(pair, region, reader).await?;
    let databases: Vec<String> = looks.iter().map(|look| look.name().0.to_string()).collect();
    let expiry = open.expiry();
    let requests: Vec<Vec<&[u8]>> = looks
        .iter()
        .zip(&databases)
        .flat_map(|(look, database)| {
            [vec![b"SELECT".as_slice(), database.as_bytes()], vec![expiry, &look.name().1], vec![b"TIME"]]
        })
        .collect();
    let replies = open.client.calls(&requests).await?;
    let lives = replies.chunks(3).map(|replies| match replies {
        [_, Reply::Error(error), _] => Err(Fault::of_reply(error, "looking at a key")),
        [_, expiry, time] => {
            let server_ms = milliseconds(time).ok_or_else(|| bad(&open))?;
            Ok((Life::told(open.expires_at(integer(expiry), server_ms)), server_ms))
        }
        _ => Err(bad(&open)),
    });
    let lives = lives.collect::<Result<Vec<_>, Fault>>()?;
    *reader = Some(open);
    Ok(lives)
}

/// What `TIME` answered, Unix milliseconds.
fn milliseconds(time: &Reply) -> Option<i64> {
    clock_us(time).map(|us| us / 1000)
}

fn bad(reader: &Reader) -> Fault {
    Fault::new(Kind::Protocol, format!("{} did not answer about a key", reader.client.place()))
}

/// Keys that are looked at in one round trip.
const MOST_LOOKS: usize = 512;

/// The longest value that is taken, alone: as DUMP gives it. Servers take no longer strings unless they are told to
/// (`proto-max-bulk-len`).
const LONGEST_VALUE: usize = 513 * 1024 * 1024;
/// Requests for one value.
const REQUESTS: usize = 7;

/// A connection for values.
struct Reader {
    client: Client,
    /// Whether the server tells absolute times of expiry.
    absolute: bool,
}

impl Reader {
    /// The connection that is kept, or another one.
    async fn open(pair: &Pair, region: usize, kept: &mut Option<Self>) -> Result<Self, Fault> {
        if let Some(open) = kept.take() {
            return Ok(open);
        }
        let region = pair.source(region);
        let mut client = Client::connect(&region, region.primary()).await?;
        let server = Info::parse(&text(&client.call(&["INFO", "server"]).await?)).server()?;
        Ok(Self { client, absolute: server.version.0 >= 7 })
    }

    /// The command that tells how long a key lives.
    fn expiry(&self) -> &'static [u8] {
        if self.absolute { b"PEXPIRETIME" } else { b"PTTL" }
    }

    /// When a key expires of which that command said so, by the server's clock, Unix milliseconds; below zero as it said it.
    fn expires_at(&self, told: i64, server_ms: i64) -> i64 {
        if told < 0 || self.absolute { told } else { server_ms + told }
    }
}

/// What is done in one round trip.
struct Trip<'a> {
    /// A fence that is set.
    fence: Option<u64>,
    /// Values that are read.
    values: &'a [Wanted],
}

/// Makes one round trip. Gives what could not be done in it, by number.
async fn go(
    pair: &Pair,
    region: usize,
    trip: &Trip<'_>,
    reader: &mut Option<Reader>,
) -> Result<Vec<(u64, Fault)>, Fault> {
    // With a fault of the connection it goes: answers may still come on it.
    let mut open = Reader::open(pair, region, reader).await?;
    open.client.allow(if trip.values.len() == 1 { LONGEST_VALUE } else { MAX_REPLY });
    let replies = ask(pair, region, trip, &mut open).await?;
    let (fence, replies) = replies.split_at(usize::from(trip.fence.is_some()));
    let mut faults = Vec::new();
    if let (Some(id), [Reply::Error(error)]) = (trip.fence, fence) {
        faults.push((id, Fault::of_reply(error, "sending a message")));
    }
    for (one, replies) in trip.values.iter().zip(replies.chunks(REQUESTS)) {
        match value(replies, &open) {
            Ok((payload, expires_at_ms)) => {
                if hold(&pair.exchange).read(one.id, payload, expires_at_ms) {
                    pair.values.notify_waiters();
                }
            }
            Err(fault) => faults.push((one.id, fault)),
        }
    }
    *reader = Some(open);
    Ok(faults)
}

async fn ask(pair: &Pair, region: usize, trip: &Trip<'_>, reader: &mut Reader) -> Result<Vec<Reply>, Fault> {
    let nonce = pair.reserved.nonce(pair.source(region).name.as_str());
    let fence = trip.fence.map(|id| id.to_string());
    let numbers: Vec<_> = trip.values.iter().map(|one| (one.id.to_string(), one.name.0.to_string())).collect();
    let expiry = reader.expiry();
    let mut requests: Vec<Vec<&[u8]>> = Vec::with_capacity(1 + trip.values.len() * REQUESTS);
    requests.extend(fence.as_deref().map(|id| message(&nonce, id)));
    for (one, (id, database)) in trip.values.iter().zip(&numbers) {
        let key = one.name.1.as_slice();
        requests.push(vec![b"MULTI"]);
        requests.push(message(&nonce, id));
        requests.push(vec![b"SELECT", database.as_bytes()]);
        requests.push(vec![b"DUMP", key]);
        requests.push(vec![expiry, key]);
        requests.push(vec![b"TIME"]);
        requests.push(vec![b"EXEC"]);
    }
    reader.client.calls(&requests).await
}

/// The request that sets a nonce: a message, for it leaves nothing behind, and a server at its limits takes it too.
fn message<'a>(nonce: &'a [u8], id: &'a str) -> Vec<&'a [u8]> {
    vec![b"PUBLISH", nonce, id.as_bytes()]
}

/// What the replies for one value say: as DUMP gives it, and when it expires.
fn value(replies: &[Reply], reader: &Reader) -> Result<(Option<Bytes>, Option<i64>), Fault> {
    let executed = match replies.last() {
        Some(Reply::Error(error)) => return Err(Fault::of_reply(error, "reading a value")),
        Some(reply) => elements(reply),
        None => return Err(bad(reader)),
    };
    let [_, _, dump, expiry, time] = executed else { return Err(bad(reader)) };
    let payload = match dump {
        Reply::BulkString(bytes) => Some(Bytes::copy_from_slice(bytes)),
        Reply::Null => None,
        Reply::Error(error) => return Err(Fault::of_reply(error, "reading a value")),
        _ => return Err(bad(reader)),
    };
    let now_ms = milliseconds(time).ok_or_else(|| bad(reader))?;
    let expires_at_ms = reader.expires_at(integer(expiry), now_ms);
    Ok((payload, (expires_at_ms >= 0).then_some(expires_at_ms)))
}
