//! Moving bytes: what the source sends goes into the engine, what the engine puts out goes to the target, and back.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::Interest;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::attach::Attached;
use super::session::Session;
use super::socket::Socket;
use crate::engine::link::Link;
use crate::error::{Fault, Kind};
use crate::wire::resp::push_command;

/// Bytes that one read may bring.
const READ: usize = 256 * 1024;
/// Slices that one write may take.
const SLICES: usize = 64;
/// Bytes that may wait to be written to the target before reading stops.
pub const UNWRITTEN: usize = 8 * 1024 * 1024;
/// How often the source hears what the target has applied.
const ACK_EVERY: Duration = Duration::from_millis(250);
/// How long what a source sent last may take to be applied after its connection has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// A server that owes an answer and says nothing for so long is given up. Heartbeats make both speak all the time.
const SILENCE: Duration = Duration::from_secs(20);

/// Both connections of a link.
#[derive(Debug)]
pub struct Lines {
    source: Socket,
    source_in: BytesMut,
    source_out: Vec<u8>,
    source_heard: Instant,
    target: Socket,
    target_in: BytesMut,
    target_heard: Instant,
}

impl Lines {
    /// The connection to the source as it was attached, and the target's.
    pub fn new(source: Attached, target: Socket) -> Self {
        let now = Instant::now();
        Self {
            source: source.stream,
            source_in: source.input,
            source_out: Vec::new(),
            source_heard: now,
            target,
            target_in: BytesMut::new(),
            target_heard: now,
        }
    }
}

/// Why nothing more is read from the source.
enum Ending {
    /// The daemon stops, or the link is to pause.
    Stop,
    /// The source's connection has ended; what came before is still brought to the target, until then.
    Lost(Fault, Instant),
}

