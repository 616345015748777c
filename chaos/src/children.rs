//! What holds for every process that is started here.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

static SHIELDED: AtomicBool = AtomicBool::new(false);

/// Keeps Ctrl-C in the terminal from the processes that are started from now on, for a program that wants to end them
/// itself and in order. Tests don't: a test that is killed takes its servers with it, as one process group.
pub fn shield_from_terminal() {
    SHIELDED.store(true, Ordering::SeqCst);
}

/// Prepares a command as [`shield_from_terminal`] has asked for.
pub(crate) fn prepare(command: &mut Command) -> &mut Command {
    if SHIELDED.load(Ordering::SeqCst) {
        command.process_group(0);
    }
    command
}
