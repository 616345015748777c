//! Both regions at a step of a drill: a bounded look at keys and values. `duet verify` looks at everything.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::sleep;

use super::attach::{replication, since};
use super::client::{Client, Reply, bytes, text};
use super::names::{Names, Walk};
use super::shared::Pair;
use crate::drill::Comparison;
use crate::engine::guard::survey::{Name, survey};
use crate::engine::source::Info;
use crate::error::{Fault, Kind};
use crate::verify::{Features, parts_of};

/// Batches of names of each region.
const MOST_BATCHES: usize = 20;
/// Keys of one round trip.
const AT_ONCE: usize = 100;
/// How often a key that differs is looked at again: what is written meanwhile is on its way.
const LOOKS: usize = 6;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(300);
/// Examples that are named.
const EXAMPLES: usize = 5;
/// How much of a stream is looked at, bytes.
const MOST_READ: u64 = 64 * 1024 * 1024;

/// Compares the region that is left with the other one. `other_since` is where the other region's history stood when nothing
/// more of it came across: keys that its clients have written since are left out.
///
/// # Errors
/// A [`Fault`] when a server does not answer.
pub async fn compare(pair: &Pair, from: usize, other_since: Option<u64>) -> Result<Comparison, Fault> {
    let (here, there) = (pair.source(from), pair.source(1 - from));
    let mut clients = [Client::connect(&here, here.primary()).await?, Client::connect(&there, there.primary()).await?];
    let written = match other_since {
        Some(offset) => written(pair, from, offset, &mut clients[1]).await?,
        None => HashSet::new(),
    };
    let mut found = Comparison { all: true, ..Comparison::default() };
    for (side, client) in clients.iter_mut().enumerate() {
        let info = Info::parse(&text(&client.call(&["INFO", "keyspace"]).await?));
        found.keys[side] = info.keyspace().iter().map(|(_, keys)| keys).sum();
    }
    let mut different = Vec::new();
    for side in [0, 1] {
        let mut walk = Walk::new(&mut clients[side], pair.reserved.prefix()).await?;
        let mut batches = 0;
        while let Some(mut batch) = walk.next(&mut clients[side]).await? {
            batches += 1;
            if batches > MOST_BATCHES {
                found.all = false;
                break;
            }
            let database = batch.database;
            let before = batch.names.len();
            batch.names.retain(|name| !written.contains(&(database, name.clone())));
            if side == 0 {
                found.left_out += (before - batch.names.len()) as u64;
                found.compared += batch.names.len() as u64;
            }
            different.extend(differing(&mut clients, &batch).await?);
        }
    }
    for _ in 0..LOOKS {
        if different.is_empty() {
            break;
        }
        sleep(PAUSE).await;
        different = again(&mut clients, different).await?;
    }
    let names: HashSet<Name> = different.into_iter().collect();
    found.different = names.len() as u64;
    found.examples =
        names.iter().take(EXAMPLES).map(|(n, name)| format!("{} in database {n}", name.escape_ascii())).collect();
    Ok(found)
}

/// Keys that clients of the other region have written since then.
async fn written(pair: &Pair, from: usize, offset: u64, other: &mut Client) -> Result<HashSet<Name>, Fault> {
    let region = pair.source(1 - from);
    let history = replication(other).await?;
    let stream = since(&region, &history, offset + 1, MOST_READ).await?;
    let marker = pair.reserved.marker(pair.source(from).name.as_str());
    let survey = survey(&stream, 0, &marker, pair.reserved.prefix())?;
    Ok(survey.written.into_iter().chain(survey.deleted).collect())
}

async fn again(clients: &mut [Client; 2], names: Vec<Name>) -> Result<Vec<Name>, Fault> {
    let mut left = Vec::new();
    for (database, name) in names {
        left.extend(differing(clients, &Names { database, names: vec![name] }).await?);
    }
    Ok(left)
}

/// Those of `batch` whose values differ.
async fn differing(clients: &mut [Client; 2], batch: &Names) -> Result<Vec<Name>, Fault> {
    let mut different = Vec::new();
    for names in batch.names.chunks(AT_ONCE) {
        let [ours, theirs] = clients;
        let (ours, theirs) =
            tokio::try_join!(dumps(ours, batch.database, names), dumps(theirs, batch.database, names))?;
        for ((name, one), other) in names.iter().zip(&ours).zip(&theirs) {
            if !same(one, other)? {
                different.push((batch.database, name.clone()));
            }
        }
    }
    Ok(different)
}

async fn dumps(client: &mut Client, database: u32, names: &[Vec<u8>]) -> Result<Vec<Reply>, Fault> {
    client.call(&["SELECT", &database.to_string()]).await?;
    let requests: Vec<[&[u8]; 2]> = names.iter().map(|name| [b"DUMP".as_slice(), name]).collect();
    client.calls(&requests).await
}

/// Whether two payloads hold the same value, in whatever encoding.
fn same(one: &Reply, other: &Reply) -> Result<bool, Fault> {
    match (one, other) {
        (Reply::Error(error), _) | (_, Reply::Error(error)) => Err(Fault::of_reply(error, "a region answered DUMP")),
        (Reply::Null, Reply::Null) => Ok(true),
        (Reply::Null, _) | (_, Reply::Null) => Ok(false),
        _ if bytes(one) == bytes(other) => Ok(true),
        _ => {
            // Times at which fields expire, and counters of streams, are left to `duet verify`.
            let features = Features { field_ttl: false, stream_counters: false };
            let read = |reply: &Reply| {
                parts_of(bytes(reply), features, 0).map_err(|error| Fault::new(Kind::Dump, error.to_string()))
            };
            Ok(read(one)? == read(other)?)
        }
    }
}
