//! Reads a dump as its bytes arrive.

use super::checksum::Checksum;
use super::decoder::{Decoder, Progress, Source};
use super::intake::{Intake, held};
use super::layout::{self, Step};
use super::length::array;
use super::measure::{self, Discard, Measure, Size};
use super::template::Templates;
use super::text::Span;
use super::{Dialect, DumpError, Event, Fault, Key, Kind, Record};
use bytes::{Buf, Bytes, BytesMut};
use std::sync::Arc;

/// The size of a dump's first bytes: the family's name and a version in digits.
const HEADER: usize = 9;

/// The first version that has a checksum at its end.
const CHECKSUM_SINCE: u32 = 5;

/// How much of a dump is held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest encoding of a value, in bytes, with which it comes whole.
    pub whole_bytes: usize,
    /// About how much memory a piece of a longer value takes, in bytes. One element, and one packed node of elements, is
    /// held whole even when it is longer, up to [`super::MAX_HELD`].
    pub piece_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { whole_bytes: 256 * 1024, piece_bytes: 256 * 1024 }
    }
}

/// Reads a dump as its bytes arrive.
///
/// Besides the bytes that the caller buffers it holds at most one piece and one packed node of elements, and, in a stream,
/// 32 bytes for each pending entry of one group.
#[derive(Debug)]
pub struct DumpReader {
    limits: Limits,
    version: u32,
    pub(super) dialect: Dialect,
    pub(super) database: u32,
    pub(super) expires_at_ms: Option<i64>,
    pub(super) name: Option<Bytes>,
    pub(super) templates: Arc<Templates>,
    pub(super) state: State,
    pub(super) failed: Option<DumpError>,
    consumed: u64,
    sum: Checksum,
}

#[derive(Debug)]
pub(super) enum State {
    /// At the first bytes.
    Header,
    /// At a type code or an opcode.
    Opcode,
    /// Looking for the end of a value whose key was read.
    Measuring(Box<Measuring>),
    /// In a value that comes in pieces.
    Pieces(Box<Decoder>),
    /// Before the rest of a value of an unknown type, of which so many bytes were passed over.
    Unknown { type_code: u8, passed: usize },
    /// In something that is passed over; the event says what it was.
    Discarding(Discard, Option<Box<Event>>),
    /// At the checksum.
    Checksum,
    /// At the end.
    Ended,
}

#[derive(Debug)]
pub(super) struct Measuring {
    key: Key,
    type_code: u8,
    steps: &'static [Step],
    measure: Measure,
}

/// What came of looking at the bytes.
pub(super) enum Turn {
    Event(Event),
    GoOn,
    Starved,
}

