//! What clients were told, and what follows from it. Pure: answers in, verdicts out.
//!
//! A write is *sure* when its server has acknowledged it, and *maybe* when nobody knows: no answer came, or the server that
//! had acknowledged it has lost it since. What was refused is not written here at all.

use crate::side::Side;
use duet_chaos::compare::{Contents, Entry};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// What is known of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Acknowledged at this time.
    Sure(Instant),
    /// Executed or not.
    Maybe,
}

impl Fate {
    fn is_sure(self) -> bool {
        matches!(self, Self::Sure(_))
    }
}

/// One element of a list, set, hash, sorted set or stream, or one key; written once, by a client of one region.
#[derive(Clone, Copy, Debug)]
struct Element {
    home: Side,
    added: Fate,
    removed: Option<Fate>,
}

/// One addition to a sum, or one value of a register.
#[derive(Clone, Debug)]
struct Step<T> {
    home: Side,
    value: T,
    fate: Fate,
}

/// Everything that clients of both regions wrote in one round.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    elements: BTreeMap<String, BTreeMap<String, Element>>,
    /// Takings from the head of a list of which nobody knows whether they were executed.
    blind_pops: BTreeMap<String, usize>,
    sums: BTreeMap<String, Vec<Step<i64>>>,
    registers: BTreeMap<String, Vec<Step<String>>>,
    /// Keys that are written in one transaction with the same value.
    twins: BTreeSet<(String, String)>,
    /// A counter and the set that has an element for each of its increments, both written in one transaction.
    counted: BTreeSet<(String, String)>,
    /// Keys of which nothing must be left.
    over: BTreeMap<String, Vec<Step<()>>>,
}

impl Ledger {
    /// An element was put.
    pub fn added(&mut self, home: Side, key: &str, id: &str, fate: Fate) {
        let element = Element { home, added: fate, removed: None };
        self.elements.entry(key.to_owned()).or_default().insert(id.to_owned(), element);
    }

    /// An element was taken away.
    pub fn removed(&mut self, key: &str, id: &str, fate: Fate) {
        if let Some(element) = self.elements.get_mut(key).and_then(|elements| elements.get_mut(id)) {
            element.removed = Some(fate);
        }
    }

    /// Something was taken from the head of a list, or nothing: nobody knows.
    pub fn popped_blindly(&mut self, key: &str) {
        *self.blind_pops.entry(key.to_owned()).or_default() += 1;
    }

    /// An element that is there for certain, by its number among those.
    pub fn any_sure(&self, home: Side, key: &str, number: usize) -> Option<String> {
        let sure = |element: &&Element| element.home == home && element.added.is_sure() && element.removed.is_none();
        let elements = self.elements.get(key)?;
        let count = elements.values().filter(sure).count();
        let at = number.checked_rem(count)?;
        elements.iter().filter(|(_, element)| sure(element)).nth(at).map(|(id, _)| id.clone())
    }

    /// A counter was incremented.
    pub fn increased(&mut self, home: Side, key: &str, value: i64, fate: Fate) {
        self.sums.entry(key.to_owned()).or_default().push(Step { home, value, fate });
    }

    /// A register was set; only clients of one region set it.
    pub fn set(&mut self, home: Side, key: &str, value: &str, fate: Fate) {
        self.registers.entry(key.to_owned()).or_default().push(Step { home, value: value.to_owned(), fate });
    }

    /// Both are set in one transaction, to the same value.
    pub fn twins(&mut self, one: &str, other: &str) {
        self.twins.insert((one.to_owned(), other.to_owned()));
    }

    /// Each increment of the counter puts an element into the set, in one transaction.
    pub fn counted(&mut self, counter: &str, set: &str) {
        self.counted.insert((counter.to_owned(), set.to_owned()));
    }

    /// The key was deleted, or its life is over.
    pub fn over(&mut self, home: Side, key: &str, fate: Fate) {
        self.over.entry(key.to_owned()).or_default().push(Step { home, value: (), fate });
    }

    /// Keys that somebody deleted, or tried to.
    pub fn deleted(&self) -> BTreeSet<String> {
        self.over.keys().cloned().collect()
    }

    /// The server of a region has lost what it acknowledged since then: of none of it is known whether the other region
    /// has it.
    pub fn lost(&mut self, side: Side, since: Instant) {
        let doubt = |home: Side, fate: &mut Fate| {
            if home == side && matches!(fate, Fate::Sure(at) if *at > since) {
                *fate = Fate::Maybe;
            }
        };
        for element in self.elements.values_mut().flat_map(BTreeMap::values_mut) {
            doubt(element.home, &mut element.added);
            if let Some(removed) = &mut element.removed {
                doubt(element.home, removed);
            }
        }
        self.sums.values_mut().flatten().for_each(|step| doubt(step.home, &mut step.fate));
        self.registers.values_mut().flatten().for_each(|step| doubt(step.home, &mut step.fate));
        self.over.values_mut().flatten().for_each(|step| doubt(step.home, &mut step.fate));
    }

