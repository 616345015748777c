//! `duet verify`: the command line, and what it shows while it runs and in the end.

mod collect;
mod show;

pub(super) use show::place;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use self::collect::Collected;
use super::ask::Address;
use super::exit::{misconfigured, print};
use crate::config::{Config, load};
use crate::verify::{Filter, Mode, Plan, Sample, Summary, Verdict};

/// Could not come to its end.
const EXIT_UNFINISHED: u8 = 2;

const AFTER_HELP: &str = "\
Goes through both regions at the same time. A key that looks different is looked at again once both links have passed that \
moment, so that what is on its way counts as no difference, also while clients write. It only reads.

Exit codes: 0 both regions hold the same; 1 keys differ; 2 it could not come to its end, or keys were never seen still; \
78 the configuration is wrong.

Examples:
  duet verify --config pair.toml
  duet verify --config pair.toml --output result.db --html result.html
  duet verify --config pair.toml --output result.db --resume
  duet verify --config pair.toml --sample 1% --seed 7 --mode digest
  duet verify --config pair.toml --db 0 --prefix user: --type hash --qps 5000 --bandwidth 20000000";

/// Compare both regions, and tell which keys differ
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Verify {
    /// The configuration of the pair, as TOML
    #[arg(long, value_name = "FILE", env = "DUET_CONFIG")]
    config: PathBuf,

    /// What of a key is compared; 1 to 4 as redis-full-check numbers the first four
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,

    /// Only this database; may be given several times
    #[arg(long = "db", value_name = "N")]
    databases: Vec<u32>,

    /// Only keys that begin with this; may be given several times
    #[arg(long = "prefix", value_name = "TEXT")]
    prefixes: Vec<String>,

    /// Only keys that this pattern of SCAN fits
    #[arg(long, value_name = "GLOB")]
    pattern: Option<String>,

    /// Only keys of this type; may be given several times
    #[arg(long = "type", value_name = "TYPE", value_parser = ["string", "list", "set", "zset", "hash", "stream"])]
    types: Vec<String>,

    /// Only so many of the keys, as 1% or 0.01; which ones follows from their names and --seed
    #[arg(long, value_name = "SHARE", default_value = "100%")]
    sample: Sample,

    /// Chooses the sample
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Leave times to live out
    #[arg(long)]
    no_ttl: bool,

    /// By how much times to live may differ
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    ttl_tolerance: Duration,

    /// How often a difference must be seen, the first time among them; 1 looks once, and does not wait for the links
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,

    /// How long a difference must be there unchanged
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    settle: Duration,

    /// How long a key that changes all the time is looked at
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    patience: Duration,

    /// A key above so many bytes of a server's memory is read in pieces, or by its length with --mode skip-big
    #[arg(long, value_name = "BYTES", default_value_t = 1_048_576)]
    big: u64,

    /// At most so many requests a second at each server
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    qps: u64,

    /// At most so many bytes a second from each server
    #[arg(long, value_name = "BYTES", default_value_t = 0, hide_default_value = true)]
    bandwidth: u64,

    /// How many batches are compared at the same time, each with a connection to each server; 8, and up to 32 where the way
    /// to a server is long, unless said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=64))]
    parallel: Option<u64>,

    /// Keep the result in this file, SQLite with the tables of redis-full-check; `duet repair` works from it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Go on with the interrupted run of --output
    #[arg(long, requires = "output")]
    resume: bool,

    /// Write a page to look at
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Print as JSON
    #[arg(long)]
    json: bool,

    /// Where Duet answers; wins over http.listen of --config
    #[arg(long, value_name = "URL", value_parser = Address::parse)]
    url: Option<Address>,
}

impl Verify {
    pub(super) fn execute(self) -> ExitCode {
        let config = match load(&self.config) {
            Ok(config) => config,
            Err(error) => return misconfigured(&error),
        };
        let unfinished = |error: &dyn std::fmt::Display| {
            eprintln!("duet: {error}");
            ExitCode::from(EXIT_UNFINISHED)
        };
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return unfinished(&error),
        };
        match runtime.block_on(self.compare(Arc::new(config))) {
            Ok(collected) => self.show(&collected),
            Err(error) => unfinished(&format!("{error:#}")),
        }
    }

    fn show(&self, collected: &Collected) -> ExitCode {
        let text = if self.json { show::json(collected) } else { show::text(collected, self.output.as_deref()) };
        let printed = print(&text);
        if let Some(error) = &collected.summary.error {
            eprintln!("duet: {error}");
        }
        exit_code(&collected.summary).unwrap_or(printed)
    }

    fn plan(&self) -> Plan {
        let bytes = |texts: &[String]| texts.iter().map(|text| text.clone().into_bytes()).collect();
        Plan {
            mode: self.mode,
            filter: Filter {
                databases: self.databases.clone(),
                prefixes: bytes(&self.prefixes),
                pattern: self.pattern.clone().map(String::into_bytes),
                types: self.types.clone(),
            },
            sample: self.sample,
            seed: self.seed,
            ttl: !self.no_ttl,
            ttl_tolerance: self.ttl_tolerance,
            big_bytes: self.big,
            rounds: self.rounds,
            settle: self.settle,
            patience: self.patience,
            qps: self.qps,
            bandwidth: self.bandwidth,
            parallel: self.parallel.and_then(|lanes| usize::try_from(lanes).ok()),
        }
    }

    async fn compare(&self, config: Arc<Config>) -> anyhow::Result<Collected> {
        let collected = collect::run(self, &config).await?;
        if let Some(path) = &self.html {
            show::write_page(path, &collected)?;
        }
        Ok(collected)
    }
}

/// What the run says as an exit code; none where both regions hold the same.
fn exit_code(summary: &Summary) -> Option<ExitCode> {
    match summary.verdict() {
        Verdict::Equal => None,
        Verdict::Different => Some(ExitCode::FAILURE),
        Verdict::Unfinished => Some(ExitCode::from(EXIT_UNFINISHED)),
    }
}
