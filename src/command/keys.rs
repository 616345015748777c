//! Where the keys of a command are: the servers' key specifications (`src/commands/*.json`, `begin_search` and
//! `find_keys`), as a short list of places for each command.

use super::Spec;
use crate::wire::resp::Command;

/// What a command does with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Its value goes into the result and stays as it is.
    Read,
    /// Its value is replaced or removed whatever it was.
    Write,
    /// Its value is changed, depending on what it was.
    ReadWrite,
}

/// One key of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse<'c> {
    /// The argument that it is, 0 being the command's name.
    pub index: usize,
    /// The key.
    pub key: &'c [u8],
    /// What the command does with it.
    pub access: Access,
    /// The database that it is in, when that is not the selected one: the far side of MOVE and COPY .. DB.
    pub database: Option<u32>,
}

/// A rule that finds keys among arguments. What lies behind the last argument is no key.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    /// One argument.
    At {
        /// Its index.
        index: usize,
        /// What is done with it.
        access: Access,
    },
    /// Every `step`th argument from `first`, without the last `omit`.
    Range {
        /// The first key's index.
        first: usize,
        /// How many arguments at the end are none.
        omit: usize,
        /// From one key to the next.
        step: usize,
        /// What is done with them.
        access: Access,
    },
    /// As many keys as the argument at `count` says, behind it.
    Counted {
        /// The index of the number of keys.
        count: usize,
        /// From one key to the next.
        step: usize,
        /// What is done with them.
        access: Access,
    },
    /// What stands behind the last of some words.
    Option {
        /// The first index at which the word may stand.
        from: usize,
        /// The words.
        names: &'static [&'static str],
        /// Other words, and how many arguments behind each are theirs.
        skip: &'static [(&'static str, usize)],
        /// What is done with it.
        access: Access,
    },
    /// The first half of what stands behind a word.
    HalfAfter {
        /// The first index at which the word may stand.
        from: usize,
        /// The word.
        name: &'static str,
        /// What is done with them.
        access: Access,
    },
    /// One argument, as a key of the database that another argument names.
    Elsewhere {
        /// The key's index.
        index: usize,
        /// The index of the number of the database.
        database: usize,
        /// What is done with it.
        access: Access,
    },
    /// One argument, as a key of the database named behind a word, or of the selected one without that word.
    ElsewhereAfter {
        /// The key's index.
        index: usize,
        /// The first index at which the word may stand.
        from: usize,
        /// The word.
        name: &'static str,
        /// What is done with it.
        access: Access,
    },
}

pub(super) const WRITE: &[Place] = &[Place::At { index: 1, access: Access::Write }];
pub(super) const CHANGE: &[Place] = &[Place::At { index: 1, access: Access::ReadWrite }];
pub(super) const SECOND_CHANGE: &[Place] = &[Place::At { index: 2, access: Access::ReadWrite }];
pub(super) const TWO_CHANGES: &[Place] =
    &[Place::At { index: 1, access: Access::ReadWrite }, Place::At { index: 2, access: Access::ReadWrite }];
pub(super) const ALL: &[Place] = &[Place::Range { first: 1, omit: 0, step: 1, access: Access::Write }];
pub(super) const READ_ALL: &[Place] = &[Place::Range { first: 1, omit: 0, step: 1, access: Access::Read }];
pub(super) const PAIRS: &[Place] = &[Place::Range { first: 1, omit: 0, step: 2, access: Access::Write }];
pub(super) const PAIRS_COUNTED: &[Place] = &[Place::Counted { count: 1, step: 2, access: Access::Write }];
/// destination source
pub(super) const DESTINATION: &[Place] =
    &[Place::At { index: 1, access: Access::Write }, Place::At { index: 2, access: Access::Read }];
/// destination source [source ...]
pub(super) const DESTINATION_OF_REST: &[Place] =
    &[Place::At { index: 1, access: Access::Write }, Place::Range { first: 2, omit: 0, step: 1, access: Access::Read }];
/// key [key ...] timeout
pub(super) const BLOCKING_RANGE: &[Place] = &[Place::Range { first: 1, omit: 1, step: 1, access: Access::ReadWrite }];
/// count key [key ...]
pub(super) const COUNTED_CHANGE: &[Place] = &[Place::Counted { count: 1, step: 1, access: Access::ReadWrite }];
/// timeout count key [key ...]
pub(super) const BLOCKING_COUNTED: &[Place] = &[Place::Counted { count: 2, step: 1, access: Access::ReadWrite }];

