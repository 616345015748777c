//! The Debian package, made of the program under test: installed, upgraded, removed and purged in a root of its own by dpkg.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_duet");
const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    output
}

fn built(place: &Path) -> PathBuf {
    let mut build = Command::new(format!("{REPOSITORY}/conf/debian/build"));
    let made = run(build.args([Path::new(PROGRAM), place]).env("DUET_DEB_FAST", "1"));
    PathBuf::from(String::from_utf8(made.stdout).unwrap().trim())
}

/// The same package one version later, with another default configuration.
fn next_version(package: &Path, place: &Path) -> PathBuf {
    let tree = place.join("next");
    run(Command::new("dpkg-deb").arg("-R").args([package, &tree]));
    let control = tree.join("DEBIAN/control");
    let words = fs::read_to_string(&control).unwrap();
    fs::write(&control, words.replace("Version: ", "Version: 1:")).unwrap();
    let configuration = tree.join("etc/duet/pair.toml");
    let words = fs::read_to_string(&configuration).unwrap();
    fs::write(&configuration, words + "\n[verify]\ncontinuous = true\n").unwrap();
    let package = place.join("next.deb");
    run(Command::new("dpkg-deb").args(["--root-owner-group", "-Zgzip", "-z1", "-b"]).args([&tree, &package]));
    package
}

/// A machine without anything but dpkg's own records.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for directory in ["info", "updates", "triggers"] {
            fs::create_dir_all(root.path().join("var/lib/dpkg").join(directory)).unwrap();
        }
        fs::write(root.path().join("var/lib/dpkg/status"), "").unwrap();
        Self(root)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn dpkg(&self, arguments: &[&str]) {
        let mut dpkg = Command::new("dpkg");
        dpkg.arg(format!("--root={}", self.0.path().display())).arg("--log=/dev/null");
        dpkg.args(["--force-not-root", "--force-script-chrootless", "--force-depends", "--force-confold"]);
        run(dpkg.args(arguments));
    }

    fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}")).permissions().mode() & 0o7777
    }

    /// Every file that is no record of dpkg's, and every directory below etc.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut directories = vec![self.0.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap().path();
                let name = entry.strip_prefix(self.0.path()).unwrap().to_str().unwrap().to_owned();
                if name.starts_with("var/lib/dpkg") {
                    continue;
                }
                if entry.is_dir() && !entry.is_symlink() {
                    directories.push(entry);
                    if !name.starts_with("etc/duet") {
                        continue;
                    }
                }
                files.push(name);
            }
        }
        files.sort();
        files
    }
}

fn unzipped(path: &Path) -> String {
    String::from_utf8(run(Command::new("gzip").arg("-dc").arg(path)).stdout).unwrap()
}

#[test]
fn the_package_installs_upgrades_removes_and_purges_cleanly() {
    let place = tempfile::tempdir().unwrap();
    let package = built(place.path());
    let machine = Machine::new();
    machine.dpkg(&["-i", package.to_str().unwrap()]);
    machine.dpkg(&["--verify", "duet"]);
    assert_eq!((machine.mode("usr/bin/duet"), machine.mode("etc/duet/passwords")), (0o755, 0o700));
    assert_eq!(machine.mode("usr/lib/systemd/system/duet.service"), 0o644);
    assert!(!machine.path("etc/systemd/system/multi-user.target.wants").exists(), "nothing is enabled");
    let version = run(Command::new(machine.path("usr/bin/duet")).arg("version")).stdout;
    assert_eq!(String::from_utf8(version).unwrap(), format!("duet {}\n", env!("CARGO_PKG_VERSION")));
    as_it_comes_it_names_no_servers(&machine);
    its_papers_are_whole(&machine);

    // What an operator has written stays, whatever comes.
    let configuration = machine.path("etc/duet/pair.toml");
    let written = fs::read_to_string(&configuration).unwrap().replace(".invalid", ".example.com");
    fs::write(&configuration, &written).unwrap();
    fs::write(machine.path("etc/duet/passwords/eu-west"), "secret").unwrap();
    let enabled = "etc/systemd/system/multi-user.target.wants/duet.service";
    fs::create_dir_all(machine.path(enabled).parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/usr/lib/systemd/system/duet.service", machine.path(enabled)).unwrap();
    machine.dpkg(&["-i", next_version(&package, place.path()).to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&configuration).unwrap(), written);
    assert!(fs::read_to_string(machine.path("etc/duet/pair.toml.dpkg-dist")).unwrap().contains("continuous"));
    assert!(machine.path(enabled).is_symlink(), "an upgrade leaves it enabled");

    machine.dpkg(&["--remove", "duet"]);
    assert_eq!(fs::read_to_string(&configuration).unwrap(), written);
    let left = machine.files();
    assert!(left.iter().all(|file| file.starts_with("etc/duet")), "{left:?}");
    assert!(left.contains(&"etc/duet/passwords/eu-west".to_owned()));

    let records = machine.path("var/lib/private/duet/conflicts");
    fs::create_dir_all(&records).unwrap();
    fs::write(records.join("orders.jsonl"), "{}").unwrap();
    std::os::unix::fs::symlink("private/duet", machine.path("var/lib/duet")).unwrap();
    machine.dpkg(&["--purge", "duet"]);
    assert_eq!(machine.files(), Vec::<String>::new());
}

/// The configuration that is installed is refused until its two servers are named, and right from then on.
fn as_it_comes_it_names_no_servers(machine: &Machine) {
    let checked = |configuration: &Path| {
        let mut check = Command::new(machine.path("usr/bin/duet"));
        check.args(["check", "--sample", "1s", "--config"]).arg(configuration).output().unwrap()
    };
    let refused = checked(&machine.path("etc/duet/pair.toml"));
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(78), "{error}");
    assert!(error.contains("`region.eu-west.url` names `eu-west.invalid`, which does not resolve"), "{error}");

    let words = fs::read_to_string(machine.path("etc/duet/pair.toml")).unwrap();
    let words = words.replace("eu-west.invalid:6379", "127.0.0.1:1").replace("us-east.invalid:6379", "127.0.0.1:2");
    let named = machine.path("named.toml");
    fs::write(&named, words).unwrap();
    let looked = checked(&named);
    assert_eq!(looked.status.code(), Some(2), "{}", String::from_utf8_lossy(&looked.stderr));
    assert!(String::from_utf8(looked.stdout).unwrap().contains("reachable"));
    fs::remove_file(named).unwrap();
}

fn its_papers_are_whole(machine: &Machine) {
    let help = String::from_utf8(run(Command::new(PROGRAM).arg("--help")).stdout).unwrap();
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<_> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"run") && commands.contains(&"drill"), "{help}");
    let bash = fs::read_to_string(machine.path("usr/share/bash-completion/completions/duet")).unwrap();
    let zsh = fs::read_to_string(machine.path("usr/share/zsh/vendor-completions/_duet")).unwrap();
    let fish = fs::read_to_string(machine.path("usr/share/fish/vendor_completions.d/duet.fish")).unwrap();
    for command in commands {
        let manual = unzipped(&machine.path(&format!("usr/share/man/man1/duet-{command}.1.gz")));
        assert!(manual.contains(&format!(".TH duet-{command} 1")), "{manual}");
        assert!([&bash, &zsh, &fish].iter().all(|shell| shell.contains(command)), "{command} is not completed");
    }
    assert!(unzipped(&machine.path("usr/share/man/man1/duet.1.gz")).contains("duet\\-run(1)"));
    let script = machine.path("usr/share/bash-completion/completions/duet");
    run(Command::new("bash").args(["-c", "source \"$0\" && complete -p duet"]).arg(script));
}
