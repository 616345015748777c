//! A value's bytes to its elements, in pieces of bounded size.

use super::assembly::Assembly;
use super::layout::{Part, Step};
use super::lzf::Expander;
use super::measure::{Walk, extent};
use super::template::Templates;
use super::text::{Form, Span};
use super::{Element, Fault};
use bytes::Bytes;
use std::sync::Arc;

/// Where a decoder takes its bytes from.
pub(super) trait Source {
    /// The bytes that are there.
    fn bytes(&self) -> &[u8];
    /// Takes the first `size` of them, which are there.
    fn take(&mut self, size: usize) -> Bytes;
    /// Passes over the first `size` of them, which are there.
    fn pass(&mut self, size: usize);
}

impl Source for Bytes {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn take(&mut self, size: usize) -> Bytes {
        self.split_to(size)
    }

    fn pass(&mut self, size: usize) {
        bytes::Buf::advance(self, size);
    }
}

/// How far a decoder got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is a piece to take.
    Full,
    /// More bytes are needed.
    Starved,
    /// The value ends; there may be a last piece to take.
    Finished,
}

/// Decodes one value.
#[derive(Debug)]
pub(super) struct Decoder {
    walk: Walk,
    assembly: Assembly,
    text: LongText,
    piece: Vec<Element>,
    weight: usize,
    piece_bytes: usize,
}

/// How far a plain string was decoded.
#[derive(Debug)]
enum LongText {
    Head,
    Raw(u64),
    Compressed(Box<Expander>),
}

impl Decoder {
    /// A decoder of a value of the layout, which may refer to `templates`. Its pieces take about `piece_bytes` of memory.
    pub(super) fn new(steps: &'static [Step], piece_bytes: usize, templates: Arc<Templates>) -> Self {
        Self {
            walk: Walk::new(steps),
            assembly: Assembly::new(templates),
            text: LongText::Head,
            piece: Vec::new(),
            weight: 0,
            piece_bytes: piece_bytes.max(1),
        }
    }

    /// Takes the elements that were decoded since the last time, at least one unless the value has no more.
    pub(super) fn take(&mut self) -> Vec<Element> {
        self.weight = 0;
        std::mem::take(&mut self.piece)
    }

    /// Decodes from `source` until a piece is full, more bytes are needed or the value ends.
    ///
    /// # Errors
    /// [`Fault`] when the bytes can't be a value of the layout.
    pub(super) fn run<S: Source>(&mut self, source: &mut S) -> Result<Progress, Fault> {
        loop {
            while self.weight < self.piece_bytes
                && let Some(element) = self.assembly.next_packed()?
            {
                self.push(element);
            }
            if self.weight >= self.piece_bytes {
                return Ok(Progress::Full);
            }
            let Some(step) = self.walk.step() else { return Ok(Progress::Finished) };
            let went_on = match step {
                Step::String(Part::Text) => self.long_text(source)?,
                step => self.step(source, step)?,
            };
            if !went_on {
                return Ok(Progress::Starved);
            }
        }
    }

    fn push(&mut self, element: Element) {
        self.weight = self.weight.saturating_add(element.weight());
        self.piece.push(element);
    }

    /// Decodes one part, or returns false when it isn't there as a whole.
    fn step<S: Source>(&mut self, source: &mut S, step: Step) -> Result<bool, Fault> {
        let bytes = source.bytes();
        let Some(extent) = extent(step, bytes)? else { return Ok(false) };
        let span = match step {
            Step::String(_) | Step::Packed(..) => match Span::read(bytes)? {
                Some(span) => Some(span.bounded("an element")?),
                None => return Ok(false),
            },
            _ => None,
        };
        let Some(part) = usize::try_from(extent.size).ok().and_then(|size| bytes.get(..size)) else { return Ok(false) };
        let size = part.len();
        let element = match (step, span) {
            (Step::Raw(_, part_name), _) => {
                let element = self.assembly.raw(part_name, part)?;
                source.pass(size);
                element
            }
            (Step::Digits, _) => {
                let element = self.assembly.digits(part)?;
                source.pass(size);
                element
            }
            (Step::Number(name) | Step::Each(name, _), _) => {
                source.pass(size);
                self.assembly.number(name, extent.number)?
            }
            (Step::String(name), Some(span)) => {
                let text = span.decode(source.take(size))?;
                self.assembly.string(name, text)?
            }
            (Step::Packed(packing, name), Some(span)) => {
                let text = span.decode(source.take(size))?;
                self.assembly.packed(packing, name, text)?
            }
            _ => {
                source.pass(size);
                None
            }
        };
        if let Step::Number(Part::TemplateId) = step {
            self.walk.repeat(self.assembly.template_size());
        }
        self.walk.pass(extent.number)?;
        if let Some(element) = element {
            self.push(element);
        }
        Ok(true)
    }

    /// Decodes a part of a plain string, or returns false when too little of it is there.
    fn long_text<S: Source>(&mut self, source: &mut S) -> Result<bool, Fault> {
        match &mut self.text {
            LongText::Head => {
                let Some(span) = Span::read(source.bytes())? else { return Ok(false) };
                match span.form {
                    Form::Integer => return self.step(source, Step::String(Part::Text)),
                    Form::Raw => self.text = LongText::Raw(span.length),
                    Form::Compressed(expanded) => {
                        self.text = LongText::Compressed(Box::new(Expander::new(span.length, expanded)?));
                    }
                }
                source.pass(span.head);
                Ok(true)
            }
            LongText::Raw(left) => {
                let wanted = usize::try_from(*left).unwrap_or(usize::MAX).min(self.piece_bytes);
                if source.bytes().len() < wanted {
                    return Ok(false);
                }
                *left -= wanted as u64;
                if *left == 0 {
                    self.walk.pass(0)?;
                }
                self.push(Element::Text(source.take(wanted)));
                Ok(true)
            }
            LongText::Compressed(expander) => {
                let used = expander.push(source.bytes(), self.piece_bytes)?;
                source.pass(used);
                if expander.ready() < self.piece_bytes && !expander.is_complete() {
                    return Ok(false);
                }
                let text = expander.take();
                if expander.is_done() {
                    self.walk.pass(0)?;
                }
                self.push(Element::Text(text));
                Ok(true)
            }
        }
    }
}
