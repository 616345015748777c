//! Clocks that can be stepped: a small library that is preloaded into a server, and a file that says by how much.
//!
//! A time namespace shifts the clocks that count from the boot, not the time of day, and libfaketime does not start under
//! the allocator of Debian's Redis.

use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The library's source.
const SOURCE: &str = include_str!("step.c");

/// Whether there is a compiler for it.
pub fn can_be_stepped() -> bool {
    Command::new("cc")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|it| it.success())
}

/// Builds the library in a directory and returns its path.
///
/// # Errors
/// When there is no compiler, or it refuses.
pub fn build(dir: &Path) -> Result<PathBuf> {
    let library = dir.join("step.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-x", "c", "-", "-o"]).arg(&library).stdin(Stdio::piped());
    let mut child = compiler.spawn().context("cannot start cc")?;
    child.stdin.take().context("no way into cc")?.write_all(SOURCE.as_bytes())?;
    ensure!(child.wait()?.success(), "cc did not build the library that steps clocks");
    Ok(library)
}

/// The file that says by how much one server's clock is ahead.
#[derive(Debug)]
pub struct Clock {
    file: PathBuf,
}

impl Clock {
    /// A clock that is right, in a new file.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn new(file: PathBuf) -> Result<Self> {
        std::fs::write(&file, 0_i64.to_ne_bytes())?;
        Ok(Self { file })
    }

    /// Where it is.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Lets it be ahead by so many seconds from now on; behind where negative.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn step(&self, seconds: i64) -> Result<()> {
        // Over the old bytes: who has mapped the file sees the new ones.
        let mut file = std::fs::OpenOptions::new().write(true).open(&self.file)?;
        file.write_all(&(seconds * 1_000_000).to_ne_bytes())?;
        Ok(())
    }
}
