//! Where a value ends: a walk over the parts of its layout, which can stop at any byte and go on.

use super::Fault;
use super::layout::{Step, after_opcode, tagged};
use super::length::number;
use super::text::Span;

/// How deep the steps of any layout lie in each other: a consumer's pending entries in a consumer in a group in a stream.
const DEPTH: usize = 4;

/// A place in a layout.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    frames: [Frame; DEPTH],
    depth: usize,
    chosen: Option<Step>,
    count: u64,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    steps: &'static [Step],
    at: usize,
    rounds: u64,
}

impl Walk {
    /// The start of a layout.
    #[inline]
    pub(super) fn new(steps: &'static [Step]) -> Self {
        let nothing = Frame { steps: &[], at: 0, rounds: 0 };
        let first = Frame { steps, at: 0, rounds: 1 };
        Self { frames: [first, nothing, nothing, nothing], depth: 1, chosen: None, count: 0 }
    }

    /// The step at the place, or `None` at the end of the layout.
    #[inline]
    pub(super) fn step(&self) -> Option<Step> {
        if self.chosen.is_some() {
            return self.chosen;
        }
        let top = self.frames.get(self.depth.checked_sub(1)?)?;
        top.steps.get(top.at).copied()
    }

    /// Goes past the step at the place, for which `number` was read, where it has one.
    ///
    /// # Errors
    /// [`Fault::Malformed`] for a tag or an opcode that is not known.
    #[inline]
    pub(super) fn pass(&mut self, number: u64) -> Result<(), Fault> {
        let Some(top) = self.depth.checked_sub(1).and_then(|at| self.frames.get_mut(at)) else { return Ok(()) };
        let Some(step) = top.steps.get(top.at) else { return Ok(()) };
        let chosen = self.chosen.take();
        match *step {
            Step::Number(_) | Step::String(_) | Step::Packed(..) | Step::Raw(..) | Step::Digits => self.leave(),
            Step::Each(_, inner) => self.enter(inner, number),
            Step::Count => {
                self.count = number;
                self.leave();
            }
            Step::Repeat(inner) => self.enter(inner, self.count),
            Step::Tagged if chosen.is_some() => self.leave(),
            Step::Tagged => {
                let part = tagged(number).ok_or(Fault::Malformed("an array has an element of an unknown form"))?;
                self.chosen = Some(part);
            }
            Step::Opcodes if chosen.is_some() => {}
            Step::Opcodes if number == 0 => self.leave(),
            Step::Opcodes => {
                let part = after_opcode(number).ok_or(Fault::Malformed("module data has an unknown opcode"))?;
                self.chosen = Some(part);
            }
        }
        Ok(())
    }

    /// Sets how many times the next [`Step::Repeat`] repeats its steps.
    pub(super) fn repeat(&mut self, count: u64) {
        self.count = count;
    }

    fn enter(&mut self, steps: &'static [Step], rounds: u64) {
        match self.frames.get_mut(self.depth) {
            Some(frame) if rounds > 0 => {
                *frame = Frame { steps, at: 0, rounds };
                self.depth += 1;
            }
            _ => self.leave(),
        }
    }

    fn leave(&mut self) {
        while let Some(top) = self.depth.checked_sub(1).and_then(|at| self.frames.get_mut(at)) {
            top.at += 1;
            if top.at < top.steps.len() {
                return;
            }
            top.rounds = top.rounds.saturating_sub(1);
            if top.rounds > 0 {
                top.at = 0;
                return;
            }
            self.depth -= 1;
        }
    }
}

/// How much of the dump a step takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Its size in bytes.
    pub(super) size: u64,
    /// The number that it is or begins with, 0 where it has none.
    pub(super) number: u64,
}