/// Drives the link until a connection fails, a server refuses, or the daemon stops and all is drained.
///
/// # Errors
/// The [`Fault`] that ended it.
pub async fn run(lines: &mut Lines, link: &mut Link, session: &mut Session<'_>) -> Result<(), Fault> {
    let mut ticks = interval(ACK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ending = None;
    let mut paced_since = None;
    // What was read ahead may have to wait.
    session.obey(link);
    take_in(lines, link, session)?;
    loop {
        let fenced = session.fenced();
        if session.obey(link) | session.follow(link)? | link.may_go_on() {
            take_in(lines, link, session)?;
        }
        if session.ack_due(link) {
            acknowledge(lines, link);
        }
        session.link().board.bytes_written.add(write_target(lines, link)?);
        match &ending {
            Some(Ending::Stop) if link.is_drained() => {
                acknowledge(lines, link);
                return write_source(lines);
            }
            Some(Ending::Lost(fault, until)) => {
                lines.source_out.clear();
                if link.is_drained() || Instant::now() > *until {
                    return Err(fault.clone());
                }
            }
            Some(Ending::Stop) | None => write_source(lines)?,
        }
        let unwritten: usize = link.applier().out().iter().map(Bytes::len).sum();
        session.count_queues(link, unwritten);
        let has_room = link.applier().has_room() && unwritten < UNWRITTEN;
        let behind = link.is_behind();
        let pace = link.pace();
        paced_since = pace.map(|_| paced_since.unwrap_or_else(Instant::now));
        let rush_at = paced_since.zip(pace).map(|(since, pace)| since + pace);
        let read_source = ending.is_none() && link.wants_source() && unwritten < UNWRITTEN && !behind;
        let source = interest(read_source, !lines.source_out.is_empty());
        let target = interest(true, unwritten > 0).unwrap_or(Interest::READABLE);
        tokio::select! {
            ready = lines.target.ready(target) => {
                if ready.map_err(|error| lost(&error, "target"))?.is_readable() {
                    hear_target(lines, link, session)?;
                }
            }
            ready = ready(&lines.source, source) => {
                if ready.map_err(|error| lost(&error, "source"))?.is_readable() && read_source {
                    match read(&mut lines.source, &mut lines.source_in, "source") {
                        Ok(bytes) => session.link().board.bytes_read.add(bytes as u64),
                        Err(fault) => {
                            link.breaks_off();
                            ending = Some(Ending::Lost(fault, Instant::now() + LAST_WORDS));
                        }
                    }
                    lines.source_heard = Instant::now();
                    take_in(lines, link, session)?;
                }
            }
            _ = ticks.tick() => {
                acknowledge(lines, link);
                silence(lines, link, read_source)?;
                session.tick();
            }
            () = session.marker_lost() => session.rewrite_marker(link),
            () = until(rush_at) => {
                link.rush(session.now());
                paced_since = None;
            }
            () = tokio::task::yield_now(), if behind => take_in(lines, link, session)?,
            () = session.mail() => take_in(lines, link, session)?,
            () = fenced, if link.is_waiting() => {}
            () = session.hold_changed() => {}
            answer = session.answer() => {
                session.answered(link, answer);
                take_in(lines, link, session)?;
            }
            deleted = session.deletions(), if has_room => session.delete(link, deleted),
            () = session.stopping(), if ending.is_none() => ending = Some(Ending::Stop),
        }
    }
}

/// Takes what the target answered.
fn hear_target(lines: &mut Lines, link: &mut Link, session: &mut Session<'_>) -> Result<(), Fault> {
    let heard = read(&mut lines.target, &mut lines.target_in, "target");
    lines.target_heard = Instant::now();
    let mut applied = Vec::new();
    // What was executed before a refusal, or before the end of the connection, counts all the same.
    let judged = link.on_target(&mut lines.target_in, session.now(), &mut applied);
    for transaction in applied {
        session.applied(transaction, link);
    }
    judged?;
    heard?;
    take_in(lines, link, session)
}

/// Gives the engine what was read and not taken yet.
fn take_in(lines: &mut Lines, link: &mut Link, session: &mut Session<'_>) -> Result<(), Fault> {
    if link.wants_source() || link.is_behind() {
        link.on_source(&mut lines.source_in, session.now())?;
    }
    Ok(())
}

fn interest(read: bool, write: bool) -> Option<Interest> {
    match (read, write) {
        (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
        (true, false) => Some(Interest::READABLE),
        (false, true) => Some(Interest::WRITABLE),
        (false, false) => None,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

async fn ready(stream: &Socket, interest: Option<Interest>) -> io::Result<tokio::io::Ready> {
    match interest {
        Some(interest) => stream.ready(interest).await,
        None => std::future::pending().await,
    }
}

/// Reads what is there, at most [`READ`] bytes; gives their number.
fn read(stream: &mut Socket, input: &mut BytesMut, side: &str) -> Result<usize, Fault> {
    match stream.try_read(input, READ) {
        Ok(0) => Err(Fault::new(Kind::Disconnected, format!("the {side} closed the connection"))),
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(lost(&error, side)),
    }
}

/// Writes what the connection takes; gives how many bytes that were.
fn write_target(lines: &mut Lines, link: &mut Link) -> Result<u64, Fault> {
    let out = link.applier().out();
    flush(&mut lines.target, "target")?;
    let mut bytes = 0;
    while !out.is_empty() {
        let slices: Vec<IoSlice<'_>> = out.iter().take(SLICES).map(|bytes| IoSlice::new(bytes)).collect();
        match lines.target.try_write_vectored(&slices) {
            Ok(written) => {
                bytes += written as u64;
                advance(out, written);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(lost(&error, "target")),
        }
    }
    Ok(bytes)
}

/// Hands on what is encrypted and waits.
fn flush(stream: &mut Socket, side: &str) -> Result<(), Fault> {
    match stream.try_flush() {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(lost(&error, side)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn advance(out: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(front) = out.front_mut() {
        if written < front.len() {
            return front.advance(written);
        }
        written -= front.len();
        out.pop_front();
    }
}

fn acknowledge(lines: &mut Lines, link: &Link) {
    if lines.source_out.is_empty() {
        push_command(&mut lines.source_out, &["REPLCONF", "ACK", &link.acknowledged().to_string()]);
    }
}

fn write_source(lines: &mut Lines) -> Result<(), Fault> {
    flush(&mut lines.source, "source")?;
    while !lines.source_out.is_empty() {
        match lines.source.try_write_vectored(&[IoSlice::new(&lines.source_out)]) {
            Ok(written) => {
                lines.source_out.drain(..written);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(lost(&error, "source")),
        }
    }
    Ok(())
}

/// A connection can be dead without an end: nothing comes any more.
fn silence(lines: &mut Lines, link: &mut Link, reading: bool) -> Result<(), Fault> {
    let now = Instant::now();
    if link.applier().in_flight() == 0 {
        lines.target_heard = now;
    }
    if !reading {
        lines.source_heard = now;
    }
    for (side, heard) in [("target", lines.target_heard), ("source", lines.source_heard)] {
        if now.duration_since(heard) > SILENCE {
            return Err(Fault::new(Kind::TimedOut, format!("the {side} has been silent for {} s", SILENCE.as_secs())));
        }
    }
    Ok(())
}

fn lost(error: &io::Error, side: &str) -> Fault {
    Fault::new(Kind::Disconnected, format!("the connection to the {side} was lost: {error}"))
}
