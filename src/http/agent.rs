//! HAProxy's agent checks: a line with a region and the lag that is borne comes in, a line goes out, and that is all.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::answers::Known;
use crate::health::{Health, agent_word};

/// Most connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 128;
/// How long the question may take to come, and the answer to be taken.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longest question.
const QUESTION: u64 = 256;
/// Wait after a failed accept, as when all file descriptors are in use.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long after the end of a drain, or the start of the daemon, HAProxy is told that it is over.
const RETURN: Duration = Duration::from_secs(60);
const USAGE: &str = "fail #set agent-send to a region and a lag, as \"us-east 500\\n\"";

/// Looks at both regions again and again, and answers agent checks where there is a listener for them.
pub(super) async fn run(listener: Option<TcpListener>, known: &Known) -> io::Result<()> {
    match listener {
        None => look(known).await,
        Some(listener) => tokio::select! {
            ended = look(known) => ended,
            ended = serve(listener, Arc::clone(&known.health)) => ended,
        },
    }
}

async fn look(known: &Known) -> io::Result<()> {
    let mut looks = interval(known.health.interval());
    // Late looks are not made up for: each is to see another moment.
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        known.health.look(Instant::now());
        known.history.look(&known.board, Instant::now());
    }
}

async fn serve(listener: TcpListener, health: Arc<Health>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let health = Arc::clone(&health);
                tokio::spawn(async move {
                    // A client that goes away, or is too slow, is no news.
                    let _too_slow = timeout(PATIENCE, converse(stream, &health)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection of an agent check could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(mut stream: TcpStream, health: &Health) -> io::Result<()> {
    let question = question(&mut stream).await?;
    stream.write_all(word(&question, health).as_bytes()).await?;
    stream.shutdown().await
}

/// What comes before the first end of line.
async fn question(stream: &mut TcpStream) -> io::Result<String> {
    let mut asked = Vec::new();
    let mut limited = stream.take(QUESTION);
    while !asked.contains(&b'\n') && limited.read_buf(&mut asked).await? > 0 {}
    let line = asked.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).trim().to_owned())
}

/// The line that answers `question`, whatever that is.
pub fn word(question: &str, health: &Health) -> String {
    let mut words = question.split_whitespace();
    let (region, max_lag_ms) = (words.next(), words.next().map(str::parse).transpose());
    let (Some(region), Ok(max_lag_ms), None) = (region, max_lag_ms, words.next()) else { return format!("{USAGE}\n") };
    match health.answer(region, max_lag_ms, Instant::now()) {
        Ok(answer) => agent_word(&answer, health.has_just_returned(region, RETURN)),
        Err(error) => format!("fail #{error}\n"),
    }
}
