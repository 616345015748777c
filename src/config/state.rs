//! Where the daemon keeps files of its own.

use std::ffi::OsString;
use std::path::PathBuf;

/// The folder that the configuration has `given`, else `name` in the first of systemd's `$STATE_DIRECTORY`, else none.
pub fn state_folder(given: Option<PathBuf>, name: &str, state_directory: Option<OsString>) -> Option<PathBuf> {
    given.or_else(|| {
        let directories = state_directory.filter(|directories| !directories.is_empty())?;
        std::env::split_paths(&directories).next().map(|directory| directory.join(name))
    })
}
