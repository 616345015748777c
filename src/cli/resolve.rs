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
use crate::runtime::client::{Client, Reply, TOO_LONG, clock_us};

/// How often a key that clients change meanwhile is read again.
const TRIES: usize = 10;

const AFTER_HELP: &str = "\
Decides what a held key is (conflicts.policy = \"hold\"): the region's value is written there once more, with its time to \
live, as an ordinary client with the user and password of the configuration. That is a new update of the whole key: it \
goes to the other region like any other, replaces what stands there, and the key is no longer held. Where the region has \
no such key, its deletion is written: the key is made there for a moment, and deleted.

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
                Rewritten::Deleted => {
                    return Ok(format!(
                        "{} has no such key, and has deleted it again. That is a new update, and goes to {} like any other.",
                        winner.name, loser.name
                    ));
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
    /// There was no such key: it was made, and deleted.
    Deleted,
    /// A client changed it in between.
    Changed,
}

/// Writes the value of a key again, with its time to live; a key that is not there is deleted again. Either is an update of the
/// whole key, made at once, and only if no client has changed the key since it was read.
async fn rewrite(client: &mut Client, key: &[u8]) -> anyhow::Result<Rewritten> {
    client.call(&[b"WATCH".as_slice(), key]).await?;
    let payload = match client.call(&[b"DUMP".as_slice(), key]).await {
        Ok(Reply::BulkString(payload)) => Some(payload),
        Ok(_) => None,
        Err(fault) if fault.text.contains(TOO_LONG) => bail!(
            "{fault}: the value is too long to be read here. Write it again yourself at the region whose value stays, as a \
             whole: `COPY` it to another name and `RENAME` that back"
        ),
        Err(fault) => return Err(fault.into()),
    };
    let Some(payload) = payload else {
        // A deletion of what is not there would not be told to the other region.
        let requests: [&[&[u8]]; 2] = [&[b"SET", key, b""], &[b"DEL", key]];
        return Ok(if execute(client, &requests).await? { Rewritten::Deleted } else { Rewritten::Changed });
    };
    let expires = expiry(client, key).await?.to_string();
    let restore: [&[u8]; 6] = [b"RESTORE", key, expires.as_bytes(), &payload, b"REPLACE", b"ABSTTL"];
    Ok(if execute(client, &[&restore]).await? { Rewritten::Done } else { Rewritten::Changed })
}

/// When a key expires, Unix milliseconds: 0 for never. Before 7.0 a server tells only how long it still lives: then the
/// earliest time is given that it can be, which is early by no more than the server took to answer.
async fn expiry(client: &mut Client, key: &[u8]) -> anyhow::Result<i64> {
    let requests: [&[&[u8]]; 3] = [&[b"PEXPIRETIME", key], &[b"TIME"], &[b"PTTL", key]];
    let replies = client.calls::<&[u8]>(&requests).await?;
    let [absolute, time, left] = replies.as_slice() else { bail!("{} did not answer about the key", client.place()) };
    if let Reply::Integer(expires_ms) = absolute {
        return Ok((*expires_ms).max(0));
    }
    let Some(now_us) = clock_us(time) else { bail!("{} did not answer TIME", client.place()) };
    let Reply::Integer(left_ms) = left else { bail!("{} did not answer PTTL", client.place()) };
    // A key that is in its last millisecond has 0 left; one without a time to live has -1.
    Ok(if *left_ms < 0 { 0 } else { (now_us / 1000).saturating_add(*left_ms) })
}

/// Executes requests in one transaction. Tells whether nothing that is watched had changed.
async fn execute(client: &mut Client, requests: &[&[&[u8]]]) -> anyhow::Result<bool> {
    let (multi, exec): ([&[u8]; 1], [&[u8]; 1]) = ([b"MULTI"], [b"EXEC"]);
    let mut all: Vec<&[&[u8]]> = vec![&multi];
    all.extend(requests);
    all.push(&exec);
    let replies = client.calls::<&[u8]>(&all).await?;
    match replies.last() {
        Some(Reply::Null) => Ok(false),
        Some(Reply::Array(executed)) => {
            match executed.iter().find_map(|reply| if let Reply::Error(error) = reply { Some(error) } else { None }) {
                Some(error) => bail!("{}: {}", client.place(), plain(error)),
                None => Ok(true),
            }
        }
        Some(Reply::Error(error)) => bail!("{}: {}", client.place(), plain(error)),
        Some(_) | None => bail!("{} did not answer EXEC", client.place()),
    }
}
