//! `duet check`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};

use super::exit::{misconfigured, print, wait_for};
use super::render::plain;
use crate::check::{Item, Outcome, Precheck, Wanted};
use crate::config::{Config, load};
use crate::runtime::check::gather;
use crate::runtime::precheck;

const AFTER_HELP: &str = "\
Looks at both servers and changes nothing. A row for each item: how it came out, what was seen, and what to do. The same \
is looked at before every start; there it is in the log and in `duet status`.

The rate of writes, which tells how long an outage the backlog bears, is measured for --sample; do that at the busiest time.

Exit codes: 0 all in order; 1 warnings; 2 failed; 78 the configuration is wrong.

Examples:
  duet check --config pair.toml
  duet check --config pair.toml --json | jq '.rows[] | select(.result != \"ok\")'
  duet check --config pair.toml --ignore backlog_ttl --ignore eviction";

/// Look whether both servers are fit for a pair.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Check {
    /// The configuration of the pair, as TOML
    #[arg(long, value_name = "FILE", env = "DUET_CONFIG")]
    config: PathBuf,

    /// Print what was found as JSON
    #[arg(long)]
    json: bool,

    /// Show this item, but don't count it; can be given again. To ignore it at every start set check.ignore
    #[arg(long, value_name = "ITEM", hide_possible_values = true)]
    ignore: Vec<Item>,

    /// How long the rate of writes is measured
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    sample: Duration,
}

impl Check {
    pub(super) fn execute(self) -> ExitCode {
        let config = match load(&self.config) {
            Ok(config) => config,
            Err(error) => return misconfigured(&error),
        };
        wait_for(async {
            let wanted = Wanted::of(&config, &self.ignore, false);
            let precheck = precheck::of(&gather(&config, wanted, self.sample).await);
            let text = if self.json { serde_json::to_string_pretty(&precheck)? } else { table(&config, &precheck) };
            let printed = print(&text);
            Ok(match precheck.result {
                Outcome::Ok => printed,
                Outcome::Warning => ExitCode::from(1),
                Outcome::Failed => ExitCode::from(2),
            })
        })
    }
}

/// What was found, for a person: the worst first.
fn table(config: &Config, precheck: &Precheck) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["item", "of", "result", "seen", "what to do"]);
    let mut rows: Vec<_> = precheck.rows.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.counts_as()));
    for row in rows {
        let result = match (row.ignored, row.result) {
            (true, _) => "ignored",
            (false, Outcome::Ok) => "ok",
            (false, Outcome::Warning) => "WARNING",
            (false, Outcome::Failed) => "FAILED",
        };
        let remedy = row.remedy.as_deref().unwrap_or_default();
        table.add_row([&row.item.name(), &plain(&row.of), result, &plain(&row.seen), &plain(remedy)]);
    }
    let mut text = format!("{table}\n\n{}", summary(precheck));
    text.push_str("\n\nTo make a user with the rights that Duet needs and no others, put a password in and say");
    for (region, line) in config.regions.iter().zip(&precheck.acl) {
        text.push_str(&format!("\n  at {}: {}", region.name, plain(line)));
    }
    text
}

/// How it came out, in one line.
pub(super) fn summary(precheck: &Precheck) -> String {
    let ignored = precheck.rows.iter().filter(|row| row.ignored).count();
    let (warnings, failed) = (precheck.count(Outcome::Warning), precheck.count(Outcome::Failed));
    let ignored = if ignored > 0 { format!(", {ignored} ignored") } else { String::new() };
    match (warnings, failed) {
        (0, 0) => format!("precheck: all in order{ignored}"),
        _ => format!("precheck: {failed} failed, {warnings} warnings{ignored}"),
    }
}
