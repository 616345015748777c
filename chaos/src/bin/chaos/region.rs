//! One region: its server, the way of the daemon to it, and the door through which clients come.

use crate::clock::Clock;
use crate::network::run;
use crate::side::Side;
use anyhow::{Context, Result};
use duet_chaos::client::Client;
use duet_chaos::flavor::Flavor;
use duet_chaos::port::Port;
use duet_chaos::proxy::Proxy;
use duet_chaos::servers::Server;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{Mutex, RwLock};

/// What the daemon may do there: the line of the README, as arguments.
const RIGHTS: &str = "~* &* -@all +@read +@write +@transaction +@keyspace +ping +select +time +info +command +publish +psync \
                      +replconf +client|setname +client|id +client|list +client|kill +client|pause +client|unpause +hello \
                      +psubscribe +config|get +config|set";
/// What it has besides where one of both regions is a Redis 6.2, which sends scripts to the other one.
const RIGHTS_BESIDE_SIX: &str = "+script";
/// Where servers keep their append-only files: a folder since 7, a file before.
const SAVED: [&str; 2] = ["appendonlydir", "appendonly.aof"];
/// Room on the disk of a server, where it has one of its own.
const DISK_MB: u32 = 96;
/// How long a client may take to connect.
const CONNECT: Duration = Duration::from_secs(3);

/// A region.
pub struct Region {
    pub side: Side,
    pub flavor: Flavor,
    /// What takes the place of `127.0.0.1` in front of the proxy.
    pub proxy: Proxy,
    pub server: Mutex<Server>,
    /// Clients hold it to read while they ask; who holds it to write keeps them out.
    pub door: RwLock<()>,
    /// What its clients log in with, and replicas.
    pub password: String,
    pub clock: Clock,
    disk: Option<PathBuf>,
    step: Option<PathBuf>,
    scripts: bool,
    duet_password: Mutex<String>,
    port: AtomicU16,
    dir: PathBuf,
}

/// What regions have in common.
pub struct Ground<'a> {
    /// Where files may be put.
    pub dir: &'a Path,
    /// The library that steps clocks, where there is one.
    pub step: Option<&'a Path>,
    /// Whether each server gets a disk of its own.
    pub mounts: bool,
    /// Whether one of both regions is a Redis 6.2.
    pub scripts: bool,
}

impl Region {
    /// Starts the server, and a proxy on this address before it.
    pub async fn start(side: Side, flavor: Flavor, listen: &str, ground: &Ground<'_>, dice: u64) -> Result<Self> {
        let password = format!("{side}-clients-{dice:016x}");
        let duet_password = format!("{side}-duet-{:016x}", dice.rotate_left(17));
        let clock = Clock::new(ground.dir.join(format!("{side}.clock")))?;
        std::fs::write(ground.dir.join(format!("{side}.password")), &duet_password)?;
        let dir = TempDir::with_prefix("duet-server-")?;
        let disk = ground.mounts.then(|| dir.path().to_owned());
        if let Some(disk) = &disk {
            let size = format!("size={DISK_MB}m");
            run("mount", &["-t", "tmpfs", "-o", &size, "duet-chaos", &disk.to_string_lossy()])?;
        }
        let arguments = arguments(&password, &duet_password, ground.scripts);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let environment = environment(ground.step, &clock);
        let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let server = Server::start_in(flavor, Port::free()?, &arguments, &environment, dir).await?;
        let proxy = Proxy::start_at(listen, &server.address()).await?;
        let port = AtomicU16::new(server.port());
        Ok(Self {
            side,
            flavor,
            proxy,
            server: Mutex::new(server),
            door: RwLock::new(()),
            password,
            clock,
            disk,
            step: ground.step.map(Path::to_owned),
            scripts: ground.scripts,
            duet_password: Mutex::new(duet_password),
            port,
            dir: ground.dir.to_owned(),
        })
    }

    /// A client of the server that is the primary now, on database 0.
    pub async fn client(&self) -> Result<Client> {
        let port = self.port.load(Ordering::SeqCst);
        let connect = Client::connect(port, 0, Some(("default", &self.password)));
        tokio::time::timeout(CONNECT, connect).await.context("no connection in time")?
    }

