//! The record of conflicts: `[conflicts]`.

use std::path::PathBuf;

/// `[conflicts]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflicts {
    /// The directory of the record; absent where none is configured.
    pub journal: Option<PathBuf>,
    /// Most bytes of the record in that directory.
    pub journal_bytes: u64,
}
