//! `duet conflicts`.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::ask::{Address, At, answer_of, path};
use super::exit::{misconfigured, print, wait_for};
use super::render_conflicts::{line, summary, table};
use super::undo::Undo;
use crate::http;
use crate::journal::{Id, since};

/// Between two looks of `--follow`.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
/// Conflicts of one look of `--follow`.
const FOLLOW_LIMIT: usize = 10_000;

const AFTER_HELP: &str = "\
Asks a running Duet over HTTP, as `duet status` does. It has the last 10,000 conflicts in memory; the files in \
conflicts.journal hold more of them, a JSON object a line.

Examples:
  duet conflicts --config pair.toml --since 10m
  duet conflicts --key user:7 --json
  duet conflicts --follow --json | jq .write.words
  duet conflicts undo 91f0c3a2b4d5e6f7 --config pair.toml";

/// List writes that lost against concurrent ones, or write one of them back.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
pub(super) struct Conflicts {
    #[command(subcommand)]
    command: Option<Act>,

    #[command(flatten)]
    show: Show,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Write a losing write back, as a new update at its region
    Undo(Undo),
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    at: At,

    /// Of this key, as it is or as it is shown
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// Of this database
    #[arg(long, value_name = "N")]
    db: Option<u32>,

    /// Found in this time, as 10m, or since this moment, as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<String>,

    /// That ended so
    #[arg(long, value_name = "HOW", value_parser = ["replayed", "dropped", "reconciled", "held"])]
    done: Option<String>,

    /// So many at most, the newest
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,

    /// Print the answer as JSON; with --follow, a line for each conflict
    #[arg(long)]
    json: bool,

    /// Print new ones as they come, until Ctrl-C
    #[arg(long)]
    follow: bool,
}

impl Conflicts {
    pub(super) fn execute(self) -> ExitCode {
        match self.command {
            Some(Act::Undo(undo)) => undo.execute(),
            None => self.show.execute(),
        }
    }
}

impl Show {
    fn execute(self) -> ExitCode {
        let address = match self.at.address() {
            Ok(address) => address,
            Err(error) => return misconfigured(&error),
        };
        wait_for(async { if self.follow { self.follow(&address).await } else { self.list(&address).await } })
    }

    async fn list(&self, address: &Address) -> anyhow::Result<ExitCode> {
        let (answer, conflicts) = self.look(address, None, self.limit).await?;
        let text = if self.json {
            serde_json::to_string_pretty(&answer)?
        } else {
            format!("{}{}", table(&conflicts.conflicts), summary(&conflicts))
        };
        Ok(print(&text))
    }

    /// Until Ctrl-C, or until nobody reads. A daemon that is away is waited for.
    async fn follow(&self, address: &Address) -> anyhow::Result<ExitCode> {
        let (_, mut conflicts) = self.look(address, None, self.limit).await?;
        let mut last = None;
        loop {
            let mut text = String::new();
            for entry in &conflicts.conflicts {
                text.push_str(&if self.json { serde_json::to_string(entry)? } else { line(entry) });
                text.push('\n');
                last = Some(entry.id);
            }
            let more = conflicts.matching.saturating_sub(conflicts.conflicts.len());
            if more > 0 {
                eprintln!("duet: {more} older ones that fit are not shown");
            }
            let mut output = std::io::stdout().lock();
            if output.write_all(text.as_bytes()).and_then(|()| output.flush()).is_err() {
                return Ok(ExitCode::FAILURE);
            }
            drop(output);
            conflicts = loop {
                tokio::time::sleep(FOLLOW_EVERY).await;
                match self.look(address, last, FOLLOW_LIMIT).await {
                    Ok((_, conflicts)) => break conflicts,
                    Err(error) => eprintln!("duet: {error:#}"),
                }
            };
        }
    }

    async fn look(
        &self,
        address: &Address,
        after: Option<Id>,
        limit: usize,
    ) -> anyhow::Result<(serde_json::Value, http::Conflicts)> {
        let path = path(
            "/conflicts",
            &[
                ("key", self.key.clone()),
                ("db", self.db.map(|database| database.to_string())),
                ("since", self.since.clone()),
                ("done", self.done.clone()),
                ("limit", Some(limit.to_string())),
                ("after", after.map(|id| id.to_string())),
            ],
        );
        let answer = answer_of(address, &path, "conflicts").await?;
        let understand = || format!("the answer of {address} is not about conflicts: is it another program?");
        let whole = serde_json::from_slice(&answer).with_context(understand)?;
        Ok((whole, serde_json::from_slice(&answer).with_context(understand)?))
    }
}

/// Checked here, and understood by the daemon.
fn moment(text: &str) -> Result<String, String> {
    since(text, Timestamp::now()).map(|_| text.to_owned())
}
