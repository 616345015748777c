//! Which names a region holds, and which both hold: data sets by their names, in batches.

use std::collections::HashSet;
use std::sync::Arc;

use super::client::{Client, bytes, elements, integer, text};
use crate::engine::copy::kept_name;
use crate::engine::source::Info;
use crate::error::{Fault, Kind};

/// Names in one round trip.
const BATCH: usize = 1000;
/// How many examples are named.
const EXAMPLES: usize = 5;
/// Most names that a target may keep from the source: they are held in memory during the copy.
const MOST_KEPT: usize = 1_000_000;

/// A batch of names of one database.
#[derive(Debug)]
pub struct Names {
    /// The database.
    pub database: u32,
    /// The names.
    pub names: Vec<Vec<u8>>,
}

/// Goes through all names of a server.
#[derive(Debug)]
pub struct Walk {
    databases: Vec<u32>,
    cursor: Vec<u8>,
    prefix: Vec<u8>,
}

impl Walk {
    /// A walk through what the server behind `client` holds, without the names that begin with `prefix`.
    ///
    /// # Errors
    /// A [`Fault`] when the server does not answer.
    pub async fn new(client: &mut Client, prefix: &[u8]) -> Result<Self, Fault> {
        let reply = client.call(&["INFO", "keyspace"]).await?;
        let databases = Info::parse(&text(&reply)).keyspace().into_iter().map(|(index, _)| index).rev().collect();
        Ok(Self { databases, cursor: b"0".to_vec(), prefix: prefix.to_vec() })
    }

    /// The next names; `None` at the end. Names may come twice, as `SCAN` has it.
    ///
    /// # Errors
    /// A [`Fault`] when the server does not answer.
    pub async fn next(&mut self, client: &mut Client) -> Result<Option<Names>, Fault> {
        let Some(&database) = self.databases.last() else { return Ok(None) };
        select(client, database).await?;
        let count = BATCH.to_string();
        let reply = client.call(&[b"SCAN".as_slice(), &self.cursor, b"COUNT", count.as_bytes()]).await?;
        let [cursor, found] = elements(&reply) else {
            return Err(Fault::new(Kind::Protocol, format!("{} answers SCAN in an unknown form", client.place())));
        };
        self.cursor = bytes(cursor).to_vec();
        if self.cursor == b"0" {
            self.databases.pop();
        }
        let names = elements(found).iter().map(bytes).filter(|name| !name.starts_with(&self.prefix));
        Ok(Some(Names { database, names: names.map(<[u8]>::to_vec).collect() }))
    }
}

/// Which of `names` the server behind `client` holds.
///
/// # Errors
/// A [`Fault`] when the server does not answer.
pub async fn held(client: &mut Client, names: &Names) -> Result<Vec<bool>, Fault> {
    if names.names.is_empty() {
        return Ok(Vec::new());
    }
    select(client, names.database).await?;
    let requests: Vec<[&[u8]; 2]> = names.names.iter().map(|name| [b"EXISTS".as_slice(), name]).collect();
    Ok(client.calls(&requests).await?.iter().map(|reply| integer(reply) > 0).collect())
}

async fn select(client: &mut Client, database: u32) -> Result<(), Fault> {
    client.call(&["SELECT", &database.to_string()]).await.map(|_| ())
}

/// The names that both servers hold; walks through `fewer`, asks `more`.
///
/// # Errors
/// A [`Fault`] when a server does not answer, or they share more than can be kept.
pub async fn shared(fewer: &mut Client, more: &mut Client, prefix: &[u8]) -> Result<HashSet<Vec<u8>>, Fault> {
    let mut walk = Walk::new(fewer, prefix).await?;
    let mut shared = HashSet::new();
    while let Some(names) = walk.next(fewer).await? {
        let held = held(more, &names).await?;
        let both = names.names.iter().zip(held).filter(|(_, held)| *held);
        shared.extend(both.map(|(name, _)| kept_name(names.database, name)));
        if shared.len() > MOST_KEPT {
            let text = format!("both regions hold keys of the same names, more than {MOST_KEPT}");
            return Err(Fault::new(Kind::ExistingKeys, text));
        }
    }
    Ok(shared)
}

/// All names that the server behind `client` holds, with their databases, but those that begin with `prefix`.
///
/// # Errors
/// A [`Fault`] when the server does not answer, or holds more than can be kept.
pub async fn all(client: &mut Client, prefix: &[u8]) -> Result<Vec<(u32, Vec<u8>)>, Fault> {
    let mut walk = Walk::new(client, prefix).await?;
    let mut all = Vec::new();
    while let Some(Names { database, names }) = walk.next(client).await? {
        all.extend(names.into_iter().map(|name| (database, name)));
        if all.len() > MOST_KEPT {
            let text = format!("{} was empty, and by now holds more than {MOST_KEPT} keys", client.place());
            return Err(Fault::new(Kind::TooMuchMeanwhile, text));
        }
    }
    select(client, 0).await?;
    Ok(all)
}

/// How many names are shared, and examples, for an operator.
pub fn describe(shared: &HashSet<Vec<u8>>, target: &str) -> Fault {
    let mut names: Vec<&Vec<u8>> = shared.iter().collect();
    names.sort_unstable();
    let examples: Vec<String> = names.iter().take(EXAMPLES).map(|name| shown(name)).collect();
    let text = format!("{} keys of the source exist at {target} already: {}", shared.len(), examples.join(", "));
    Fault::new(Kind::ExistingKeys, text)
}

fn shown(kept: &[u8]) -> String {
    let text = String::from_utf8_lossy(kept);
    let (database, name) = text.split_once(':').unwrap_or(("?", &text));
    let name: String = name.chars().take(60).collect();
    format!("'{}' in database {database}", name.escape_debug())
}

/// Writes the names that a target keeps into the set `key`, in place of what it held.
///
/// # Errors
/// A [`Fault`] when the server does not answer.
pub async fn remember(client: &mut Client, key: &[u8], names: &HashSet<Vec<u8>>) -> Result<(), Fault> {
    client.call(&[b"DEL".as_slice(), key]).await?;
    let names: Vec<&Vec<u8>> = names.iter().collect();
    for chunk in names.chunks(BATCH) {
        let mut request: Vec<&[u8]> = vec![b"SADD", key];
        request.extend(chunk.iter().map(|name| name.as_slice()));
        client.call(&request).await?;
    }
    Ok(())
}

/// The names that `key` holds, see [`remember`].
///
/// # Errors
/// A [`Fault`] when the server does not answer.
pub async fn recall(client: &mut Client, key: &[u8]) -> Result<Arc<HashSet<Vec<u8>>>, Fault> {
    let mut names = HashSet::new();
    let mut cursor = b"0".to_vec();
    loop {
        let reply = client.call(&[b"SSCAN".as_slice(), key, &cursor, b"COUNT", b"1000"]).await?;
        if let [next, found] = elements(&reply) {
            cursor = bytes(next).to_vec();
            names.extend(elements(found).iter().map(|name| bytes(name).to_vec()));
        }
        if cursor == b"0" || elements(&reply).is_empty() {
            return Ok(Arc::new(names));
        }
    }
}