impl Spec {
    /// The keys that `command`, which must be one of this spec, reads and writes.
    pub fn keys<'c>(&self, command: &Command<'c>) -> KeyUses<'c> {
        KeyUses { command: *command, places: self.places.iter(), run: Run::default() }
    }

    /// The keys that `command`, which is executed in `database`, changes, each with its database.
    pub fn written<'c>(&self, command: &Command<'c>, database: u32) -> impl Iterator<Item = (u32, &'c [u8])> {
        let changed = self.keys(command).filter(|used| used.access != Access::Read);
        changed.map(move |used| (used.database.unwrap_or(database), used.key))
    }
}

/// The keys of a command, found one by one.
#[derive(Debug, Clone)]
pub struct KeyUses<'c> {
    command: Command<'c>,
    places: std::slice::Iter<'static, Place>,
    run: Run,
}

/// Keys at equal distances: what one place stands for in one command.
#[derive(Debug, Clone)]
struct Run {
    next: usize,
    end: usize,
    step: usize,
    access: Access,
    database: Option<u32>,
}

impl Default for Run {
    fn default() -> Self {
        Self::new(0, 0, 1, Access::Read)
    }
}

impl Run {
    fn new(first: usize, end: usize, step: usize, access: Access) -> Self {
        Self { next: first, end, step, access, database: None }
    }

    fn one(index: usize, access: Access) -> Self {
        Self::new(index, index.saturating_add(1), 1, access)
    }
}

impl<'c> Iterator for KeyUses<'c> {
    type Item = KeyUse<'c>;

    fn next(&mut self) -> Option<KeyUse<'c>> {
        while self.run.next >= self.run.end.min(self.command.len()) {
            self.run = run(self.places.next()?, &self.command);
        }
        let index = self.run.next;
        self.run.next = index.saturating_add(self.run.step);
        let key = self.command.arg(index);
        Some(KeyUse { index, key, access: self.run.access, database: self.run.database })
    }
}

/// What `place` stands for in `command`.
fn run(place: &Place, command: &Command<'_>) -> Run {
    match *place {
        Place::At { index, access } => Run::one(index, access),
        Place::Range { first, omit, step, access } => Run::new(first, command.len().saturating_sub(omit), step, access),
        Place::Counted { count, step, access } => {
            let keys: usize = number(command.arg(count)).unwrap_or(0);
            let first = count + 1;
            Run::new(first, first.saturating_add(keys.saturating_mul(step)), step, access)
        }
        Place::Option { from, names, skip, access } => match behind_last(command, from, names, skip) {
            Some(index) => Run::one(index, access),
            None => Run::default(),
        },
        Place::HalfAfter { from, name, access } => match behind(command, from, name) {
            Some(first) => Run::new(first, first + command.len().saturating_sub(first) / 2, 1, access),
            None => Run::default(),
        },
        Place::Elsewhere { index, database, access } => {
            Run { database: number(command.arg(database)), ..Run::one(index, access) }
        }
        Place::ElsewhereAfter { index, from, name, access } => {
            let database = behind(command, from, name).and_then(|at| number(command.arg(at)));
            Run { database, ..Run::one(index, access) }
        }
    }
}

/// The index behind the first `name` from `from` on.
fn behind(command: &Command<'_>, from: usize, name: &str) -> Option<usize> {
    let place = command.args().skip(from).position(|argument| argument.eq_ignore_ascii_case(name.as_bytes()))?;
    Some(from + place + 1)
}

/// The index behind the last of `names` from `from` on that is not a value of an option in `skip`.
fn behind_last(command: &Command<'_>, from: usize, names: &[&str], skip: &[(&str, usize)]) -> Option<usize> {
    let mut found = None;
    let mut at = from;
    while at < command.len() {
        let word = command.arg(at);
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if names.iter().any(|name| is(name)) && at + 1 < command.len() {
            found = Some(at + 1);
            at += 1;
        } else if let Some((_, values)) = skip.iter().find(|(name, _)| is(name)) {
            at += values;
        }
        at += 1;
    }
    found
}

fn number<N: std::str::FromStr>(argument: &[u8]) -> Option<N> {
    std::str::from_utf8(argument).ok()?.parse().ok()
}

/// The key that a command which [`lookup`](super::lookup) does not know is most likely about, its first argument, for a
/// report; `None` when it has none.
pub fn guess_key<'c>(command: &Command<'c>) -> Option<&'c [u8]> {
    (command.len() > 1).then(|| command.arg(1))
}
