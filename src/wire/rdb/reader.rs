//! Reads a dump as its bytes arrive.

use super::checksum::Checksum;
use super::decoder::{Decoder, Progress, Source};
use super::layout::{self, Step};
use super::length::{array, number};
use super::measure::{Discard, Measure, Size};
use super::text::{Form, Span};
use super::{Dialect, DumpError, Event, Fault, Key, Kind, Record};
use bytes::{Buf, Bytes, BytesMut};

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
    dialect: Dialect,
    database: u32,
    expires_at_ms: Option<i64>,
    name: Option<Bytes>,
    state: State,
    failed: Option<DumpError>,
    consumed: u64,
    sum: Checksum,
}

#[derive(Debug)]
enum State {
    /// At the first bytes.
    Header,
    /// At a type code or an opcode.
    Opcode,
    /// Looking for the end of a value whose key was read.
    Measuring(Box<Measuring>),
    /// In a value that comes in pieces.
    Pieces(Box<Decoder>),
    /// In something that is passed over; the event says what it was.
    Discarding(Discard, Option<Box<Event>>),
    /// At the checksum.
    Checksum,
    /// At the end.
    Ended,
}

#[derive(Debug)]
struct Measuring {
    key: Key,
    type_code: u8,
    steps: &'static [Step],
    measure: Measure,
}

/// What came of looking at the bytes.
#[expect(clippy::large_enum_variant, reason = "it is returned and taken apart at once, for every record")]
enum Turn {
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

