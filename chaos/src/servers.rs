//! One Redis or Valkey process in a directory of its own.

use crate::children;
use crate::client::Client;
use crate::flavor::Flavor;
use crate::port::Port;
use crate::wait::eventually;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a server may take to answer, or to end.
const DEADLINE: Duration = Duration::from_secs(30);
/// How many ports are tried before a start is given up.
const ATTEMPTS: usize = 8;

/// How a server ends.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// `SHUTDOWN SAVE`: the dump holds everything.
    Save,
    /// `SHUTDOWN NOSAVE`: what was not saved before is gone.
    NoSave,
    /// `kill -9`.
    Kill,
}

/// A running server, or one that was stopped and can be started again on the same port and directory.
pub struct Server {
    flavor: Flavor,
    port: Port,
    args: Vec<String>,
    environment: Vec<(String, String)>,
    credentials: Option<(String, String)>,
    child: Option<Child>,
    dir: TempDir,
}

impl Server {
    /// Starts a server on a free port and waits until it answers. It saves nothing by itself, starts diskless dumps
    /// at once, and allows `DEBUG`; `args` come last on its command line and may change that.
    ///
    /// # Errors
    /// When the program is missing, or the server does not come up; with the end of its log.
    pub async fn start(flavor: Flavor, args: &[&str]) -> Result<Self> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match Self::start_at(flavor, Port::free()?, args).await {
                Ok(server) => return Ok(server),
                Err(error) if format!("{error:#}").contains("in use") => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.context("no attempt was made to start a server")?)
    }

    /// Like [`Self::start`], on this port.
    ///
    /// # Errors
    /// As [`Self::start`], and when the port is taken.
    pub async fn start_at(flavor: Flavor, port: Port, args: &[&str]) -> Result<Self> {
        Self::start_in(flavor, port, args, &[], TempDir::with_prefix("duet-server-")?).await
    }

    /// Like [`Self::start_at`], in this directory and with these variables in the environment.
    ///
    /// # Errors
    /// As [`Self::start_at`].
    pub async fn start_in(
        flavor: Flavor,
        port: Port,
        args: &[&str],
        environment: &[(&str, &str)],
        dir: TempDir,
    ) -> Result<Self> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let credentials = password_in(&args).map(|password| ("default".to_owned(), password));
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut server = Self { flavor, port, args, environment, credentials, child: None, dir };
        server.resume().await?;
        Ok(server)
    }

    /// Starts the stopped server again, on its port and directory.
    ///
    /// # Errors
    /// When it runs already, or does not come up; with the end of its log.
    pub async fn resume(&mut self) -> Result<()> {
        if self.child.is_some() {
            bail!("the server on port {} runs already", self.port());
        }
        let mut command = Command::new(self.flavor.program()?);
        command.args(["--bind", "127.0.0.1", "--port", &self.port().to_string(), "--save", ""]);
        command.arg("--dir").arg(self.dir.path()).args(["--logfile", "server.log"]);
        command.args(["--repl-diskless-sync-delay", "0"]);
        if self.flavor.at_least_seven() {
            command.args(["--enable-debug-command", "yes"]);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(&self.args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child =
            children::prepare(&mut command).spawn().with_context(|| format!("cannot start {:?}", self.flavor))?;
        let pid = child.id();
        self.child = Some(child);
        let credentials = self.credentials.clone();
        let port = self.port();
        let login = credentials.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
        eventually("the server to answer", DEADLINE, async || {
            if self.child.as_mut().map(Child::try_wait).transpose()?.flatten().is_some() {
                return Ok(Some(false));
            }
            let client = Client::connect(port, 0, login).await?;
            client.run("PING").await?;
            Ok((client.info("server", "process_id").await? == Some(pid.to_string())).then_some(true))
        })
        .await
        .and_then(|running| {
            if running {
                return Ok(());
            }
            // Why it refuses what it saved itself is seen there only.
            self.dir.disable_cleanup(true);
            bail!("the server ended, what it has saved is left in {}", self.dir.path().display())
        })
        .with_context(|| format!("{:?} on port {}: {}", self.flavor, self.port(), self.log_end()))
    }

    /// Ends the server and waits until the process is gone.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn stop(&mut self, ending: Ending) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let line = match ending {
            Ending::Save => Some("SHUTDOWN SAVE"),
            Ending::NoSave => Some("SHUTDOWN NOSAVE"),
            Ending::Kill => None,
        };
        match line {
            // The server closes the connection instead of answering: whether it obeyed is seen in the process.
            Some(line) => drop(self.client().await?.run(line).await),
            None => child.kill()?,
        }
        let gone = eventually("the server to end", DEADLINE, async || Ok(child.try_wait()?)).await;
        if gone.is_err() {
            self.child = Some(child);
        }
        gone.map(drop)
    }

    /// Stops the server and starts it again.
    ///
    /// # Errors
    /// As [`Self::stop`] and [`Self::resume`].
    pub async fn restart(&mut self, ending: Ending) -> Result<()> {
        self.stop(ending).await?;
        self.resume().await
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.pid().context("the server does not run")?;
        kill(Pid::from_raw(i32::try_from(pid)?), signal)?;
        Ok(())
    }

    /// Deletes all that the stopped server has saved.
    ///
    /// # Errors
    /// When it runs, or a file can't be deleted.
    pub fn forget(&self) -> Result<()> {
        if self.child.is_some() {
            bail!("the server on port {} runs", self.port());
        }
        for entry in std::fs::read_dir(self.dir.path())? {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name == "appendonlydir" {
                std::fs::remove_dir_all(path)?;
            } else if name.ends_with(".rdb") || name.ends_with(".aof") {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// A client on database 0, with the password that the server was started with.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn client(&self) -> Result<Client> {
        self.client_in(0).await
    }

    /// A client on another database.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn client_in(&self, database: i64) -> Result<Client> {
        let login = self.credentials.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
        Client::connect(self.port(), database, login).await
    }

    /// Changes what [`Self::client`] logs in with, after the server's password was changed.
    pub fn log_in_with(&mut self, user: &str, password: &str) {
        self.credentials = Some((user.to_owned(), password.to_owned()));
    }

    /// What it is.
    pub const fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// Its port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port.number()
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// Its working directory, where the dump is.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    fn log_end(&self) -> String {
        let log = std::fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Nothing can be done about a failure here: the child is ours, and gone already at worst.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The value of `--requirepass`, when the server is started with one.
fn password_in(args: &[String]) -> Option<String> {
    let at = args.iter().position(|arg| arg == "--requirepass")?;
    args.get(at + 1).cloned()
}
