//! One `duet` process and what it says about itself.

use crate::children;
use crate::port::Port;
use crate::wait::eventually;
use anyhow::{Context, Result, bail};
pub use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long one HTTP answer may take; the daemon promises to answer at once.
const HTTP: Duration = Duration::from_secs(2);
/// How long a daemon may take to end after SIGTERM: what it promises, and a little for the machine.
const TERMINATION: Duration = Duration::from_secs(12);

/// An answer over HTTP.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// The head, as received.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Where a daemon runs.
#[derive(Clone, Debug)]
pub enum Host {
    /// Beside its servers.
    Here,
    /// On a host of its own: a network namespace by this name, with an address at which we reach it.
    Namespace {
        /// As `ip netns` has it.
        name: String,
        /// Where it answers over HTTP.
        address: String,
    },
}

impl Host {
    fn address(&self) -> &str {
        match self {
            Self::Here => "127.0.0.1",
            Self::Namespace { address, .. } => address,
        }
    }

    fn command(&self, binary: &Path) -> Command {
        match self {
            Self::Here => Command::new(binary),
            Self::Namespace { name, .. } => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/run/netns/{name}")).arg(binary);
                command
            }
        }
    }
}

/// A running `duet run`, or one that has ended.
pub struct Daemon {
    binary: PathBuf,
    host: Host,
    dir: TempDir,
    http: Port,
    environment: Vec<(String, String)>,
    child: Option<Child>,
}

impl Daemon {
    /// Starts `binary run --config <toml>`; `[http]` with a free port is added to `toml`. Does not wait for anything.
    ///
    /// # Errors
    /// When the configuration cannot be written or the program not be started.
    pub fn start(binary: &Path, toml: &str) -> Result<Self> {
        Self::start_with(binary, toml, &[])
    }

