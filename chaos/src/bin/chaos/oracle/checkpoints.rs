//! No marker is ahead of the stream that it speaks of: twice a second, at both servers.

use crate::side::Side;
use crate::world::World;
use anyhow::{Context, Result};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Between two looks.
const BEAT: Duration = Duration::from_millis(500);

/// The task that looks.
pub struct Checkpoints {
    seen: Arc<Mutex<(u64, Vec<String>)>>,
    task: JoinHandle<()>,
}

impl Checkpoints {
    /// Begins to look.
    pub fn watch(world: &Arc<World>) -> Self {
        let seen = Arc::new(Mutex::new((0, Vec::new())));
        let (kept, world) = (Arc::clone(&seen), Arc::clone(world));
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                for source in Side::BOTH {
                    // A server that does not answer just now is looked at the next time.
                    let Ok(Ok(Some(wrong))) = tokio::time::timeout(BEAT * 4, look(&world, source)).await else {
                        continue;
                    };
                    let mut seen = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.0 += 1;
                    seen.1.extend(wrong);
                }
            }
        });
        Self { seen, task }
    }

    /// How many markers were compared, and which were ahead, since the last call.
    pub fn take(&self) -> (u64, Vec<String>) {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The marker first, the stream afterwards: what is ahead then was ahead. Nothing where the marker speaks of another
/// history than that of the server.
async fn look(world: &World, source: Side) -> Result<Option<Vec<String>>> {
    let (from, to) = (world.region(source).client().await?, world.region(source.other()).client().await?);
    let marker = to.text(&format!("GET duet:orders:marker:{source}")).await?;
    let info = from.text("INFO replication").await?;
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let history = field("master_replid").context("no history")?.trim();
    let written: u64 = field("master_repl_offset").context("no offset")?.trim().parse()?;
    Ok(is_ahead(&marker, history, written).map(|ahead| ahead.into_iter().collect()))
}

/// Whether a marker of this history is ahead of what was written; nothing where it is of another one.
fn is_ahead(marker: &str, history: &str, written: u64) -> Option<Option<String>> {
    let words: Vec<&str> = marker.split(' ').collect();
    if words.first() != Some(&"duet1") || words.get(4) != Some(&history) {
        return None;
    }
    let place = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
    let (high, low) = (place(5)?, place(7)?);
    Some((high > written || low > high).then(|| format!("{marker}, where the source has written {written}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_ahead_of_its_own_history_is_found_and_one_of_another_is_not_compared() {
        let marker = "duet1 streaming 1 20 aa 7865 0 7265 0 1795201137539 1795201137539000 7786 26303";
        assert_eq!(is_ahead(marker, "aa", 7865), Some(None));
        assert!(is_ahead(marker, "aa", 7864).is_some_and(|ahead| ahead.is_some()));
        assert_eq!(is_ahead(marker, "bb", 1), None);
        assert_eq!(is_ahead("", "aa", 1), None);
    }
}
