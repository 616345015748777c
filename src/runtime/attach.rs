//! Attaching to a primary as its replica.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, interval, sleep, timeout};

use super::client::{Client, text};
use super::socket::Socket;
use crate::config::Region;
use crate::engine::position::Position;
use crate::engine::source::{Answer, DumpLength, Info, Replication};
use crate::error::{Fault, Kind};
use crate::wire::resp;

/// The version that we call ourselves by: Valkey writes its own dumps, with expiry of hash fields, for replicas from 9 on.
const VERSION: &str = "9.1.0";
/// How long a primary may take to make a backlog.
const BACKLOG_PATIENCE: Duration = Duration::from_secs(5);
/// How long a primary may be silent while it sends what its backlog holds.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of what was written while nobody read is held before the first of it is looked at, bytes: heartbeats in it date
/// what stands before them.
const AHEAD: usize = 16 * 1024 * 1024;

/// A replica's connection, at a position.
#[derive(Debug)]
pub struct Attached {
    /// The socket.
    pub stream: Socket,
    /// What was read beyond the primary's answer.
    pub input: BytesMut,
    /// Where the stream goes on; where a dump comes first, where that one stands.
    pub position: Position,
}

impl Attached {
    /// Reads until `wanted` bytes of the stream are here.
    async fn read(&mut self, region: &Region, wanted: usize) -> Result<(), Fault> {
        let lost = |what: &dyn std::fmt::Display| Fault::new(Kind::Disconnected, format!("{}: {what}", region.name));
        while self.input.len() < wanted {
            match timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0)) => return Err(lost(&"it closed the connection")),
                Ok(Err(error)) => return Err(lost(&error)),
                Err(_) => return Err(Fault::new(Kind::TimedOut, format!("{} sent nothing in 10 s", region.name))),
            }
        }
        Ok(())
    }
}

/// Attaches at `position`, and reads what the primary has written up to `end`, [`AHEAD`] bytes at the most.
///
/// # Errors
/// A [`Fault`]; of kind `PositionLost` when the primary wants to send everything again.
pub async fn resume(region: &Region, position: Position, end: u64) -> Result<Attached, Fault> {
    let mut client = greet(region, false).await?;
    match ask(&mut client, &position.replication_id.to_string(), &(position.offset + 1).to_string()).await? {
        Answer::Continue(replication_id) => {
            let mut attached = attached(client, Position { replication_id, ..position });
            let ahead = usize::try_from(end.saturating_sub(position.offset)).map_or(AHEAD, |gap| gap.min(AHEAD));
            attached.read(region, ahead).await?;
            Ok(attached)
        }
        Answer::FullResync(..) => {
            Err(Fault::new(Kind::PositionLost, format!("{} can't continue at {position}", client.place())))
        }
    }
}

/// Attaches for a copy of everything.
///
/// # Errors
/// A [`Fault`] when the primary does not agree.
pub async fn copy(region: &Region) -> Result<Attached, Fault> {
    let mut client = greet(region, false).await?;
    match ask(&mut client, "?", "-1").await? {
        Answer::FullResync(replication_id, offset) => {
            Ok(attached(client, Position { replication_id, offset, database: 0 }))
        }
        Answer::Continue(_) => Err(Fault::new(Kind::Protocol, format!("{} continues nothing", client.place()))),
    }
}

/// Attaches at the end of the stream, without a dump where that can be done.
///
/// A server that never had a replica has no backlog and can't continue. It makes one as soon as it is asked for a dump;
/// so that is asked for (an empty one, where the server knows how), given up, and the stream continued.
///
/// # Errors
/// A [`Fault`] when the primary does not agree.
pub async fn end_of_stream(region: &Region, control: &mut Client) -> Result<Attached, Fault> {
    let mut replication = replication(control).await?;
    if replication.backlog.is_none() {
        let mut asking = greet(region, true).await?;
        asking.send(&["PSYNC", "?", "-1"]).await?;
        let deadline = Instant::now() + BACKLOG_PATIENCE;
        while replication.backlog.is_none() && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
            replication = self::replication(control).await?;
        }
    }
    let end = Position { replication_id: replication.id, offset: replication.offset, database: 0 };
    let mut client = greet(region, true).await?;
    match ask(&mut client, &end.replication_id.to_string(), &(end.offset + 1).to_string()).await? {
        Answer::Continue(replication_id) => Ok(attached(client, Position { replication_id, ..end })),
        Answer::FullResync(replication_id, offset) => {
            let mut attached = attached(client, Position { replication_id, offset, database: 0 });
            discard_dump(&mut attached).await?;
            Ok(attached)
        }
    }
}

