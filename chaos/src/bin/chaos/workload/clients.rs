//! What single clients do.

use super::Notes;
use super::ledger::Fate;
use super::worker::{Outcome, Worker, refusal};
use crate::side::Side;
use crate::world::World;
use anyhow::Result;
use duet_chaos::client::text;
use duet_chaos::hammer::{Hammer, Plan, Whole};
use duet_chaos::paced::{Command, Writer};
use duet_chaos::redis::Value;
use fastrand::Rng;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Between two tasks of a client, at most; half of it on average.
const PAUSE_MS: u64 = 50;
/// Shared counters, lists, sets ... of each kind.
const SHARED: usize = 3;
/// Registers of a region.
const REGISTERS: usize = 5;
/// Refusals of a server that is in trouble: what was refused was not executed.
const TROUBLE: [&str; 12] = [
    "OOM",
    "MISCONF",
    "READONLY",
    "NOREPLICAS",
    "LOADING",
    "BUSY",
    "EXECABORT",
    "MASTERDOWN",
    "NOAUTH",
    "NOPERM",
    "UNBLOCKED",
    "TRYAGAIN",
];

/// What a client does, again and again.
#[derive(Clone, Debug)]
pub enum Duty {
    /// Adds to shared sums.
    Sums,
    /// Puts elements into shared lists, sets, hashes, sorted sets and an own stream, and takes some away.
    Elements,
    /// Works off an own queue.
    Queue,
    /// Sets own registers, alone and two in a transaction.
    Registers,
    /// Lets keys expire.
    Expiring,
    /// Every write command on 50 keys that both regions write.
    Hammer,
    /// Deletes these keys.
    Delete(Vec<String>),
}

impl Duty {
    /// Those that each region has a client for.
    pub const ALL: [Self; 6] = [Self::Sums, Self::Elements, Self::Queue, Self::Registers, Self::Expiring, Self::Hammer];
}

/// One client with its duty.
pub struct Client {
    worker: Worker,
    world: Arc<World>,
    notes: Arc<Notes>,
    side: Side,
    round: usize,
    rng: Rng,
    seed: u64,
    number: u64,
}

impl Client {
    pub fn new(world: Arc<World>, notes: Arc<Notes>, side: Side, round: usize, seed: u64) -> Self {
        let worker = Worker::new(Arc::clone(&world), side);
        Self { worker, world, notes, side, round, rng: Rng::with_seed(seed), seed, number: 0 }
    }

