//! What a source answers to `DUMP`, beside its dump: where a value of an unknown type ends, nothing else tells.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Mutex, mpsc};

use super::client::{Client, Reply};
use super::shared::Pair;
use crate::error::{Fault, Kind};

/// Questions that may wait: a copy asks one and reads no further before it has the answer.
const WAITING: usize = 1;

/// A payload, or `None` where there is no such key.
pub type Answer = Result<Option<Bytes>, Fault>;

/// Asks the source of a link; the copy never waits for it in place.
#[derive(Debug)]
pub struct Inquiry {
    questions: mpsc::Sender<(u32, Bytes)>,
    answers: Mutex<mpsc::Receiver<Answer>>,
}

impl Inquiry {
    /// Makes ready to ask the source of the link `index`; ends when it is dropped.
    pub fn begin(pair: Arc<Pair>, index: usize) -> Self {
        let (questions, asked) = mpsc::channel(WAITING);
        let (answered, answers) = mpsc::channel(WAITING);
        tokio::spawn(async move { run(&pair, index, asked, answered).await });
        Self { questions, answers: Mutex::new(answers) }
    }

    /// Asks for the payload of a key.
    pub fn ask(&self, database: u32, key: Bytes) {
        // It is refused only when nobody is there to answer any more, and then the answer is a fault.
        let _ = self.questions.try_send((database, key));
    }

    /// The next answer.
    pub async fn answer(&self) -> Answer {
        let gone = || Fault::new(Kind::Disconnected, "the question to the source was given up");
        self.answers.lock().await.recv().await.unwrap_or_else(|| Err(gone()))
    }
}

async fn run(pair: &Pair, index: usize, mut asked: mpsc::Receiver<(u32, Bytes)>, answered: mpsc::Sender<Answer>) {
    let mut client = None;
    while let Some((database, key)) = asked.recv().await {
        let answer = dump(pair, index, &mut client, database, &key).await;
        if answered.send(answer).await.is_err() {
            return;
        }
    }
}

async fn dump(pair: &Pair, index: usize, client: &mut Option<Client>, database: u32, key: &Bytes) -> Answer {
    let source = pair.source(index);
    let client = match client {
        Some(client) => client,
        None => client.insert(Client::connect(&source, source.primary()).await?),
    };
    client.call(&["SELECT", &database.to_string()]).await?;
    match client.call(&[b"DUMP".as_slice(), key]).await? {
        Reply::BulkString(payload) => Ok(Some(payload)),
        Reply::Null => Ok(None),
        Reply::SimpleString(_) | Reply::Integer(_) | Reply::Array(_) | Reply::Error(_) => {
            Err(Fault::new(Kind::Protocol, format!("{} answered DUMP with something else", client.place())))
        }
    }
}
