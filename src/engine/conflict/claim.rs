//! What one write decides of one key.

use crate::command::{Access, KeyUse, Spec, Unit};
use crate::wire::resp::{Command, command as request};

/// What a write decides of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim<'a> {
    /// The whole value, whatever was there.
    Whole,
    /// The time to live: Unix milliseconds, `i64::MAX` for none.
    Lifetime(i64),
    /// A number that is added to.
    Counter,
    /// The registers of a HyperLogLog, which only grow.
    Registers,
    /// These elements.
    Elements {
        /// Their names.
        names: Vec<&'a [u8]>,
        /// Whether they go.
        removes: bool,
    },
    /// Numbers in these elements that are added to.
    ElementCounters(Vec<&'a [u8]>),
    /// The value, in a way that depends on all of it.
    Sequence,
    /// Nothing: what it writes elsewhere depends on this value.
    Read,
}

/// A claim with what else has to be known of the write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed<'a> {
    /// What it decides.
    pub claim: Claim<'a>,
    /// Whether the write, narrowed to this key, may be executed again.
    pub alone: bool,
    /// The type of value that it is for; 0 for any.
    pub family: u8,
}

/// What of a write is executed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// All that it decides of the key.
    Key,
    /// One element.
    Element(Vec<u8>),
}

/// What `command` decides of the key that `used` names.
pub fn claim<'a>(command: &Command<'a>, spec: &Spec, used: &KeyUse<'a>) -> Claimed<'a> {
    let alone = !is_of_several(spec, command);
    let family = spec.family();
    let claim = match used.access {
        Access::Read => Claim::Read,
        Access::Write if replaces(command, spec, used) => Claim::Whole,
        Access::Write => Claim::Sequence,
        Access::ReadWrite if depends(command, spec) => Claim::Sequence,
        Access::ReadWrite => of_unit(command, spec),
    };
    Claimed { claim, alone, family: if matches!(spec.name, "DEL" | "UNLINK" | "RESTORE") { 0 } else { family } }
}

/// Whether `command` sets or removes the whole value of the key that `used` names, whatever was there: not where that is one
/// of the values that it reads.
pub fn replaces(command: &Command<'_>, spec: &Spec, used: &KeyUse<'_>) -> bool {
    let is_read = || spec.keys(command).any(|other| other.access != Access::Write && other.key == used.key);
    used.access == Access::Write && !keeps_lifetime(command, spec) && !is_read()
}

/// Whether `command` changes a key that stays, so that it lives until some time.
pub fn sets_lifetime(spec: &Spec, command: &Command<'_>) -> bool {
    lifetime_of(spec, command) == Some(true)
}

/// Whether `command` sets a time to live; nothing where it leaves that as it is. One that replaces the value and sets none
/// counts as leaving it.
pub fn lifetime_of(spec: &Spec, command: &Command<'_>) -> Option<bool> {
    match spec.unit_of(command) {
        Unit::Lifetime => Some(spec.name != "PERSIST"),
        Unit::Whole if spec.name == "SET" && command.len() > 4 => Some(true),
        Unit::Whole if spec.name == "RESTORE" => Some(true),
        _ if keeps_lifetime(command, spec) => Some(false),
        _ => None,
    }
}

/// `command` as it concerns only `key`, and only `part` of it; `None` where there is no such form.
pub fn narrow(command: &Command<'_>, spec: &Spec, key: &[u8], part: &Part) -> Option<Vec<u8>> {
    match part {
        Part::Key => narrow_to_key(command, spec, key),
        Part::Element(element) => narrow_to_element(command, spec, element),
    }
}

fn narrow_to_key(command: &Command<'_>, spec: &Spec, key: &[u8]) -> Option<Vec<u8>> {
    let mut used = spec.keys(command);
    let single = used.next().is_some() && used.next().is_none();
    match spec.name {
        _ if single => Some(whole(command)),
        "DEL" | "UNLINK" => Some(request(&[command.name(), key])),
        "MSET" => {
            // Of two values for one key the last one counts.
            let at = spec.keys(command).filter(|used| used.key == key).last()?.index;
            Some(request(&[b"SET".as_slice(), key, command.arg(at + 1)]))
        }
        _ => None,
    }
}