    /// Reads what comes next at the start of `buf` and consumes it; `None` when more bytes are needed, and after
    /// [`Event::End`], which leaves what follows the dump in `buf`.
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
                Err(fault) => {
                    let error = DumpError { at: self.consumed, key: self.name.take(), fault };
                    self.failed = Some(error.clone());
                    return Err(error);
                }
            }
        }
    }

    fn turn(&mut self, buf: &mut BytesMut) -> Result<Turn, Fault> {
        match &mut self.state {
            State::Header => self.header(buf),
            State::Opcode => self.opcode(buf),
            State::Measuring(_) => self.measure(buf),
            State::Pieces(_) => self.piece(buf),
            State::Discarding(..) => self.discard(buf),
            State::Checksum => self.end(buf),
            State::Ended => Ok(Turn::Starved),
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

    fn opcode(&mut self, buf: &mut BytesMut) -> Result<Turn, Fault> {
        let Some((&code, rest)) = buf.split_first() else { return Ok(Turn::Starved) };
        match code {
            243 => match self.dialect {
                Dialect::Valkey => Ok(self.pass_over(buf, layout::SLOT_IMPORT, None)),
                Dialect::Redis => {
                    Ok(self.pass_over(buf, layout::KEY_METADATA, Some("module data of a key".to_owned())))
                }
            },
            244 => Ok(self.pass_over(buf, layout::SLOT_INFO, None)),
            245 => self.function(buf),
            246 => Err(Fault::UnknownType(code)),
            247 => {
                let Some((module, _)) = number(rest)? else { return Ok(Turn::Starved) };
                Ok(self.pass_over(buf, layout::MODULE_AUX, Some(format!("data of the module {}", module_name(module)))))
            }
            248 => {
                let Some((_idle_seconds, size)) = number(rest)? else { return Ok(Turn::Starved) };
                self.intake(buf).pass(1 + size);
                Ok(Turn::GoOn)
            }
            249 => self.fixed::<1>(buf, |_, _frequency| {}),
            250 => self.aux(buf),
            251 => self.sizes(buf),
            252 => self.fixed(buf, |reader, bytes| reader.expires_at_ms = Some(i64::from_le_bytes(bytes))),
            253 => self.fixed(buf, |reader, bytes| {
                reader.expires_at_ms = Some(i64::from(i32::from_le_bytes(bytes)) * 1000);
            }),
            254 => self.database(buf),
            255 => {
                self.intake(buf).pass(1);
                self.state = State::Checksum;
                Ok(Turn::GoOn)
            }
            type_code => self.value(buf, type_code),
        }
    }

    /// Consumes an opcode and the `N` bytes that follow it.
    fn fixed<const N: usize>(&mut self, buf: &mut BytesMut, keep: fn(&mut Self, [u8; N])) -> Result<Turn, Fault> {
        let Some(bytes) = array(buf, 1) else { return Ok(Turn::Starved) };
        self.intake(buf).pass(1 + N);
        keep(self, bytes);
        Ok(Turn::GoOn)
    }

    fn database(&mut self, buf: &mut BytesMut) -> Result<Turn, Fault> {
        let Some((database, size)) = number(&buf[1..])? else { return Ok(Turn::Starved) };
        self.database = u32::try_from(database).map_err(|_| Fault::Malformed("a database has too large a number"))?;
        self.intake(buf).pass(1 + size);
        Ok(Turn::Event(Event::Database(self.database)))
    }

    fn sizes(&mut self, buf: &mut BytesMut) -> Result<Turn, Fault> {
        let Some((keys, first)) = number(&buf[1..])? else { return Ok(Turn::Starved) };
        let Some((expires, second)) = number(&buf[1 + first..])? else { return Ok(Turn::Starved) };
        self.intake(buf).pass(1 + first + second);
        Ok(Turn::Event(Event::Sizes { keys, expires }))
    }

    fn function(&mut self, buf: &mut BytesMut) -> Result<Turn, Fault> {
        let Some(code) = held(buf, 1, "a function library")? else { return Ok(Turn::Starved) };
        let mut intake = self.intake(buf);
        intake.pass(1);
        Ok(Turn::Event(Event::Function(intake.string(code)?)))
    }

    fn aux(&mut self, buf: &mut BytesMut) -> Result<Turn, Fault> {
        let Some(name) = held(buf, 1, "the name of a field")? else { return Ok(Turn::Starved) };
        let Some(value) = held(buf, 1 + name.size() as usize, "a field")? else { return Ok(Turn::Starved) };
        let mut intake = self.intake(buf);
        intake.pass(1);
        let (name, value) = (intake.string(name)?, intake.string(value)?);
        if name == "valkey-ver" {
            self.dialect = Dialect::Valkey;
        }
        Ok(Turn::Event(Event::Aux { name, value }))
    }

    /// Begins to pass over what follows an opcode. `what` it is, where that is worth an event.
    fn pass_over(&mut self, buf: &mut BytesMut, steps: &'static [Step], what: Option<String>) -> Turn {
        self.intake(buf).pass(1);
        let event = what.map(|what| Box::new(Event::SetAside { key: None, what }));
        self.state = State::Discarding(Discard::new(steps), event);
        Turn::GoOn
    }

    fn value(&mut self, buf: &mut BytesMut, type_code: u8) -> Result<Turn, Fault> {
        let Some(span) = held(buf, 1, "the name of a key")? else { return Ok(Turn::Starved) };
        let body = 1 + span.size() as usize;
        let Some((kind, steps)) = layout::of_type(self.dialect, type_code) else {
            self.name = self.key(buf, span, Kind::String).ok().map(|key| key.name);
            return Err(Fault::UnknownType(type_code));
        };
        if kind == Kind::Module {
            return self.module(buf, span);
        }
        let mut measure = Measure::new(steps);
        match measure.run(&buf[body..], self.limits.whole_bytes) {
            Ok(Size::Whole(size)) => {
                let key = self.key(buf, span, kind)?;
                let body = self.intake(buf).take(size);
                Ok(Turn::Event(Event::Record(Record { key, dialect: self.dialect, type_code, body })))
            }
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

    /// Consumes a type code and the key behind it.
    #[inline]
    fn key(&mut self, buf: &mut BytesMut, span: Span, kind: Kind) -> Result<Key, Fault> {
        let mut intake = self.intake(buf);
        intake.pass(1);
        let name = intake.string(span)?;
        Ok(Key { database: self.database, name, expires_at_ms: self.expires_at_ms.take(), kind })
    }

    fn module(&mut self, buf: &mut BytesMut, span: Span) -> Result<Turn, Fault> {
        let Some((module, _)) = number(&buf[1 + span.size() as usize..])? else { return Ok(Turn::Starved) };
        let key = self.key(buf, span, Kind::Module)?;
        let what = format!("a value of the module {}", module_name(module));
        self.set_aside(key, layout::MODULE, what);
        Ok(Turn::GoOn)
    }

    fn set_aside(&mut self, key: Key, steps: &'static [Step], what: String) {
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
        self.state = State::Pieces(Box::new(Decoder::new(steps, self.limits.piece_bytes)));
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
    fn intake<'a>(&'a mut self, buf: &'a mut BytesMut) -> Intake<'a> {
        Intake { buf, consumed: &mut self.consumed, sum: &mut self.sum }
    }
}

/// Consumes bytes of the dump, counting and summing them up.
struct Intake<'a> {
    buf: &'a mut BytesMut,
    consumed: &'a mut u64,
    sum: &'a mut Checksum,
}

impl Intake<'_> {
    #[inline]
    fn count(&mut self, size: usize) {
        self.sum.update(&self.buf[..size]);
        *self.consumed += size as u64;
    }

    /// Consumes a string that is there as a whole.
    #[inline]
    fn string(&mut self, span: Span) -> Result<Bytes, Fault> {
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
fn held(bytes: &[u8], at: usize, what: &'static str) -> Result<Option<Span>, Fault> {
    let Some(bytes) = bytes.get(at..) else { return Ok(None) };
    let Some(span) = Span::read(bytes)? else { return Ok(None) };
    let span = span.bounded(what)?;
    Ok((span.size() <= bytes.len() as u64).then_some(span))
}

/// A module's name by its id: nine characters of six bits, before ten bits of a version (Redis `module.c`,
/// moduleTypeNameByID).
fn module_name(id: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..9).rev().map(|place| char::from(LETTERS[(id >> (10 + 6 * place) & 0x3f) as usize])).collect()
}
