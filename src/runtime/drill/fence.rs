//! Keeping the writers of a region from writing, for as long as a drill wants it: `CLIENT PAUSE WRITE`, renewed.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{ANSWER, save};
use crate::engine::source::Info;
use crate::error::{Fault, Kind};
use crate::runtime::client::{Client, text};
use crate::runtime::shared::Pair;

/// How long a server is paused at a time.
pub(super) const PAUSE: Duration = Duration::from_secs(5);
/// How often that is renewed.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(1);

/// From now on the writers of this region are kept from writing, or nobody's. Behind this no renewal is on its way.
pub(super) async fn set_fencing(pair: &Pair, region: Option<usize>) {
    *pair.fencing.lock().await = region;
}

/// Renews the fence while there is to be one, and tells when it was not there for a while.
pub(super) async fn keep(pair: &Pair) {
    let mut ticks = interval(RENEW_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last: Option<Instant> = None;
    loop {
        ticks.tick().await;
        let fencing = pair.fencing.lock().await;
        let Some(from) = *fencing else {
            last = None;
            continue;
        };
        let Ok(Ok(run)) = timeout(ANSWER, renew(pair, from)).await else { continue };
        drop(fencing);
        let away = last.replace(Instant::now()).is_some_and(|last| last.elapsed() > PAUSE);
        let mut slot = pair.drill.lock().await;
        let Some(drill) = slot.as_mut().filter(|drill| drill.is_fenced()) else { continue };
        let now = Timestamp::now();
        let Some(fence) = &mut drill.fence else { continue };
        let gap = std::mem::replace(&mut fence.run, run.clone()) != run || away;
        fence.renewed = now;
        if gap {
            drill.fence_gap(now, "the region's server began anew, or was away");
            if let Err(fault) = save(pair, drill).await {
                tracing::warn!(%fault, "where the drill stands cannot be kept");
            }
        }
        pair.drill_board.set(Some(drill.clone()));
    }
}

/// Renews the fence; gives the run of the server.
pub(super) async fn renew(pair: &Pair, from: usize) -> Result<String, Fault> {
    let region = pair.source(from);
    let mut client = Client::connect(&region, region.primary()).await?;
    pause(&mut client).await?;
    Info::parse(&text(&client.call(&["INFO", "server"]).await?)).run_id()
}

/// Lifts the fence at the server.
pub(super) async fn unpause(pair: &Pair, from: usize) -> Result<(), Fault> {
    let region = pair.source(from);
    let lifted = async {
        let mut client = Client::connect(&region, region.primary()).await?;
        client.call(&["CLIENT", "UNPAUSE"]).await.map(|_| ())
    };
    match timeout(ANSWER, lifted).await {
        Ok(lifted) => lifted,
        Err(_) => Err(Fault::new(Kind::TimedOut, "the region does not answer")),
    }
}

async fn pause(client: &mut Client) -> Result<(), Fault> {
    client.call(&["CLIENT", "PAUSE", &PAUSE.as_millis().to_string(), "WRITE"]).await.map(|_| ())
}
