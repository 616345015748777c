//! `duet conflicts undo`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;

use super::ask::{Address, At, answer_of, path};
use super::exit::{misconfigured, print, wait_for};
use super::render::plain;
use super::render_conflicts::write;
use crate::config::{Config, load};
use crate::http::Conflicts;
use crate::journal::{Entry, Id};
use crate::runtime::client::{Client, Reply, integer, text};

const AFTER_HELP: &str = "\
Executes the losing write once more at its region, as an ordinary client with the user and password of the \
configuration. It is a new update: it goes to the other region like any other, and replaces what stands there.

Example:
  duet conflicts undo 91f0c3a2b4d5e6f7 --config pair.toml";

/// Write a losing write back, as a new update at its region.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Undo {
    /// Which conflict, as `duet conflicts` names it
    #[arg(value_name = "ID")]
    id: Id,

    /// The configuration of the pair, as TOML
    #[arg(long, value_name = "FILE", env = "DUET_CONFIG")]
    config: PathBuf,

    /// Where Duet answers; wins over http.listen of --config
    #[arg(long, value_name = "URL", value_parser = Address::parse)]
    url: Option<Address>,
}

impl Undo {
    pub(super) fn execute(self) -> ExitCode {
        let at = At::of(self.config.clone(), self.url.clone());
        let (config, address) = match load(&self.config).and_then(|config| Ok((config, at.address()?))) {
            Ok(known) => known,
            Err(error) => return misconfigured(&error),
        };
        wait_for(async { Ok(print(&self.undo(&config, &address).await?)) })
    }

    /// Gives what was done, for a person.
    async fn undo(&self, config: &Config, address: &Address) -> anyhow::Result<String> {
        let asked = path("/conflicts", &[("id", Some(self.id.to_string()))]);
        let answer = answer_of(address, &asked, "conflicts").await?;
        let understand = || format!("the answer of {address} is not about conflicts: is it another program?");
        let answer: Conflicts = serde_json::from_slice(&answer).with_context(understand)?;
        let Some(entry) = answer.conflicts.last() else {
            bail!(
                "no conflict {} among those that Duet has in memory. Look for it in the files of conflicts.journal, and \
                 execute its write by hand",
                self.id
            );
        };
        let request = request(entry)?;
        let lost_at = &entry.loser.region;
        let Some(region) = config.regions.iter().find(|region| region.name.as_str() == lost_at) else {
            bail!("the write is of region `{}`, which this configuration does not have", plain(lost_at));
        };
        let mut client = Client::connect(region, region.primary()).await?;
        client.call(&["SELECT", &entry.database.to_string()]).await?;
        let reply = client.call(&request).await?;
        Ok(format!(
            "executed at {}, database {}: {}\nanswer: {}\nIt is a new update, and goes to the other region like any other.",
            client.place(),
            entry.database,
            write(entry.write.as_ref()),
            shown(&reply)
        ))
    }
}

/// The losing write, when it is there as a whole.
fn request(entry: &Entry) -> anyhow::Result<Vec<Vec<u8>>> {
    let Some(write) = &entry.write else {
        bail!(
            "conflict {} has no losing write: the key was made equal by its value, and what it held before was not kept",
            entry.id
        );
    };
    if write.truncated {
        bail!(
            "the losing write of conflict {} has {} bytes, of which only the beginning was kept: write it again at {}",
            entry.id,
            write.length,
            plain(&entry.loser.region)
        );
    }
    write.request().with_context(|| format!("the losing write of conflict {} cannot be read", entry.id))
}

fn shown(reply: &Reply) -> String {
    match reply {
        Reply::SimpleString(_) | Reply::BulkString(_) => plain(&text(reply)),
        Reply::Integer(_) => integer(reply).to_string(),
        Reply::Null => "nothing".into(),
        Reply::Array(elements) => format!("{} elements", elements.len()),
        Reply::Error(error) => plain(error),
    }
}
