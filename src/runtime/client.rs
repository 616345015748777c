//! An ordinary connection to a server: requests in, whole replies out.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::decode::decode_bytes;
use redis_protocol::resp2::types::BytesFrame;
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, rustls};

use super::socket::Socket;
use crate::config::{Region, Shard, Tls};
use crate::engine::source::LATEST_MS;
use crate::error::{Fault, Kind};
use crate::wire::resp::{ReplyReader, push_command};

/// How long a connection or a reply may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a primary may prepare its answer without a sign of life.
const SILENCE: Duration = Duration::from_secs(60);
/// The longest reply that is held, in bytes, unless a longer one is [asked for](Client::allow).
pub const MAX_REPLY: usize = 64 * 1024 * 1024;
/// What a longer reply is waited for in addition: it comes with so many bytes a second at least.
const SLOWEST: usize = 4 * 1024 * 1024;
/// What a server has sent then.
pub const TOO_LONG: &str = "a reply that is too long";

/// A reply of a server.
pub type Reply = BytesFrame;

/// A connection to one server.
#[derive(Debug)]
pub struct Client {
    stream: Socket,
    input: BytesMut,
    replies: ReplyReader,
    /// The server's address, for messages.
    place: String,
    /// The longest reply that is held, bytes.
    longest: usize,
}

impl Client {
    /// Connects to a server of `region` and logs in.
    ///
    /// # Errors
    /// A [`Fault`] that names the address and what failed.
    pub async fn connect(region: &Region, shard: &Shard) -> Result<Self, Fault> {
        let place = format!("{} ({}:{})", region.name, shard.host, shard.port);
        let unreachable =
            |error: &dyn std::fmt::Display| Fault::new(Kind::Unreachable, format!("{place} can't be reached: {error}"));
        let connecting = TcpStream::connect((shard.host.as_str(), shard.port));
        let stream = match timeout(PATIENCE, connecting).await {
            Ok(connected) => connected.map_err(|error| unreachable(&error))?,
            Err(_) => return Err(unreachable(&"no answer in 10 s")),
        };
        stream.set_nodelay(true).map_err(|error| unreachable(&error))?;
        let stream = match &region.tls {
            None => Socket::Plain(stream),
            Some(tls) => encrypted(tls, stream, &place).await?,
        };
        let mut client =
            Self { stream, input: BytesMut::new(), replies: ReplyReader::default(), place, longest: MAX_REPLY };
        client.log_in(region).await?;
        Ok(client)
    }

    async fn log_in(&mut self, region: &Region) -> Result<(), Fault> {
        let password = region.password_now();
        let password =
            password.map_err(|problem| Fault::new(Kind::WrongPassword, format!("{}: {problem}", region.name)))?;
        let Some(password) = password else {
            return self.call(&["PING"]).await.map(|_| ());
        };
        let password = password.expose_secret();
        let mut request = vec!["AUTH"];
        request.extend(region.username.as_deref());
        request.push(password);
        self.call(&request).await.map(|_| ())
    }

    /// Holds replies up to `longest` bytes from now on.
    pub fn allow(&mut self, longest: usize) {
        self.longest = longest;
    }

    /// The server's address, for messages.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Sends one request and waits for its reply.
    ///
    /// # Errors
    /// A [`Fault`] when the connection fails, the reply is late or an error.
    pub async fn call<A: AsRef<[u8]>>(&mut self, request: &[A]) -> Result<Reply, Fault> {
        self.call_all(&[request]).await?.pop().ok_or_else(|| self.protocol("no reply"))
    }

    /// Sends requests together and waits for all replies.
    ///
    /// # Errors
    /// A [`Fault`] when the connection fails, a reply is late, or one is an error: the first of those.
    pub async fn call_all<A: AsRef<[u8]>>(&mut self, requests: &[impl AsRef<[A]>]) -> Result<Vec<Reply>, Fault> {
        let replies = self.calls(requests).await?;
        for (request, reply) in requests.iter().zip(&replies) {
            let name = request.as_ref().first().map(|name| String::from_utf8_lossy(name.as_ref()).into_owned());
            self.accepted(&name.unwrap_or_default(), Some(reply))?;
        }
        Ok(replies)
    }

