//! Requests to one region of which several are on their way at the same time.

use std::collections::VecDeque;
use std::time::Instant;

use super::end::{End, Tries, no_refusal};
use crate::error::Fault;
use crate::runtime::client::Reply;

/// A request that owns its arguments.
type Request = Vec<Vec<u8>>;

/// A connection to one region, for requests of one database.
#[derive(Debug)]
pub(super) struct Pipe {
    end: End,
    database: u32,
    /// What is not answered yet, and when it was asked.
    on_their_way: VecDeque<(Request, Instant)>,
}

impl Pipe {
    /// To `end`, which is used by nobody else.
    ///
    /// # Errors
    /// A [`Fault`] when the server can't be reached, or was restarted.
    pub async fn open(end: End, database: u32) -> Result<Self, Fault> {
        let mut pipe = Self { end, database, on_their_way: VecDeque::new() };
        let mut tries = Tries::default();
        while let Err(fault) = pipe.connect().await {
            pipe.end.again_after(fault, &mut tries).await?;
        }
        Ok(pipe)
    }

    /// Sends a request of which [`Self::receive`] gives the reply, within the limits. What can't be sent now is sent when its
    /// reply is asked for.
    pub async fn send(&mut self, request: Request) {
        self.end.admit(1).await;
        if let Some(client) = self.end.client()
            && client.send(&request).await.is_err()
        {
            self.end.disconnect();
        }
        self.on_their_way.push_back((request, Instant::now()));
    }

    /// The reply to the first request that is not answered yet. A lost connection is made again, and what was on its way is
    /// sent again: it changes nothing.
    ///
    /// # Errors
    /// A [`Fault`] when the server can't be reached, was restarted, or refuses.
    pub async fn receive(&mut self) -> Result<Reply, Fault> {
        let mut tries = Tries::default();
        let reply = loop {
            match self.try_receive().await {
                Ok(reply) => break reply,
                Err(fault) => self.end.again_after(fault, &mut tries).await?,
            }
        };
        let replies = [reply];
        if let Some((_, asked)) = self.on_their_way.pop_front() {
            self.end.charge(&replies, asked).await;
        }
        no_refusal(&replies, self.end.name())?;
        let [reply] = replies;
        Ok(reply)
    }

    async fn try_receive(&mut self) -> Result<Reply, Fault> {
        if self.end.client().is_none() {
            self.connect().await?;
        }
        self.end.connected().await?.next_reply().await
    }

    /// Makes a connection, and sends on it what is not answered.
    async fn connect(&mut self) -> Result<(), Fault> {
        let client = self.end.connected().await?;
        client.call(&["SELECT", &self.database.to_string()]).await?;
        for (request, asked) in &mut self.on_their_way {
            client.send(request).await?;
            *asked = Instant::now();
        }
        Ok(())
    }
}
