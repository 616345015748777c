//! `duet drill`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::ask::{At, answer_of};
use super::exit::{misconfigured, print, wait_for};
use super::order::To;
use super::render::plain;
use crate::admin::Order;
use crate::drill::page::{facts, page};
use crate::drill::{self, Action};
use crate::observe;

const AFTER_HELP: &str = "\
The steps, in order: plan, start, fence, verify, promote; later failback. abort undoes everything at each of them. \
status and report tell where it stands; the report is for those who were not there.

The daemon keeps where the drill stands at the region that takes over: a restart goes on with it.

Examples:
  duet drill plan eu-west --config pair.toml
  duet drill start eu-west --config pair.toml
  duet drill fence --dry-run --config pair.toml
  duet drill promote --lost --config pair.toml        the region died on the way
  duet drill report --page report.html --config pair.toml";

/// Leave a region in order and come back.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Drill {
    /// Which step
    #[arg(value_name = "STEP")]
    what: What,

    /// The region that is left; forward.source when not given
    #[arg(value_name = "REGION")]
    region: Option<String>,

    /// The region is lost: it does not answer, and nothing can be asked of it
    #[arg(long)]
    lost: bool,

    /// Promote without a comparison, or with differences
    #[arg(long)]
    accept: bool,

    /// Tell what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// With status and report: as JSON
    #[arg(long)]
    json: bool,

    /// With report: write a page to print
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,

    #[command(flatten)]
    to: To,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Step(Action),
    Status,
    Report,
}

impl ValueEnum for What {
    fn value_variants<'a>() -> &'a [Self] {
        use Action::{Abort, Failback, Fence, Plan, Promote, Start, Verify};
        const ALL: &[What] = &[
            What::Step(Plan),
            What::Step(Start),
            What::Step(Fence),
            What::Step(Verify),
            What::Step(Promote),
            What::Step(Failback),
            What::Step(Abort),
            What::Status,
            What::Report,
        ];
        ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Step(action) => action.to_possible_value(),
            Self::Status => Some(PossibleValue::new("status").help("Tell where the drill stands")),
            Self::Report => Some(PossibleValue::new("report").help("Tell what was done, measured and proven")),
        }
    }
}

impl Drill {
    pub(super) fn execute(self) -> ExitCode {
        if let What::Step(step) = self.what {
            let Self { region, lost, accept, dry_run, to, .. } = self;
            return to.give(&Order::Drill { step, region, lost, accept, dry_run });
        }
        let address = match At::of(self.to.config().to_owned(), None).address() {
            Ok(address) => address,
            Err(error) => return misconfigured(&error),
        };
        wait_for(async {
            let answer = answer_of(&address, "/status", "status").await?;
            let status: observe::Status = serde_json::from_slice(&answer).context("the answer is not a status")?;
            let Some(drill) = &status.drill else {
                bail!("there was no drill yet: `duet drill plan` tells how it begins")
            };
            if let Some(file) = &self.page {
                std::fs::write(file, page(&status.pair, drill))
                    .with_context(|| format!("{} cannot be written", file.display()))?;
                return Ok(print(&format!("written: {}", file.display())));
            }
            if self.json {
                return Ok(print(&serde_json::to_string_pretty(drill)?));
            }
            Ok(print(&self.text(drill)))
        })
    }

    fn text(&self, drill: &drill::Drill) -> String {
        let mut text = String::new();
        for (name, value) in facts(drill) {
            text.push_str(&format!("{name}: {}\n", plain(&value)));
        }
        let all = matches!(self.what, What::Report);
        let lines = drill.history.iter().rev().take(if all { usize::MAX } else { 3 });
        for line in lines.collect::<Vec<_>>().into_iter().rev() {
            let action = line.action.map_or_else(String::new, |action| format!("{action:?} by ").to_lowercase());
            text.push_str(&format!("{} {action}{}: {}\n", line.time, plain(&line.by), plain(&line.text)));
        }
        text.trim_end().to_owned()
    }
}
