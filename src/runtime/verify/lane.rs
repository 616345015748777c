//! A connection to each region, both asked at the same time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::end::{End, Limits, no_refusal};
use crate::config::Region;
use crate::error::Fault;
use crate::runtime::client::{Reply, clock_us, elements};
use crate::verify::Features;

/// A connection to each region: the forward link's source, then its target.
#[derive(Debug)]
pub struct Lane {
    /// Both regions.
    pub ends: [End; 2],
    /// Which digests both servers give: see [`Self::try_digests`].
    pub digests: Digests,
    /// For values that are held, by all lanes of a run together, KiB of each server.
    room: Arc<Semaphore>,
}

/// What all lanes of a run may hold together of the values of each server: twice what a line of a gigabit a second carries
/// within a round trip of 100 ms.
const ROOM_KIB: u32 = 24 * 1024;

/// Digests that both servers give.
#[derive(Debug, Clone, Copy, Default)]
pub struct Digests {
    /// Of strings, by `DIGEST` (Redis 8.4): the XXH3 hash of the bytes, the same on every server.
    pub strings: bool,
    /// Of values, by `DEBUG DIGEST-VALUE`: the same for the same value within one family and version only.
    pub values: bool,
}

/// A request, as its arguments.
pub(super) type Request<'a> = Vec<&'a [u8]>;

impl Lane {
    /// Connects to both regions.
    ///
    /// # Errors
    /// As [`End::open`].
    pub async fn open(regions: &[Region; 2], limits: &[Arc<Limits>; 2]) -> Result<Self, Fault> {
        let [left, right] = regions;
        let (left, right) =
            tokio::try_join!(End::open(left, Arc::clone(&limits[0])), End::open(right, Arc::clone(&limits[1])))?;
        Ok(Self { ends: [left, right], digests: Digests::default(), room: Arc::new(Semaphore::new(ROOM_KIB as usize)) })
    }

    /// Another one of the same servers, which connects when it is asked something.
    pub fn again(&self) -> Self {
        let ends = self.ends.each_ref().map(End::again);
        Self { ends, digests: self.digests, room: Arc::clone(&self.room) }
    }

    /// Waits until values of so many bytes of each server may be held; they may be for as long as what is returned is kept.
    pub(super) async fn room(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let kib = bytes.div_ceil(1024).clamp(1, ROOM_KIB.into());
        Arc::clone(&self.room).acquire_many_owned(u32::try_from(kib).unwrap_or(ROOM_KIB)).await.ok()
    }

    /// Asks which digests both servers give: for those of `DEBUG` the user needs the right, and Redis since 7.0 has to be
    /// told (`enable-debug-command`).
    ///
    /// # Errors
    /// A [`Fault`] when a server can't be reached.
    pub async fn try_digests(&mut self) -> Result<(), Fault> {
        let asked: [&[&[u8]]; 3] =
            [&[b"DEBUG", b"DIGEST-VALUE", b"duet"], &[b"COMMAND", b"INFO", b"digest"], &[b"DIGEST", b"duet"]];
        let [left, right] = &mut self.ends;
        let (told_left, told_right) = tokio::try_join!(left.ask(&asked), right.ask(&asked))?;
        let both = |at: usize, gives: fn(&Reply) -> bool| {
            [&told_left, &told_right].iter().all(|told| told.get(at).is_some_and(gives))
        };
        let is_known = |reply: &Reply| elements(reply).first().is_some_and(|command| !elements(command).is_empty());
        let alike = left.server.dialect == right.server.dialect && left.server.version.0 == right.server.version.0;
        self.digests = Digests {
            // The user may lack the right to a command that the server has.
            strings: both(1, is_known) && both(2, |reply| !matches!(reply, Reply::Error(_))),
            values: alike && both(0, |reply| matches!(reply, Reply::Array(_))),
        };
        Ok(())
    }

    /// What both servers know of values.
    pub fn features(&self) -> Features {
        Features {
            field_ttl: self.ends.iter().all(End::has_field_ttl),
            stream_counters: self.ends.iter().all(|end| end.server.version.0 >= 7),
        }
    }

    /// Sends requests to both regions at the same time, those of `database`.
    ///
    /// # Errors
    /// A [`Fault`] when a server can't be reached, or refuses one of them.
    pub(super) async fn ask(&mut self, database: u32, requests: [&[Request<'_>]; 2]) -> Result<[Vec<Reply>; 2], Fault> {
        let [left, right] = &mut self.ends;
        let (left, right) = tokio::try_join!(asked(left, database, requests[0]), asked(right, database, requests[1]))?;
        Ok([left, right])
    }

    /// Sends requests to one region.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(super) async fn ask_one(
        &mut self,
        side: usize,
        database: u32,
        requests: &[Request<'_>],
    ) -> Result<Vec<Reply>, Fault> {
        asked(&mut self.ends[side], database, requests).await
    }
}

async fn asked(end: &mut End, database: u32, requests: &[Request<'_>]) -> Result<Vec<Reply>, Fault> {
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let database = database.to_string();
    let mut all: Vec<&[&[u8]]> = Vec::with_capacity(requests.len() + 1);
    // With each batch, so that a connection that was made again is in the right one.
    let select: [&[u8]; 2] = [b"SELECT", database.as_bytes()];
    all.push(&select);
    all.extend(requests.iter().map(Vec::as_slice));
    let mut replies = end.ask(&all).await?;
    no_refusal(&replies, end.name())?;
    replies.remove(0);
    Ok(replies)
}

/// What `TIME` answered, Unix milliseconds.
pub(super) fn milliseconds(time: &Reply) -> i64 {
    clock_us(time).unwrap_or(0) / 1000
}
