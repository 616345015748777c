//! A load at a steady pace: what it writes is up to a [`Writer`].

use crate::client::Client;
use crate::servers::Server;
use anyhow::Result;
use redis::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often a batch is written.
const BEAT: Duration = Duration::from_millis(20);

/// A command as its arguments.
pub type Command = Vec<Vec<u8>>;

/// Says what to write, and hears what became of it.
pub trait Writer: Send + 'static {
    /// The commands to write next: one, or a transaction as a whole.
    ///
    /// # Errors
    /// Ends the load.
    fn next(&mut self) -> Result<Vec<Command>>;

    /// What the server replied to one of them.
    ///
    /// # Errors
    /// Ends the load.
    fn answered(&mut self, command: &[Vec<u8>], reply: &Value) -> Result<()>;
}

/// A load at work.
pub struct Paced<W> {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    task: JoinHandle<Result<W>>,
}

impl<W: Writer> Paced<W> {
    /// Starts to ask `writer` so many times a second, and to write what it says to database 0 of a server.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn start(server: &Server, per_second: u32, writer: W) -> Result<Self> {
        let client = server.client().await?;
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let task = tokio::spawn(write(client, writer, per_second, Arc::clone(&stop), Arc::clone(&written)));
        Ok(Self { stop, written, task })
    }

    /// How many times the writer was asked and what it said was written.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Whether it has ended by itself, which it does by an error only.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Stops when all that was written is answered, and returns the writer.
    ///
    /// # Errors
    /// The error that ended it early.
    pub async fn stop(self) -> Result<W> {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await?
    }
}

async fn write<W: Writer>(
    client: Client,
    mut writer: W,
    per_second: u32,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
) -> Result<W> {
    let beats = u32::try_from(Duration::from_secs(1).as_millis() / BEAT.as_millis())?;
    let batch = (per_second / beats).max(1);
    let mut ticks = tokio::time::interval(BEAT);
    while !stop.load(Ordering::SeqCst) {
        ticks.tick().await;
        let mut commands = Vec::new();
        for _ in 0..batch {
            commands.extend(writer.next()?);
        }
        for (command, reply) in commands.iter().zip(client.pipeline(&commands).await?) {
            writer.answered(command, &reply)?;
        }
        written.fetch_add(u64::from(batch), Ordering::SeqCst);
    }
    Ok(writer)
}