/// The end of what the server has in its backlog, `most` bytes at the most; nothing where it can't continue.
///
/// # Errors
/// A [`Fault`] when the connection fails, or is silent.
pub async fn tail(region: &Region, replication: &Replication, most: u64) -> Result<BytesMut, Fault> {
    let Some((first, length)) = replication.backlog else { return Ok(BytesMut::new()) };
    let from = first.max((first + length).saturating_sub(most));
    since(region, replication, from, most).await
}

/// What the server has in its backlog from byte `from` of its history on (counted from 1), `most` bytes at the most; nothing
/// where it can't continue there.
///
/// # Errors
/// A [`Fault`] when the connection fails, or is silent.
pub async fn since(region: &Region, replication: &Replication, from: u64, most: u64) -> Result<BytesMut, Fault> {
    let Some((first, length)) = replication.backlog.filter(|(first, _)| *first <= from) else {
        return Ok(BytesMut::new());
    };
    let end = (first + length).min(from.saturating_add(most));
    if end <= from {
        return Ok(BytesMut::new());
    }
    let mut client = greet(region, true).await?;
    match ask(&mut client, &replication.id.to_string(), &from.to_string()).await? {
        Answer::Continue(_) => {}
        Answer::FullResync(..) => return Ok(BytesMut::new()),
    }
    let wanted = usize::try_from(end - from).unwrap_or(usize::MAX);
    let mut attached = attached(client, Position::NONE);
    attached.read(region, wanted).await?;
    attached.input.truncate(wanted);
    Ok(attached.input)
}

/// What the server says of its history.
///
/// # Errors
/// A [`Fault`] when it does not answer.
pub async fn replication(control: &mut Client) -> Result<Replication, Fault> {
    let reply = control.call(&["INFO", "replication"]).await?;
    Info::parse(&text(&reply)).replication()
}

/// Connects and tells what we understand. `empty` asks for a dump without keys, should there be one.
async fn greet(region: &Region, empty: bool) -> Result<Client, Fault> {
    let mut client = Client::connect(region, region.primary()).await?;
    let mut requests =
        vec![["REPLCONF", "capa", "eof"], ["REPLCONF", "capa", "psync2"], ["REPLCONF", "version", VERSION]];
    requests.extend(empty.then_some(["REPLCONF", "rdb-filter-only", ""]));
    let replies = client.calls(&requests).await?;
    // Servers that don't know the last two say so, and send everything in their own format.
    for reply in replies.iter().take(2) {
        client.accepted("REPLCONF", Some(reply))?;
    }
    Ok(client)
}

async fn ask(client: &mut Client, replication_id: &str, offset: &str) -> Result<Answer, Fault> {
    client.send(&["PSYNC", replication_id, offset]).await?;
    let line = client.line().await?;
    Answer::parse(&line, replication_id, client.place())
}

fn attached(client: Client, position: Position) -> Attached {
    let (stream, input) = client.into_parts();
    Attached { stream, input, position }
}

/// Reads a dump and forgets it.
async fn discard_dump(attached: &mut Attached) -> Result<(), Fault> {
    let Attached { stream, input, .. } = attached;
    let mut length = None;
    let mut ticks = interval(Duration::from_secs(1));
    loop {
        match length {
            None => {
                length = DumpLength::take(input)?;
                if length.is_some() {
                    continue;
                }
            }
            Some(DumpLength::Bytes(left)) => {
                let now = left.min(input.len() as u64);
                input.advance(usize::try_from(now).unwrap_or(input.len()));
                if left == now {
                    return Ok(());
                }
                length = Some(DumpLength::Bytes(left - now));
            }
            Some(DumpLength::Mark(mark)) => {
                if let Some(at) = input.windows(mark.len()).position(|window| window == mark) {
                    input.advance(at + mark.len());
                    return Ok(());
                }
                input.advance(input.len().saturating_sub(mark.len() - 1));
            }
        }
        tokio::select! {
            read = stream.read_buf(input) => {
                if read.map_err(|error| Fault::new(Kind::Disconnected, format!("during a dump: {error}")))? == 0 {
                    return Err(Fault::new(Kind::Disconnected, "the primary closed the connection during a dump"));
                }
            }
            _ = ticks.tick() => {
                let ack = resp::command(&["REPLCONF", "ACK", "0"]);
                let lost = |error: std::io::Error| Fault::new(Kind::Disconnected, error.to_string());
                stream.write_all(&ack).await.map_err(lost)?;
                stream.flush().await.map_err(lost)?;
            }
        }
    }
}