    /// Works until the round ends.
    pub async fn work(mut self, duty: Duty) -> Result<()> {
        let mut hammer = self.hammer();
        while !self.notes.stop.load(Ordering::SeqCst) {
            self.number += 1;
            match &duty {
                Duty::Sums => self.add().await?,
                Duty::Elements => self.put_or_take().await?,
                Duty::Queue => self.queue().await?,
                Duty::Registers => self.register().await?,
                Duty::Expiring => self.expire().await?,
                Duty::Hammer => self.strike(&mut hammer).await?,
                Duty::Delete(keys) => return self.delete(keys).await,
            }
            self.notes.asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(self.rng.u64(..PAUSE_MS))).await;
        }
        Ok(())
    }

    /// Sends a line, or a transaction of lines. Nothing when it was refused, else what is known and the answer.
    async fn send(&mut self, lines: &[String]) -> Result<Option<(Fate, Value)>> {
        let mut commands: Vec<Command> = lines.iter().map(|line| command(line)).collect();
        if lines.len() > 1 {
            commands.insert(0, command("MULTI"));
            commands.push(command("EXEC"));
        }
        Ok(match self.worker.ask(&commands).await {
            Outcome::NotSent => None,
            Outcome::Unknown => Some((Fate::Maybe, Value::Nil)),
            Outcome::Answered(mut values) => {
                let last = values.pop().unwrap_or(Value::Nil);
                match refusal(&last) {
                    Some(said) => {
                        self.is_trouble(&lines[0], &said);
                        None
                    }
                    None => Some((Fate::Sure(Instant::now()), last)),
                }
            }
        })
    }

    fn is_trouble(&self, line: &str, said: &str) {
        if !TROUBLE.iter().any(|word| said.contains(word)) {
            self.notes.complain(format!("{} refused {line}: {said}", self.side));
        }
    }

    fn shared(&mut self, kind: &str) -> String {
        format!("r{}:{kind}:{}", self.round, self.rng.usize(..SHARED))
    }

    fn own(&self, kind: &str) -> String {
        format!("r{}:{kind}:{}", self.round, self.side)
    }

    fn id(&self) -> String {
        format!("{}-{}", self.side, self.number)
    }

    async fn add(&mut self) -> Result<()> {
        let (value, id) = (self.rng.i64(1..9), self.id());
        if self.rng.bool() {
            let key = self.shared("sum");
            if let Some((fate, _)) = self.send(&[format!("INCRBY {key} {value}")]).await? {
                self.notes.ledger().increased(self.side, &key, value, fate);
            }
            return Ok(());
        }
        let (counter, set) = (self.shared("count"), String::new());
        let set = format!("{set}{counter}:ids");
        if let Some((fate, _)) = self.send(&[format!("INCR {counter}"), format!("SADD {set} {id}")]).await? {
            let mut ledger = self.notes.ledger();
            ledger.increased(self.side, &counter, 1, fate);
            ledger.added(self.side, &set, &id, fate);
            ledger.counted(&counter, &set);
        }
        Ok(())
    }

    async fn put_or_take(&mut self) -> Result<()> {
        let (kind, put, take) = [
            ("list", "RPUSH @ %", ""),
            ("list", "LPUSH @ %", "LREM @ 1 %"),
            ("set", "SADD @ %", "SREM @ %"),
            ("hash", "HSET @ % 1", "HDEL @ %"),
            ("sorted", "ZADD @ 7 %", "ZREM @ %"),
            ("stream", "XADD @ * id %", ""),
        ][self.rng.usize(..6)];
        let key = if kind == "stream" { self.own(kind) } else { self.shared(kind) };
        let line = |form: &str, id: &str| form.replace('@', &key).replace('%', id);
        let victim = self.notes.ledger().any_sure(self.side, &key, self.rng.usize(..));
        if let Some(victim) = victim.filter(|_| !take.is_empty() && self.rng.u8(..4) == 0) {
            return self.take(&line(take, &victim), &key, &victim).await;
        }
        let id = self.id();
        if let Some((fate, _)) = self.send(&[line(put, &id)]).await? {
            self.notes.ledger().added(self.side, &key, &id, fate);
        }
        Ok(())
    }

    /// Works off from the head; where a whole region may be copied, by name: who pops from a list that is being put back
    /// takes what was taken before.
    async fn queue(&mut self) -> Result<()> {
        let (key, id) = (self.own("queue"), self.id());
        if self.rng.u8(..5) < 3 {
            if let Some((fate, _)) = self.send(&[format!("RPUSH {key} {id}")]).await? {
                self.notes.ledger().added(self.side, &key, &id, fate);
            }
            return Ok(());
        }
        if self.notes.struck_history.is_some() {
            return self.take_by_name(&key).await;
        }
        match self.send(&[format!("LPOP {key}")]).await? {
            Some((fate @ Fate::Sure(_), taken)) => self.notes.ledger().removed(&key, &text(&taken)?, fate),
            Some((Fate::Maybe, _)) => self.notes.ledger().popped_blindly(&key),
            None => {}
        }
        Ok(())
    }

    async fn take_by_name(&mut self, key: &str) -> Result<()> {
        let Some(id) = self.notes.ledger().any_sure(self.side, key, 0) else { return Ok(()) };
        self.take(&format!("LREM {key} 1 {id}"), key, &id).await
    }

    /// Takes an element away by a line that answers how many it took.
    async fn take(&mut self, line: &str, key: &str, id: &str) -> Result<()> {
        match self.send(&[line.to_owned()]).await? {
            // It was not there just then.
            Some((Fate::Sure(_), Value::Int(0))) | None => {}
            Some((fate, _)) => self.notes.ledger().removed(key, id, fate),
        }
        Ok(())
    }

    async fn register(&mut self) -> Result<()> {
        let value = self.id();
        if self.rng.bool() {
            let key = format!("{}:{}", self.own("register"), self.rng.usize(..REGISTERS));
            if let Some((fate, _)) = self.send(&[format!("SET {key} {value}")]).await? {
                self.notes.ledger().set(self.side, &key, &value, fate);
            }
            return Ok(());
        }
        let (one, other) = (self.own("twin-a"), self.own("twin-b"));
        if let Some((fate, _)) = self.send(&[format!("SET {one} {value}"), format!("SET {other} {value}")]).await? {
            let mut ledger = self.notes.ledger();
            for key in [&one, &other] {
                ledger.set(self.side, key, &value, fate);
            }
            ledger.twins(&one, &other);
        }
        Ok(())
    }

    async fn expire(&mut self) -> Result<()> {
        let (key, id) = (self.own("life"), self.id());
        let key = format!("{key}:{}", self.number);
        if self.rng.u8(..5) == 0 {
            if let Some((fate, _)) = self.send(&[format!("SET {key} {id} PX 3600000")]).await? {
                self.notes.ledger().set(self.side, &key, &id, fate);
            }
            return Ok(());
        }
        let life = self.rng.u64(1..1_500);
        if let Some((fate, _)) = self.send(&[format!("SET {key} {id} PX {life}")]).await? {
            self.notes.ledger().over(self.side, &key, fate);
        }
        Ok(())
    }

    async fn delete(&mut self, keys: &[String]) -> Result<()> {
        for key in keys {
            if let Some((fate, _)) = self.send(&[format!("DEL {key}")]).await? {
                self.notes.ledger().over(self.side, key, fate);
            }
        }
        Ok(())
    }

    fn hammer(&self) -> Hammer {
        let (origin, peer) = (self.world.region(self.side).flavor, self.world.region(self.side.other()).flavor);
        Hammer::new(origin, Plan { prefix: "x:", seed: self.seed, peer, expiring: true, whole: Whole::Left })
    }

    async fn strike(&mut self, hammer: &mut Hammer) -> Result<()> {
        let commands = hammer.next()?;
        let Outcome::Answered(values) = self.worker.ask(&commands).await else { return Ok(()) };
        for (command, value) in commands.iter().zip(&values) {
            if refusal(value).is_some_and(|said| TROUBLE.iter().any(|word| said.contains(word))) {
                continue;
            }
            if let Err(error) = hammer.answered(command, value) {
                self.notes.complain(format!("{}: {error:#}", self.side));
            }
        }
        Ok(())
    }
}

fn command(line: &str) -> Command {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}
