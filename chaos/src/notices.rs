//! The receiving end of `sd_notify(3)`: what a daemon tells its service manager.

use anyhow::Result;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use tempfile::TempDir;

/// Longest message: more than any daemon sends.
const MESSAGE: usize = 64 * 1024;

/// A socket for `$NOTIFY_SOCKET`, and what came to it.
pub struct Notices {
    socket: UnixDatagram,
    dir: TempDir,
    told: Vec<String>,
}

impl Notices {
    /// A socket in a directory of its own.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn listen() -> Result<Self> {
        let dir = TempDir::with_prefix("duet-notices-")?;
        let socket = UnixDatagram::bind(dir.path().join("notify"))?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, dir, told: Vec::new() })
    }

    /// The path for `$NOTIFY_SOCKET`.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("notify")
    }

    /// Every line that has come so far, the oldest first.
    pub fn told(&mut self) -> &[String] {
        let mut message = vec![0; MESSAGE];
        while let Ok(length) = self.socket.recv(&mut message) {
            self.told.extend(String::from_utf8_lossy(&message[..length]).lines().map(str::to_owned));
        }
        &self.told
    }

    /// How many lines begin with `word`.
    pub fn count(&mut self, word: &str) -> usize {
        self.told().iter().filter(|line| line.starts_with(word)).count()
    }

    /// The last status.
    pub fn status(&mut self) -> String {
        let status = self.told().iter().rev().find_map(|line| line.strip_prefix("STATUS="));
        status.unwrap_or_default().to_owned()
    }
}
