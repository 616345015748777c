//! `duet generate`: manual pages and completions for a package, from the same words as `--help`.

use std::fs::create_dir_all;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Duet;
use super::exit::failed;

/// Where Debian's shells look for completions that packages bring.
const COMPLETIONS: [(Shell, &str, &str); 3] = [
    (Shell::Bash, "usr/share/bash-completion/completions", "duet"),
    (Shell::Zsh, "usr/share/zsh/vendor-completions", "_duet"),
    (Shell::Fish, "usr/share/fish/vendor_completions.d", "duet.fish"),
];
const MANUAL: &str = "usr/share/man/man1";

/// Write manual pages and shell completions, for a package.
#[derive(Debug, Args)]
pub(super) struct Generate {
    /// The directory that stands for / of the machine on which the package will be installed
    #[arg(value_name = "DIR")]
    root: PathBuf,
}

impl Generate {
    pub(super) fn execute(self) -> ExitCode {
        match write(&self.root) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&format!("cannot write below {}: {error}", self.root.display())),
        }
    }
}

fn write(root: &Path) -> io::Result<()> {
    let manual = root.join(MANUAL);
    create_dir_all(&manual)?;
    clap_mangen::generate_to(Duet::command(), &manual)?;
    for (shell, place, name) in COMPLETIONS {
        let place = root.join(place);
        create_dir_all(&place)?;
        let mut file = std::fs::File::create(place.join(name))?;
        clap_complete::generate(shell, &mut Duet::command(), "duet", &mut file);
    }
    Ok(())
}
