//! A connection to each region, both asked at the same time.

use std::sync::Arc;

use super::end::{End, Limits, no_refusal};
use crate::config::Region;
use crate::error::Fault;
use crate::runtime::client::{Reply, elements, integer};
use crate::verify::Features;

/// A connection to each region: the forward link's source, then its target.
#[derive(Debug)]
pub struct Lane {
    /// Both regions.
    pub ends: [End; 2],
    /// Both servers give digests of values: see [`Self::try_digests`].
    pub may_digest: bool,
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
        Ok(Self { ends: [left, right], may_digest: false })
    }

    /// Other connections to the same servers.
    ///
    /// # Errors
    /// As [`End::again`].
    pub async fn again(&self) -> Result<Self, Fault> {
        let [left, right] = &self.ends;
        let (left, right) = tokio::try_join!(left.again(), right.again())?;
        Ok(Self { ends: [left, right], may_digest: self.may_digest })
    }

    /// Asks whether both servers give digests of values: the user needs the right to, and Redis since 7.0 has to be told
    /// (`enable-debug-command`).
    ///
    /// # Errors
    /// A [`Fault`] when a server can't be reached.
    pub async fn try_digests(&mut self) -> Result<(), Fault> {
        let asked: [&[&[u8]]; 1] = [&[b"DEBUG", b"DIGEST-VALUE", b"duet"]];
        let [left, right] = &mut self.ends;
        let replies = tokio::try_join!(left.ask(&asked), right.ask(&asked))?;
        self.may_digest = [replies.0, replies.1].iter().flatten().all(|reply| matches!(reply, Reply::Array(_)));
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
    match elements(time) {
        [seconds, micros] => integer(seconds).saturating_mul(1000).saturating_add(integer(micros) / 1000),
        _ => 0,
    }
}
