//! A pause that somebody has ordered lasts over a restart of the daemon: it is kept at the link's target, under a reserved
//! key. Pauses of a drill are kept with the drill.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::client::{Client, bytes};
use super::shared::Pair;
use crate::error::Fault;

/// How long an order waits until its target keeps it.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was ordered last in this run, and whether the target keeps it.
#[derive(Debug, Default)]
pub struct PauseOrder(watch::Sender<Option<Word>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    /// Who wants the link to pause; nobody does once it was resumed.
    by: Option<String>,
    is_kept: bool,
}

impl PauseOrder {
    /// The link is to pause on the word of `by`, or to go on. To be kept.
    pub fn give(&self, by: Option<&str>) {
        self.0.send_replace(Some(Word { by: by.map(str::to_owned), is_kept: false }));
    }

    /// Waits a moment for the target to keep what was ordered. Tells whether it does.
    pub async fn kept(&self) -> bool {
        let mut word = self.0.subscribe();
        // The sender is lent for as long as is waited: it is not gone.
        let kept = word.wait_for(|word| word.as_ref().is_none_or(|word| word.is_kept));
        timeout(PATIENCE, kept).await.is_ok()
    }
}

/// Has the target of the link `index` keep what is ordered, as soon as it answers, until the daemon stops.
pub async fn run(pair: &Pair, index: usize) {
    let order = &pair.links[index].pause_order;
    let keeping = async {
        let mut words = order.0.subscribe();
        loop {
            let unkept = |word: &Option<Word>| word.as_ref().is_some_and(|word| !word.is_kept);
            let word = words.wait_for(unkept).await.map(|word| word.clone());
            let Ok(Some(word)) = word else { return };
            match keep(pair, index, word.by.as_deref()).await {
                Ok(()) => order.0.send_modify(|now| {
                    if let Some(now) = now.as_mut().filter(|now| **now == word) {
                        now.is_kept = true;
                    }
                }),
                Err(fault) => {
                    // The link shows what is wrong with the target.
                    tracing::debug!(link = %pair.links[index].board.direction, %fault, "the pause is not kept yet");
                    tokio::time::sleep(pair.config().retry.first).await;
                }
            }
        }
    };
    tokio::select! {
        () = keeping => {}
        () = pair.shutdown.cancelled() => {}
        () = pair.superseded.cancelled() => {}
    }
}

/// Whether the link `index` is to pause on an order that an earlier run was given. What this run was ordered goes before.
///
/// # Errors
/// The target does not answer.
pub async fn recall(pair: &Pair, index: usize) -> Result<bool, Fault> {
    let (target, link) = (pair.target(index), &pair.links[index]);
    let mut client = Client::connect(&target, target.primary()).await?;
    let kept = client.call(&[b"GET".as_slice(), &key(pair, index)]).await?;
    let by = String::from_utf8_lossy(bytes(&kept)).into_owned();
    let is_ordered = !by.is_empty() && link.pause_order.0.borrow().is_none();
    if is_ordered {
        tracing::info!(link = %link.board.direction, by, "paused: ordered before this start");
        link.pause(&by);
    }
    Ok(is_ordered)
}

async fn keep(pair: &Pair, index: usize, by: Option<&str>) -> Result<(), Fault> {
    let target = pair.target(index);
    let mut client = Client::connect(&target, target.primary()).await?;
    let key = key(pair, index);
    match by {
        Some(by) => client.call(&[b"SET".as_slice(), &key, by.as_bytes()]).await.map(|_| ()),
        None => client.call(&[b"DEL".as_slice(), &key]).await.map(|_| ()),
    }
}

fn key(pair: &Pair, index: usize) -> Vec<u8> {
    pair.reserved.pause(pair.source(index).name.as_str())
}