impl DumpReader {
    /// A reader at the start of a dump.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            version: 0,
            dialect: Dialect::Redis,
            database: 0,
            expires_at_ms: None,
            name: None,
            templates: Arc::default(),
            state: State::Header,
            failed: None,
            consumed: 0,
            sum: Checksum::new(),
        }
    }

    /// How many bytes of the dump were consumed.
    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// The dialect, as far as it is known.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Reads what comes next at the start of `buf` and consumes it; `None` when more bytes are needed, after
    /// [`Event::End`], which leaves what follows the dump in `buf`, and between [`Event::Unknown`] and the end of that
    /// value.
    ///
    /// What it returns shares the memory of `buf`. Of a value that comes whole, `buf` must be able to hold all bytes.
    ///
    /// # Errors
    /// [`DumpError`] when this is no dump, or one that can't be read on. It is returned again from then on.
    pub fn next(&mut self, buf: &mut BytesMut) -> Result<Option<Event>, DumpError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        loop {
            match self.turn(buf) {
                Ok(Turn::Event(event)) => return Ok(Some(event)),
                Ok(Turn::GoOn) => {}
                Ok(Turn::Starved) => return Ok(None),
                Err(fault) => return Err(self.fail(fault)),
            }
        }
    }

    /// The error that a fault here is, from now on.
    pub(super) fn fail(&mut self, fault: Fault) -> DumpError {
        let error = DumpError { at: self.consumed, key: self.name.take(), fault };
        self.failed = Some(error.clone());
        error
    }

    fn turn(&mut self, buf: &mut BytesMut) -> Result<Turn, Fault> {
        match &mut self.state {
            State::Header => self.header(buf),
            State::Opcode => self.opcode(buf),
            State::Measuring(_) => self.measure(buf),
            State::Pieces(_) => self.piece(buf),
            State::Discarding(..) => self.discard(buf),
            State::Checksum => self.end(buf),
            State::Unknown { .. } | State::Ended => Ok(Turn::Starved),
        }
    }

    fn header(&mut self, buf: &mut BytesMut) -> Result<Turn, Fault> {
        let Some(header) = buf.get(..HEADER) else { return Ok(Turn::Starved) };
        let (dialect, digits) = match (header.strip_prefix(b"REDIS"), header.strip_prefix(b"VALKEY")) {
            (Some(digits), _) => (Dialect::Redis, digits),
            (_, Some(digits)) => (Dialect::Valkey, digits),
            _ => return Err(Fault::NotADump),
        };
        let version = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        let version = version.filter(|&version: &u32| version > 0).ok_or(Fault::NotADump)?;
        (self.version, self.dialect) = (version, dialect);
        self.intake(buf).pass(HEADER);
        self.state = State::Opcode;
        Ok(Turn::Event(Event::Header { version, dialect }))
    }

    pub(super) fn value(&mut self, buf: &mut BytesMut, type_code: u8) -> Result<Turn, Fault> {
        let Some(span) = held(buf, 1, "the name of a key")? else { return Ok(Turn::Starved) };
        let body = 1 + span.size() as usize;
        let Some((kind, steps)) = layout::of_type(self.dialect, type_code) else {
            return self.unknown(buf, span, type_code);
        };
        if kind == Kind::Module {
            return self.module(buf, span);
        }
        if layout::needs_template(self.dialect, type_code) {
            let key = self.key(buf, span, kind)?;
            return Ok(self.begin(key, steps));
        }
        let limit = self.limits.whole_bytes;
        if let Some(size) = measure::single(steps, &buf[body..], limit) {
            return self.record(buf, span, kind, type_code, size);
        }
        let mut measure = Measure::new(steps);
        match measure.run(&buf[body..], limit) {
            Ok(Size::Whole(size)) => self.record(buf, span, kind, type_code, size),
            Ok(Size::Longer) => {
                let key = self.key(buf, span, kind)?;
                Ok(self.begin(key, steps))
            }
            Ok(Size::Starved) => {
                let key = self.key(buf, span, kind)?;
                self.state = State::Measuring(Box::new(Measuring { key, type_code, steps, measure }));
                Ok(Turn::Starved)
            }
            Err(fault) => {
                self.name = self.key(buf, span, kind).ok().map(|key| key.name);
                Err(fault)
            }
        }
    }

    /// Consumes a type code, the key and a value of `size` bytes.
    #[inline]
    fn record(
        &mut self,
        buf: &mut BytesMut,
        span: Span,
        kind: Kind,
        type_code: u8,
        size: usize,
    ) -> Result<Turn, Fault> {
        let key = self.key(buf, span, kind)?;
        let body = self.intake(buf).take(size);
        Ok(Turn::Event(Event::Record(Record { key, dialect: self.dialect, type_code, body })))
    }

    /// Consumes a type code and the key behind it.
    #[inline]
    pub(super) fn key(&mut self, buf: &mut BytesMut, span: Span, kind: Kind) -> Result<Key, Fault> {
        let mut intake = self.intake(buf);
        intake.pass(1);
        let name = intake.string(span)?;
        Ok(Key { database: self.database, name, expires_at_ms: self.expires_at_ms.take(), kind })
    }

    pub(super) fn set_aside(&mut self, key: Key, steps: &'static [Step], what: String) {
        self.name = Some(key.name.clone());
        let event = Event::SetAside { key: Some(key), what };
        self.state = State::Discarding(Discard::new(steps), Some(Box::new(event)));
    }

    /// Begins a value that is too long to come whole.
    fn begin(&mut self, key: Key, steps: &'static [Step]) -> Turn {
        if key.kind == Kind::Array {
            self.set_aside(key, steps, "an array too long to be restored as a whole".to_owned());
            return Turn::GoOn;
        }
        self.name = Some(key.name.clone());
        self.state = State::Pieces(Box::new(Decoder::new(steps, self.limits.piece_bytes, self.templates.clone())));
        Turn::Event(Event::Begin(key))
    }

    fn measure(&mut self, buf: &mut BytesMut) -> Result<Turn, Fault> {
        let State::Measuring(measuring) = &mut self.state else { return Ok(Turn::GoOn) };
        let size = match measuring.measure.run(buf, self.limits.whole_bytes) {
            Ok(Size::Starved) => return Ok(Turn::Starved),
            Ok(size) => size,
            Err(fault) => {
                self.name = Some(measuring.key.name.clone());
                return Err(fault);
            }
        };
        let State::Measuring(measuring) = std::mem::replace(&mut self.state, State::Opcode) else {
            return Ok(Turn::GoOn);
        };
        match size {
            Size::Whole(size) => {
                let body = self.intake(buf).take(size);
                let (key, type_code) = (measuring.key, measuring.type_code);
                Ok(Turn::Event(Event::Record(Record { key, dialect: self.dialect, type_code, body })))
            }
            Size::Longer | Size::Starved => Ok(self.begin(measuring.key, measuring.steps)),
        }
    }

    fn piece(&mut self, buf: &mut BytesMut) -> Result<Turn, Fault> {
        let State::Pieces(decoder) = &mut self.state else { return Ok(Turn::GoOn) };
        let progress = decoder.run(&mut Intake { buf, consumed: &mut self.consumed, sum: &mut self.sum })?;
        if progress == Progress::Starved {
            return Ok(Turn::Starved);
        }
        let piece = decoder.take();
        if progress == Progress::Finished && piece.is_empty() {
            self.name = None;
            self.state = State::Opcode;
            return Ok(Turn::Event(Event::Finish));
        }
        Ok(Turn::Event(Event::Piece(piece)))
    }

    fn discard(&mut self, buf: &mut BytesMut) -> Result<Turn, Fault> {
        let State::Discarding(discard, event) = &mut self.state else { return Ok(Turn::GoOn) };
        let (size, ended) = discard.run(buf)?;
        let event = event.take_if(|_| ended);
        self.intake(buf).pass(size);
        if !ended {
            return Ok(Turn::Starved);
        }
        self.name = None;
        self.state = State::Opcode;
        Ok(event.map_or(Turn::GoOn, |event| Turn::Event(*event)))
    }

    fn end(&mut self, buf: &mut BytesMut) -> Result<Turn, Fault> {
        if self.version >= CHECKSUM_SINCE {
            let Some(stored) = array(buf, 0).map(u64::from_le_bytes) else { return Ok(Turn::Starved) };
            let computed = self.sum.value();
            if stored != 0 && stored != computed {
                return Err(Fault::Checksum { stored, computed });
            }
            buf.advance(8);
            self.consumed += 8;
        }
        self.state = State::Ended;
        Ok(Turn::Event(Event::End))
    }

    #[inline]
    pub(super) fn intake<'a>(&'a mut self, buf: &'a mut BytesMut) -> Intake<'a> {
        Intake { buf, consumed: &mut self.consumed, sum: &mut self.sum }
    }
}
