//! The front of a reader's buffer: what is consumed of it is counted and summed up.

use super::Fault;
use super::checksum::Checksum;
use super::decoder::Source;
use super::text::{Form, Span};
use bytes::{Buf, Bytes, BytesMut};

/// Consumes bytes of the dump, counting and summing them up.
pub(super) struct Intake<'a> {
    pub(super) buf: &'a mut BytesMut,
    pub(super) consumed: &'a mut u64,
    pub(super) sum: &'a mut Checksum,
}

impl Intake<'_> {
    #[inline]
    fn count(&mut self, size: usize) {
        self.sum.update(&self.buf[..size]);
        *self.consumed += size as u64;
    }

    /// Consumes a string that is there as a whole.
    #[inline]
    pub(super) fn string(&mut self, span: Span) -> Result<Bytes, Fault> {
        self.count(span.size() as usize);
        if span.form != Form::Raw {
            return span.decode(self.buf.split_to(span.size() as usize).freeze());
        }
        self.buf.advance(span.head);
        Ok(self.buf.split_to(span.length as usize).freeze())
    }
}

impl Source for Intake<'_> {
    fn bytes(&self) -> &[u8] {
        self.buf
    }

    #[inline]
    fn take(&mut self, size: usize) -> Bytes {
        self.count(size);
        self.buf.split_to(size).freeze()
    }

    #[inline]
    fn pass(&mut self, size: usize) {
        self.count(size);
        self.buf.advance(size);
    }
}

/// Where the string at `at` lies, when it is there as a whole and not too long to be held.
pub(super) fn held(bytes: &[u8], at: usize, what: &'static str) -> Result<Option<Span>, Fault> {
    let Some(bytes) = bytes.get(at..) else { return Ok(None) };
    let Some(span) = Span::read(bytes)? else { return Ok(None) };
    let span = span.bounded(what)?;
    Ok((span.size() <= bytes.len() as u64).then_some(span))
}
