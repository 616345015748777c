//! Reading the values of keys that are to be made equal: each with its exact place in the region's stream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::client::{Client, Reply, elements, integer};
use super::shared::Pair;
use crate::engine::conflict::{Wanted, hold};
use crate::engine::source::Info;
use crate::error::{Fault, Kind};
use crate::runtime::client::text;

/// How often a value that has to wait is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Reads values at one region until the daemon stops.
pub async fn run(pair: Arc<Pair>, region: usize) {
    let began = Instant::now();
    let mut reader = None;
    loop {
        let notified = pair.values.notified();
        let now_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let (wanted, later) = hold(&pair.exchange).wanted(region, now_ms);
        for wanted in &wanted {
            if let Err(fault) = read(&pair, region, wanted, &mut reader).await {
                reader = None;
                tracing::warn!(region = %pair.source(region).name, %fault, "a value could not be read");
                hold(&pair.exchange).not_read(wanted.id, now_ms);
            }
        }
        tokio::select! {
            () = notified => {}
            () = tokio::time::sleep(LOOK_EVERY), if later || !wanted.is_empty() => {}
            () = pair.shutdown.cancelled() => return,
            () = pair.superseded.cancelled() => return,
        }
    }
}

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

async fn read(pair: &Pair, region: usize, wanted: &Wanted, reader: &mut Option<Reader>) -> Result<(), Fault> {
    if reader.is_none() {
        *reader = Some(Reader::new(pair, region).await?);
    }
    let Some(Reader { client, absolute }) = reader else { return Ok(()) };
    let database = wanted.name.0.to_string();
    let nonce = pair.reserved.nonce(pair.source(region).name.as_str());
    let (id, key) = (wanted.id.to_string(), wanted.name.1.as_slice());
    let expiry: &[&[u8]] = if *absolute { &[b"PEXPIRETIME", key] } else { &[b"PTTL", key] };
    // A message, for it leaves nothing behind, and a server at its limits takes it too.
    let requests: [&[&[u8]]; 7] = [
        &[b"MULTI"],
        &[b"PUBLISH", &nonce, id.as_bytes()],
        &[b"SELECT", database.as_bytes()],
        &[b"DUMP", key],
        expiry,
        &[b"TIME"],
        &[b"EXEC"],
    ];
    let replies = client.calls(&requests).await?;
    let bad = || Fault::new(Kind::Protocol, format!("{} did not answer DUMP", client.place()));
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
    let expires_at_ms = (expiry >= 0).then(|| if *absolute { expiry } else { now_ms + expiry });
    if hold(&pair.exchange).read(wanted.id, payload, expires_at_ms).is_some() {
        pair.links.iter().for_each(|link| link.mail.notify_one());
    }
    Ok(())
}
