//! A region's events: what its server removes by itself, told by keyspace events between fences.
//!
//! The connection speaks RESP3, where a subscriber may still send requests: the answer to `INFO replication` stands
//! between the events and says which place of the stream it stands for. See [`crate::engine::conflict::departed`].

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use redis_protocol::resp3::decode::complete::decode_bytes;
use redis_protocol::resp3::types::{BytesFrame as Frame, Resp3Frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::client::{Client, elements, text};
use super::link::pause;
use super::socket::Socket;
use crate::config::{Region, Retry};
use crate::engine::conflict::departed::{DeletePolicy, Deletes, Departed, SharedDeparted, Why};
use crate::engine::source::Info;
use crate::error::{Fault, Kind};
use crate::observe::LinkBoard;
use crate::wire::resp::{ReplyReader, push_command};

/// How long a window of the stream may be: a fence is sent at least so often.
const FENCE_EVERY: Duration = Duration::from_millis(100);
/// How long a fence may take to be answered.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of one event, or of an answer, that are held.
const MOST_HELD: usize = 64 * 1024 * 1024;
/// The setting that makes a server tell.
const SETTING: &str = "notify-keyspace-events";
/// What it must hold: events by their name (`E`), of expiry of keys and fields (`x`), of eviction (`e`), of removal by
/// clients (`g`).
const FLAGS: [char; 4] = ['E', 'x', 'e', 'g'];
/// The events, and what they tell.
const EVENTS: [(&str, Why); 3] =
    [("expired", Why::Expired), ("evicted", Why::Evicted), ("hexpired", Why::FieldsExpired)];
/// The event of a removal by a client.
const BY_CLIENT: &str = "del";

/// What receives the events of one region, and where it puts them.
#[derive(Debug)]
pub struct Watch<'a> {
    /// The region.
    pub region: &'a Region,
    /// How long to wait between two tries.
    pub retry: &'a Retry,
    /// What is wanted.
    pub policy: DeletePolicy,
    /// What the server has removed by itself.
    pub departed: &'a SharedDeparted,
    /// Who asks for fences and waits for them.
    pub fences: &'a Fences,
    /// The link that reads the region: it shows what is in force.
    pub board: &'a LinkBoard,
}

/// Fences between the events of one region: what they are about is in its [`Departed`].
#[derive(Debug, Default)]
pub struct Fences {
    /// Whoever has asked for one tells the task that sends them; one is sent every 100 ms in any case.
    pub asked: Notify,
    /// One was answered, or there are none any more.
    pub answered: Notify,
    /// It is known whether there are events.
    tried: AtomicBool,
}

impl Fences {
    /// Waits until events are in force, or are known not to be.
    pub async fn tried(&self) {
        loop {
            let answered = self.answered.notified();
            if self.tried.load(Ordering::Acquire) {
                return;
            }
            answered.await;
        }
    }

    /// A fence was answered, or there are none for now.
    fn tell(&self) {
        self.tried.store(true, Ordering::Release);
        self.answered.notify_waiters();
    }
}

impl Watch<'_> {
    /// Receives events for ever, where they are wanted; ends at once where they are not.
    pub async fn run(&self) {
        let without = without_events(self.policy);
        self.board.set_deletes(without);
        let (mut tries, mut told) = (0u32, None);
        if without == self.policy {
            self.fences.tell();
            let region = &self.region.name;
            let DeletePolicy { expiry, eviction } = self.policy;
            tracing::info!(%region, ?expiry, ?eviction, "keyspace events are not asked for: so it is configured");
            return;
        }
        loop {
            let Err(fault) = self.receive().await;
            let was_in_force = self.board.deletes() == self.policy;
            self.end();
            if was_in_force || told != Some(fault.kind) {
                self.warn(&fault);
                told = Some(fault.kind);
            }
            tries = if was_in_force { 0 } else { tries.saturating_add(1) };
            tokio::time::sleep(pause(self.retry, tries)).await;
        }
    }

    /// No more events come.
    pub fn end(&self) {
        self.departed().lose();
        self.fences.tell();
        self.board.set_deletes(without_events(self.policy));
    }

    /// Receives events over one connection, until it fails.
    async fn receive(&self) -> Result<Infallible, Fault> {
        let mut client = Client::connect(self.region, self.region.primary()).await?;
        demand(&mut client).await?;
        let mut events = Events::new(client);
        events.subscribe().await?;
        let mut ticks = interval(FENCE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let wanted = self.departed().wants_fence();
            if wanted && events.fence_sent.is_none() {
                events.send_fence().await?;
            }
            tokio::select! {
                read = events.read() => read?,
                _ = ticks.tick() => events.tick().await?,
                () = self.fences.asked.notified() => {}
            }
            while let Some(told) = events.next()? {
                match told {
                    Told::Nothing => {}
                    Told::Removed(Some(why), database, key) => self.departed().note(why, database, &key),
                    Told::Removed(None, database, key) => self.departed().note_client(database, &key),
                    Told::Fence(info) => self.fenced(&info, &events.place)?,
                }
            }
        }
    }

    /// A fence is answered.
    fn fenced(&self, info: &str, place: &str) -> Result<(), Fault> {
        let history = Info::parse(info).replication()?;
        if !history.is_primary {
            return Err(Fault::new(Kind::ReadOnly, format!("{place} is a replica")));
        }
        self.departed().fenced(history.id, history.offset);
        self.fences.tell();
        if self.board.deletes() != self.policy {
            self.board.set_deletes(self.policy);
            let region = &self.region.name;
            tracing::info!(%region, "keyspace events are in force: deletes by the server are told from those of clients");
        }
        Ok(())
    }

    fn departed(&self) -> MutexGuard<'_, Departed> {
        self.departed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn warn(&self, fault: &Fault) {
        tracing::warn!(
            region = %self.region.name,
            reason = %fault,
            "keyspace events are not in force: deletes by the server are not told from those of clients, and keys are \
             compared instead. See whether the server is reached, and allow the user HELLO, PSUBSCRIBE, CONFIG GET and \
             CONFIG SET"
        );
    }
}

