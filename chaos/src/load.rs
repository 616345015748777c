//! Writers with exact totals, and a mixed load of every type.

use crate::client::Client;
use crate::servers::Server;
use anyhow::{Result, bail};
use redis::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Commands in one pipeline.
const BATCH: u64 = 200;

/// What an exact load wrote, by what the server answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// `INCR`s, all on one counter.
    pub increments: u64,
    /// `LPUSH`es, all on one list.
    pub pushes: u64,
    /// `XADD`s, all on one stream.
    pub additions: u64,
}

/// Keys of an exact load.
#[derive(Clone, Debug)]
pub struct Counted {
    name: String,
}

impl Counted {
    /// A load on the keys `{name}:counter`, `{name}:list` and `{name}:stream`.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// Writes `rounds` times one of each command, pipelined, and returns what the server confirmed.
    ///
    /// # Errors
    /// When the server answers an error, or the connection breaks.
    pub async fn write(&self, client: &Client, rounds: u64) -> Result<Totals> {
        let mut done = 0;
        while done < rounds {
            let batch = BATCH.min(rounds - done);
            let mut commands = Vec::new();
            for number in done..done + batch {
                let number = number.to_string();
                commands.push(vec!["INCR".to_owned(), self.counter()]);
                commands.push(vec!["LPUSH".to_owned(), self.list(), number.clone()]);
                let add = ["XADD".to_owned(), self.stream(), "*".to_owned(), "n".to_owned(), number];
                commands.push(add.to_vec());
            }
            for reply in client.pipeline(&commands).await? {
                if let Value::ServerError(error) = reply {
                    bail!("the server refused a write: {error:?}");
                }
            }
            done += batch;
        }
        Ok(Totals { increments: rounds, pushes: rounds, additions: rounds })
    }

    /// What a server holds of this load.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn totals(&self, client: &Client) -> Result<Totals> {
        let count = async |line: String| -> Result<u64> { Ok(u64::try_from(client.int(&line).await?)?) };
        Ok(Totals {
            increments: count(format!("GET {}", self.counter())).await?,
            pushes: count(format!("LLEN {}", self.list())).await?,
            additions: count(format!("XLEN {}", self.stream())).await?,
        })
    }

    fn counter(&self) -> String {
        format!("{}:counter", self.name)
    }

    fn list(&self) -> String {
        format!("{}:list", self.name)
    }

    fn stream(&self) -> String {
        format!("{}:stream", self.name)
    }
}

/// A mixed load of every type on keys that begin with a name, until it is stopped.
pub struct Mixed {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    task: JoinHandle<Result<()>>,
}

impl Mixed {
    /// Starts writing to a server: about `per_second` commands, spread over databases 0 and 1.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn start(server: &Server, name: &str, per_second: u32) -> Result<Self> {
        let clients = [server.client().await?, server.client_in(1).await?];
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count, name) = (Arc::clone(&stop), Arc::clone(&written), name.to_owned());
        let task = tokio::spawn(async move {
            let beat = Duration::from_millis(50);
            let batch = (per_second / 20).max(1);
            let mut ticks = tokio::time::interval(beat);
            while !stopped.load(Ordering::SeqCst) {
                ticks.tick().await;
                let client = &clients[usize::from(fastrand::u8(..8) == 0)];
                let commands: Vec<Vec<String>> = (0..batch).map(|_| any_write(&name)).collect();
                for reply in client.pipeline(&commands).await? {
                    if let Value::ServerError(error) = reply {
                        bail!("the server refused a write: {error:?}");
                    }
                }
                count.fetch_add(u64::from(batch), Ordering::SeqCst);
            }
            Ok(())
        });
        Ok(Self { stop, written, task })
    }

    /// Commands written so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Stops, and returns the commands written.
    ///
    /// # Errors
    /// The error that ended the load early.
    pub async fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await??;
        Ok(self.written.load(Ordering::SeqCst))
    }
}

/// One write that no type clash can fail: each type has keys of its own.
fn any_write(name: &str) -> Vec<String> {
    let (key, item, score) = (fastrand::u8(..20), fastrand::u8(..50), fastrand::u16(..));
    let line = match fastrand::u8(..16) {
        0 => format!("SET {name}:string:{key} {score}"),
        1 => format!("SET {name}:expiring:{key} {score} EX 3600"),
        2 => format!("INCR {name}:counter:{key}"),
        3 => format!("APPEND {name}:log:{key} {item},"),
        4 => format!("RPUSH {name}:list:{key} {score}"),
        5 => format!("LPOP {name}:list:{key}"),
        6 => format!("SADD {name}:set:{key} {item}"),
        7 => format!("SPOP {name}:set:{key}"),
        8 => format!("ZADD {name}:sorted:{key} {score} {item}"),
        9 => format!("ZINCRBY {name}:sorted:{key} 1 {item}"),
        10 => format!("HSET {name}:hash:{key} {item} {score}"),
        11 => format!("HINCRBY {name}:hash:{key} count 1"),
        12 => format!("HDEL {name}:hash:{key} {item}"),
        13 => format!("XADD {name}:stream:{key} MAXLEN ~ 1000 * item {item}"),
        14 => format!("PFADD {name}:log-log:{key} {score}"),
        _ => format!("DEL {name}:string:{key}"),
    };
    line.split(' ').map(str::to_owned).collect()
}
