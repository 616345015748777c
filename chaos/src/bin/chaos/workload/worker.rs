//! One client: asks the region's primary, whoever that is, and tells what is known afterwards.

use crate::region::Region;
use crate::side::Side;
use crate::world::World;
use duet_chaos::client::Client;
use duet_chaos::paced::Command;
use std::sync::Arc;
use std::time::Duration;

use duet_chaos::redis::Value;

/// How long a client waits for an answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long it waits before it connects again.
const PAUSE: Duration = Duration::from_millis(50);

/// What became of commands that were sent together.
#[derive(Debug)]
pub enum Outcome {
    /// Each was answered; errors are among the answers.
    Answered(Vec<Value>),
    /// Nothing was sent: there is no connection.
    NotSent,
    /// No answer: executed or not, and if not, perhaps later.
    Unknown,
}

/// A client of a region.
pub struct Worker {
    world: Arc<World>,
    side: Side,
    client: Option<Client>,
}

impl Worker {
    /// One that has not connected yet.
    pub fn new(world: Arc<World>, side: Side) -> Self {
        Self { world, side, client: None }
    }

    /// Sends commands together. Waits while the region lets no clients in.
    pub async fn ask(&mut self, commands: &[Command]) -> Outcome {
        let region: &Region = self.world.region(self.side);
        let _inside = region.door.read().await;
        let client = match self.client.take() {
            Some(client) => client,
            None => match region.client().await {
                Ok(client) => client,
                Err(_) => {
                    tokio::time::sleep(PAUSE).await;
                    return Outcome::NotSent;
                }
            },
        };
        match tokio::time::timeout(ANSWER, client.pipeline(commands)).await {
            Ok(Ok(values)) => {
                // Who hears that this is a replica now looks for the primary again.
                if !values.iter().any(|value| refusal(value).is_some_and(|said| said.starts_with("READONLY"))) {
                    self.client = Some(client);
                }
                Outcome::Answered(values)
            }
            Ok(Err(_)) | Err(_) => Outcome::Unknown,
        }
    }
}

/// The error in an answer: code and text.
pub fn refusal(value: &Value) -> Option<String> {
    match value {
        Value::ServerError(error) => Some(format!("{} {}", error.code(), error.details().unwrap_or_default())),
        _ => None,
    }
}