fn narrow_to_element(command: &Command<'_>, spec: &Spec, element: &[u8]) -> Option<Vec<u8>> {
    let mut names = spec.elements(command);
    if names.next().is_some() && names.next().is_none() {
        return Some(whole(command));
    }
    let at = command.args().enumerate().skip(2);
    let (name, key) = (command.name(), command.arg(1));
    match spec.name {
        "HSET" | "HMSET" => {
            let (at, _) = at.step_by(2).filter(|(_, field)| *field == element).last()?;
            Some(request(&[name, key, element, command.arg(at + 1)]))
        }
        "HDEL" | "SADD" | "SREM" | "ZREM" => Some(request(&[name, key, element])),
        "ZADD" => {
            let (at, _) = at.skip(1).step_by(2).filter(|(_, member)| *member == element).last()?;
            Some(request(&[name, key, command.arg(at - 1), element]))
        }
        _ => None,
    }
}

fn whole(command: &Command<'_>) -> Vec<u8> {
    let arguments: Vec<&[u8]> = command.args().collect();
    request(&arguments)
}

/// Whether what `command` does to one key depends on another one: not where it is a mere list of keys.
pub fn is_of_several(spec: &Spec, command: &Command<'_>) -> bool {
    spec.keys(command).nth(1).is_some() && !matches!(spec.name, "DEL" | "UNLINK" | "MSET")
}

fn keeps_lifetime(command: &Command<'_>, spec: &Spec) -> bool {
    spec.name == "SET" && command.args().skip(3).any(|word| word.eq_ignore_ascii_case(b"KEEPTTL"))
}

/// Whether what the command leaves behind depends on what was there, although it names what it changes.
fn depends(command: &Command<'_>, spec: &Spec) -> bool {
    let compares = || {
        let words = [b"NX", b"XX", b"GT", b"LT"];
        command.args().skip(2).take(3).any(|word| words.iter().any(|name| word.eq_ignore_ascii_case(*name)))
    };
    match spec.name {
        // Times to live of fields go with the field's value, and are not elements by themselves.
        "HPERSIST" | "HEXPIRE" | "HPEXPIRE" | "HEXPIREAT" | "HPEXPIREAT" | "HGETEX" | "HSETEX" => true,
        "SMOVE" | "VADD" | "VSETATTR" => true,
        "ZADD" | "GEOADD" => compares(),
        // Sums of numbers that are not whole depend on the order in their last digits.
        "ZINCRBY" => !is_whole_number(command.arg(2)),
        _ => spec.unit == Unit::Whole,
    }
}

fn is_whole_number(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<i32>().is_ok())
}

fn of_unit<'a>(command: &Command<'a>, spec: &Spec) -> Claim<'a> {
    let names = || spec.elements(command).collect::<Vec<_>>();
    let removes = matches!(spec.name, "HDEL" | "SREM" | "ZREM" | "HGETDEL");
    match spec.unit_of(command) {
        Unit::Whole | Unit::Database => Claim::Whole,
        Unit::Lifetime => lifetime(command, spec).map_or(Claim::Sequence, Claim::Lifetime),
        Unit::Counter => Claim::Counter,
        Unit::Registers => Claim::Registers,
        Unit::Element(_) if spec.name != "GEOADD" && !names().is_empty() => Claim::Elements { names: names(), removes },
        Unit::ElementCounter(_) if matches!(spec.name, "HINCRBY" | "ZINCRBY") => Claim::ElementCounters(names()),
        Unit::Bits(_) if spec.name == "SETBIT" => Claim::Elements { names: names(), removes: false },
        Unit::Element(_) | Unit::ElementCounter(_) | Unit::Bits(_) | Unit::Sequence | Unit::Nothing => Claim::Sequence,
    }
}

fn lifetime(command: &Command<'_>, spec: &Spec) -> Option<i64> {
    let at = || std::str::from_utf8(command.arg(2)).ok()?.parse::<i64>().ok();
    match spec.name {
        "PEXPIREAT" => at(),
        "EXPIREAT" => at()?.checked_mul(1000),
        "PERSIST" => Some(i64::MAX),
        _ => None,
    }
}
