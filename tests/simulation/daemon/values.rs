//! Values that are made equal, read as `runtime::values` reads them.

use std::rc::Rc;

use bytes::Bytes;
use duet::engine::conflict::{Errand, Exchange, Life, Look, Name, Wanted, hold};
use duet::error::{Fault, Kind};
use redis_protocol::resp2::types::BytesFrame;

use super::client::{Client, elements, integer, sleep};
use super::{Pair, REGIONS};
use crate::server::Flavour;

/// Reads values at region `index` for ever.
pub async fn run(pair: Rc<Pair>, index: usize) {
    if pair.settings.flaws.unresolved.settling {
        return;
    }
    let mut client = None;
    loop {
        let now_ms = pair.world.borrow().now_ms;
        let Errand { values: wanted, fence, .. } = hold(&pair.exchange).errand(index, now_ms);
        if let Some(id) = fence
            && let Err(fault) = set_fence(&pair, index, id, &mut client).await
        {
            crate::trace(|| format!("fence {id} could not be set at {index}: {fault}"));
            client = None;
            hold(&pair.exchange).not_set(index, now_ms);
        }
        pair.world.borrow_mut().oracle.taken.extend(wanted.iter().map(|one| one.name.clone()));
        for (id, fault) in read(&pair, index, &wanted, &mut client).await {
            crate::trace(|| format!("value {id} could not be read at {index}: {fault}"));
            hold(&pair.exchange).not_read(id, now_ms);
        }
        let (looks, _) = hold(&pair.exchange).take_looks(index, now_ms, usize::MAX);
        for looked in looks {
            if look(&pair, index, &looked, &mut client).await.is_err() {
                client = None;
                hold(&pair.exchange).not_looked(index, looked);
            }
        }
        sleep(&pair.world, 3).await;
    }
}

/// The connection that is kept, or another one.
async fn opened<'a>(pair: &Pair, index: usize, kept: &'a mut Option<Client>) -> Result<&'a mut Client, Fault> {
    let open = match kept.take() {
        Some(open) => open,
        None => Client::connect(&pair.world, index).await?,
    };
    Ok(kept.insert(open))
}

async fn look(pair: &Pair, index: usize, look: &Look, client: &mut Option<Client>) -> Result<(), Fault> {
    let client = opened(pair, index, client).await?;
    let (database, key) = look.name();
    let absolute = pair.world.borrow().servers[index].flavour == Flavour::Redis70;
    client.call(&["SELECT", &database.to_string()]).await?;
    let expiry = integer(&client.call(&[if absolute { b"PEXPIRETIME".as_slice() } else { b"PTTL" }, key]).await?);
    let server_ms = milliseconds(&client.call(&["TIME"]).await?)?;
    let life = Life::told(if expiry < 0 || absolute { expiry } else { server_ms + expiry });
    let differs = hold(&pair.exchange).looked(index, look.clone(), life, (server_ms, pair.settings.linger_ms));
    crate::trace(|| format!("look {look:?} at {index}: {life:?} {differs}"));
    Ok(())
}

async fn set_fence(pair: &Pair, index: usize, id: u64, client: &mut Option<Client>) -> Result<(), Fault> {
    if pair.settings.flaws.unresolved.fencing {
        // As if it were read at once.
        let of_a_value = |_: &Exchange, _: &Name| unreachable!("the other region gives it");
        hold(&pair.exchange).nonce(index, id, of_a_value, drop);
        return Ok(());
    }
    let client = opened(pair, index, client).await?;
    let nonce = pair.settings.reserved.nonce(REGIONS[index]);
    client.call(&[b"PUBLISH".as_slice(), &nonce, id.to_string().as_bytes()]).await.map(drop)
}

/// Reads values in one round trip. Gives those that could not be read.
async fn read(pair: &Pair, index: usize, wanted: &[Wanted], client: &mut Option<Client>) -> Vec<(u64, Fault)> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let opened = match client.take() {
        Some(open) => Ok(open),
        None => Client::connect(&pair.world, index).await,
    };
    let answered = match opened {
        Ok(mut open) => ask(pair, index, wanted, &mut open).await.map(|replies| (open, replies)),
        Err(fault) => Err(fault),
    };
    let (open, replies) = match answered {
        Ok(answered) => answered,
        Err(fault) => return wanted.iter().map(|one| (one.id, fault.clone())).collect(),
    };
    *client = Some(open);
    let absolute = pair.world.borrow().servers[index].flavour == Flavour::Redis70;
    let taken = wanted.iter().zip(replies.chunks(REQUESTS)).map(|(one, replies)| {
        let reply = replies.last().ok_or_else(|| Fault::new(Kind::Waiting, "the value was not told"))?;
        let (payload, expires_at_ms) = value(reply, absolute)?;
        hold(&pair.exchange).read(one.id, payload, expires_at_ms);
        Ok(())
    });
    let faults: Vec<Result<(), Fault>> = taken.collect();
    wanted.iter().zip(faults).filter_map(|(one, fault)| Some((one.id, fault.err()?))).collect()
}

/// Requests for one value.
const REQUESTS: usize = 7;

async fn ask(pair: &Pair, index: usize, wanted: &[Wanted], client: &mut Client) -> Result<Vec<BytesFrame>, Fault> {
    let nonce = pair.settings.reserved.nonce(REGIONS[index]);
    let absolute = pair.world.borrow().servers[index].flavour == Flavour::Redis70;
    for one in wanted {
        let (id, database, key) = (one.id.to_string(), one.name.0.to_string(), one.name.1.as_slice());
        let requests: [&[&[u8]]; REQUESTS] = [
            &[b"MULTI"],
            &[b"PUBLISH", &nonce, id.as_bytes()],
            &[b"SELECT", database.as_bytes()],
            &[b"DUMP", key],
            &[if absolute { b"PEXPIRETIME".as_slice() } else { b"PTTL" }, key],
            &[b"TIME"],
            &[b"EXEC"],
        ];
        for request in requests {
            client.send(request).await?;
        }
    }
    let mut replies = Vec::with_capacity(wanted.len() * REQUESTS);
    while replies.len() < wanted.len() * REQUESTS {
        replies.push(client.reply().await?);
    }
    Ok(replies)
}

/// What the reply to EXEC says: a value as DUMP gives it, and when it expires.
fn value(reply: &BytesFrame, absolute: bool) -> Result<(Option<Bytes>, Option<i64>), Fault> {
    let bad = || Fault::new(Kind::Waiting, "the value was not told");
    let [_, _, dump, expiry, time] = elements(reply) else { return Err(bad()) };
    let payload = match dump {
        BytesFrame::BulkString(bytes) => Some(Bytes::copy_from_slice(bytes)),
        BytesFrame::Null => None,
        _ => return Err(bad()),
    };
    let now_ms = milliseconds(time)?;
    let expiry = integer(expiry);
    Ok((payload, (expiry >= 0).then(|| if absolute { expiry } else { now_ms + expiry })))
}

/// What `TIME` answered, Unix milliseconds.
fn milliseconds(time: &BytesFrame) -> Result<i64, Fault> {
    match elements(time) {
        [seconds, micros] => Ok(integer(seconds) * 1000 + integer(micros) / 1000),
        _ => Err(Fault::new(Kind::Waiting, "the time was not told")),
    }
}