    /// Like [`Self::start`], with variables added to the environment.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(binary: &Path, toml: &str, environment: &[(&str, &str)]) -> Result<Self> {
        Self::start_at(binary, toml, environment, Port::free()?)
    }

    /// Like [`Self::start_with`], with HTTP on this port.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_at(binary: &Path, toml: &str, environment: &[(&str, &str)], http: Port) -> Result<Self> {
        Self::start_on(Host::Here, binary, toml, environment, http)
    }

    /// Like [`Self::start_at`], on this host.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_on(host: Host, binary: &Path, toml: &str, environment: &[(&str, &str)], http: Port) -> Result<Self> {
        let dir = TempDir::with_prefix("duet-daemon-")?;
        let config = format!("{toml}\n[http]\nlisten = \"{}:{}\"\n", host.address(), http.number());
        std::fs::write(dir.path().join("pair.toml"), config)?;
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut daemon = Self { binary: binary.to_owned(), host, dir, http, environment, child: None };
        daemon.resume()?;
        Ok(daemon)
    }

    /// Starts the program again, with the same configuration and port, after it has ended.
    ///
    /// # Errors
    /// When it runs already, or cannot be started.
    pub fn resume(&mut self) -> Result<()> {
        self.resume_with(&[])
    }

    /// Like [`Self::resume`], with more arguments for this run.
    ///
    /// # Errors
    /// As [`Self::resume`].
    pub fn resume_with(&mut self, args: &[&str]) -> Result<()> {
        if self.is_running()? {
            bail!("the daemon runs already");
        }
        let output = |name: &str| File::options().create(true).append(true).open(self.dir.path().join(name));
        let mut command = self.host.command(&self.binary);
        command.args(["run", "--config"]).arg(self.config()).args(args);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(output("stdout")?).stderr(output("stderr")?);
        let child = children::prepare(&mut command)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// The file with its configuration.
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("pair.toml")
    }

    /// Where it answers over HTTP: `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The address at which it answers over HTTP: `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host.address(), self.http.number())
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether the process is there.
    ///
    /// # Errors
    /// When the operating system does not say.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(match &mut self.child {
            Some(child) => child.try_wait()?.is_none(),
            None => false,
        })
    }

    /// Everything that it wrote to stdout and stderr, of earlier runs too.
    pub fn output(&self) -> String {
        ["stdout", "stderr"]
            .map(|name| std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default())
            .concat()
    }

    /// Asks for a path over HTTP.
    ///
    /// # Errors
    /// When there is no whole answer within 2 seconds.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        get(&self.address(), path).await
    }

    /// What `/status` says.
    ///
    /// # Errors
    /// When it does not answer with 200 and JSON.
    pub async fn status(&self) -> Result<Value> {
        let answer = self.get("/status").await?;
        if answer.code != 200 {
            bail!("/status answered {}: {}", answer.code, answer.body);
        }
        Ok(serde_json::from_str(&answer.body)?)
    }

    /// One link of the status, `forward` or `reverse`.
    ///
    /// # Errors
    /// As [`Self::status`], and when there is no such link.
    pub async fn link(&self, direction: &str) -> Result<Value> {
        let status = self.status().await?;
        let links = status["links"].as_array().context("no links in the status")?;
        let found = links.iter().find(|link| link["direction"] == direction);
        found.cloned().with_context(|| format!("no {direction} link in the status"))
    }

    /// Waits until both links stream.
    ///
    /// # Errors
    /// When they do not in time, with the last status and the end of the log.
    pub async fn wait_streaming(&self, deadline: Duration) -> Result<()> {
        let streaming = |status: &Value| {
            let links = status["links"].as_array();
            links.is_some_and(|links| links.len() == 2 && links.iter().all(|link| link["state"] == "streaming"))
        };
        self.wait_for("both links to stream", deadline, streaming).await.map(drop)
    }

    /// Waits until `holds` is true of the status, and returns that status.
    ///
    /// # Errors
    /// When it does not in time, with the last status and the end of the log.
    pub async fn wait_for(&self, what: &str, deadline: Duration, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let waited = eventually(what, deadline, async || {
            last = self.status().await?;
            Ok(holds(&last).then(|| last.clone()))
        });
        waited.await.with_context(|| format!("status: {last:#}\nlog: {}", self.log_end()))
    }

    /// Ends it with `kill -9`.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill9(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the daemon does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// When it does not run, or does not end within what it promises.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait_exit(TERMINATION).await
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.pid().context("the daemon does not run")?;
        kill(Pid::from_raw(i32::try_from(pid)?), signal)?;
        Ok(())
    }

    /// Waits for the process to end.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn wait_exit(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let child = self.child.as_mut().context("the daemon does not run")?;
        let ended = eventually("the daemon to end", deadline, async || Ok(child.try_wait()?)).await;
        match ended {
            Ok(status) => {
                self.child = None;
                Ok(status)
            }
            Err(error) => Err(error.context(self.log_end())),
        }
    }

    /// The last lines of what it wrote.
    pub fn log_end(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Nothing can be done about a failure here: the child is ours, and gone already at worst.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Asks a daemon at `address` for a path: one request of HTTP/1.1 without keep-alive, enough for a server that we know.
///
/// # Errors
/// When there is no whole answer within 2 seconds.
pub async fn get(address: &str, path: &str) -> Result<Answer> {
    let asked = tokio::time::timeout(HTTP, ask(address, path));
    asked.await.with_context(|| format!("no answer from {path} within {HTTP:?}"))?
}

async fn ask(address: &str, path: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a head")?;
    let code = head.split(' ').nth(1).context("an answer without a code")?.parse()?;
    Ok(Answer { code, head: head.to_owned(), body: body.to_owned() })
}

/// The `duet` that was built together with the program that asks.
///
/// # Errors
/// When there is none beside it.
pub fn built_together() -> Result<PathBuf> {
    let binary = std::env::current_exe()?.with_file_name("duet");
    binary.is_file().then_some(binary.clone()).with_context(|| {
        format!("no {}: run `cargo build --workspace` with the profile of this program first", binary.display())
    })
}
