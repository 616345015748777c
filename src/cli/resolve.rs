//! `duet resolve`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::exit::{misconfigured, print, wait_for};
use super::render::plain;
use crate::config::{Config, Region, load};
use crate::runtime::client::{Client, Reply, elements, integer};

/// How often a key that clients change meanwhile is read again.
const TRIES: usize = 10;

const AFTER_HELP: &str = "\
Decides what a held key is (conflicts.policy = \"hold\"): the region's value is written there once more, with its time to \
live, as an ordinary client with the user and password of the configuration. That is a new update of the whole key: it \
goes to the other region like any other, replaces what stands there, and the key is no longer held. Where the region has \
no such key, it is deleted in the other one.

It works for any key of which both regions hold different values. What clients of the other region write at the same time \
may meet it: then the key is held again.

Examples:
  duet why user:7 --config pair.toml
  duet resolve user:7 --winner eu-west --config pair.toml";

/// Decide which region's value a held key keeps.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Resolve {
    /// The key
    #[arg(value_name = "KEY")]
    key: OsString,

    /// The region whose value stays
    #[arg(long, value_name = "REGION")]
    winner: String,

    /// Its database
    #[arg(long, value_name = "N", default_value_t = 0)]
    database: u32,

    /// The configuration of the pair, as TOML
    #[arg(long, value_name = "FILE", env = "DUET_CONFIG")]
    config: PathBuf,
}

impl Resolve {
    pub(super) fn execute(self) -> ExitCode {
        let config = match load(&self.config) {
            Ok(config) => config,
            Err(error) => return misconfigured(&error),
        };
        wait_for(async { Ok(print(&self.resolve(&config).await?)) })
    }

    /// Gives what was done, for a person.
    async fn resolve(&self, config: &Config) -> anyhow::Result<String> {
        let [one, other] = &config.regions;
        let (winner, loser) = match &self.winner {
            name if one.name.as_str() == name => (one, other),
            name if other.name.as_str() == name => (other, one),
            name => {
                bail!("--winner is `{}`, no region of this pair: give `{}` or `{}`", plain(name), one.name, other.name)
            }
        };
        let key = self.key.as_bytes();
        if key.starts_with(config.pair.reserved_prefix.as_str().as_bytes()) {
            bail!("keys that begin with `{}` are Duet's own", config.pair.reserved_prefix.as_str());
        }
        let mut client = self.client(winner).await?;
        for _ in 0..TRIES {
            match rewrite(&mut client, key).await? {
                Rewritten::Done => {
                    return Ok(format!(
                        "{} has written its value again. It is a new update, and goes to {} like any other.",
                        winner.name, loser.name
                    ));
                }
                Rewritten::NoSuchKey => {
                    self.client(loser).await?.call(&[b"DEL".as_slice(), key]).await?;
                    return Ok(format!("{} has no such key: it is deleted in {}.", winner.name, loser.name));
                }
                Rewritten::Changed => {}
            }
        }
        bail!("clients of {} change the key all the time: try again when they write less", winner.name)
    }

    async fn client(&self, region: &Region) -> anyhow::Result<Client> {
        let mut client = Client::connect(region, region.primary()).await?;
        client.call(&["SELECT", &self.database.to_string()]).await?;
        Ok(client)
    }
}

/// What became of a value that was to be written again.
enum Rewritten {
    Done,
    NoSuchKey,
    /// A client changed it in between.
    Changed,
}

/// Writes the value of a key again, with its time to live.
async fn rewrite(client: &mut Client, key: &[u8]) -> anyhow::Result<Rewritten> {
    client.call(&[b"WATCH".as_slice(), key]).await?;
    let payload = client.call(&[b"DUMP".as_slice(), key]).await?;
    let Reply::BulkString(payload) = payload else { return Ok(Rewritten::NoSuchKey) };
    let left_ms = integer(&client.call(&[b"PTTL".as_slice(), key]).await?);
    let time = client.call(&["TIME"]).await?;
    let now_ms = match elements(&time) {
        [seconds, micros] => integer(seconds).saturating_mul(1000).saturating_add(integer(micros) / 1000),
        _ => bail!("{} did not answer TIME", client.place()),
    };
    let expires_ms = if left_ms > 0 { now_ms.saturating_add(left_ms) } else { 0 };
    let expires = expires_ms.to_string();
    let restore: [&[u8]; 6] = [b"RESTORE", key, expires.as_bytes(), &payload, b"REPLACE", b"ABSTTL"];
    let replies = client.calls::<&[u8]>(&[&[b"MULTI".as_slice()][..], &restore, &[b"EXEC"]]).await?;
    match replies.last() {
        Some(Reply::Null) => Ok(Rewritten::Changed),
        Some(Reply::Array(executed)) => match executed.first() {
            Some(Reply::Error(error)) => bail!("{}: {}", client.place(), plain(error)),
            Some(_) | None => Ok(Rewritten::Done),
        },
        Some(Reply::Error(error)) => bail!("{}: {}", client.place(), plain(error)),
        Some(_) | None => bail!("{} did not answer EXEC", client.place()),
    }
}
