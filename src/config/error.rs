//! The one message that a wrong configuration gets.

use std::fmt;

/// The exit code of a wrong configuration: `EX_CONFIG` of `sysexits.h`.
pub const EXIT_CONFIG: u8 = 78;

/// Where it is wrong, what is wrong, and what to do. It never carries the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, or the environment variable.
    pub place: String,
    /// The key, with its sections; absent when the file as a whole is meant.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl ConfigError {
    /// An error at `key` of `place`.
    pub fn at(
        place: impl Into<String>,
        key: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { place: place.into(), key: Some(key.into()), problem: problem.into(), remedy: remedy.into() }
    }

    /// An error of the whole file or variable.
    pub fn whole(place: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place: place.into(), key: None, problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(key) = &self.key {
            write!(f, "`{key}` ")?;
        }
        write!(f, "{}. {}", self.problem, self.remedy)
    }
}

impl std::error::Error for ConfigError {}
