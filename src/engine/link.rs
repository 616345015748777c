//! One direction of a pair: first a copy where the plan asks for one, then the increments.

use std::time::Duration;

use bytes::BytesMut;

use super::apply::{Applied, Applier};
use super::copy::Copy;
use super::stream::{Now, Stream};
use crate::error::Fault;

/// A link at work.
#[derive(Debug)]
pub enum Link {
    /// Copying the dump.
    Copying(Box<Copy>),
    /// Carrying the increments.
    Streaming(Box<Stream>),
}

impl Link {
    /// Takes what the source sent.
    ///
    /// # Errors
    /// A [`Fault`] when it can't be read.
    pub fn on_source(&mut self, input: &mut BytesMut, now: Now) -> Result<(), Fault> {
        match self {
            Self::Copying(copy) => copy.on_source(input, now.source_ms),
            Self::Streaming(stream) => stream.on_source(input, now),
        }
    }

    /// Takes what the target answered, and tells which transactions it has executed.
    ///
    /// # Errors
    /// A [`Fault`] when it refused one.
    pub fn on_target(&mut self, input: &mut BytesMut, now: Now, applied: &mut Vec<Applied>) -> Result<(), Fault> {
        match self {
            Self::Copying(copy) => copy.on_target(input, applied),
            Self::Streaming(stream) => stream.on_target(input, now, applied),
        }
    }

    /// Nothing more comes from the source.
    pub fn breaks_off(&self) {
        match self {
            Self::Copying(_) => {}
            Self::Streaming(stream) => stream.breaks_off(),
        }
    }

    /// Whether there is room for more from the source.
    pub fn wants_source(&self) -> bool {
        match self {
            Self::Copying(copy) => copy.wants_source(),
            Self::Streaming(stream) => stream.wants_source(),
        }
    }

    /// Whether it has to judge what met before it reads on: [`Self::on_source`] is to be called again.
    pub fn is_behind(&self) -> bool {
        match self {
            Self::Copying(_) => false,
            Self::Streaming(stream) => stream.is_behind(),
        }
    }

    /// Whether it stopped before a removal of which nobody knows who made it.
    pub fn is_waiting(&self) -> bool {
        match self {
            Self::Copying(_) => false,
            Self::Streaming(stream) => stream.is_waiting(),
        }
    }

    /// Whether it stopped before a removal of which nobody knew who made it, and can go on.
    pub fn may_go_on(&self) -> bool {
        match self {
            Self::Copying(_) => false,
            Self::Streaming(stream) => stream.may_go_on(),
        }
    }

    /// How long what could be sent is to wait for more: then [`Self::rush`] is to be called.
    pub fn pace(&self) -> Option<Duration> {
        match self {
            Self::Copying(_) => None,
            Self::Streaming(stream) => stream.pace(),
        }
    }

    /// Sends what waits for more.
    pub fn rush(&mut self, now: Now) {
        if let Self::Streaming(stream) = self {
            stream.rush(now);
        }
    }

    /// The writing half.
    pub fn applier(&mut self) -> &mut Applier {
        match self {
            Self::Copying(copy) => copy.applier(),
            Self::Streaming(stream) => stream.applier(),
        }
    }

    /// The copy is done: the increments follow on the same connections.
    pub fn stream_on(&mut self, stream: impl FnOnce(Applier) -> Stream) {
        let stream = stream(self.applier().hand_over());
        *self = Self::Streaming(Box::new(stream));
    }

    /// Whether nothing more can be brought to an end without more from the source.
    pub fn is_drained(&mut self) -> bool {
        match self {
            Self::Copying(copy) => copy.applier().is_idle(),
            Self::Streaming(stream) => stream.is_drained(),
        }
    }

    /// Bytes of the source's history whose writes the target has applied; 0 while nothing may be acknowledged.
    pub fn acknowledged(&self) -> u64 {
        match self {
            Self::Copying(_) => 0,
            Self::Streaming(stream) => stream.acknowledged(),
        }
    }
}
