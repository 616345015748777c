//! Deletes that a server makes by itself are told from those of clients, one by one.

use crate::duet;
use anyhow::{Context, Result, bail, ensure};
use duet::config::load;
use duet::engine::conflict::departed::{DeletePolicy, Deletes, Departed, Removed, SharedDeparted, Verdict, Why};
use duet::engine::position::Position;
use duet::observe::Board;
use duet::runtime::events::{Fences, Watch};
use duet::wire::resp::{Command, FrameReader};
use duet_chaos::client::Client;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::wait::eventually;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How many keys there are of each sort.
const KEYS: usize = 100;
const EVENTS: DeletePolicy = DeletePolicy { expiry: Deletes::Events, eviction: Deletes::Events };

/// A removal in a stream: where it ends, of which key, and what it removes.
type Removal = (Position, String, Removed);

/// A raw connection of a replica.
struct Replica {
    stream: TcpStream,
    input: Vec<u8>,
    at: Position,
}

impl Replica {
    async fn attach(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let nowhere = Position { replication_id: duet::engine::position::ReplicationId::NONE, offset: 0, database: 0 };
        let mut replica = Self { stream, input: Vec::new(), at: nowhere };
        replica.stream.write_all(b"REPLCONF capa eof capa psync2\r\n").await?;
        ensure!(replica.line().await? == "+OK");
        replica.stream.write_all(b"PSYNC ? -1\r\n").await?;
        let line = replica.line().await?;
        let words: Vec<&str> = line.split(' ').collect();
        let ["+FULLRESYNC", id, offset] = words[..] else { bail!("PSYNC: {line}") };
        replica.at = Position { replication_id: id.parse()?, offset: offset.parse()?, database: 0 };
        let head = replica.line().await?;
        match head.strip_prefix("$EOF:") {
            Some(mark) => {
                while !replica.input.windows(40).any(|window| window == mark.as_bytes()) {
                    replica.read().await?;
                }
                let end = replica.input.windows(40).position(|window| window == mark.as_bytes()).context("mark")? + 40;
                replica.input.drain(..end);
            }
            None => {
                let length: usize = head.strip_prefix('$').context("a dump")?.parse()?;
                while replica.input.len() < length {
                    replica.read().await?;
                }
                replica.input.drain(..length);
            }
        }
        Ok(replica)
    }

    /// The next line that is not blank.
    async fn line(&mut self) -> Result<String> {
        loop {
            let blank = self.input.iter().take_while(|byte| **byte == b'\n').count();
            self.input.drain(..blank);
            if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                return Ok(String::from_utf8(line)?.trim_end().to_owned());
            }
            self.read().await?;
        }
    }

    /// Reads more; acknowledges again and again, which a primary waits for.
    async fn read(&mut self) -> Result<()> {
        let mut buffer = [0; 65536];
        let started = Instant::now();
        while started.elapsed() < DEADLINE {
            match tokio::time::timeout(Duration::from_millis(100), self.stream.read(&mut buffer)).await {
                Ok(read) => {
                    let read = read?;
                    ensure!(read > 0, "the primary closed the connection");
                    self.input.extend_from_slice(&buffer[..read]);
                    return Ok(());
                }
                Err(_) => self.stream.write_all(b"*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$1\r\n0\r\n").await?,
            }
        }
        bail!("nothing came from the primary")
    }

    /// The next command.
    async fn command(&mut self) -> Result<Vec<String>> {
        loop {
            let mut frames = FrameReader::new();
            if let Some(length) = frames.next(&self.input)? {
                let command = Command::new(&self.input, frames.arguments());
                let words: Vec<String> = command.args().map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
                self.input.drain(..length);
                let Some(name) = words.first() else { continue }; // a blank line keeps the connection alive
                self.at.offset += length as u64;
                if name.eq_ignore_ascii_case("SELECT") {
                    self.at.database = words[1].parse()?;
                }
                return Ok(words);
            }
            self.read().await?;
        }
    }

    /// All removals up to the write of the key `end`, and beyond it until there are so many.
    async fn removals(&mut self, at_least: usize) -> Result<Vec<Removal>> {
        let (mut removals, mut ended) = (Vec::new(), false);
        while !ended || removals.len() < at_least {
            let command = self.command().await?;
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            match words[..] {
                ["SET", "end", ..] => ended = true,
                ["DEL" | "UNLINK", key] => removals.push((self.at, key.to_owned(), Removed::Key)),
                ["HDEL", key, ..] => removals.push((self.at, key.to_owned(), Removed::Fields)),
                _ => {}
            }
        }
        Ok(removals)
    }
}

