//! Which region's value of a key stays.

use std::io::{BufRead, Write};

use anyhow::{Context, bail};

use crate::cli::ask::{Address, answer_of, path};
use crate::cli::render::plain;
use crate::config::Config;
use crate::http::Why;
use crate::observe::escaped;
use crate::verify::{Look, Name};

/// The word of `--winner` that is no region.
const LAST_UPDATE: &str = "last-update";

/// What is to be done about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// The value of this region stays: 0 the forward link's source.
    Winner(usize),
    /// It is left alone.
    Leave(String),
    /// This one and all that follow are left alone.
    Stop,
}

/// How it is chosen.
#[derive(Debug)]
enum How {
    Region(usize),
    LastUpdate(Address),
    Ask,
}

/// Chooses.
#[derive(Debug)]
pub(super) struct Chooser {
    regions: [String; 2],
    how: How,
}

impl Chooser {
    /// By `winner`, or by asking.
    pub(super) fn new(config: &Config, winner: Option<&str>, daemon: Option<Address>) -> anyhow::Result<Self> {
        let regions = config.regions.each_ref().map(|region| region.name.to_string());
        let how = match winner {
            None => How::Ask,
            Some(LAST_UPDATE) => {
                let remedy = "last-update asks the daemon for its conflicts: set http.listen, or give --url";
                How::LastUpdate(daemon.context(remedy)?)
            }
            Some(name) => match regions.iter().position(|region| region == name) {
                Some(index) => How::Region(index),
                None => bail!(
                    "--winner is `{}`, no region of this pair: give `{}`, `{}` or `{LAST_UPDATE}`",
                    plain(name),
                    regions[0],
                    regions[1]
                ),
            },
        };
        Ok(Self { regions, how })
    }

    /// What is to be done about a key that looks like this.
    pub(super) async fn choose(&self, name: &Name, look: &Look) -> anyhow::Result<Choice> {
        match &self.how {
            How::Region(winner) => Ok(Choice::Winner(*winner)),
            How::LastUpdate(daemon) => self.last_update(daemon, name).await,
            How::Ask => self.ask(name, look),
        }
    }

    /// The region whose write stayed in the last conflict of the key: nothing else tells of the past.
    async fn last_update(&self, daemon: &Address, (database, name): &Name) -> anyhow::Result<Choice> {
        let key = std::str::from_utf8(name).map_or_else(|_| name.escape_ascii().to_string(), str::to_owned);
        let asked = path("/why", &[("key", Some(key)), ("db", Some(database.to_string()))]);
        let answer = answer_of(daemon, &asked, "conflicts").await?;
        let why: Why = serde_json::from_slice(&answer).context("the answer is not about a key")?;
        let winner = why.last_origin.and_then(|origin| self.regions.iter().position(|region| *region == origin.region));
        Ok(match winner {
            Some(winner) => Choice::Winner(winner),
            None => {
                let [one, other] = &self.regions;
                let why = "no conflict of it is on record, and nothing else tells which region wrote last";
                Choice::Leave(format!("{why}: decide with --winner {one}, --winner {other} or --interactive"))
            }
        })
    }

    fn ask(&self, (database, name): &Name, look: &Look) -> anyhow::Result<Choice> {
        let mut out = std::io::stderr().lock();
        let sides = [0, 1].map(|side| {
            let sight = &look.sights[side];
            let held =
                if sight.exists() { format!("{} of {}", sight.kind, sight.length) } else { "nothing".to_owned() };
            format!("{} holds {held}", self.regions[side])
        });
        writeln!(out, "\ndatabase {database}, key \"{}\": {}", escaped(name), sides.join("; "))?;
        loop {
            write!(out, "whose value stays? {}, {}, skip, quit: ", self.regions[0], self.regions[1])?;
            out.flush()?;
            let mut line = String::new();
            if std::io::stdin().lock().read_line(&mut line)? == 0 {
                return Ok(Choice::Stop);
            }
            match line.trim() {
                "skip" => return Ok(Choice::Leave("skipped".to_owned())),
                "quit" => return Ok(Choice::Stop),
                answer => {
                    if let Some(winner) = self.regions.iter().position(|region| region == answer) {
                        return Ok(Choice::Winner(winner));
                    }
                }
            }
        }
    }
}
