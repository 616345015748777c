//! Orders to the running daemon: `duet pause`, `duet resume`, `duet reload`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::UnixStream;

use super::ask::{Address, exchange};
use super::connection::{Trust, connect};
use super::exit::{misconfigured, print, wait_for};
use super::render::plain;
use crate::admin::{Done, Links, Order, Refused};
use crate::config::{self, ConfigError, Listen};
use crate::http::BY_HEADER;

/// How long an order may take: longer than the daemon gives itself.
const TIMEOUT: Duration = Duration::from_secs(40);

const PAUSE_HELP: &str = "\
What is on its way is finished first. The position stays where it is, at the target: `duet resume` goes on there, as long as \
the source's backlog reaches back so far. A full copy that is paused begins anew.

A pause lasts until `duet resume`, also over a restart of the daemon.

Examples:
  duet pause forward --config pair.toml
  duet pause both --config pair.toml";

const RESUME_HELP: &str = "\
A link that a guard holds does not go on by this alone: what would happen is told (keys of the target that would be \
overwritten and deleted, and which of them its clients have changed meanwhile). With --accept it happens. A link that waits for \
a full copy makes it with --accept.

Examples:
  duet resume forward --config pair.toml
  duet resume forward --accept --config pair.toml";

const HOLD_HELP: &str = "\
As `duet pause`; the link shows `held`, and `duet resume` tells what it brings over when it lets it go on.

Example:
  duet hold forward --config pair.toml";

const RELOAD_HELP: &str = "\
What can change while the daemon runs takes effect at once; where connections have to be made anew for it, that is done \
without losing a position. What needs a restart is named. When the file is wrong, everything stays as it was. SIGHUP does the \
same.

Example:
  duet reload --config pair.toml";

/// Where the daemon takes orders.
#[derive(Debug, Clone, Args)]
pub(super) struct To {
    /// The configuration of the pair: where the daemon takes orders (`admin.listen`), and the token that it asks for
    #[arg(long, value_name = "FILE", env = "DUET_CONFIG")]
    config: PathBuf,
}

/// Let a link read no more, without losing its position.
#[derive(Debug, Args)]
#[command(after_help = PAUSE_HELP)]
pub(super) struct Pause {
    /// Which link
    #[arg(value_name = "LINK")]
    link: Links,

    #[command(flatten)]
    to: To,
}

/// Let a paused or held link go on.
#[derive(Debug, Args)]
#[command(after_help = RESUME_HELP)]
pub(super) struct Resume {
    /// Which link
    #[arg(value_name = "LINK")]
    link: Links,

    /// What the link was held for may happen
    #[arg(long)]
    accept: bool,

    #[command(flatten)]
    to: To,
}

/// Hold a link until it is resumed.
#[derive(Debug, Args)]
#[command(after_help = HOLD_HELP)]
pub(super) struct Hold {
    /// Which link
    #[arg(value_name = "LINK")]
    link: Links,

    #[command(flatten)]
    to: To,
}

/// Let the daemon read its configuration again.
#[derive(Debug, Args)]
#[command(after_help = RELOAD_HELP)]
pub(super) struct Reload {
    #[command(flatten)]
    to: To,
}

impl Reload {
    pub(super) fn execute(self) -> ExitCode {
        self.to.give(&Order::Reload {})
    }
}

impl Hold {
    pub(super) fn execute(self) -> ExitCode {
        self.to.give(&Order::Hold { link: self.link })
    }
}

impl Pause {
    pub(super) fn execute(self) -> ExitCode {
        self.to.give(&Order::Pause { link: self.link })
    }
}

impl Resume {
    pub(super) fn execute(self) -> ExitCode {
        self.to.give(&Order::Resume { link: self.link, accept: self.accept })
    }
}

/// The listener of the daemon, and the token.
pub(super) struct Door {
    listen: Listen,
    trust: Option<Trust>,
    token: Option<SecretString>,
}

impl To {
    /// The file that names the daemon.
    pub(super) fn config(&self) -> &std::path::Path {
        &self.config
    }

    /// Gives the order, prints what was done, and tells how the command ends.
    pub(super) fn give(&self, order: &Order) -> ExitCode {
        let door = match self.door() {
            Ok(door) => door,
            Err(error) => return misconfigured(&error),
        };
        wait_for(async {
            let done = door.give(order).await.with_context(|| format!("{} not done", order.name()))?;
            Ok(print(&done.text.lines().map(plain).collect::<Vec<_>>().join("\n")))
        })
    }

    /// Where the daemon of this configuration takes orders.
    pub(super) fn of(config: PathBuf) -> Self {
        Self { config }
    }

    /// The listener of the daemon, and the token.
    pub(super) fn door(&self) -> Result<Door, ConfigError> {
        let (admin, http) = config::admin(&self.config)?;
        let place = self.config.display().to_string();
        let Some(listen) = admin.listen else {
            let remedy = "Set it, as listen = \"unix:/run/duet/admin.sock\" below [admin], and restart the daemon";
            return Err(ConfigError::at(place, "admin.listen", "is not set: the daemon takes no orders", remedy));
        };
        let token = admin.token_file.as_deref().map(config::token).transpose().map_err(|problem| {
            let remedy = "Give the order as a user that may read it";
            ConfigError::at(place, "admin.token_file", format!("cannot be used: {problem}"), remedy)
        })?;
        Ok(Door { listen, trust: http.tls.map(Trust::from), token })
    }
}

impl Door {
    /// Gives the order.
    ///
    /// # Errors
    /// Nobody there, or it was refused: why, and what to do.
    pub(super) async fn give(&self, order: &Order) -> anyhow::Result<Done> {
        let answer = tokio::time::timeout(TIMEOUT, self.send(order)).await;
        let answer =
            answer.with_context(|| format!("no answer from {} within {} s", self.listen, TIMEOUT.as_secs()))?;
        let (code, body) = answer.with_context(|| format!("no answer from {}", self.listen))?;
        let understand = || format!("the answer of {} ({code}) is not understood: is it another program?", self.listen);
        if code == StatusCode::OK {
            return serde_json::from_slice(&body).with_context(understand);
        }
        let refused: Refused = serde_json::from_slice(&body).with_context(understand)?;
        bail!("{}. {}", plain(&refused.error), plain(&refused.remedy))
    }

    async fn send(&self, order: &Order) -> anyhow::Result<(StatusCode, Bytes)> {
        let running = "Is `duet run` running there, with this admin.listen?";
        match &self.listen {
            Listen::Unix(path) => match UnixStream::connect(path).await {
                Ok(stream) => exchange(stream, self.request(order, "localhost")?).await,
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    bail!("{error}. Give the order as root, or as a user in the daemon's group")
                }
                Err(error) => bail!("{error}. {running}"),
            },
            Listen::Tcp(listen) => {
                let address = Address::of(*listen, self.trust.clone());
                let stream = connect(&address, "admin.listen").await?;
                exchange(stream, self.request(order, &address.to_string())?).await
            }
        }
    }

    fn request(&self, order: &Order, host: &str) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = Request::post(format!("/actions/{}", order.name()))
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(name) = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok()) {
            let name: String = name.chars().filter(char::is_ascii_graphic).collect();
            request = request.header(BY_HEADER, name);
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
        }
        Ok(request.body(Full::from(order.arguments().to_string()))?)
    }
}
