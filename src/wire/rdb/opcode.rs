//! What stands between the values of a dump (Redis and Valkey `rdb.h`, RDB_OPCODE_*).

use super::decoder::{Decoder, Source};
use super::intake::held;
use super::layout::{self, Step};
use super::length::{array, number};
use super::measure::{Discard, Measure, Size};
use super::reader::{DumpReader, State, Turn};
use super::text::Span;
use super::{Dialect, Element, Event, Fault, Kind};
use bytes::BytesMut;
use std::sync::Arc;

/// The longest template of hashes, in bytes.
const MAX_TEMPLATE: usize = 64 * 1024 * 1024;

impl DumpReader {
    /// Reads a type code or an opcode, and what follows it.
    pub(super) fn opcode(&mut self, buf: &mut BytesMut) -> Result<Turn, Fault> {
        let Some((&code, rest)) = buf.split_first() else { return Ok(Turn::Starved) };
        match code {
            242 if self.dialect == Dialect::Redis => self.template(buf),
            243 => match self.dialect {
                Dialect::Valkey => Ok(self.pass_over(buf, layout::SLOT_IMPORT, None)),
                Dialect::Redis => {
                    Ok(self.pass_over(buf, layout::KEY_METADATA, Some("module data of a key".to_owned())))
                }
            },
            244 => Ok(self.pass_over(buf, layout::SLOT_INFO, None)),
            245 => self.function(buf),
            242 | 246 => Err(Fault::UnknownOpcode(code)),
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

    fn template(&mut self, buf: &mut BytesMut) -> Result<Turn, Fault> {
        let Some((id, _)) = number(&buf[1..])? else { return Ok(Turn::Starved) };
        let size = match Measure::new(layout::TEMPLATE).run(&buf[1..], MAX_TEMPLATE)? {
            Size::Whole(size) => size,
            Size::Longer => return Err(Fault::Malformed("a template of hashes is too long")),
            Size::Starved => return Ok(Turn::Starved),
        };
        let mut intake = self.intake(buf);
        intake.pass(1);
        let mut decoder = Decoder::new(layout::TEMPLATE, usize::MAX, Arc::default());
        decoder.run(&mut intake.take(size))?;
        let names = decoder.take().into_iter().filter_map(|element| match element {
            Element::Item(name) => Some(name),
            _ => None,
        });
        Arc::make_mut(&mut self.templates).define(id, names)?;
        Ok(Turn::GoOn)
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

    /// Begins to pass over a module's value.
    pub(super) fn module(&mut self, buf: &mut BytesMut, span: Span) -> Result<Turn, Fault> {
        let Some((module, _)) = number(&buf[1 + span.size() as usize..])? else { return Ok(Turn::Starved) };
        let key = self.key(buf, span, Kind::Module)?;
        let what = format!("a value of the module {}", module_name(module));
        self.set_aside(key, layout::MODULE, what);
        Ok(Turn::GoOn)
    }
}

/// A module's name by its id: nine characters of six bits, before ten bits of a version (Redis `module.c`,
/// moduleTypeNameByID).
fn module_name(id: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..9).rev().map(|place| char::from(LETTERS[(id >> (10 + 6 * place) & 0x3f) as usize])).collect()
}
