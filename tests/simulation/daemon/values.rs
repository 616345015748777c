//! Values that are made equal, read as `runtime::values` reads them.

use std::rc::Rc;

use bytes::Bytes;
use duet::engine::conflict::{Name, Wanted, hold};
use duet::error::{Fault, Kind};
use redis_protocol::resp2::types::BytesFrame;

use super::client::{Client, elements, integer, sleep};
use super::{LINGER_MS, Pair, REGIONS};
use crate::server::Flavour;

/// Reads values at region `index` for ever.
pub async fn run(pair: Rc<Pair>, index: usize) {
    let mut client = None;
    loop {
        let now_ms = pair.world.borrow().now_ms;
        let (wanted, _) = hold(&pair.exchange).wanted(index, now_ms);
        for wanted in wanted {
            if let Err(fault) = read(&pair, index, &wanted, &mut client).await {
                crate::trace(|| format!("value of {:?} could not be read at {index}: {fault}", wanted.name));
                client = None;
                hold(&pair.exchange).not_read(wanted.id, now_ms);
            }
        }
        let names = hold(&pair.exchange).take_looks(index, usize::MAX);
        for name in names {
            if look(&pair, index, &name, &mut client).await.is_err() {
                client = None;
                hold(&pair.exchange).look(index, vec![name]);
            }
        }
        sleep(&pair.world, 3).await;
    }
}

async fn look(pair: &Pair, index: usize, name: &Name, client: &mut Option<Client>) -> Result<(), Fault> {
    if client.is_none() {
        *client = Some(Client::connect(&pair.world, index).await?);
    }
    let Some(client) = client else { return Ok(()) };
    client.call(&["SELECT", &name.0.to_string()]).await?;
    let remaining = integer(&client.call(&[b"PTTL".as_slice(), &name.1]).await?);
    let lives_on = hold(&pair.exchange).remains(index, name, remaining, LINGER_MS);
    crate::trace(|| format!("look at {name:?} at {index}: {remaining} {lives_on}"));
    Ok(())
}

async fn read(pair: &Pair, index: usize, wanted: &Wanted, client: &mut Option<Client>) -> Result<(), Fault> {
    if client.is_none() {
        *client = Some(Client::connect(&pair.world, index).await?);
    }
    let Some(client) = client else { return Ok(()) };
    let nonce = pair.settings.reserved.nonce(REGIONS[index]);
    let (id, database, key) = (wanted.id.to_string(), wanted.name.0.to_string(), wanted.name.1.as_slice());
    let absolute = pair.world.borrow().servers[index].flavour == Flavour::Redis70;
    let requests: [&[&[u8]]; 7] = [
        &[b"MULTI"],
        &[b"PUBLISH", &nonce, id.as_bytes()],
        &[b"SELECT", database.as_bytes()],
        &[b"DUMP", key],
        &[if absolute { b"PEXPIRETIME".as_slice() } else { b"PTTL" }, key],
        &[b"TIME"],
        &[b"EXEC"],
    ];
    let mut reply = None;
    for request in requests {
        reply = Some(client.call(request).await?);
    }
    let bad = || Fault::new(Kind::Waiting, "the value was not told");
    let reply = reply.ok_or_else(bad)?;
    let [_, _, dump, expiry, time] = elements(&reply) else { return Err(bad()) };
    let payload = match dump {
        BytesFrame::BulkString(bytes) => Some(Bytes::copy_from_slice(bytes)),
        BytesFrame::Null => None,
        _ => return Err(bad()),
    };
    let now_ms = match elements(time) {
        [seconds, micros] => integer(seconds) * 1000 + integer(micros) / 1000,
        _ => return Err(bad()),
    };
    let expiry = integer(expiry);
    let expires_at_ms = (expiry >= 0).then(|| if absolute { expiry } else { now_ms + expiry });
    hold(&pair.exchange).read(wanted.id, payload, expires_at_ms);
    Ok(())
}
