//! Values of types that are not known. Nothing in the dump tells where such a value ends, but its server does: what it
//! answers to `DUMP` holds the same bytes, as long as the key has not changed since the dump was begun.

use super::decoder::Source;
use super::reader::{DumpReader, State, Turn};
use super::text::Span;
use super::{DumpError, Event, Fault, Kind, Payload};
use bytes::BytesMut;

impl DumpReader {
    /// Consumes a type code that is not known and the key behind it, and stops before the value.
    pub(super) fn unknown(&mut self, buf: &mut BytesMut, span: Span, type_code: u8) -> Result<Turn, Fault> {
        let key = self.key(buf, span, Kind::Unknown)?;
        self.name = Some(key.name.clone());
        self.state = State::Unknown { type_code, passed: 0 };
        Ok(Turn::Event(Event::Unknown { key, type_code }))
    }

    /// After [`Event::Unknown`]: passes over the value at the start of `buf` as far as it is there, and consumes it.
    /// `payload` is what the server that sends the dump answers to `DUMP` of the key, `None` where it no longer has it.
    ///
    /// Gives whether the value has been there as a whole, so that [`Self::next`] goes on; else it is to be called again
    /// with the same payload and more bytes. Anywhere else there is nothing to pass over, and it gives true.
    ///
    /// # Errors
    /// [`Fault::Changed`] when the dump holds another value than the payload: the key was written or deleted since. That and
    /// earlier errors are returned again from then on.
    pub fn skip_body(&mut self, buf: &mut BytesMut, payload: Option<&Payload<'_>>) -> Result<bool, DumpError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let State::Unknown { type_code, passed } = self.state else { return Ok(true) };
        let rest =
            payload.filter(|payload| payload.type_code == type_code).and_then(|payload| payload.body.get(passed..));
        let Some(rest) = rest else { return Err(self.fail(Fault::Changed(type_code))) };
        let here = rest.len().min(buf.len());
        if rest.get(..here) != buf.get(..here) {
            return Err(self.fail(Fault::Changed(type_code)));
        }
        self.intake(buf).pass(here);
        let ended = here == rest.len();
        if ended {
            self.name = None;
            self.state = State::Opcode;
        } else {
            self.state = State::Unknown { type_code, passed: passed + here };
        }
        Ok(ended)
    }
}
