//! One connection: two queues of bytes, each with a reader and a writer.

use super::time::shifted;
use super::{Direction, Shared, UNLIMITED, Weather};
use bytes::{Bytes, BytesMut};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

/// Bytes that one direction of a connection may hold: more than 80 ms of a 5 Gbit/s line.
const QUEUE: usize = 64 << 20;
/// Bytes read at once.
const CHUNK: usize = 64 << 10;

struct Parcel {
    due: Instant,
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// Forwards both ways until both ends are closed and delivered, or the connection is cut.
pub(super) async fn connection(number: u64, client: TcpStream, server: TcpStream, shared: &Arc<Shared>) {
    // Delay is ours to make: without this, Nagle's algorithm would add some of its own.
    drop(client.set_nodelay(true));
    drop(server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut weather = shared.weather.subscribe();
    let both = async {
        tokio::join!(
            direction(number, Direction::ToServer, &from_client, to_server, shared),
            direction(number, Direction::ToClient, &from_server, to_client, shared),
        );
    };
    tokio::select! {
        () = both => {}
        _ = weather.wait_for(|weather| number < weather.cut_below) => {
            drop(from_client.as_ref().set_zero_linger());
            drop(from_server.as_ref().set_zero_linger());
        }
    }
}

/// One way, until its sender has ended and all was delivered, or the receiver is gone. The other way goes on: what is
/// frozen on the way to a server arrives although the client that sent it reads no more.
async fn direction(number: u64, way: Direction, from: &OwnedReadHalf, to: OwnedWriteHalf, shared: &Arc<Shared>) {
    let (queue, parcels) = mpsc::unbounded_channel();
    let write = async {
        // An end by error and one in peace look the same from here: the receiver sees the side closed.
        drop(write(number, way, &to, parcels, shared).await);
        drop(to);
    };
    tokio::join!(read(way, from, queue, shared), write);
}

/// Reads until the end; the queue is bounded by the bytes in it. A reset by the sender is an end like any other: what
/// it sent before is still on the way.
async fn read(way: Direction, from: &OwnedReadHalf, queue: mpsc::UnboundedSender<Parcel>, shared: &Arc<Shared>) {
    let room = Arc::new(Semaphore::new(QUEUE));
    let mut buffer = BytesMut::new();
    while let Ok(length @ 1..) = read_some(from, &mut buffer).await {
        let due = Instant::now() + on_its_way(&shared.weather.borrow(), way);
        let permits = u32::try_from(length).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(&room).acquire_many_owned(permits).await else { return };
        if queue.send(Parcel { due, bytes: buffer.split().freeze(), _room: permit }).is_err() {
            return;
        }
    }
}

/// How long what is read now takes.
fn on_its_way(weather: &Weather, way: Direction) -> Duration {
    weather.delay[way.index()] + weather.jitter.mul_f64(fastrand::f64())
}

/// Reads through a shared reference, so that the socket is still at hand for a reset.
async fn read_some(from: &OwnedReadHalf, buffer: &mut BytesMut) -> io::Result<usize> {
    loop {
        from.readable().await?;
        buffer.reserve(CHUNK);
        match from.try_read_buf(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
    }
}

/// Delivers each parcel when it is due and the connection is not frozen.
async fn write(
    number: u64,
    way: Direction,
    to: &OwnedWriteHalf,
    mut parcels: mpsc::UnboundedReceiver<Parcel>,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    let mut weather = shared.weather.subscribe();
    let thawed = |weather: &Weather| number >= weather.frozen_below[way.index()];
    while let Some(parcel) = parcels.recv().await {
        tokio::time::sleep_until(parcel.due).await;
        if way == Direction::ToServer && holds(&weather.borrow_and_update(), &parcel.bytes) {
            let held = Held::new(shared);
            weather.wait_for(|weather| weather.hold.is_none()).await.map_err(io::Error::other)?;
            drop(held);
        }
        // The sender of the weather lives as long as this connection: it is in what we share.
        weather.wait_for(thawed).await.map_err(io::Error::other)?;
        let ahead_ms = if way == Direction::ToClient { weather.borrow().ahead_ms } else { 0 };
        let bytes = if ahead_ms == 0 { parcel.bytes.clone() } else { shifted(&parcel.bytes, ahead_ms) };
        deliver(to, &bytes, way, shared).await?;
    }
    // The news that a side was closed travels, and freezes, like bytes.
    weather.wait_for(thawed).await.map(drop).map_err(io::Error::other)
}

/// Whether these bytes are to be kept back.
fn holds(weather: &Weather, bytes: &[u8]) -> bool {
    weather.hold.as_ref().is_some_and(|word| bytes.windows(word.len().max(1)).any(|window| window == word))
}

/// Counts a connection that is kept back for as long as it is, a cut in between included.
struct Held<'a>(&'a Shared);

impl<'a> Held<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.holding.fetch_add(1, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.holding.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn deliver(to: &OwnedWriteHalf, bytes: &[u8], way: Direction, shared: &Arc<Shared>) -> io::Result<()> {
    let allowed = take_budget(bytes.len(), way, shared);
    let mut left = &bytes[..allowed];
    while !left.is_empty() {
        // Looked up for each piece: a limit that is lifted is lifted at once.
        let rate = shared.weather.borrow().bytes_per_second[way.index()];
        let piece = rate.map_or(CHUNK, |rate| (rate / 100).clamp(1, CHUNK as u64) as usize);
        let (piece, rest) = left.split_at(piece.min(left.len()));
        left = rest;
        write_all(to, piece).await?;
        shared.bytes[way.index()].fetch_add(piece.len() as u64, Ordering::SeqCst);
        if let Some(rate) = rate {
            tokio::time::sleep(Duration::from_secs_f64(piece.len() as f64 / rate.max(1) as f64)).await;
        }
    }
    if allowed < bytes.len() {
        let below = shared.next_connection.load(Ordering::SeqCst);
        shared.weather.send_modify(|weather| weather.cut_below = below);
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    Ok(())
}

/// How many of `wanted` bytes may pass. When the budget ends here, it is lifted for the connections to come.
fn take_budget(wanted: usize, way: Direction, shared: &Arc<Shared>) -> usize {
    let wanted = i64::try_from(wanted).unwrap_or(UNLIMITED);
    let budget = &shared.budget[way.index()];
    let after = |left: i64| match left {
        UNLIMITED => UNLIMITED,
        left if left < wanted => UNLIMITED,
        left => left - wanted,
    };
    let left = budget.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| Some(after(left)));
    usize::try_from(left.unwrap_or(UNLIMITED).min(wanted)).unwrap_or(0)
}

/// Writes through a shared reference, so that the socket is still at hand for a reset.
async fn write_all(to: &OwnedWriteHalf, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
