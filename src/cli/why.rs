//! `duet why`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;

use super::ask::{Address, At, answer_of, path};
use super::exit::{misconfigured, print, wait_for};
use super::inspect::{Held, Verdict, compare, look};
use super::render::{grouped, plain};
use super::render_conflicts::{day_and_time, table};
use crate::config::{Config, load};
use crate::http;

const AFTER_HELP: &str = "\
Asks both regions, with the users of the configuration, and a running Duet over HTTP for the last conflicts of the key. \
A key that is being written may differ for the time that a write needs from one region to the other.

Exit codes: 0 both regions hold the same value and expiry; 1 they differ, or it is not known; 78 the configuration is \
wrong.

Examples:
  duet why user:7 --config pair.toml
  duet why session:42 --db 3 --config pair.toml --json";

/// Compare a key in both regions, and tell its last conflicts.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Why {
    /// The key
    #[arg(value_name = "KEY")]
    key: OsString,

    /// Its database
    #[arg(long, value_name = "N", default_value_t = 0)]
    db: u32,

    /// The configuration of the pair, as TOML
    #[arg(long, value_name = "FILE", env = "DUET_CONFIG")]
    config: PathBuf,

    /// Where Duet answers; wins over http.listen of --config
    #[arg(long, value_name = "URL", value_parser = Address::parse)]
    url: Option<Address>,

    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// What is known of the key.
struct Findings {
    held: [Held; 2],
    verdict: Verdict,
    /// What the daemon knows, or why it was not asked.
    known: Result<http::Why, String>,
}

impl Why {
    pub(super) fn execute(self) -> ExitCode {
        let config = match load(&self.config) {
            Ok(config) => config,
            Err(error) => return misconfigured(&error),
        };
        wait_for(async {
            let findings = self.find(&config).await?;
            let printed = print(&if self.json { self.as_json(&findings) } else { self.as_text(&findings) });
            Ok(if findings.verdict == Verdict::Same { printed } else { ExitCode::FAILURE })
        })
    }

    async fn find(&self, config: &Config) -> anyhow::Result<Findings> {
        let key = self.key.as_bytes();
        let [source, target] = &config.regions;
        let looks = async { tokio::try_join!(look(source, self.db, key), look(target, self.db, key)) };
        let ((source, target), verdict) = tokio::try_join!(looks, compare(config, self.db, key))?;
        let known = self.ask().await.map_err(|error| format!("{error:#}"));
        Ok(Findings { verdict, held: [source, target], known })
    }

    async fn ask(&self) -> anyhow::Result<http::Why> {
        let address = At::of(self.config.clone(), self.url.clone()).address()?;
        let path = path("/why", &[("key", Some(self.key_text())), ("db", Some(self.db.to_string()))]);
        let answer = answer_of(&address, &path, "conflicts").await?;
        serde_json::from_slice(&answer).with_context(|| format!("the answer of {address} is not about a key"))
    }

    /// The key as it is, or as it is shown where it is no text.
    fn key_text(&self) -> String {
        self.key.to_str().map_or_else(|| self.key.as_bytes().escape_ascii().to_string(), str::to_owned)
    }

    fn as_json(&self, findings: &Findings) -> String {
        let (same, reason, places) = match &findings.verdict {
            Verdict::Same => (Some(true), None, None),
            Verdict::Differs { what, places } => (Some(false), Some(what.clone()), Some(places)),
            Verdict::Unknown(why) => (None, Some(why.clone()), None),
        };
        let (known, error) = match &findings.known {
            Ok(known) => (Some(known), None),
            Err(error) => (None, Some(error)),
        };
        let shown = json!({
            "key": self.key_text(),
            "database": self.db,
            "same": same,
            "reason": reason,
            "differences": places,
            "regions": findings.held,
            "last_origin": known.and_then(|known| known.last_origin.as_ref()),
            "conflicts": known.map(|known| &known.conflicts),
            "daemon_error": error,
        });
        format!("{shown:#}")
    }

    fn as_text(&self, findings: &Findings) -> String {
        let verdict = match &findings.verdict {
            Verdict::Same => "both regions hold the same".to_owned(),
            Verdict::Differs { what, .. } => format!("the regions DIFFER in {what}"),
            Verdict::Unknown(why) => format!("not known whether the regions hold the same: {}", plain(why)),
        };
        let mut text = format!("key \"{}\", database {}: {verdict}\n\n", plain(&self.key_text()), self.db);
        text.push_str(&values(&findings.held));
        if let Verdict::Differs { places, .. } = &findings.verdict {
            for place in places {
                text.push_str(&format!("\ndiffers: {}", plain(place)));
            }
        }
        match &findings.known {
            Err(error) => text.push_str(&format!("\nlast conflicts are not known: {}", plain(error))),
            Ok(known) if known.conflicts.is_empty() => text.push_str("\nno conflict of this key is known"),
            Ok(known) => {
                if let Some(origin) = &known.last_origin {
                    let time = origin.time.map_or_else(|| "an unknown time".into(), day_and_time);
                    text.push_str(&format!(
                        "\nlast kept after a conflict: the write of {} at {time}",
                        plain(&origin.region)
                    ));
                }
                text.push_str(&format!("\n{}", table(&known.conflicts).trim_end()));
            }
        }
        text
    }
}

fn values(held: &[Held; 2]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["region", "type", "length", "expires (UTC)", "value"]);
    for held in held {
        table.add_row([
            plain(&held.region),
            plain(&held.kind),
            grouped(u64::try_from(held.length).unwrap_or(0)),
            held.expires_at.map_or_else(|| "-".to_owned(), day_and_time),
            plain(&held.value.join(", ")),
        ]);
    }
    table.to_string()
}
