//! The table: one [`Spec`] for each command that a replication stream can hold, by the type of value that it is for.

mod hashes;
mod keyspace;
mod lists;
mod rule;
mod sets;
mod sorted_sets;
mod stream_words;
mod streams;
mod strings;

pub use rule::Rule;

use super::keys::Place;
use super::unit::Unit;

/// What the link does with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Data: goes through [`replay`](super::replay()). MOVE is one, with the key in two databases.
    Write,
    /// SELECT: the database of what follows.
    Select,
    /// MULTI: a transaction, or the effects of a script, begins.
    Multi,
    /// EXEC: the transaction ends.
    Exec,
    /// PING: the source's keep-alive, which counts for the offset only.
    Ping,
    /// REPLCONF GETACK: the source asks for our offset.
    Replconf,
    /// FLUSHDB, FLUSHALL, SWAPDB: whole databases, copied or refused by configuration.
    Database,
    /// PUBLISH and SPUBLISH.
    Publish,
    /// FUNCTION LOAD, DELETE, FLUSH, RESTORE.
    Function,
    /// SCRIPT LOAD and FLUSH (up to 6.2).
    Script,
    /// EVAL, EVALSHA, FCALL: up to Redis 4, and in 5 and 6 where effects are switched off, a script travels as typed.
    Eval,
    /// The source cluster's own affairs (slots that move): never for the peer.
    Cluster,
}

/// What a command means.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The name, in capitals.
    pub name: &'static str,
    /// What the link does with it.
    pub class: Class,
    /// Where its keys are; see [`Spec::keys`].
    pub places: &'static [Place],
    /// What it decides about the keys that it writes; see also [`Spec::unit_of`].
    pub unit: Unit,
    /// How it is made unconditional and absolute.
    pub rule: Rule,
    pub(super) id: u8,
}

impl Spec {
    const fn write(name: &'static str, places: &'static [Place], unit: Unit, rule: Rule) -> Self {
        Self { name, class: Class::Write, places, unit, rule, id: 0 }
    }

    const fn other(name: &'static str, class: Class, unit: Unit, rule: Rule) -> Self {
        Self { name, class, places: &[], unit, rule, id: 0 }
    }

    /// The type of value that the command is for, as a number of its own; 0 for any type.
    pub fn family(&self) -> u8 {
        let (mut family, mut end) = (0, 0);
        while family < TYPES {
            end += FAMILIES[family].len();
            if usize::from(self.id) < end {
                return family as u8 + 1;
            }
            family += 1;
        }
        0
    }

    /// Whether it is one of lists.
    pub fn is_of_list(&self) -> bool {
        self.family() == LISTS
    }

    /// Whether it is the command that servers use for deletions of their own.
    pub fn is_deletion(&self) -> bool {
        matches!(self.name, "DEL" | "UNLINK")
    }
}

const FAMILIES: [&[Spec]; 8] = [
    strings::SPECS,
    hashes::SPECS,
    lists::SPECS,
    sets::SPECS,
    sorted_sets::SPECS,
    streams::SPECS,
    keyspace::SPECS,
    stream_words::SPECS,
];

/// The number of those for lists.
const LISTS: u8 = 3;
/// How many of them are for one type of value.
const TYPES: usize = 6;

pub(super) const COUNT: usize = {
    let mut count = 0;
    let mut family = 0;
    while family < FAMILIES.len() {
        count += FAMILIES[family].len();
        family += 1;
    }
    assert!(count < EMPTY as usize, "an id is one byte");
    count
};

/// All commands; the place of one is its id.
pub(super) static TABLE: [Spec; COUNT] = {
    let mut table = [Spec::other("", Class::Ping, Unit::Nothing, Rule::AsIs); COUNT];
    let (mut family, mut id) = (0, 0);
    while family < FAMILIES.len() {
        let mut row = 0;
        while row < FAMILIES[family].len() {
            table[id] = FAMILIES[family][row];
            table[id].id = id as u8;
            id += 1;
            row += 1;
        }
        family += 1;
    }
    table
};

const EMPTY: u8 = u8::MAX;
/// Several times the number of commands, so that nearly every name is found at the first look.
const SLOTS: usize = 1024;
/// Where in [`TABLE`] a name is: open addressing from [`slot`], computed when the program is built.
static INDEX: [u8; SLOTS] = {
    let mut index = [EMPTY; SLOTS];
    let mut id = 0;
    while id < COUNT {
        let mut at = slot(TABLE[id].name.as_bytes());
        while index[at] != EMPTY {
            at = (at + 1) % SLOTS;
        }
        index[at] = id as u8;
        id += 1;
    }
    index
};

const LONGEST: usize = {
    let (mut longest, mut id) = (0, 0);
    while id < COUNT {
        if TABLE[id].name.len() > longest {
            longest = TABLE[id].name.len();
        }
        id += 1;
    }
    longest
};

/// The first slot to look at for a name: FNV-1a over its bytes with the bit of case set.
const fn slot(name: &[u8]) -> usize {
    let mut hash = 0x811c_9dc5_u32;
    let mut at = 0;
    while at < name.len() {
        hash = (hash ^ (name[at] | 0x20) as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    (hash ^ (hash >> 15)) as usize % SLOTS
}

/// Every command of the table.
pub fn specs() -> impl Iterator<Item = &'static Spec> {
    TABLE.iter()
}

/// The meaning of the command called `name`, in any case; `None` when it is not one that we know.
pub fn lookup(name: &[u8]) -> Option<&'static Spec> {
    if name.len() > LONGEST {
        return None;
    }
    let mut at = slot(name);
    loop {
        let spec = TABLE.get(usize::from(INDEX[at]))?;
        if spec.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(spec);
        }
        at = (at + 1) % SLOTS;
    }
}