    /// How many writes are sure, and how many nobody knows of.
    pub fn count(&self) -> (usize, usize) {
        let elements = self.elements.values().flat_map(BTreeMap::values).map(|element| element.added);
        let sums = self.sums.values().flatten().map(|step| step.fate);
        let registers = self.registers.values().flatten().map(|step| step.fate);
        let fates: Vec<Fate> = elements.chain(sums).chain(registers).collect();
        let sure = fates.iter().filter(|fate| fate.is_sure()).count();
        (sure, fates.len() - sure)
    }

    /// What is wrong with what a region holds; a line each.
    pub fn judge(&self, contents: &Contents) -> Vec<String> {
        let get = |key: &str| contents.get(&(0, key.as_bytes().to_vec()));
        let mut wrong = Vec::new();
        for (key, elements) in &self.elements {
            let pops = self.blind_pops.get(key).copied().unwrap_or(0);
            wrong.extend(
                elements_are_right(elements, &get(key).map_or_else(Vec::new, ids), pops)
                    .map_err(|it| format!("{key}: {it}"))
                    .err(),
            );
        }
        for (key, steps) in &self.sums {
            wrong.extend(sum_is_right(steps, number(get(key))).map_err(|it| format!("{key}: {it}")).err());
        }
        for (key, steps) in &self.registers {
            wrong.extend(register_is_right(steps, text(get(key))).map_err(|it| format!("{key}: {it}")).err());
        }
        for (one, other) in &self.twins {
            let values = (text(get(one)), text(get(other)));
            wrong
                .extend((values.0 != values.1).then(|| format!("{one}, {other}: a transaction in halves: {values:?}")));
        }
        for (counter, set) in &self.counted {
            let counts = (number(get(counter)), get(set).map_or(0, |entry| entry.items.len() as i64));
            wrong.extend(
                (counts.0 != counts.1).then(|| format!("{counter} is {}, but {set} has {}", counts.0, counts.1)),
            );
        }
        let over = self.over.iter().filter(|(_, steps)| steps.iter().any(|step| step.fate.is_sure()));
        wrong.extend(over.filter(|(key, _)| get(key).is_some()).map(|(key, _)| format!("{key}: should be gone")));
        wrong
    }
}

fn elements_are_right(known: &BTreeMap<String, Element>, held: &[String], blind_pops: usize) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for id in held {
        let Some(element) = known.get(id) else { return Err(format!("{id} was never written")) };
        if !seen.insert(id) {
            return Err(format!("{id} is there twice"));
        }
        if element.removed.is_some_and(Fate::is_sure) {
            return Err(format!("{id} was removed, and is there"));
        }
    }
    let missing =
        known.iter().filter(|(id, element)| element.added.is_sure() && element.removed.is_none() && !seen.contains(id));
    let missing: Vec<&String> = missing.map(|(id, _)| id).collect();
    if missing.len() > blind_pops {
        return Err(format!(
            "{} lost ({blind_pops} may be), {} for one, of {} written",
            missing.len(),
            missing[0],
            known.len()
        ));
    }
    Ok(())
}

fn sum_is_right(steps: &[Step<i64>], held: i64) -> Result<(), String> {
    let sum =
        |sure: bool| -> i64 { steps.iter().filter(|step| step.fate.is_sure() == sure).map(|step| step.value).sum() };
    let (least, most) = (sum(true), sum(true) + sum(false));
    (least..=most).contains(&held).then_some(()).ok_or_else(|| format!("{held}, where {least} to {most} was added"))
}

fn register_is_right(steps: &[Step<String>], held: Option<String>) -> Result<(), String> {
    // What nobody knows of may be executed late: its bytes lie in the server's buffer.
    let last = steps.iter().rev().find(|step| step.fate.is_sure()).map(|step| step.value.clone());
    let maybe = steps.iter().any(|step| !step.fate.is_sure() && Some(&step.value) == held.as_ref());
    (held == last || maybe).then_some(()).ok_or_else(|| format!("{held:?}, where {last:?} was written last"))
}

fn text(entry: Option<&Entry>) -> Option<String> {
    entry.and_then(|entry| entry.items.first()).map(|item| String::from_utf8_lossy(item).into_owned())
}

fn number(entry: Option<&Entry>) -> i64 {
    text(entry).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The ids of the elements of a key, in its order.
fn ids(entry: &Entry) -> Vec<String> {
    let items = entry.items.iter().map(|item| String::from_utf8_lossy(item));
    match entry.kind.as_str() {
        "hash" | "zset" => items.map(|item| item.split('=').next().unwrap_or_default().to_owned()).collect(),
        // The first item is the last id; an entry is its id, a field, our id.
        "stream" => items.skip(1).map(|item| item.rsplit(' ').next().unwrap_or_default().to_owned()).collect(),
        "string" => vec!["value".to_owned()],
        _ => items.map(|item| item.into_owned()).collect(),
    }
}

#[cfg(test)]
mod tests;
