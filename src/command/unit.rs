//! What of a key a command decides: two writes of different units of one key don't disturb each other.

use super::Spec;
use crate::wire::resp::Command;

/// What a command decides about the keys that it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nothing of the data.
    Nothing,
    /// All keys of one or more databases.
    Database,
    /// The whole value, and its time to live.
    Whole,
    /// The time to live of a key that stays as it is.
    Lifetime,
    /// A number that is added to: additions may change places.
    Counter,
    /// Some fields of a hash, members of a set or sorted set, places of an array.
    Element(Elements),
    /// Numbers inside: a field of a hash or the score of a member that is added to.
    ElementCounter(Elements),
    /// Bits at some offsets of a string.
    Bits(Elements),
    /// The value as something with an order (list, stream, string that is appended to, ranges of a sorted set): what is done
    /// to it may not change places with anything else done to it.
    Sequence,
    /// The registers of a HyperLogLog: additions may change places.
    Registers,
}

/// Where a command names the elements that it decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elements {
    /// One argument.
    At(usize),
    /// Every `step`th argument from `first`.
    Every {
        /// The first element's index.
        first: usize,
        /// From one to the next.
        step: usize,
    },
    /// Behind `FIELDS count`, every `step`th argument.
    Fields {
        /// From one to the next.
        step: usize,
    },
    /// Behind the options of ZADD or GEOADD, the last of every group.
    Scored {
        /// Arguments of one member.
        group: usize,
    },
    /// Behind the vector of VADD.
    Vector,
    /// Not named one by one: any element may be meant.
    Unnamed,
}

impl Spec {
    /// What `command`, which must be one of this spec, decides: [`Spec::unit`], except that `ZADD .. INCR` adds.
    pub fn unit_of(&self, command: &Command<'_>) -> Unit {
        match self.unit {
            Unit::Element(elements @ Elements::Scored { .. }) if scored(command).increment => {
                Unit::ElementCounter(elements)
            }
            unit @ (Unit::Nothing
            | Unit::Database
            | Unit::Whole
            | Unit::Lifetime
            | Unit::Counter
            | Unit::Element(_)
            | Unit::ElementCounter(_)
            | Unit::Bits(_)
            | Unit::Sequence
            | Unit::Registers) => unit,
        }
    }

    /// The elements that `command`, which must be one of this spec, names; none where its unit has none.
    pub fn elements<'c>(&self, command: &Command<'c>) -> ElementsOf<'c> {
        let (next, end, step) = match self.unit {
            Unit::Element(elements) | Unit::ElementCounter(elements) | Unit::Bits(elements) => span(elements, command),
            Unit::Nothing
            | Unit::Database
            | Unit::Whole
            | Unit::Lifetime
            | Unit::Counter
            | Unit::Sequence
            | Unit::Registers => (0, 0, 1),
        };
        ElementsOf { command: *command, next, end: end.min(command.len()), step }
    }
}

/// The elements that a command names.
#[derive(Debug, Clone)]
pub struct ElementsOf<'c> {
    command: Command<'c>,
    next: usize,
    end: usize,
    step: usize,
}

impl<'c> Iterator for ElementsOf<'c> {
    type Item = &'c [u8];

    fn next(&mut self) -> Option<&'c [u8]> {
        if self.next >= self.end {
            return None;
        }
        let element = self.command.arg(self.next);
        self.next += self.step;
        Some(element)
    }
}

/// The first element, the end, and the distance between two.
fn span(elements: Elements, command: &Command<'_>) -> (usize, usize, usize) {
    match elements {
        Elements::At(index) => (index, index + 1, 1),
        Elements::Every { first, step } => (first, command.len(), step),
        Elements::Fields { step } => match fields(command, step) {
            Some(fields) => (fields.start, fields.end, step),
            None => (0, 0, 1),
        },
        Elements::Scored { group } => (scored(command).first + group - 1, command.len(), group),
        Elements::Vector => {
            let index = vector_element(command);
            (index, index + 1, 1)
        }
        Elements::Unnamed => (0, 0, 1),
    }
}

/// Where what belongs to `FIELDS count` lies, `step` arguments each; `None` when it is not there as a whole.
pub(super) fn fields(command: &Command<'_>, step: usize) -> Option<std::ops::Range<usize>> {
    let word = 2 + command.args().skip(2).position(|argument| argument.eq_ignore_ascii_case(b"FIELDS"))?;
    let count: usize = std::str::from_utf8(command.arg(word + 1)).ok()?.parse().ok()?;
    let start = word + 2;
    let end = start.checked_add(count.checked_mul(step)?)?;
    (count > 0 && end <= command.len()).then_some(start..end)
}

/// The options of ZADD and GEOADD.
pub(super) struct Scored {
    /// The index of the first score.
    pub first: usize,
    /// Whether NX, XX, GT or LT is among them.
    pub conditional: bool,
    /// Whether GT or LT is, which 6.2 brought.
    pub comparing: bool,
    /// Whether INCR is.
    pub increment: bool,
    /// Whether CH is.
    pub changed: bool,
}

/// Reads the options of ZADD and GEOADD, which stand before the first score.
pub(super) fn scored(command: &Command<'_>) -> Scored {
    let mut options = Scored { first: 2, conditional: false, comparing: false, increment: false, changed: false };
    loop {
        let word = command.arg(options.first);
        let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
        if is(b"NX") || is(b"XX") {
            options.conditional = true;
        } else if is(b"GT") || is(b"LT") {
            options.conditional = true;
            options.comparing = true;
        } else if is(b"INCR") {
            options.increment = true;
        } else if is(b"CH") {
            options.changed = true;
        } else {
            return options;
        }
        options.first += 1;
    }
}

/// The index of the element in `VADD key [REDUCE dim] (FP32 blob | VALUES count number ..) element ..`.
fn vector_element(command: &Command<'_>) -> usize {
    let form = if command.arg(2).eq_ignore_ascii_case(b"REDUCE") { 4 } else { 2 };
    if !command.arg(form).eq_ignore_ascii_case(b"VALUES") {
        return form + 2;
    }
    let count: usize = std::str::from_utf8(command.arg(form + 1)).ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    count.saturating_add(form + 2).min(command.len())
}