    /// The daemon's lines for this region in its configuration.
    pub fn configuration(&self) -> String {
        let (address, file) = (self.proxy.address(), self.password_file());
        let name = self.side;
        format!(
            "[region.{name}]\nurl = \"redis://{address}\"\nusername = \"duet\"\npassword_file = \"{}\"\n",
            file.display()
        )
    }

    /// The file with the daemon's password.
    pub fn password_file(&self) -> PathBuf {
        self.dir.join(format!("{}.password", self.side))
    }

    /// The daemon's password at the server.
    pub async fn duet_password(&self) -> String {
        self.duet_password.lock().await.clone()
    }

    /// The daemon's password was changed at the server.
    pub async fn duet_password_is(&self, password: &str) {
        password.clone_into(&mut *self.duet_password.lock().await);
    }

    /// Gives the daemon's user its password and its rights, and nothing else: what is in force when nothing goes wrong.
    pub async fn admit(&self) -> Result<()> {
        let password = self.duet_password().await;
        let rights = rights(self.scripts);
        self.client().await?.run(&format!("ACL SETUSER duet reset on >{password} {rights}")).await.map(drop)
    }

    /// Another server of the same kind, with the same passwords: a replica to be.
    pub async fn another_server(&self) -> Result<Server> {
        let arguments = arguments(&self.password, &self.duet_password().await, self.scripts);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let environment = environment(self.step.as_deref(), &self.clock);
        let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let dir = TempDir::with_prefix("duet-server-")?;
        Server::start_in(self.flavor, Port::free()?, &arguments, &environment, dir).await
    }

    /// Puts a server in the place of the primary: the daemon's way and all clients lead to it from now on. Returns the old
    /// one.
    pub async fn replace(&self, server: Server) -> Server {
        self.port.store(server.port(), Ordering::SeqCst);
        self.proxy.lead_to(&server.address());
        std::mem::replace(&mut *self.server.lock().await, server)
    }

    /// The directory of the server that has a disk of its own, while it is that server's.
    pub async fn disk(&self) -> Option<PathBuf> {
        let server = self.server.lock().await;
        self.disk.clone().filter(|disk| disk == server.dir())
    }
}

/// Copies the append-only files of a server from one directory to another: all that it has executed.
///
/// # Errors
/// When a file can't be written.
pub fn copy_saved(from: &Path, to: &Path) -> Result<()> {
    for name in SAVED {
        copy(&from.join(name), &to.join(name))?;
    }
    Ok(())
}

/// Copies a file, or a folder of files, that may not be there.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        std::fs::create_dir_all(to)?;
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else if from.is_file() {
        std::fs::copy(from, to)?;
    }
    Ok(())
}

impl Drop for Region {
    fn drop(&mut self) {
        if let Some(disk) = &self.disk {
            // Lazily: the server that uses it goes with us. Nothing can be done about a failure here.
            drop(run("umount", &["-l", &disk.to_string_lossy()]));
        }
    }
}

fn rights(scripts: bool) -> String {
    let more = if scripts { RIGHTS_BESIDE_SIX } else { "" };
    format!("{RIGHTS} {more}").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Data outlast a `kill -9`: written before each answer, so that what a client was told is there afterwards.
fn arguments(password: &str, duet_password: &str, scripts: bool) -> Vec<String> {
    let line = format!(
        "--requirepass {password} --masterauth {password} --appendonly yes --appendfsync no --repl-backlog-size 64mb \
         --repl-backlog-ttl 0 --user duet on >{duet_password} {}",
        rights(scripts)
    );
    line.split_whitespace().map(str::to_owned).collect()
}

fn environment(step: Option<&Path>, clock: &Clock) -> Vec<(&'static str, String)> {
    let Some(step) = step else { return Vec::new() };
    vec![
        ("LD_PRELOAD", step.to_string_lossy().into_owned()),
        ("STEPPED_CLOCK", clock.file().to_string_lossy().into_owned()),
    ]
}
