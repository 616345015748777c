//! An ordinary connection of the daemon, and the turns in which it waits.

use std::future::{Future, poll_fn};
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use duet::error::{Fault, Kind};
use duet::wire::resp::{ReplyReader, command};
use redis_protocol::resp2::decode::decode_bytes;
use redis_protocol::resp2::types::BytesFrame;

use crate::network::{Found, Shared};

/// Everybody else may go on, or the daemon be killed: the place of every `await` of the real one.
pub fn turn() -> impl Future<Output = ()> {
    let mut waited = false;
    poll_fn(move |_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending })
}

/// Waits for a time of the virtual clock.
pub async fn sleep(world: &Shared, ms: i64) {
    let until = world.borrow().now_ms + ms;
    while world.borrow().now_ms < until {
        turn().await;
    }
}

/// A connection; given up when dropped.
pub struct Client {
    pub world: Shared,
    pub id: u64,
    pub input: BytesMut,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.world.borrow_mut().abandon(self.id);
    }
}

impl Client {
    /// Connects to a server.
    pub async fn connect(world: &Shared, server: usize) -> Result<Self, Fault> {
        turn().await;
        let id = world.borrow_mut().connect(server);
        let id = id.ok_or_else(|| Fault::new(Kind::Unreachable, "nobody listens"))?;
        let mut client = Self { world: world.clone(), id, input: BytesMut::new() };
        client.call(&["PING"]).await?;
        Ok(client)
    }

    /// Sends one request.
    pub async fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<(), Fault> {
        let bytes = command(args);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let written = self.world.borrow_mut().write(self.id, rest).ok_or_else(ended)?;
            rest = &rest[written..];
            turn().await;
        }
        Ok(())
    }

    /// Sends one request and waits for its reply, an error as it is.
    pub async fn ask<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<BytesFrame, Fault> {
        self.send(args).await?;
        self.reply().await
    }

    /// Waits for the next reply, an error as it is.
    pub async fn reply(&mut self) -> Result<BytesFrame, Fault> {
        loop {
            if let Some(length) = ReplyReader::default().next(&self.input)? {
                let bytes: Bytes = self.input.split_to(length).freeze();
                let decoded = decode_bytes(&bytes).expect("the model answers in RESP");
                return Ok(decoded.expect("it was whole").0);
            }
            self.fill().await?;
        }
    }

    /// As [`Self::ask`], with an error reply as a fault.
    pub async fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<BytesFrame, Fault> {
        match self.ask(args).await? {
            BytesFrame::Error(text) => Err(Fault::of_reply(&text, "a server answered")),
            reply => Ok(reply),
        }
    }

    /// A line, keep-alives before it passed over.
    pub async fn line(&mut self) -> Result<String, Fault> {
        loop {
            let blank = self.input.iter().take_while(|&&byte| byte == b'\n').count();
            let _ = self.input.split_to(blank);
            if let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
                let line = self.input.split_to(end + 1);
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.fill().await?;
        }
    }

    /// Waits for more bytes.
    pub async fn fill(&mut self) -> Result<(), Fault> {
        loop {
            let found = self.world.borrow_mut().read(self.id, usize::MAX, &mut self.input);
            match found {
                Found::Bytes => return Ok(()),
                Found::Nothing => turn().await,
                Found::End => return Err(ended()),
            }
        }
    }
}

/// The fault of a connection that is over.
pub fn ended() -> Fault {
    Fault::new(Kind::Disconnected, "the connection is over")
}

/// A reply as bytes; none for another kind.
pub fn bytes(reply: &BytesFrame) -> &[u8] {
    match reply {
        BytesFrame::BulkString(bytes) | BytesFrame::SimpleString(bytes) => bytes,
        _ => &[],
    }
}

/// A reply as text.
pub fn text(reply: &BytesFrame) -> String {
    String::from_utf8_lossy(bytes(reply)).into_owned()
}

/// A reply as a number, also where it is one in digits; 0 for another kind.
pub fn integer(reply: &BytesFrame) -> i64 {
    match reply {
        BytesFrame::Integer(number) => *number,
        _ => text(reply).parse().unwrap_or(0),
    }
}

/// The elements of an array.
pub fn elements(reply: &BytesFrame) -> &[BytesFrame] {
    match reply {
        BytesFrame::Array(elements) => elements,
        _ => &[],
    }
}
