//! Attaching to a primary, as `runtime::attach` does it.

use bytes::Buf;
use duet::engine::position::{Position, ReplicationId};
use duet::engine::source::{DumpLength, Info, Replication};
use duet::error::{Fault, Kind};

use super::client::{Client, text, turn};
use crate::network::Shared;

/// A replica's connection, at a position.
pub struct Attached {
    pub client: Client,
    pub position: Position,
}

enum Answer {
    Continue(ReplicationId),
    FullResync(ReplicationId, u64),
}

/// Attaches at `position`, and reads what the primary has written up to `end`.
pub async fn resume(world: &Shared, server: usize, position: Position, end: u64) -> Result<Attached, Fault> {
    let mut client = greet(world, server, false).await?;
    match ask(&mut client, position.replication_id.as_str(), &(position.offset + 1).to_string()).await? {
        Answer::Continue(replication_id) => {
            while (client.input.len() as u64) < end.saturating_sub(position.offset) {
                client.fill().await?;
            }
            Ok(Attached { client, position: Position { replication_id, ..position } })
        }
        Answer::FullResync(..) => Err(Fault::new(Kind::PositionLost, "it can't continue")),
    }
}

/// Attaches for a copy of everything.
pub async fn copy(world: &Shared, server: usize) -> Result<Attached, Fault> {
    let mut client = greet(world, server, false).await?;
    match ask(&mut client, "?", "-1").await? {
        Answer::FullResync(replication_id, offset) => {
            Ok(Attached { client, position: Position { replication_id, offset, database: 0 } })
        }
        Answer::Continue(_) => Err(Fault::new(Kind::Protocol, "it continues nothing")),
    }
}

/// Attaches at the end of the stream.
pub async fn end_of_stream(world: &Shared, server: usize, control: &mut Client) -> Result<Attached, Fault> {
    let mut replication = replication(control).await?;
    if replication.backlog.is_none() {
        let mut asking = greet(world, server, true).await?;
        asking.send(&["PSYNC", "?", "-1"]).await?;
        for _ in 0..50 {
            if replication.backlog.is_none() {
                turn().await;
                replication = self::replication(control).await?;
            }
        }
    }
    let end = Position { replication_id: replication.id, offset: replication.offset, database: 0 };
    let mut client = greet(world, server, true).await?;
    match ask(&mut client, end.replication_id.as_str(), &(end.offset + 1).to_string()).await? {
        Answer::Continue(replication_id) => Ok(Attached { client, position: Position { replication_id, ..end } }),
        Answer::FullResync(replication_id, offset) => {
            discard_dump(&mut client).await?;
            Ok(Attached { client, position: Position { replication_id, offset, database: 0 } })
        }
    }
}

/// The end of what the server has in its backlog.
pub async fn tail(world: &Shared, server: usize, replication: &Replication, most: u64) -> Result<Vec<u8>, Fault> {
    let Some((first, length)) = replication.backlog else { return Ok(Vec::new()) };
    let end = first + length;
    let from = first.max(end.saturating_sub(most));
    let mut client = greet(world, server, true).await?;
    match ask(&mut client, replication.id.as_str(), &from.to_string()).await? {
        Answer::Continue(_) => {}
        Answer::FullResync(..) => return Ok(Vec::new()),
    }
    let wanted = (end - from) as usize;
    while client.input.len() < wanted {
        client.fill().await?;
    }
    Ok(client.input[..wanted].to_vec())
}

/// What the server says of its history.
pub async fn replication(control: &mut Client) -> Result<Replication, Fault> {
    Info::parse(&text(&control.call(&["INFO", "replication"]).await?)).replication()
}

async fn greet(world: &Shared, server: usize, empty: bool) -> Result<Client, Fault> {
    let mut client = Client::connect(world, server).await?;
    client.call(&["REPLCONF", "capa", "eof", "capa", "psync2"]).await?;
    if empty {
        client.ask(&["REPLCONF", "rdb-filter-only", ""]).await?;
    }
    Ok(client)
}

async fn ask(client: &mut Client, id: &str, offset: &str) -> Result<Answer, Fault> {
    client.send(&["PSYNC", id, offset]).await?;
    let line = client.line().await?;
    let words: Vec<&str> = line.split(' ').collect();
    let bad = || Fault::new(Kind::Protocol, line.clone());
    match words.as_slice() {
        ["+CONTINUE", id] => Ok(Answer::Continue(id.parse().map_err(|_| bad())?)),
        ["+FULLRESYNC", id, offset] => {
            Ok(Answer::FullResync(id.parse().map_err(|_| bad())?, offset.parse().map_err(|_| bad())?))
        }
        _ => Err(bad()),
    }
}

/// Reads a dump and forgets it.
async fn discard_dump(client: &mut Client) -> Result<(), Fault> {
    let found = loop {
        if let Some(found) = DumpLength::take(&mut client.input)? {
            break found;
        }
        client.fill().await?;
    };
    match found {
        DumpLength::Bytes(length) => {
            while (client.input.len() as u64) < length {
                client.fill().await?;
            }
            client.input.advance(length as usize);
        }
        DumpLength::Mark(mark) => loop {
            if let Some(at) = client.input.windows(mark.len()).position(|window| window == mark) {
                client.input.advance(at + mark.len());
                break;
            }
            client.fill().await?;
        },
    }
    client.send(&["REPLCONF", "ACK", "0"]).await
}
