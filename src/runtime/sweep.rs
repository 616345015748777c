//! Deletions that a lost position has hidden: what the source no longer holds is found by comparing names.

use tokio::sync::mpsc;

use super::client::Client;
use super::names::{Names, Walk, held};
use super::shared::Pair;
use super::start::drained;
use crate::error::Fault;

/// Finds the names of the link's target that its source does not hold, and hands them over in batches.
///
/// A name that a client of the target wrote in the meantime is on its way to the source: so a name counts only if the
/// source still lacks it after all that was written when it was first seen has arrived there.
///
/// # Errors
/// A [`Fault`] when a server does not answer.
pub async fn sweep(pair: &Pair, index: usize, found: &mpsc::Sender<Result<Names, Fault>>) -> Result<(), Fault> {
    let (source, target) = (pair.source(index), pair.target(index));
    let mut source = Client::connect(source, source.primary()).await?;
    let mut target = Client::connect(target, target.primary()).await?;
    let mut walk = Walk::new(&mut target, pair.reserved.prefix()).await?;
    while let Some(names) = walk.next(&mut target).await? {
        let missing = lacking(&mut source, names).await?;
        if missing.names.is_empty() {
            continue;
        }
        drained(pair, index, &mut target).await?;
        let missing = lacking(&mut source, missing).await?;
        if !missing.names.is_empty() && found.send(Ok(missing)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn lacking(source: &mut Client, mut names: Names) -> Result<Names, Fault> {
    let mut held = held(source, &names).await?.into_iter();
    names.names.retain(|_| held.next() == Some(false));
    Ok(names)
}