/// Reads how much `step` takes from its first `bytes`, or `None` when more bytes are needed to know.
///
/// # Errors
/// [`Fault::Malformed`] when the bytes can't be the step's.
#[inline]
pub(super) fn extent(step: Step, bytes: &[u8]) -> Result<Option<Extent>, Fault> {
    match step {
        Step::String(_) | Step::Packed(..) => {
            Ok(Span::read(bytes)?.map(|span| Extent { size: span.size(), number: 0 }))
        }
        Step::Number(_) | Step::Each(..) | Step::Count | Step::Tagged | Step::Opcodes => {
            Ok(number(bytes)?.map(|(number, size)| Extent { size: size as u64, number }))
        }
        Step::Raw(size, _) => Ok(Some(Extent { size: size as u64, number: 0 })),
        Step::Digits => Ok(bytes.first().map(|&first| Extent { size: 1 + u64::from(score_digits(first)), number: 0 })),
        Step::Repeat(_) => Ok(Some(Extent { size: 0, number: 0 })),
    }
}

/// How many digits follow the first byte of a score; 253, 254 and 255 stand for NaN and the infinities.
pub(super) fn score_digits(first: u8) -> u8 {
    if first >= 253 { 0 } else { first }
}

/// A value of which the end is being looked for.
#[derive(Debug, Clone)]
pub(super) struct Measure {
    walk: Walk,
    at: usize,
}

/// What is known of a value's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// It is there as a whole, with so many bytes.
    Whole(usize),
    /// It is longer than was asked for.
    Longer,
    /// More bytes are needed.
    Starved,
}

impl Measure {
    /// A value of the layout.
    #[inline]
    pub(super) fn new(steps: &'static [Step]) -> Self {
        Self { walk: Walk::new(steps), at: 0 }
    }

    /// Goes on looking for the end in `bytes`, which start where the value starts, as far as `limit` bytes.
    ///
    /// Costs no more for a value that comes in many reads: what was measured is not looked at again.
    ///
    /// # Errors
    /// [`Fault`] when the bytes can't be a value of the layout.
    #[inline]
    pub(super) fn run(&mut self, bytes: &[u8], limit: usize) -> Result<Size, Fault> {
        while let Some(step) = self.walk.step() {
            let Some(extent) = extent(step, bytes.get(self.at..).unwrap_or_default())? else {
                return Ok(Size::Starved);
            };
            let end = (self.at as u64).saturating_add(extent.size);
            if end > limit as u64 {
                return Ok(Size::Longer);
            }
            if end > bytes.len() as u64 {
                return Ok(Size::Starved);
            }
            self.at += extent.size as usize;
            self.walk.pass(extent.number)?;
        }
        Ok(Size::Whole(self.at))
    }
}

/// The size of a value that is a single string, as most are, when it is there as a whole with at most `limit` bytes.
#[inline]
pub(super) fn single(steps: &[Step], bytes: &[u8], limit: usize) -> Option<usize> {
    match steps {
        [Step::String(_) | Step::Packed(..)] => {
            let size = usize::try_from(Span::read(bytes).ok()??.size()).ok()?;
            (size <= limit.min(bytes.len())).then_some(size)
        }
        _ => None,
    }
}

/// A value that is passed over without being held.
#[derive(Debug, Clone)]
pub(super) struct Discard {
    walk: Walk,
    left: u64,
}

impl Discard {
    /// A value of the layout.
    pub(super) fn new(steps: &'static [Step]) -> Self {
        Self { walk: Walk::new(steps), left: 0 }
    }

    /// Passes over what it can of `bytes`: how many, and whether the value ends there.
    ///
    /// # Errors
    /// [`Fault`] when the bytes can't be a value of the layout.
    pub(super) fn run(&mut self, bytes: &[u8]) -> Result<(usize, bool), Fault> {
        let mut at = 0;
        loop {
            let here = self.left.min((bytes.len() - at) as u64);
            at += here as usize;
            self.left -= here;
            if self.left > 0 {
                return Ok((at, false));
            }
            let Some(step) = self.walk.step() else { return Ok((at, true)) };
            let Some(extent) = extent(step, bytes.get(at..).unwrap_or_default())? else { return Ok((at, false)) };
            self.left = extent.size;
            self.walk.pass(extent.number)?;
        }
    }
}
