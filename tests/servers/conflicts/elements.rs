//! Different elements of the same sets, hashes and sorted sets from both regions: all that was put there is there.

use super::{Kills, Pair};
use anyhow::{Result, bail, ensure};
use duet_chaos::client::text;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::paced::{Command, Writer};
use duet_chaos::redis::Value;
use std::collections::BTreeMap;

/// Elements of each side and key.
const ELEMENTS: u16 = 200;

/// Puts elements of one side, and takes some of them away again.
struct Elements {
    side: &'static str,
    /// By the line that reads it: what is there, or nothing.
    expected: BTreeMap<String, String>,
}

impl Elements {
    fn new(side: &'static str) -> Self {
        Self { side, expected: BTreeMap::new() }
    }
}

impl Writer for Elements {
    fn next(&mut self) -> Result<Vec<Command>> {
        let element = format!("{}{}", self.side, fastrand::u16(..ELEMENTS));
        let value = fastrand::u16(1..1_000).to_string();
        let (read, write, held) = match fastrand::u8(..9) {
            0 | 1 => (format!("SISMEMBER set {element}"), format!("SADD set {element}"), "1".to_owned()),
            2 => (format!("SISMEMBER set {element}"), format!("SREM set {element}"), "0".to_owned()),
            3 | 4 => (format!("HGET hash {element}"), format!("HSET hash {element} {value}"), value),
            5 => (format!("HGET hash {element}"), format!("HDEL hash {element}"), String::new()),
            6 | 7 => (format!("ZSCORE sorted {element}"), format!("ZADD sorted {value} {element}"), value),
            _ => (format!("ZSCORE sorted {element}"), format!("ZREM sorted {element}"), String::new()),
        };
        self.expected.insert(read, held);
        Ok(vec![write.split(' ').map(|word| word.as_bytes().to_vec()).collect()])
    }

    fn answered(&mut self, _: &[Vec<u8>], reply: &Value) -> Result<()> {
        if let Value::ServerError(error) = reply {
            bail!("the server refused a write: {error:?}");
        }
        Ok(())
    }
}

async fn all_are_there(west: Flavor, east: Flavor) -> Result<()> {
    let mut pair = Pair::start(west, east).await?;
    let writers = pair.under_load(Elements::new("w"), Elements::new("e"), Kills::Some).await?;
    let (west, east) = pair.regions.clients().await?;
    for client in [west, east] {
        for writer in &writers {
            let ask: Vec<Vec<&str>> = writer.expected.keys().map(|read| read.split(' ').collect()).collect();
            for ((read, wanted), reply) in writer.expected.iter().zip(client.pipeline(&ask).await?) {
                let held = match reply {
                    Value::Double(score) => score.to_string(),
                    other => text(&other)?,
                };
                ensure!(held == *wanted, "{read}: {held:?} instead of {wanted:?}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn elements_of_both_sides_are_all_there() -> Result<()> {
    for (west, east) in [(Redis70, Valkey91), (Redis62, Redis62)] {
        all_are_there(west, east).await?;
    }
    Ok(())
}
