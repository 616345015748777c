//! Reading the values of keys that are to be made equal: each with its exact place in the region's stream. And looking
//! whether a region holds what has expired in the other one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::client::{Client, Reply, elements, integer};
use super::shared::Pair;
use crate::engine::conflict::{Name, Wanted, hold};
use crate::engine::source::Info;
use crate::error::{Fault, Kind};
use crate::runtime::client::text;

/// How often a value that has to wait is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Reads values at one region until the daemon stops.
pub async fn run(pair: Arc<Pair>, region: usize) {
    let began = Instant::now();
    let (mut reader, mut one_by_one) = (None, false);
    loop {
        let notified = pair.values.notified();
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
        let more = look(&pair, region, &mut reader).await;
        tokio::select! {
            () = notified => {}
            () = tokio::time::sleep(LOOK_EVERY), if later || more || !wanted.is_empty() => {}
            () = pair.shutdown.cancelled() => return,
            () = pair.superseded.cancelled() => return,
        }
    }
}

/// Looks whether keys that have expired in the other region are about to expire here, too, and makes equal those that are
/// not. Tells whether there is more to look at.
async fn look(pair: &Pair, region: usize, reader: &mut Option<Reader>) -> bool {
    let names = hold(&pair.exchange).take_looks(region, MOST_LOOKS);
    if names.is_empty() {
        return false;
    }
    match remaining(pair, region, &names, reader).await {
        Ok(remaining) => {
            let mut exchange = hold(&pair.exchange);
            for (name, remaining) in names.into_iter().zip(remaining) {
                if exchange.remains(region, &name, remaining, pair.linger_ms()) {
                    tracing::debug!(region = %pair.source(region).name, "a key that a client let expire is made equal");
                }
            }
        }
        Err(fault) => {
            tracing::debug!(region = %pair.source(region).name, %fault, "could not look at keys that expired in the other region");
            *reader = None;
            hold(&pair.exchange).look(region, names);
        }
    }
    true
}

/// How long keys live still: as PTTL tells it.
async fn remaining(pair: &Pair, region: usize, names: &[Name], reader: &mut Option<Reader>) -> Result<Vec<i64>, Fault> {
    let mut open = match reader.take() {
        Some(open) => open,
        None => Reader::new(pair, region).await?,
    };
    let databases: Vec<String> = names.iter().map(|(database, _)| database.to_string()).collect();
    let select = |database: &'_ String| vec![b"SELECT".to_vec(), database.clone().into_bytes()];
    let requests: Vec<Vec<Vec<u8>>> = names
        .iter()
        .zip(&databases)
        .flat_map(|((_, key), database)| [select(database), vec![b"PTTL".to_vec(), key.clone()]])
        .collect();
    let replies = open.client.calls(&requests).await?;
    let remaining = replies.chunks(2).map(|replies| match replies {
        [_, Reply::Error(error)] => Err(Fault::of_reply(error, "looking at a key")),
        [_, reply] => Ok(integer(reply)),
        _ => Err(Fault::new(Kind::Protocol, format!("{} did not answer PTTL", open.client.place()))),
    });
    let remaining = remaining.collect::<Result<Vec<i64>, Fault>>()?;
    *reader = Some(open);
    Ok(remaining)
}

/// Keys that are looked at in one round trip.
const MOST_LOOKS: usize = 512;

/// Requests for one value.
const REQUESTS: usize = 7;

/// A connection for values.
struct Reader {
    client: Client,
    /// Whether the server tells absolute times of expiry.
    absolute: bool,
}

impl Reader {
    async fn new(pair: &Pair, region: usize) -> Result<Self, Fault> {
        let region = pair.source(region);
        let mut client = Client::connect(region, region.primary()).await?;
        let server = Info::parse(&text(&client.call(&["INFO", "server"]).await?)).server()?;
        Ok(Self { client, absolute: server.version.0 >= 7 })
    }
}

/// Reads values in one round trip. Gives those that could not be read.
async fn read(pair: &Pair, region: usize, wanted: &[Wanted], reader: &mut Option<Reader>) -> Vec<(u64, Fault)> {
    // With a fault of the connection it goes: answers may still come on it.
    let opened = match reader.take() {
        Some(open) => Ok(open),
        None => Reader::new(pair, region).await,
    };
    let answered = match opened {
        Ok(mut open) => ask(pair, region, wanted, &mut open).await.map(|replies| (open, replies)),
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
    let expiry: &[u8] = if reader.absolute { b"PEXPIRETIME" } else { b"PTTL" };
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
    let bad = || Fault::new(Kind::Protocol, format!("{} did not answer DUMP", reader.client.place()));
    let executed = match replies.last() {
        Some(Reply::Error(error)) => return Err(Fault::of_reply(error, "reading a value")),
        Some(reply) => elements(reply),
        None => return Err(bad()),
    };
    let [_, _, dump, expiry, time] = executed else { return Err(bad()) };
    let payload = match dump {
        Reply::BulkString(bytes) => Some(Bytes::copy_from_slice(bytes)),
        Reply::Null => None,
        Reply::Error(error) => return Err(Fault::of_reply(error, "reading a value")),
        _ => return Err(bad()),
    };
    let expiry = integer(expiry);
    let now_ms = match elements(time) {
        [seconds, micros] => integer(seconds) * 1000 + integer(micros) / 1000,
        _ => return Err(bad()),
    };
    Ok((payload, (expiry >= 0).then(|| if reader.absolute { expiry } else { now_ms + expiry })))
}
