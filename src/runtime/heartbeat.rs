//! The heartbeat of a region: its clock is learned, and a key is written that shows that the link flows.

use std::time::Instant;

use tokio::time::{MissedTickBehavior, interval};

use super::client::{Client, Reply, clock_us, text};
use super::shared::{Pair, RegionPulse};
use super::survey::Survey;
use crate::engine::source::Info;
use crate::error::Fault;

/// With one beat of so many it is looked how many keys the region holds.
const KEYS_EVERY: u64 = 4;

/// Writes the heartbeat of region `index` (0 the forward link's source) until the daemon stops.
pub async fn run(pair: &Pair, index: usize) {
    let beats = async {
        loop {
            let renewals = pair.settings.renewals();
            tokio::select! {
                beaten = beat(pair, index) => {
                    if let Err(fault) = beaten {
                        // The link that reads this region shows what is wrong with it.
                        tracing::debug!(region = %pair.source(index).name, %fault, "no heartbeat");
                    }
                }
                () = pair.settings.renewed(renewals) => continue,
            }
            tokio::time::sleep(pair.config().retry.first).await;
        }
    };
    tokio::select! {
        () = beats => {}
        () = pair.shutdown.cancelled() => {}
        () = pair.superseded.cancelled() => {}
    }
}

/// Beats over one connection, until it fails.
async fn beat(pair: &Pair, index: usize) -> Result<(), Fault> {
    let region = pair.source(index);
    let pulse = &pair.regions[index];
    let mut client = Client::connect(&region, region.primary()).await?;
    learn(&mut client, pulse).await?;
    let key = String::from_utf8_lossy(&pair.reserved.heartbeat(region.name.as_str())).into_owned();
    let expire = pair.config().heartbeat.expire.as_millis().to_string();
    let mut ticks = interval(pair.config().heartbeat.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut survey = Survey::default();
    for beats in 0u64.. {
        ticks.tick().await;
        let written_ms = pulse.clock.at_ms(Instant::now()).to_string();
        let replies = client.calls(&[["SET", &key, &written_ms, "PX", &expire]]).await?;
        if let Some(Reply::Error(_)) = replies.first() {
            // A server that refuses writes for now (OOM, MISCONF) still passes messages on to its replicas.
            client.call(&["PUBLISH", &key, &written_ms]).await?;
        }
        pulse.beat(Instant::now());
        learn(&mut client, pulse).await?;
        if beats.is_multiple_of(KEYS_EVERY) {
            let info = Info::parse(&text(&client.call(&["INFO", "keyspace"]).await?));
            pulse.set_keys(info.keyspace().iter().map(|(_, keys)| keys).sum());
        }
        survey.look(&mut client, &pulse.board).await?;
    }
    Ok(())
}

/// Asks a server for its time.
///
/// # Errors
/// The connection is lost.
pub async fn learn(client: &mut Client, pulse: &RegionPulse) -> Result<(), Fault> {
    let asked = Instant::now();
    if let Some(now_us) = clock_us(&client.call(&["TIME"]).await?) {
        pulse.clock.learn(now_us, asked, Instant::now());
    }
    Ok(())
}