/// What is in force while there are no events.
fn without_events(policy: DeletePolicy) -> DeletePolicy {
    let instead = |deletes| if deletes == Deletes::Events { Deletes::Compare } else { deletes };
    DeletePolicy { expiry: instead(policy.expiry), eviction: instead(policy.eviction) }
}

/// Sees to it that the server tells; keeps what it tells already.
async fn demand(client: &mut Client) -> Result<(), Fault> {
    let reply = client.call(&["CONFIG", "GET", SETTING]).await?;
    let before = elements(&reply).get(1).map(text).unwrap_or_default();
    let Some(flags) = with_flags(&before) else { return Ok(()) };
    client.call(&["CONFIG", "SET", SETTING, &flags]).await?;
    tracing::warn!(
        server = client.place(),
        before,
        now = flags,
        "{SETTING} was changed by CONFIG SET, so that deletes by the server itself can be told; \
         set it in the server's own configuration too"
    );
    Ok(())
}

/// The setting with what it lacks; `None` if it lacks nothing.
fn with_flags(before: &str) -> Option<String> {
    let holds = |flag: char| before.contains(flag) || (flag != 'E' && before.contains('A'));
    let missing: String = FLAGS.into_iter().filter(|flag| !holds(*flag)).collect();
    (!missing.is_empty()).then(|| format!("{before}{missing}"))
}

/// What the server said.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// Nothing of interest.
    Nothing,
    /// It has removed a key, or fields of it, by itself; or a client has, where no reason is given.
    Removed(Option<Why>, u32, Vec<u8>),
    /// Its answer to `INFO replication`.
    Fence(String),
}

/// What an answer, which is no event, is to.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Hello,
    Flags,
    Fence,
}

/// A connection that receives events.
#[derive(Debug)]
struct Events {
    stream: Socket,
    input: BytesMut,
    replies: ReplyReader,
    place: String,
    /// What was asked and not answered yet.
    asked: VecDeque<Asked>,
    fence_sent: Option<Instant>,
    subscribed: usize,
}

impl Events {
    fn new(client: Client) -> Self {
        let place = client.place().to_owned();
        let (stream, input) = client.into_parts();
        Self {
            stream,
            input,
            replies: ReplyReader::default(),
            place,
            asked: VecDeque::new(),
            fence_sent: None,
            subscribed: 0,
        }
    }

    /// Changes to RESP3 and subscribes.
    async fn subscribe(&mut self) -> Result<(), Fault> {
        let late = Fault::new(Kind::TimedOut, format!("{} did not subscribe within 10 s", self.place));
        let subscribing = async {
            let mut out = Vec::new();
            push_command(&mut out, &["HELLO", "3"]);
            self.asked.push_back(Asked::Hello);
            self.send(&out).await?;
            while !self.asked.is_empty() {
                self.read().await?;
                self.next()?;
            }
            let patterns = EVENTS.map(|(event, _)| format!("__keyevent@*__:{event}"));
            let [expired, evicted, fields] = &patterns;
            let deleted = format!("__keyevent@*__:{BY_CLIENT}");
            out.clear();
            push_command(&mut out, &["PSUBSCRIBE", expired, evicted, fields, &deleted]);
            self.send(&out).await?;
            while self.subscribed <= patterns.len() {
                self.read().await?;
                while self.next()?.is_some() {}
            }
            Ok(())
        };
        timeout(PATIENCE, subscribing).await.unwrap_or(Err(late))
    }

    /// Asks where in the stream the server is, and whether it still tells.
    async fn send_fence(&mut self) -> Result<(), Fault> {
        let mut out = Vec::new();
        push_command(&mut out, &["CONFIG", "GET", SETTING]);
        push_command(&mut out, &["INFO", "replication"]);
        self.asked.extend([Asked::Flags, Asked::Fence]);
        self.fence_sent = Some(Instant::now());
        self.send(&out).await
    }

    /// Time has passed: sends a fence if none is on its way.
    async fn tick(&mut self) -> Result<(), Fault> {
        match self.fence_sent {
            None => self.send_fence().await,
            Some(sent) if sent.elapsed() < PATIENCE => Ok(()),
            Some(_) => Err(Fault::new(Kind::TimedOut, format!("{} gave no answer in 10 s", self.place))),
        }
    }

