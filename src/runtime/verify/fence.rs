//! Knowing that both links have passed a moment: a heartbeat that was written after it has come to the other region.

use std::time::{Duration, Instant};

use super::lane::Lane;
use crate::engine::origin::ReservedKeys;
use crate::error::Fault;
use crate::runtime::client::{Reply, integer};

/// How often it is looked whether a heartbeat has come.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// The heartbeats of both regions.
#[derive(Debug, Clone)]
pub struct Fence {
    keys: [Vec<u8>; 2],
}

impl Fence {
    /// Of the regions with these names.
    pub fn new(reserved: &ReservedKeys, regions: [&str; 2]) -> Self {
        Self { keys: regions.map(|region| reserved.heartbeat(region)) }
    }

    /// Waits until both links have passed this moment, up to `patience`. False where they have not, or no heartbeat is
    /// written.
    ///
    /// # Errors
    /// A [`Fault`] when a server can't be reached.
    pub async fn pass(&self, lane: &mut Lane, patience: Duration) -> Result<bool, Fault> {
        let began = Instant::now();
        let now = self.at(lane, [0, 1]).await?;
        let (Some(left), Some(right)) = (now[0], now[1]) else { return Ok(false) };
        // A link copies in order: what comes behind a heartbeat that is later than this one was written later.
        while began.elapsed() < patience {
            let there = self.at(lane, [1, 0]).await?;
            if there[0] > Some(left) && there[1] > Some(right) {
                return Ok(true);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(false)
    }

    /// When the heartbeat of each region was written, as it stands at these sides.
    async fn at(&self, lane: &mut Lane, sides: [usize; 2]) -> Result<[Option<i64>; 2], Fault> {
        let asked = |side: usize| {
            let key = sides.iter().position(|at| *at == side).unwrap_or(side);
            vec![vec![b"GET".as_slice(), self.keys[key].as_slice()]]
        };
        let [left, right] = lane.ask(0, [&asked(0), &asked(1)]).await?;
        let told = [left, right].map(|replies| match replies.first() {
            Some(reply @ Reply::BulkString(_)) => Some(integer(reply)),
            _ => None,
        });
        Ok([told[sides[0]], told[sides[1]]])
    }
}
