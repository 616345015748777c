//! The heartbeat of a region, as `runtime::heartbeat` writes it.

use std::rc::Rc;

use duet::error::Fault;
use redis_protocol::resp2::types::BytesFrame;

use super::client::{Client, sleep};
use super::{Pair, REGIONS};

/// How long a heartbeat lives, milliseconds.
pub const EXPIRE_MS: u64 = 3000;

/// Beats in region `index` for ever.
pub async fn run(pair: Rc<Pair>, index: usize) {
    loop {
        let Err(_) = beat(&pair, index).await;
        sleep(&pair.world, 5).await;
    }
}

async fn beat(pair: &Pair, index: usize) -> Result<std::convert::Infallible, Fault> {
    let mut client = Client::connect(&pair.world, index).await?;
    let key = String::from_utf8(pair.settings.reserved.heartbeat(REGIONS[index])).expect("names are text");
    loop {
        pair.world.borrow_mut().clocks[index].ask();
        let now = pair.world.borrow().believed_ms(index).to_string();
        pair.world.borrow_mut().oracle.beats[index] += 1;
        if let BytesFrame::Error(_) = client.ask(&["SET", &key, &now, "PX", &EXPIRE_MS.to_string()]).await? {
            client.call(&["PUBLISH", &key, &now]).await?;
        }
        sleep(&pair.world, pair.settings.heartbeat_ms).await;
    }
}
