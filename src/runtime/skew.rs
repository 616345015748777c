//! Looks how far the clocks of both regions are apart, and has the links held when that is too far and wanted so.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use super::shared::Pair;
use crate::engine::source::{Measured, Skew};

/// How often it is looked until the clocks are known for the first time.
const FIRST_LOOKS: Duration = Duration::from_millis(10);

/// Looks with each heartbeat until the daemon stops.
pub async fn run(pair: &Pair) {
    let looks = async {
        let limit_us = i64::try_from(pair.config().clock.skew_limit.as_micros()).unwrap_or(i64::MAX);
        let mut skew = Skew::new(limit_us);
        while !look(pair, &mut skew) {
            tokio::time::sleep(FIRST_LOOKS).await;
        }
        let mut ticks = interval(pair.config().heartbeat.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            look(pair, &mut skew);
        }
    };
    tokio::select! {
        () = looks => {}
        () = pair.shutdown.cancelled() => {}
        () = pair.superseded.cancelled() => {}
    }
}

/// Looks once, and tells the links where that changes something. Tells whether the clocks are known.
fn look(pair: &Pair, skew: &mut Skew) -> bool {
    let now = Instant::now();
    let [ours, theirs] = [0, 1].map(|index: usize| pair.regions[index].clock.measured(now));
    let apart = ours.zip(theirs).map(|(ours, theirs)| Measured::between(ours, theirs));
    if pair.clocks.look(apart, skew.judge(apart)) {
        pair.links.iter().for_each(|link| link.hold_changed.notify_one());
    }
    apart.is_some()
}
