//! The questions that commands ask the daemon, and where it answers.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use url::Url;

use super::connection::{Trust, connect};
use crate::config::{self, ConfigError, Http};

/// How long the daemon may take; it answers at once or not at all.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer, in bytes.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// The address of conf/minimal.toml.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8780));

/// How a person says where the daemon answers.
#[derive(Debug, Clone, Args)]
pub(super) struct At {
    /// Take the address from http.listen of this configuration
    #[arg(long, value_name = "FILE", env = "DUET_CONFIG")]
    config: Option<PathBuf>,

    /// Where Duet answers; wins over --config
    #[arg(long, value_name = "URL", value_parser = Address::parse)]
    url: Option<Address>,
}

impl At {
    /// Where the daemon of this configuration answers.
    pub(super) fn of(config: PathBuf, url: Option<Address>) -> Self {
        Self { config: Some(config), url }
    }

    /// The address: as said, else that of the configuration, else that of conf/minimal.toml.
    ///
    /// # Errors
    /// The configuration is wrong, or has no address.
    pub(super) fn address(&self) -> Result<Address, ConfigError> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        let Some(file) = &self.config else { return Ok(Address::of(DEFAULT_LISTEN, None)) };
        let Http { listen, tls } = config::http(file)?;
        listen.map(|listen| Address::of(listen, tls.map(Trust::from))).ok_or_else(|| {
            let remedy = "Set it, so that the daemon answers, or give --url";
            ConfigError::at(file.display().to_string(), "http.listen", "is not set", remedy)
        })
    }
}

/// Where a daemon answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    host: String,
    port: u16,
    /// Whose certificate is believed, where TLS is spoken.
    tls: Option<Trust>,
}

impl Address {
    /// From `http://host:port` or `https://host:port`; a path is of no importance.
    ///
    /// # Errors
    /// Another scheme, or no host: a sentence for a person.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let form = "write it as http://127.0.0.1:8780, or with https";
        let url = Url::parse(text).map_err(|_| format!("not a url: {form}"))?;
        let tls = match url.scheme() {
            "http" => None,
            "https" => Some(Trust::System),
            _ => return Err(format!("not a url of Duet: {form}")),
        };
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(format!("not a url of Duet: {form}"));
        };
        Ok(Self { host: host.trim_matches(['[', ']']).to_owned(), port, tls })
    }

    /// Where to reach what listens on `listen`: all addresses include this machine's own.
    pub(super) fn of(listen: SocketAddr, tls: Option<Trust>) -> Self {
        let host = match listen {
            SocketAddr::V4(address) if address.ip().is_unspecified() => "127.0.0.1".to_owned(),
            SocketAddr::V6(address) if address.ip().is_unspecified() => "::1".to_owned(),
            SocketAddr::V4(_) | SocketAddr::V6(_) => listen.ip().to_string(),
        };
        Self { host, port: listen.port(), tls }
    }

    /// Whose certificate is believed, where TLS is spoken.
    pub(super) fn trust(&self) -> Option<&Trust> {
        self.tls.as_ref()
    }

    /// What to connect to.
    pub(super) fn socket(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Gives the body of `path`, whose content is called `what` in messages.
///
/// # Errors
/// Nobody there, too slow, not HTTP, or not a 200: the message names the address.
pub(super) async fn answer_of(address: &Address, path: &str, what: &str) -> anyhow::Result<Bytes> {
    match tokio::time::timeout(TIMEOUT, get(address, path)).await {
        Ok(answer) => answer.with_context(|| format!("no {what} from {address}")),
        Err(_) => bail!("no {what} from {address}: no answer within {} s", TIMEOUT.as_secs()),
    }
}

/// A path with parameters.
pub(super) fn path(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let target = format!("{path}?");
    let start = target.len();
    let mut query = url::form_urlencoded::Serializer::for_suffix(target, start);
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.finish()
}

async fn get(address: &Address, path: &str) -> anyhow::Result<Bytes> {
    let stream = connect(address, "http.listen").await?;
    let request = Request::get(path).header(header::HOST, address.to_string()).body(Full::default())?;
    match exchange(stream, request).await? {
        (StatusCode::OK, body) => Ok(body),
        (code, _) => bail!("the answer is {code}: is it another program?"),
    }
}

/// Sends a request over a connection of its own; gives code and body of the answer.
///
/// # Errors
/// The connection fails, or what comes is not HTTP or too long.
pub(super) async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let code = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?;
        anyhow::Ok((code, body.to_bytes()))
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = answer.as_mut() => answer,
        ended = connection => {
            ended?;
            answer.await
        }
    }
}