    /// A reply to the request `name` among several.
    ///
    /// # Errors
    /// A [`Fault`] when it is an error, or missing.
    pub fn accepted<'r>(&self, name: &str, reply: Option<&'r Reply>) -> Result<&'r Reply, Fault> {
        match reply {
            Some(Reply::Error(text)) => Err(Fault::of_reply(text, &format!("{} answered {name}", self.place))),
            Some(reply) => Ok(reply),
            None => Err(self.protocol("no reply")),
        }
    }

    /// Sends requests together and waits for all replies, errors among them as they are.
    ///
    /// # Errors
    /// A [`Fault`] when the connection fails or a reply is late.
    pub async fn calls<A: AsRef<[u8]>>(&mut self, requests: &[impl AsRef<[A]>]) -> Result<Vec<Reply>, Fault> {
        let mut out = Vec::new();
        for request in requests {
            push_command(&mut out, request.as_ref());
        }
        let longer = self.longest.saturating_sub(MAX_REPLY) / SLOWEST;
        let patience = PATIENCE + Duration::from_secs(longer as u64);
        let exchange = async {
            self.stream.write_all(&out).await.map_err(|error| self.lost(&error))?;
            self.stream.flush().await.map_err(|error| self.lost(&error))?;
            let mut replies = Vec::with_capacity(requests.len());
            for _ in requests {
                replies.push(self.reply().await?);
            }
            Ok(replies)
        };
        match timeout(patience, exchange).await {
            Ok(replies) => replies,
            Err(_) => Err(self.late(patience)),
        }
    }

    fn late(&self, patience: Duration) -> Fault {
        Fault::new(Kind::TimedOut, format!("{} gave no answer in {} s", self.place, patience.as_secs()))
    }

    async fn reply(&mut self) -> Result<Reply, Fault> {
        loop {
            let found = self.replies.next(&self.input);
            let found = found.map_err(|error| Fault::new(Kind::Protocol, format!("{}: {error}", self.place)))?;
            if let Some(length) = found {
                let bytes: Bytes = self.input.split_to(length).freeze();
                return match decode_bytes(&bytes) {
                    Ok(Some((reply, _))) => Ok(reply),
                    Ok(None) | Err(_) => Err(self.protocol("a reply that can't be read")),
                };
            }
            if self.input.len().max(self.replies.wanted()) > self.longest {
                return Err(self.protocol(&format!("{TOO_LONG}: above {} MiB", self.longest >> 20)));
            }
            self.fill().await?;
        }
    }

    /// Waits for one line, without its end; keep-alives before it are passed over.
    ///
    /// # Errors
    /// A [`Fault`] when the connection fails or the line does not end.
    pub async fn line(&mut self) -> Result<String, Fault> {
        loop {
            let blank = self.input.iter().take_while(|&&byte| byte == b'\n').count();
            let _ = self.input.split_to(blank);
            if let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
                let line = self.input.split_to(end + 1);
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.input.len() > 4096 {
                return Err(self.protocol("a line without an end"));
            }
            let late = Fault::new(Kind::TimedOut, format!("{} has been silent for 60 s", self.place));
            timeout(SILENCE, self.fill()).await.unwrap_or(Err(late))?;
        }
    }

    /// Sends a request whose reply is read otherwise.
    ///
    /// # Errors
    /// A [`Fault`] when the connection fails.
    pub async fn send<A: AsRef<[u8]>>(&mut self, request: &[A]) -> Result<(), Fault> {
        let mut out = Vec::new();
        push_command(&mut out, request);
        self.stream.write_all(&out).await.map_err(|error| self.lost(&error))?;
        self.stream.flush().await.map_err(|error| self.lost(&error))
    }

    /// Waits for the reply to what was sent first and is not answered yet.
    ///
    /// # Errors
    /// A [`Fault`] when the connection fails or the reply is late.
    pub async fn next_reply(&mut self) -> Result<Reply, Fault> {
        match timeout(PATIENCE, self.reply()).await {
            Ok(reply) => reply,
            Err(_) => Err(self.late(PATIENCE)),
        }
    }

    /// The socket, and what was read from it beyond the last reply.
    pub fn into_parts(self) -> (Socket, BytesMut) {
        (self.stream, self.input)
    }

    async fn fill(&mut self) -> Result<(), Fault> {
        match self.stream.read_buf(&mut self.input).await {
            Ok(0) => Err(self.lost(&io::Error::from(io::ErrorKind::UnexpectedEof))),
            Ok(_) => Ok(()),
            Err(error) => Err(self.lost(&error)),
        }
    }

    fn lost(&self, error: &io::Error) -> Fault {
        if let Some(fault) = refused(error, &self.place) {
            return fault;
        }
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
            _ => error.to_string(),
        };
        Fault::new(Kind::Disconnected, format!("{}: {why}", self.place))
    }

    fn protocol(&self, what: &str) -> Fault {
        Fault::new(Kind::Protocol, format!("{} sent {what}", self.place))
    }
}