    async fn send(&mut self, out: &[u8]) -> Result<(), Fault> {
        self.stream.write_all(out).await.map_err(|error| self.lost(&error.to_string()))?;
        self.stream.flush().await.map_err(|error| self.lost(&error.to_string()))
    }

    async fn read(&mut self) -> Result<(), Fault> {
        match self.stream.read_buf(&mut self.input).await {
            Ok(0) => Err(self.lost("it closed the connection")),
            Ok(_) if self.input.len().max(self.replies.wanted()) > MOST_HELD => {
                Err(self.lost("it sent more than 64 MiB at once"))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(self.lost(&error.to_string())),
        }
    }

    /// The next thing that has arrived whole.
    fn next(&mut self) -> Result<Option<Told>, Fault> {
        let place = &self.place;
        let bad = |what: &str| Fault::new(Kind::Protocol, format!("{place} sent {what}"));
        // The decoder calls itself for each level: it gets nothing that was not found to be whole, and not too deep.
        let found = self.replies.next(&self.input);
        let found = found.map_err(|error| Fault::new(Kind::Protocol, format!("{place}: {error}")))?;
        let Some(length) = found else { return Ok(None) };
        let bytes = self.input.split_to(length).freeze();
        let Ok(Some((frame, _))) = decode_bytes(&bytes) else { return Err(bad("a reply that can't be read")) };
        if let Frame::Push { data, .. } = &frame {
            self.subscribed += usize::from(data.first().and_then(Frame::as_bytes) == Some(b"psubscribe"));
            return Ok(Some(removed(data).unwrap_or(Told::Nothing)));
        }
        if let Frame::SimpleError { data, .. } = &frame {
            return Err(Fault::of_reply(data, &self.place));
        }
        let told = match self.asked.pop_front().ok_or_else(|| bad("an answer to no request"))? {
            Asked::Hello => Told::Nothing,
            Asked::Flags if with_flags(&setting(&frame)).is_none() => Told::Nothing,
            Asked::Flags => {
                let text = format!("{}: {SETTING} was changed and no longer holds what is needed", self.place);
                return Err(Fault::new(Kind::Refused, text));
            }
            Asked::Fence => {
                self.fence_sent = None;
                Told::Fence(String::from_utf8_lossy(frame.as_bytes().unwrap_or_default()).into_owned())
            }
        };
        Ok(Some(told))
    }

    fn lost(&self, why: &str) -> Fault {
        Fault::new(Kind::Disconnected, format!("{}: {why}", self.place))
    }
}

/// The value in an answer to `CONFIG GET` of one setting, which is a map or an array; empty where it is neither.
fn setting(frame: &Frame) -> String {
    let value = match frame {
        Frame::Map { data, .. } => data.values().next(),
        Frame::Array { data, .. } => data.get(1),
        _ => None,
    };
    String::from_utf8_lossy(value.and_then(Frame::as_bytes).unwrap_or_default()).into_owned()
}

/// What an event tells: `pmessage`, the pattern, the channel, the key.
fn removed(push: &[Frame]) -> Option<Told> {
    let [kind, _, channel, key] = push else { return None };
    let channel = std::str::from_utf8(channel.as_bytes()?).ok()?;
    let (database, event) = channel.strip_prefix("__keyevent@")?.split_once("__:")?;
    let why = match EVENTS.into_iter().find(|(name, _)| *name == event) {
        Some((_, why)) => Some(why),
        None if event == BY_CLIENT => None,
        None => return None,
    };
    let is_message = kind.as_bytes() == Some(b"pmessage");
    is_message.then_some(Told::Removed(why, database.parse().ok()?, key.as_bytes()?.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn what_the_setting_holds_is_kept_and_what_it_lacks_is_added() {
        assert_eq!(with_flags(""), Some("Exeg".to_owned()));
        assert_eq!(with_flags("Kg$"), Some("Kg$Exe".to_owned()));
        assert_eq!(with_flags("AK"), Some("AKE".to_owned()));
        assert_eq!(with_flags("AKE"), None);
        assert_eq!(with_flags("gxeE"), None);
    }

    #[test]
    fn an_event_names_its_database_and_key_and_others_are_passed_over() {
        let push = |channel: &str, key: &'static [u8]| {
            [b"pmessage", b"__keyevent@*__:x".as_slice(), channel.to_owned().leak().as_bytes(), key]
                .map(|text| Frame::BlobString { data: Bytes::from_static(text), attributes: None })
        };
        let key = b"k\xff\r\n".to_vec();
        let expected = Some(Told::Removed(Some(Why::FieldsExpired), 12, key));
        assert_eq!(removed(&push("__keyevent@12__:hexpired", b"k\xff\r\n")), expected);
        let deleted = removed(&push("__keyevent@0__:del", b"k"));
        assert_eq!(deleted, Some(Told::Removed(None, 0, b"k".to_vec())));
        for other in ["__keyevent@12__:set", "__keyevent@x__:expired", "__keyspace@0__:k", ""] {
            assert_eq!(removed(&push(other, b"k")), None);
        }
    }
}
