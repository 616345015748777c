//! What a server removes by itself, received as `runtime::events` receives it.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use duet::engine::conflict::departed::{Departed, SharedDeparted, Why};
use duet::engine::source::Info;
use duet::error::{Fault, Kind};
use duet::wire::resp::ReplyReader;
use redis_protocol::resp2::decode::decode_bytes;
use redis_protocol::resp2::types::BytesFrame;

use super::Pair;
use super::client::{Client, bytes, elements, sleep, text};

/// How often a fence is sent in any case, milliseconds.
const FENCE_EVERY_MS: i64 = 100;
/// How long a link waits for events before it begins without them, milliseconds.
const WITHIN_MS: i64 = 200;
const EVENTS: [(&str, Option<Why>); 3] =
    [("expired", Some(Why::Expired)), ("evicted", Some(Why::Evicted)), ("del", None)];

/// What receives the events of one region tells the link that reads it.
#[derive(Default)]
pub struct Watched {
    pub departed: SharedDeparted,
    tried: Cell<bool>,
}

impl Watched {
    /// Waits until there are events, or none for now.
    pub async fn tried(&self, pair: &Pair) {
        let until = pair.world.borrow().now_ms + WITHIN_MS;
        while !self.tried.get() && pair.world.borrow().now_ms < until {
            sleep(&pair.world, 1).await;
        }
    }

    fn departed(&self) -> std::sync::MutexGuard<'_, Departed> {
        self.departed.lock().expect("nobody panics with it")
    }
}

/// Receives the events of region `index` for ever.
pub async fn run(pair: Rc<Pair>, index: usize) {
    let watched = &pair.watched[index];
    while pair.settings.deletes.wants_events() {
        let Err(fault) = receive(&pair, index).await;
        crate::trace(|| format!("events of {index} lost: {fault}"));
        watched.departed().lose();
        watched.tried.set(true);
        sleep(&pair.world, 10).await;
    }
    watched.tried.set(true);
}

async fn receive(pair: &Pair, index: usize) -> Result<Infallible, Fault> {
    let watched = &pair.watched[index];
    let mut client = Client::connect(&pair.world, index).await?;
    let flags = client.call(&["CONFIG", "GET", "notify-keyspace-events"]).await?;
    if elements(&flags).get(1).map(text).unwrap_or_default().is_empty() {
        client.call(&["CONFIG", "SET", "notify-keyspace-events", "Exeg"]).await?;
    }
    let patterns = EVENTS.map(|(event, _)| format!("__keyevent@*__:{event}"));
    let [expired, evicted, deleted] = &patterns;
    client.send(&["PSUBSCRIBE", expired, evicted, deleted]).await?;
    let mut sent_ms = None;
    let mut last_ms = i64::MIN;
    loop {
        let now_ms = pair.world.borrow().now_ms;
        let due = watched.departed().wants_fence() || now_ms >= last_ms.saturating_add(FENCE_EVERY_MS);
        if due && sent_ms.is_none() {
            client.send(&["INFO"]).await?;
            sent_ms = Some(now_ms);
        }
        let answered = next(&mut client).await?;
        match answered {
            Some(BytesFrame::Array(push)) => note(watched, &push),
            Some(reply) => {
                let history = Info::parse(&text(&reply)).replication()?;
                if !history.is_primary {
                    return Err(Fault::new(Kind::ReadOnly, "a replica"));
                }
                watched.departed().fenced(history.id, history.offset);
                watched.tried.set(true);
                last_ms = sent_ms.take().unwrap_or(now_ms);
            }
            None => {}
        }
    }
}

/// What has arrived, after one look.
async fn next(client: &mut Client) -> Result<Option<BytesFrame>, Fault> {
    if ReplyReader::default().next(&client.input)?.is_none() {
        super::client::turn().await;
        let found = client.world.borrow_mut().read(client.id, usize::MAX, &mut client.input);
        if found == crate::network::Found::End {
            return Err(super::client::ended());
        }
    }
    let Some(length) = ReplyReader::default().next(&client.input)? else { return Ok(None) };
    let whole = client.input.split_to(length).freeze();
    Ok(decode_bytes(&whole).expect("the model answers in RESP").map(|(frame, _)| frame))
}

fn note(watched: &Watched, push: &[BytesFrame]) {
    let [kind, _, channel, key] = push else { return };
    let channel = text(channel);
    let Some((database, event)) = channel.strip_prefix("__keyevent@").and_then(|rest| rest.split_once("__:")) else {
        return;
    };
    let why = EVENTS.into_iter().find(|(name, _)| *name == event).map(|(_, why)| why);
    if let (true, Some(why), Ok(database)) = (bytes(kind) == b"pmessage", why, database.parse()) {
        match why {
            Some(why) => watched.departed().note(why, database, bytes(key)),
            None => watched.departed().note_client(database, bytes(key)),
        }
    }
}
