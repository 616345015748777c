//! What would happen at the target if a link that is held went on: for the operator who decides.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;

use super::attach::{replication, since};
use super::client::{Client, bytes, integer, text};
use super::shared::Pair;
use crate::engine::guard::survey::{Name, Survey, survey};
use crate::engine::origin::Marker;
use crate::engine::source::Info;
use crate::error::Fault;

/// How much of a stream is looked at, bytes.
const MOST_READ: u64 = 64 * 1024 * 1024;
/// Names that the target is asked about.
const MOST_ASKED: usize = 20_000;
/// Names in one round trip.
const BATCH: usize = 1_000;

/// What would happen.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outlook {
    /// Write commands of the source's clients that wait.
    pub commands: u64,
    /// Keys of the target that would be written over.
    pub overwritten: u64,
    /// Keys that the target does not hold yet.
    pub created: u64,
    /// Keys of the target that would be deleted.
    pub deleted: u64,
    /// Of these, keys that clients of the target have written since the link is held.
    pub newer: u64,
    /// FLUSHALL and FLUSHDB among the commands.
    pub flushes: u64,
    /// Keys that the target holds.
    pub target_keys: u64,
    /// What is not known.
    pub unknown: Option<String>,
}

/// What would happen if the link `index` went on.
///
/// # Errors
/// A [`Fault`] when a server does not answer.
pub async fn outlook(pair: &Pair, index: usize) -> Result<Outlook, Fault> {
    let (source, target) = (pair.source(index), pair.target(index));
    let mut at_source = Client::connect(&source, source.primary()).await?;
    let mut at_target = Client::connect(&target, target.primary()).await?;
    let (ours, theirs) = (pair.reserved.marker(source.name.as_str()), pair.reserved.marker(target.name.as_str()));
    let marker = Marker::believed(bytes(&at_target.call(&[b"GET".as_slice(), &ours]).await?));
    let info = Info::parse(&text(&at_target.call(&["INFO", "keyspace"]).await?));
    let target_keys = info.keyspace().iter().map(|(_, keys)| keys).sum();
    let nothing = |why: &str| Outlook { target_keys, unknown: Some(why.to_owned()), ..Outlook::default() };
    let Some(high) = marker.map(|marker| pair.links[index].settled(marker).high) else {
        return Ok(nothing("the target has no marker of this link"));
    };
    let history = replication(&mut at_source).await?;
    if !history.continues(&high) {
        return Ok(nothing("the source's backlog no longer reaches back: a full copy would follow"));
    }
    let stream = since(&source, &history, high.offset + 1, MOST_READ).await?;
    let waiting = survey(&stream, high.database, &theirs, pair.reserved.prefix())?;
    let held_from = pair.links[index].held().map_or(0, |held| held.target_offset);
    let history = replication(&mut at_target).await?;
    let stream = since(&target, &history, held_from + 1, MOST_READ).await?;
    let meanwhile = survey(&stream, 0, &ours, pair.reserved.prefix())?;
    let overwritten = existing(&mut at_target, &waiting.written).await?;
    let deleted = existing(&mut at_target, &waiting.deleted).await?;
    let asked = waiting.written.len().max(waiting.deleted.len());
    let is_partial = waiting.is_partial || asked > MOST_ASKED || history.offset.saturating_sub(held_from) > MOST_READ;
    Ok(Outlook {
        commands: waiting.commands,
        overwritten,
        created: (waiting.written.len() as u64).saturating_sub(overwritten),
        deleted: if waiting.flushes > 0 { target_keys } else { deleted },
        newer: newer(&waiting, &meanwhile),
        flushes: waiting.flushes,
        target_keys,
        unknown: is_partial.then(|| "there is more than was looked at: take these figures as the least".to_owned()),
    })
}

/// How many of these the server holds.
async fn existing(client: &mut Client, names: &HashSet<Name>) -> Result<u64, Fault> {
    let names: Vec<&Name> = names.iter().take(MOST_ASKED).collect();
    let mut found = 0;
    for batch in names.chunks(BATCH) {
        let requests: Vec<Vec<Vec<u8>>> = batch
            .iter()
            .flat_map(|(database, name)| {
                let select = vec![b"SELECT".to_vec(), database.to_string().into_bytes()];
                [select, vec![b"EXISTS".to_vec(), name.clone()]]
            })
            .collect();
        let replies = client.calls(&requests).await?;
        found += replies.iter().skip(1).step_by(2).filter(|reply| integer(reply) > 0).count() as u64;
    }
    Ok(found)
}

/// Keys that wait for the target, and that its clients have changed meanwhile.
fn newer(waiting: &Survey, meanwhile: &Survey) -> u64 {
    let changed = |name: &&Name| meanwhile.written.contains(*name) || meanwhile.deleted.contains(*name);
    if waiting.flushes > 0 {
        return (meanwhile.written.len() + meanwhile.deleted.len()) as u64;
    }
    waiting.written.iter().chain(&waiting.deleted).filter(changed).count() as u64
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commands, overwritten, created, deleted, newer, flushes, target_keys, unknown } = self;
        let partial = unknown.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        if *commands == 0 && unknown.is_some() {
            return write!(f, "what would happen is not known{partial}; the target holds {target_keys} keys");
        }
        let flush = if *flushes > 0 { format!(", {flushes} of them empty databases") } else { String::new() };
        write!(
            f,
            "{commands} commands wait{flush}: of the target's {target_keys} keys {overwritten} are overwritten and {deleted} \
             deleted, {newer} of which its clients have changed since the hold; {created} are new{partial}"
        )
    }
}
