//! A load that hammers few keys with every write command of every type, from a seed.
//!
//! Two of them, one in each region, write the same 50 keys: that is what conflicts are tested with. Commands follow from
//! the seed; what the server answers does not matter but for errors that no such command may get.

mod writes;

use crate::client::{text, words};
use crate::flavor::Flavor;
use crate::paced::{Command, Writer};
use anyhow::{Context, Result, bail};
use fastrand::Rng;
use redis::Value;
use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

/// Ids of stream entries that are remembered, to be deleted, claimed and acknowledged.
const IDS: usize = 8;
/// A list of 1, 2, 3 as `DUMP` of Redis 2.6 gave it (the example in the documentation of `RESTORE`): all versions take it.
const DUMP: &[u8] =
    b"\n\x17\x17\x00\x00\x00\x12\x00\x00\x00\x03\x00\x00\xc0\x01\x00\x04\xc0\x02\x00\x04\xc0\x03\x00\xff\
                      \x04\x00u#<\xc0;.\xe9\xdd";
/// Beginnings of the errors that a right command may get from what a key holds just then.
const EXPECTED: [&str; 21] = [
    "WRONGTYPE",
    "NOGROUP",
    "BUSYGROUP",
    "BUSYKEY",
    "INVALIDOBJ",
    "UNBLOCKED",
    "no such key",
    "does not exist",
    "source and destination objects are the same",
    "index out of range",
    "value is not an integer",
    "value is not a valid float",
    "hash value is not",
    "value is NaN",
    "resulting score is not a number",
    "increment or decrement would overflow",
    "increment would produce",
    "could not decode requested zset member",
    "The ID specified in X",
    "The XGROUP subcommand requires the key to exist",
    "One or more scores can't be converted",
];

/// What a hammer strikes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What the names of its keys begin with: the same at both sides for conflicts.
    pub prefix: &'static str,
    /// Which commands, in which order.
    pub seed: u64,
    /// What the other region is: nothing is written that it cannot hold.
    pub peer: Flavor,
    /// Whether keys get lives that end soon.
    pub expiring: bool,
    /// What befalls whole databases now and then.
    pub whole: Whole,
}

/// What befalls whole databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// Nothing.
    Spared,
    /// They are emptied.
    Emptied,
    /// They are emptied, and two of them change places.
    Swapped,
}

/// Draws lines, and puts something for the words in them.
pub struct Hammer {
    rng: Rng,
    prefix: &'static str,
    /// By class: what its keys are called, how many they are, its lines.
    classes: Vec<(&'static str, u8, Vec<&'static str>)>,
    any_type: Vec<&'static str>,
    expiring: Vec<&'static str>,
    whole: Vec<&'static str>,
    ids: VecDeque<Vec<u8>>,
}

impl Hammer {
    /// A hammer for clients of `origin`.
    pub fn new(origin: Flavor, plan: Plan) -> Self {
        let lines = |class| writes::fitting(class, origin, plan.peer);
        Self {
            rng: Rng::with_seed(plan.seed),
            prefix: plan.prefix,
            classes: writes::CLASSES.iter().map(|class| (class.name, class.keys, lines(class))).collect(),
            any_type: writes::any_type(origin),
            expiring: if plan.expiring { writes::expiring() } else { Vec::new() },
            whole: writes::whole(plan.whole),
            ids: VecDeque::new(),
        }
    }

    /// A class, each as often as it has keys.
    fn class(&mut self) -> usize {
        let all: u8 = self.classes.iter().map(|(_, keys, _)| keys).sum();
        let mut at = self.rng.u8(..all);
        for (number, (_, keys, _)) in self.classes.iter().enumerate() {
            match at.checked_sub(*keys) {
                Some(rest) => at = rest,
                None => return number,
            }
        }
        0
    }

    fn command(&mut self, line: &str, class: usize) -> Result<Command> {
        words(line)?.into_iter().map(|word| self.word(word, class)).collect()
    }

    fn word(&mut self, word: Vec<u8>, class: usize) -> Result<Vec<u8>> {
        let small = self.rng.u8(..10);
        Ok(match word.as_slice() {
            b"@" | b"@2" => self.key(class),
            b"%" => small.to_string().into_bytes(),
            b"%%" => self.rng.u16(..500).to_string().into_bytes(),
            b"%v" if small < 5 => format!("m{small}").into_bytes(),
            b"%v" => self.rng.u32(..).to_string().into_bytes(),
            b"%m" => format!("m{small}").into_bytes(),
            b"%x" => (f64::from(self.rng.u8(..40)) * 0.25).to_string().into_bytes(),
            b"%s" => self.rng.u32(1_000..90_000).to_string().into_bytes(),
            b"%ms" => self.rng.u32(1_000_000..90_000_000).to_string().into_bytes(),
            b"%p" => self.rng.u32(1..300).to_string().into_bytes(),
            b"%t" => (now_ms()? / 1_000 + self.rng.u64(1_000..90_000)).to_string().into_bytes(),
            b"%T" => (now_ms()? + self.rng.u64(1_000_000..90_000_000)).to_string().into_bytes(),
            b"%id" if self.ids.is_empty() => b"1-1".to_vec(),
            b"%id" => self.ids[self.rng.usize(..self.ids.len())].clone(),
            b"%dump" => DUMP.to_vec(),
            _ => word,
        })
    }

    /// A key of the class; one time in 30 of any class, so that types clash.
    fn key(&mut self, class: usize) -> Vec<u8> {
        let class = if self.rng.u8(..30) == 0 { self.class() } else { class };
        let (name, keys, _) = &self.classes[class];
        let number = self.rng.u8(..*keys);
        format!("{}{name}:{number}", self.prefix).into_bytes()
    }
}

impl Writer for Hammer {
    /// The next line: one command, or a whole transaction.
    fn next(&mut self) -> Result<Vec<Command>> {
        let class = self.class();
        let own = &self.classes[class].2;
        let lines = match self.rng.u16(..1000) {
            0..3 if !self.whole.is_empty() => &self.whole,
            3..100 if !self.expiring.is_empty() => &self.expiring,
            100..250 => &self.any_type,
            _ => own,
        };
        let line = lines[self.rng.usize(..lines.len())];
        line.split('\\').map(|command| self.command(command, class)).collect()
    }

    /// Remembers the ids of added entries, and tells errors that a right command may get from those that it may not.
    fn answered(&mut self, command: &[Vec<u8>], reply: &Value) -> Result<()> {
        if let Value::ServerError(error) = reply {
            let said = format!("{} {}", error.code(), error.details().unwrap_or_default());
            if !EXPECTED.iter().any(|expected| said.contains(expected)) {
                bail!("the server refused {:?}: {said}", command.join(&b' ').escape_ascii().to_string());
            }
        } else if command.first().is_some_and(|name| name == b"XADD")
            && let Ok(id) = text(reply)
            && id.contains('-')
        {
            self.ids.push_back(id.into_bytes());
            if self.ids.len() > IDS {
                self.ids.pop_front();
            }
        }
        Ok(())
    }
}

fn now_ms() -> Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("a clock before 1970")?;
    Ok(u64::try_from(since.as_millis())?)
}
