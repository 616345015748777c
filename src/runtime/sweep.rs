//! Deletions that a lost position has hidden: what was not in the dump is found by going through the target's names.

use tokio::sync::mpsc;

use super::client::Client;
use super::names::{Names, Walk};
use super::shared::Pair;
use super::start::drained;
use crate::engine::copy::dumped::Dumped;
use crate::engine::copy::onto::hold;
use crate::error::Fault;

/// Finds the names of the link's target that were not in the dump, and hands them over in batches.
///
/// A name that a client of the target wrote since the dump was fixed is not one of them. The other link may yet have to
/// read that write: so a batch is handed over only when it has brought over all that was written when the names were
/// seen. What the source holds by now does not matter: what was written there since follows in the increments.
///
/// # Errors
/// A [`Fault`] when the target does not answer.
pub async fn sweep(
    pair: &Pair,
    index: usize,
    dumped: &Dumped,
    found: &mpsc::Sender<Result<Names, Fault>>,
) -> Result<(), Fault> {
    let (target, onto) = (pair.target(index), &pair.onto[1 - index]);
    let mut target = Client::connect(&target, target.primary()).await?;
    let mut walk = Walk::new(&mut target, pair.reserved.prefix()).await?;
    while let Some(mut batch) = walk.next(&mut target).await? {
        let database = batch.database;
        batch.names.retain(|name| !dumped.holds(database, name));
        hold(onto).drop_written(database, &mut batch.names);
        if batch.names.is_empty() {
            continue;
        }
        drained(pair, index, &mut target).await?;
        hold(onto).drop_written(database, &mut batch.names);
        if !batch.names.is_empty() && found.send(Ok(batch)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
