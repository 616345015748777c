//! A session store: keys that live for two seconds and are refreshed in the other region just before they expire.

use super::{Pair, SETTLING};
use anyhow::{Result, bail, ensure};
use duet_chaos::client::{Client, text};
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::pair::More;
use duet_chaos::redis::Value;
use duet_chaos::wait::eventually;
use std::time::{Duration, Instant};

/// How many keys are refreshed side by side.
const KEYS: usize = 2_000;
/// How often each is refreshed: ten thousand times in all.
const ROUNDS: usize = 5;
/// How long a key lives after a refresh.
const LIFE: Duration = Duration::from_secs(2);
/// So long before its end a key is refreshed: too late for the refresh to arrive in the other region before the end.
const BEFORE_THE_END: Duration = Duration::from_millis(30);
/// So long after a refresh both regions must hold what it wrote.
const LOOK_AFTER: Duration = Duration::from_millis(1_000);
/// A look that comes later than this after the refresh says nothing: the key may have expired by right.
const LOOK_UNTIL: Duration = Duration::from_millis(1_700);

/// One key: when it was written last, what, and whether somebody has looked since.
#[derive(Clone, Copy)]
struct Session {
    written: Instant,
    round: usize,
    looked: bool,
}

/// All sessions, and a client in each region.
struct Store {
    clients: [Client; 2],
    sessions: Vec<Session>,
    looks: usize,
}

impl Store {
    /// Writes some sessions anew, each in the region whose turn it is.
    async fn refresh(&mut self, due: &[usize]) -> Result<()> {
        let (west, east): (Vec<_>, Vec<_>) = due.iter().partition(|key| self.sessions[**key].round.is_multiple_of(2));
        for (client, mine) in self.clients.iter().zip([west, east]) {
            let line = |key: &usize| format!("SET session:{key} {} EX {}", self.sessions[*key].round, LIFE.as_secs());
            let commands: Vec<Vec<String>> =
                mine.iter().map(|key| line(key).split(' ').map(str::to_owned).collect()).collect();
            let written = Instant::now();
            for reply in client.pipeline(&commands).await? {
                if let Value::ServerError(error) = reply {
                    bail!("the server refused a refresh: {error:?}");
                }
            }
            for key in mine {
                let round = self.sessions[key].round + 1;
                self.sessions[key] = Session { written, round, looked: false };
            }
        }
        Ok(())
    }

    /// Looks in both regions for what some sessions hold.
    async fn look(&mut self, keys: &[usize]) -> Result<()> {
        let commands: Vec<_> = keys.iter().map(|key| vec!["GET".to_owned(), format!("session:{key}")]).collect();
        for (region, client) in self.clients.iter().enumerate() {
            let replies = client.pipeline(&commands).await?;
            for (key, reply) in keys.iter().zip(replies) {
                let session = &mut self.sessions[*key];
                if session.written.elapsed() > LOOK_UNTIL {
                    continue;
                }
                let (held, wanted) = (text(&reply)?, (session.round - 1).to_string());
                let of = if (session.round - 1) % 2 == region { "its own" } else { "the other" };
                ensure!(held == wanted, "session:{key} in {of} region: {held:?} instead of {wanted:?}");
                self.looks += 1;
            }
        }
        keys.iter().for_each(|key| self.sessions[*key].looked = true);
        Ok(())
    }

    /// Refreshes what is about to expire and looks at what was refreshed, until every key had all its rounds.
    async fn run(&mut self) -> Result<()> {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let chosen = |sessions: &[Session], wanted: &dyn Fn(&Session) -> bool| -> Vec<usize> {
            sessions.iter().enumerate().filter(|(_, session)| wanted(session)).map(|(key, _)| key).collect()
        };
        while self.sessions.iter().any(|session| session.round <= ROUNDS || !session.looked) {
            ticks.tick().await;
            let due = |session: &Session| session.round <= ROUNDS && session.written.elapsed() + BEFORE_THE_END >= LIFE;
            self.refresh(&chosen(&self.sessions, &due)).await?;
            let ripe =
                |session: &Session| session.round > 0 && !session.looked && session.written.elapsed() >= LOOK_AFTER;
            self.look(&chosen(&self.sessions, &ripe)).await?;
        }
        Ok(())
    }
}

async fn no_refreshed_key_is_lost(west: Flavor, east: Flavor, args: &[&str]) -> Result<()> {
    let pair = Pair::start_configured(west, east, args, &More::default()).await?;
    let (at_west, at_east) = pair.regions.clients().await?;
    let now = Instant::now();
    // Their first writes are spread over one life, as if each had been written a life before.
    let first = |key: usize| now - LIFE + LIFE * u32::try_from(key).unwrap_or(0) / u32::try_from(KEYS).unwrap_or(1);
    let sessions = (0..KEYS).map(|key| Session { written: first(key), round: 0, looked: false }).collect();
    let mut store = Store { clients: [at_west, at_east], sessions, looks: 0 };
    store.run().await?;
    let most = 2 * KEYS * (ROUNDS + 1);
    ensure!(store.looks > most * 9 / 10, "this machine was too slow to look: {} of {most} times", store.looks);
    // Now all of them end by themselves, in both regions; meanwhile no two looks at them are the same.
    let all: Vec<String> = (0..KEYS).map(|key| format!("session:{key}")).collect();
    for client in &store.clients {
        let exists = [vec!["EXISTS".to_owned()], all.clone()].concat();
        let gone =
            async || Ok((client.pipeline(std::slice::from_ref(&exists)).await? == [Value::Int(0)]).then_some(()));
        eventually("all sessions to expire", SETTLING, gone).await?;
    }
    pair.settle().await
}

/// Servers that tell of keys that expire.
const WITH_EVENTS: [&str; 2] = ["--notify-keyspace-events", "Exeg"];

#[tokio::test]
async fn no_refreshed_session_is_lost_between_redis_70_and_redis_70() -> Result<()> {
    no_refreshed_key_is_lost(Redis70, Redis70, &WITH_EVENTS).await
}

#[tokio::test]
async fn no_refreshed_session_is_lost_between_redis_62_and_valkey_91() -> Result<()> {
    no_refreshed_key_is_lost(Redis62, Valkey91, &WITH_EVENTS).await
}