/// A server whose events are received, and a replica of it.
struct Watched {
    regions: Regions,
    client: Client,
    departed: SharedDeparted,
    fences: Arc<Fences>,
    task: tokio::task::JoinHandle<()>,
}

impl Watched {
    /// The replica comes first: a server without any begins a new history when it gets one.
    async fn start(flavor: Flavor) -> Result<(Self, Replica)> {
        let args = ["--hz", "100", "--repl-diskless-sync", "yes"];
        let regions = Regions::start_with((flavor, &args), (flavor, &[])).await?;
        let replica = Replica::attach(regions.west.port()).await?;
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("pair.toml");
        std::fs::write(&file, regions.config(&More::default()))?;
        let config = load(&file)?;
        let board = Board::new(&config, Instant::now());
        let (departed, fences) = (SharedDeparted::default(), Arc::new(Fences::default()));
        let link = Arc::clone(board.forward());
        let (told, asked) = (Arc::clone(&departed), Arc::clone(&fences));
        let task = tokio::spawn(async move {
            let (region, retry) = (config.source(), &config.retry);
            Watch { region, retry, policy: EVENTS, departed: &told, fences: &asked, board: &link }.run().await;
        });
        let in_force = async || Ok((board.forward().deletes() == EVENTS).then_some(()));
        eventually("events to be in force", DEADLINE, in_force).await?;
        let client = regions.west.client().await?;
        Ok((Self { regions, client, departed, fences, task }, replica))
    }

    /// Who made it, as soon as it is decided.
    async fn verdict(&self, (at, key, removed): &Removal) -> Result<Verdict> {
        eventually("a removal to be decided", DEADLINE, async || {
            let mut departed = self.departed.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
            if departed.ask(at.offset) {
                self.fences.asked.notify_one();
            }
            let verdict = departed.take(*at, key.as_bytes(), *removed);
            Ok((verdict != Verdict::Pending).then_some(verdict))
        })
        .await
    }

