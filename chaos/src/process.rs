//! A program that is not ours, in the foreground, with a directory of its own: ended when it is dropped.

use crate::children;
use anyhow::{Context, Result};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A running program.
pub struct Process {
    child: Child,
    dir: TempDir,
}

impl Process {
    /// Starts `program` in a new directory; `arguments` gets that directory, in which it may put files, and returns the
    /// arguments.
    ///
    /// # Errors
    /// When a file cannot be written, or the program cannot be started.
    pub fn start(program: &str, arguments: impl FnOnce(&Path) -> Result<Vec<String>>) -> Result<Self> {
        let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
        let dir = TempDir::with_prefix(format!("{name}-"))?;
        let arguments = arguments(dir.path())?;
        let output = File::create(dir.path().join("output"))?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(dir.path());
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = children::prepare(&mut command).spawn();
        let child = child.with_context(|| format!("cannot start {program}: run `make setup`"))?;
        Ok(Self { child, dir })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Everything that it wrote.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("output")).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked first: some have children of their own, which they end. It is ours, and gone already at worst.
        let pid = i32::try_from(self.child.id()).map(nix::unistd::Pid::from_raw);
        if let Ok(pid) = pid {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        }
        for _ in 0..100 {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
