//! Reading the values of keys that are to be made equal: each with its exact place in the region's stream. And looking how
//! long keys live that have expired in the other region, or may live shorter in one of the two.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::client::{Client, MAX_REPLY, Reply, clock_us, elements, integer};
use super::shared::Pair;
use crate::engine::conflict::{Life, Look, Wanted, hold};
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
        let (wanted, later) = hold(&pair.exchange).wanted(region, now_ms);
        // After a fault one by one: where one value is too long, the others are to be read all the same.
        let at_once = if one_by_one { 1 } else { wanted.len().max(1) };
        one_by_one = false;
        for wanted in wanted.chunks(at_once) {
            let faults = read(&pair, region, wanted, &mut reader).await;
            one_by_one |= !faults.is_empty();
            for (id, fault) in faults {
                tracing::warn!(region = %pair.source(region).name, %fault, "a value could not be read");
                hold(&pair.exchange).not_read(id, now_ms);
            }
        }
        let more = look(&pair, region, now_ms, &mut reader).await;
        tokio::select! {
            () = notified => {}
            () = tokio::time::sleep(LOOK_EVERY), if later || more || !wanted.is_empty() => {}
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

/// Reads values in one round trip. Gives those that could not be read.
async fn read(pair: &Pair, region: usize, wanted: &[Wanted], reader: &mut Option<Reader>) -> Vec<(u64, Fault)> {
    // With a fault of the connection it goes: answers may still come on it.
    let answered = match Reader::open(pair, region, reader).await {
        Ok(mut open) => {
            open.client.allow(if wanted.len() == 1 { LONGEST_VALUE } else { MAX_REPLY });
            ask(pair, region, wanted, &mut open).await.map(|replies| (open, replies))
        }
        Err(fault) => Err(fault),
    };
    let (open, replies) = match answered {
        Ok(answered) => answered,
        Err(fault) => return wanted.iter().map(|one| (one.id, fault.clone())).collect(),
    };
    let mut faults = Vec::new();
    for (one, replies) in wanted.iter().zip(replies.chunks(REQUESTS)) {
        match value(replies, &open) {
            Ok((payload, expires_at_ms)) => {
                if hold(&pair.exchange).read(one.id, payload, expires_at_ms).is_some() {
                    pair.links.iter().for_each(|link| link.mail.notify_one());
                }
            }
            Err(fault) => faults.push((one.id, fault)),
        }
    }
    *reader = Some(open);
    faults
}

async fn ask(pair: &Pair, region: usize, wanted: &[Wanted], reader: &mut Reader) -> Result<Vec<Reply>, Fault> {
    let nonce = pair.reserved.nonce(pair.source(region).name.as_str());
    let numbers: Vec<_> = wanted.iter().map(|one| (one.id.to_string(), one.name.0.to_string())).collect();
    let expiry = reader.expiry();
    let mut requests: Vec<Vec<&[u8]>> = Vec::with_capacity(wanted.len() * REQUESTS);
    for (one, (id, database)) in wanted.iter().zip(&numbers) {
        let key = one.name.1.as_slice();
        // A message, for it leaves nothing behind, and a server at its limits takes it too.
        requests.push(vec![b"MULTI"]);
        requests.push(vec![b"PUBLISH", &nonce, id.as_bytes()]);
        requests.push(vec![b"SELECT", database.as_bytes()]);
        requests.push(vec![b"DUMP", key]);
        requests.push(vec![expiry, key]);
        requests.push(vec![b"TIME"]);
        requests.push(vec![b"EXEC"]);
    }
    reader.client.calls(&requests).await
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