    /// Every verdict by the first letter of the key, each with how often it was given.
    async fn verdicts(&self, removals: &[Removal]) -> Result<HashMap<(char, Removed, Verdict), usize>> {
        let mut verdicts = HashMap::new();
        for removal in removals {
            let sort = removal.1.chars().next().context("a key without a name")?;
            *verdicts.entry((sort, removal.2, self.verdict(removal).await?)).or_default() += 1;
        }
        Ok(verdicts)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits until the database of `client` holds so many keys, those included that are due but not deleted yet.
async fn holds(client: &Client, keys: usize) -> Result<()> {
    let holds = async || Ok((client.int("DBSIZE").await? == keys as i64).then_some(()));
    eventually("keys to be gone", DEADLINE, holds).await
}

/// `c` is deleted by clients, `x` expires, `t` expires when a transaction meets it, in turn.
async fn delete_and_expire(server: &Watched) -> Result<()> {
    let client = &server.client;
    let three = server.regions.west.client_in(3).await?;
    for n in 0..KEYS {
        client.script(&format!("SET c{n} 1\nSET x{n} 1 PX 20\nSET t{n} 1 PX 1\nSET both{n} 1 PX 5")).await?;
        three.run(&format!("SET x{n} 1 PX {}", 10 + n)).await?;
        client.script(&format!("MULTI\nSET o{n} 1\nAPPEND t{n} 1\nSET o{n} 2\nEXEC\nDEL t{n}")).await?;
        let word = ["DEL", "UNLINK", "GETDEL"][n % 3];
        client.run(&format!("{word} c{n}")).await?;
    }
    holds(client, KEYS).await?;
    holds(&three, 0).await
}

/// `v` is evicted where it is not deleted (`d`) first; then the server may grow again.
async fn evict(client: &Client) -> Result<()> {
    client.run("CONFIG SET maxmemory-policy volatile-lru").await?;
    let value = "v".repeat(10_000);
    for n in 0..KEYS {
        client.script(&format!("SET v{n} {value} EX 3600\nSET d{n} 1\nDEL d{n}")).await?;
    }
    let memory = async |field| anyhow::Ok(client.info("memory", field).await?.context("no figure")?.parse::<i64>()?);
    let used = memory("used_memory").await? - memory("mem_not_counted_for_evict").await?;
    client.run(&format!("CONFIG SET maxmemory {}", used - 200_000)).await?;
    let evicted = async || Ok(client.info("stats", "evicted_keys").await?.filter(|keys| keys != "0"));
    eventually("keys to be evicted", DEADLINE, async || {
        client
            .run("SET o 1")
            .await
            .map(drop)
            .or_else(|error| if format!("{error:#}").contains("OOM") { Ok(()) } else { Err(error) })?;
        evicted().await
    })
    .await?;
    client.run("CONFIG SET maxmemory 0").await?;
    Ok(())
}

async fn tells_them_apart(flavor: Flavor) -> Result<()> {
    let (server, mut replica) = Watched::start(flavor).await?;
    let setting = server.client.run("CONFIG GET notify-keyspace-events").await?;
    ensure!(format!("{setting:?}").contains("gxeE"), "what was empty holds what is needed: {setting:?}");
    delete_and_expire(&server).await?;
    evict(&server.client).await?;
    server.client.run("SET end 1").await?;
    let removals = replica.removals(0).await?;
    let evicted: usize = server.client.info("stats", "evicted_keys").await?.context("no evicted_keys")?.parse()?;
    let expired: usize = server.client.info("stats", "expired_keys").await?.context("no expired_keys")?.parse()?;
    let mut verdicts = server.verdicts(&removals).await?;
    let mut count = |sort, verdict| verdicts.remove(&(sort, Removed::Key, verdict)).unwrap_or_default();
    let by = |why| Verdict::Server(why);
    ensure!(count('c', Verdict::Client) == KEYS && count('d', Verdict::Client) == KEYS);
    ensure!(count('x', by(Why::Expired)) == 2 * KEYS);
    ensure!(count('v', by(Why::Evicted)) == evicted && evicted > 0);
    let met = count('t', by(Why::Expired));
    // Both in one window: one of the two expired.
    let either = count('t', Verdict::Unknown);
    ensure!(
        2 * KEYS + met + count('b', by(Why::Expired)) + either / 2 == expired && either.is_multiple_of(2),
        "{expired} expired, {met} of them in a transaction"
    );
    // A transaction that came before the expiry made a key without one of what was there, and it was deleted after it.
    ensure!(count('t', Verdict::Client) <= KEYS);
    ensure!(verdicts.is_empty(), "these were not told: {verdicts:?}");
    Ok(())
}

#[tokio::test]
async fn every_delete_of_redis_62_is_told() -> Result<()> {
    tells_them_apart(Redis62).await
}

#[tokio::test]
async fn every_delete_of_redis_70_is_told() -> Result<()> {
    tells_them_apart(Redis70).await
}

#[tokio::test]
async fn every_delete_of_valkey_91_is_told() -> Result<()> {
    tells_them_apart(Valkey91).await
}

#[tokio::test]
async fn expired_fields_are_told_from_deleted_ones() -> Result<()> {
    let (server, mut replica) = Watched::start(Valkey91).await?;
    let client = &server.client;
    for n in 0..KEYS {
        client
            .script(&format!("HSET e{n} a 1 b 2\nHPEXPIRE e{n} 20 FIELDS 1 a\nHSET c{n} a 1 b 2\nHDEL c{n} a"))
            .await?;
        client.script(&format!("HSET w{n} a 1\nHPEXPIRE w{n} 20 FIELDS 1 a\nHSET d{n} a 1\nDEL d{n}")).await?;
    }
    client.run("SET end 1").await?;
    let verdicts = server.verdicts(&replica.removals(5 * KEYS).await?).await?;
    let fields = Verdict::Server(Why::FieldsExpired);
    let expected = HashMap::from([
        (('e', Removed::Fields, fields), KEYS),
        (('w', Removed::Fields, fields), KEYS),
        (('w', Removed::Key, fields), KEYS),
        (('c', Removed::Fields, Verdict::Client), KEYS),
        (('d', Removed::Key, Verdict::Client), KEYS),
    ]);
    ensure!(verdicts == expected, "{verdicts:?}");
    Ok(())
}

#[tokio::test]
async fn without_the_right_to_config_the_pair_streams_and_says_what_is_in_force() -> Result<()> {
    for flavor in Flavor::ALL {
        let regions = Regions::start(flavor, flavor).await?;
        let (west, east) = regions.clients().await?;
        west.run("ACL SETUSER duet on >secret ~* &* +@all -config").await?;
        east.run("CONFIG SET notify-keyspace-events Kg").await?;
        let more = More { west: "username = \"duet\"\npassword = \"secret\"".to_owned(), ..More::default() };
        let daemon = regions.daemon_with(duet(), &more).await?;
        let says = |link: usize, word: &'static str| {
            move |status: &serde_json::Value| {
                let deletes = &status["links"][link]["deletes"];
                deletes["expiry"] == word && deletes["eviction"] == word
            }
        };
        daemon.wait_for("what is in force at west", DEADLINE, says(0, "compare")).await?;
        daemon.wait_for("what is in force at east", DEADLINE, says(1, "events")).await?;
        let setting = format!("{:?}", east.run("CONFIG GET notify-keyspace-events").await?);
        ensure!("KgExe".chars().all(|flag| setting.contains(flag)), "{setting}");
        let warned = async || Ok(daemon.output().contains("keyspace events are not in force").then_some(()));
        eventually("the log to say so", DEADLINE, warned).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_happened_while_no_events_came_is_unknown() -> Result<()> {
    let (server, mut replica) = Watched::start(Redis70).await?;
    server.client.run("CONFIG SET notify-keyspace-events ''").await?;
    let lost = async || Ok((!watching(&server.departed)?).then_some(()));
    eventually("the change to be seen", DEADLINE, lost).await?;
    let again = async || Ok(watching(&server.departed)?.then_some(()));
    server.client.script("SET k 1\nDEL k").await?;
    eventually("events to come again", DEADLINE, again).await?;
    server.client.script("SET c 1\nDEL c\nSET x 1 PX 1").await?;
    holds(&server.client, 0).await?;
    server.client.run("SET end 1").await?;
    let removals = replica.removals(0).await?;
    let last = server.verdicts(&removals[1..]).await?;
    ensure!(last.contains_key(&('c', Removed::Key, Verdict::Client)), "{last:?}");
    ensure!(last.contains_key(&('x', Removed::Key, Verdict::Server(Why::Expired))), "{last:?}");
    ensure!(server.verdict(&removals[0]).await? == Verdict::Unknown);
    Ok(())
}

fn watching(departed: &Mutex<Departed>) -> Result<bool> {
    Ok(departed.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.is_watching())
}
