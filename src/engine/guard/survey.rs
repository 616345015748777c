//! What clients do in a part of a stream: which keys they write and delete.

use std::collections::HashSet;

use crate::command::{Access, Class, lookup};
use crate::engine::origin::Marker;
use crate::error::Fault;
use crate::wire::resp::{Command, FrameReader};

/// Names that are kept; beyond it they are only counted.
const MOST_NAMES: usize = 100_000;

/// A name with its database.
pub type Name = (u32, Vec<u8>);

/// What clients do in a part of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Write commands.
    pub commands: u64,
    /// Keys that are written last.
    pub written: HashSet<Name>,
    /// Keys that are deleted last.
    pub deleted: HashSet<Name>,
    /// FLUSHALL and FLUSHDB.
    pub flushes: u64,
    /// More names than are kept.
    pub is_partial: bool,
}

/// Surveys `stream`, whole commands from a place outside of any transaction, which begins in `database`. Transactions that
/// begin with `marker`, and keys that begin with `prefix`, are Duet's own.
///
/// # Errors
/// A [`Fault`] when it is no stream of commands.
pub fn survey(mut stream: &[u8], mut database: u32, marker: &[u8], prefix: &[u8]) -> Result<Survey, Fault> {
    let mut survey = Survey::default();
    let mut reader = FrameReader::new();
    let (mut begins, mut inside, mut ours) = (true, false, false);
    while let Some(length) = reader.next(stream)? {
        let command = Command::new(stream.get(..length).unwrap_or_default(), reader.arguments());
        stream = stream.get(length..).unwrap_or_default();
        let Some(spec) = lookup(command.name()) else { continue };
        match spec.class {
            Class::Select => {
                database = std::str::from_utf8(command.arg(1)).ok().and_then(|n| n.parse().ok()).unwrap_or(0)
            }
            Class::Multi => (begins, inside) = (true, true),
            Class::Exec => (begins, inside, ours) = (true, false, false),
            Class::Write | Class::Database => {
                if begins && spec.name == "SET" && command.arg(1) == marker && Marker::parse(command.arg(2)).is_some() {
                    ours = inside;
                } else if !ours {
                    survey.add(&command, spec, database, prefix);
                }
                begins = !inside;
            }
            _ => {}
        }
    }
    Ok(survey)
}

impl Survey {
    fn add(&mut self, command: &Command<'_>, spec: &crate::command::Spec, database: u32, prefix: &[u8]) {
        if spec.class == Class::Database {
            self.commands += 1;
            if spec.name != "SWAPDB" {
                self.flushes += 1;
                self.written.retain(|(of, _)| spec.name == "FLUSHDB" && *of != database);
            }
            return;
        }
        let deletes = spec.is_deletion();
        let mut counts = false;
        for used in spec.keys(command).filter(|used| used.access != Access::Read && !used.key.starts_with(prefix)) {
            counts = true;
            let name = (used.database.unwrap_or(database), used.key.to_vec());
            let (to, from) =
                if deletes { (&mut self.deleted, &mut self.written) } else { (&mut self.written, &mut self.deleted) };
            from.remove(&name);
            if to.len() < MOST_NAMES {
                to.insert(name);
            } else {
                self.is_partial = true;
            }
        }
        self.commands += u64::from(counts);
    }
}