/// Shakes hands for TLS.
async fn encrypted(tls: &Tls, stream: TcpStream, place: &str) -> Result<Socket, Fault> {
    let client = tls.client().map_err(|problem| Fault::new(Kind::Tls, format!("{place}: {problem}")))?;
    let connecting = TlsConnector::from(client).connect(tls.server_name.clone(), stream);
    match timeout(PATIENCE, connecting).await {
        Ok(Ok(stream)) => Ok(Socket::tls(stream)),
        Ok(Err(error)) => {
            let other = || Fault::new(Kind::Tls, format!("{place} does not speak TLS: {error}"));
            Err(refused(&error, place).unwrap_or_else(other))
        }
        Err(_) => Err(Fault::new(Kind::TimedOut, format!("{place} did not answer by TLS in 10 s"))),
    }
}

/// The fault that an error of TLS stands for.
fn refused(error: &io::Error, place: &str) -> Option<Fault> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidCertificate(why) => {
            Fault::new(Kind::Certificate, format!("{place}: the certificate of the server is not believed: {why}"))
        }
        rustls::Error::AlertReceived(alert) => Fault::new(Kind::Tls, format!("{place} refuses our TLS: {alert:?}")),
        other => Fault::new(Kind::Tls, format!("{place}: {other}")),
    })
}

/// The text of a reply that is a string, lossily; empty for any other.
pub fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(bytes(reply)).into_owned()
}

/// The bytes of a reply that is a string; empty for any other.
pub fn bytes(reply: &Reply) -> &[u8] {
    match reply {
        Reply::SimpleString(bytes) | Reply::BulkString(bytes) => bytes,
        Reply::Error(_) | Reply::Integer(_) | Reply::Array(_) | Reply::Null => &[],
    }
}

/// The number in a reply; 0 for any other.
pub fn integer(reply: &Reply) -> i64 {
    match reply {
        Reply::Integer(number) => *number,
        Reply::SimpleString(bytes) | Reply::BulkString(bytes) => {
            std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
        }
        Reply::Error(_) | Reply::Array(_) | Reply::Null => 0,
    }
}

/// What `TIME` was answered with, microseconds since 1970; nothing for any other reply, nor for a time that no clock shows.
pub fn clock_us(time: &Reply) -> Option<i64> {
    let us = match elements(time) {
        [seconds, micros] => integer(seconds).saturating_mul(1_000_000).saturating_add(integer(micros)),
        _ => return None,
    };
    (0..=LATEST_MS * 1000).contains(&us).then_some(us)
}

/// The elements of a reply that is an array; none for any other.
pub fn elements(reply: &Reply) -> &[Reply] {
    match reply {
        Reply::Array(elements) => elements,
        Reply::SimpleString(_) | Reply::BulkString(_) | Reply::Error(_) | Reply::Integer(_) | Reply::Null => &[],
    }
}
