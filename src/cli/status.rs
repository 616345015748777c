//! `duet status`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::ask::{Address, At, answer_of};
use super::exit::{misconfigured, print, wait_for};
use super::render;
use crate::observe;

/// Between two looks of `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Cursor to the corner, clear what is below.
const CLEAR: &str = "\x1b[H\x1b[J";

const AFTER_HELP: &str = "\
Asks a running Duet over HTTP, at http.listen of the configuration or at --url; http://127.0.0.1:8780 when neither is \
given. No password is needed, and the regions are not asked.

Exit codes: 0 both links stream and move; 1 they don't, or no answer; 78 the configuration is wrong.

Examples:
  duet status
  duet status --config pair.toml --watch
  duet status --url http://10.0.0.5:8780 --json";

/// Show how a running Duet does.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Status {
    #[command(flatten)]
    at: At,

    /// Print the answer as JSON; with --watch, one line each
    #[arg(long)]
    json: bool,

    /// Look again every second, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

impl Status {
    pub(super) fn execute(self) -> ExitCode {
        let address = match self.at.address() {
            Ok(address) => address,
            Err(error) => return misconfigured(&error),
        };
        wait_for(async {
            if self.watch {
                return Ok(self.watch(&address).await);
            }
            let (text, is_ready) = self.look(&address).await?;
            let printed = print(&text);
            Ok(if is_ready { printed } else { ExitCode::FAILURE })
        })
    }

    /// What to show, and whether the pair is ready.
    async fn look(&self, address: &Address) -> anyhow::Result<(String, bool)> {
        let answer = answer_of(address, "/status", "status").await?;
        let understand = || format!("the answer of {address} is not a status: is it another program?");
        let status: observe::Status = serde_json::from_slice(&answer).with_context(understand)?;
        let text = match (self.json, self.watch) {
            (false, _) => render::table(&status),
            (true, true) => String::from_utf8_lossy(&answer).into_owned(),
            // Fields of a newer daemon are shown too.
            (true, false) => serde_json::to_string_pretty(&serde_json::from_slice::<serde_json::Value>(&answer)?)?,
        };
        Ok((text, status.ready))
    }

    /// Until Ctrl-C, or until nobody reads.
    async fn watch(&self, address: &Address) -> ExitCode {
        let clear = if std::io::stdout().is_terminal() && !self.json { CLEAR } else { "" };
        loop {
            let (text, error) = match self.look(address).await {
                Ok((text, _)) => (format!("{clear}{text}\n"), None),
                Err(error) => (clear.to_owned(), Some(error)),
            };
            let mut output = std::io::stdout().lock();
            if output.write_all(text.as_bytes()).and_then(|()| output.flush()).is_err() {
                return ExitCode::FAILURE;
            }
            drop(output);
            if let Some(error) = error {
                eprintln!("duet: {error:#}");
            }
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }
}
