//! Every exit code of every command, and that `docs/service.md` has just these.

use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::daemon::{Daemon, Signal};
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::wait::eventually;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const DOCUMENT: &str = include_str!("../../docs/service.md");

/// Commands and the codes that they have ended with.
type Codes = BTreeSet<(String, i32)>;

/// What the table of the document says.
fn documented() -> Codes {
    let rows = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| `duet "));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    cells
        .flat_map(|cells| {
            let command = cells[0].trim_end_matches('`').to_owned();
            let codes = [0, 1, 2, 78].into_iter().zip(cells[1..].to_vec());
            codes.filter(|(_, when)| !when.is_empty()).map(move |(code, _)| (command.clone(), code)).collect::<Vec<_>>()
        })
        .collect()
}

/// The commands that `duet --help` names.
fn commands() -> Result<Vec<String>> {
    let help = String::from_utf8(Command::new(duet()).arg("--help").output()?.stdout)?;
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    Ok(lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect())
}

/// Runs commands on one configuration and keeps their codes.
struct Tried {
    codes: Codes,
    config: PathBuf,
    place: TempDir,
}

impl Tried {
    /// Runs a command that must end with `code`.
    async fn ends(&mut self, code: i32, line: &str) -> Result<()> {
        let words: Vec<&str> = line.split(' ').collect();
        let file = |name: &str| self.place.path().join(name);
        let words = words.iter().map(|word| word.strip_prefix('@').map_or_else(|| PathBuf::from(word), file));
        let mut command = tokio::process::Command::new(duet());
        command.args(words).env_remove("DUET_CONFIG");
        if line != "version" && !line.contains("--config") && !line.contains("--no-such-option") {
            command.arg("--config").arg(&self.config);
        }
        let output = command.output().await?;
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(code), "duet {line}: {}: {said}", output.status);
        self.codes.insert((line.split(' ').next().unwrap_or_default().to_owned(), code));
        Ok(())
    }
}

/// What `duet check` finds fault with, by name.
async fn items(config: &Path) -> Result<String> {
    let output = tokio::process::Command::new(duet())
        .args(["check", "--json", "--sample", "100ms", "--config"])
        .arg(config)
        .output()
        .await?;
    let found: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let rows = found["rows"].as_array().context("no rows")?;
    let items = rows.iter().filter(|row| row["result"] != "ok").filter_map(|row| row["item"].as_str());
    Ok(items.map(|item| format!(" --ignore {item}")).collect())
}

#[tokio::test]
async fn each_command_ends_with_the_codes_of_the_document_and_no_others() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    let (west, east) = regions.clients().await?;
    east.run("SET only-here 1").await?;
    let place = tempfile::tempdir()?;
    let admin = format!("[admin]\nlisten = \"unix:{}\"\n", place.path().join("admin.sock").display());
    let more = More { tables: admin, ..More::default() };
    let mut daemon = regions.daemon_with(duet(), &more).await?;
    west.run("SET both 1").await?;
    let across = async || Ok((east.text("GET both").await? == "1").then_some(()));
    eventually("it to be across", DEADLINE, across).await?;
    let mut tried = Tried { codes: Codes::new(), config: daemon.config(), place };

    // The command line, the configuration.
    std::fs::write(tried.place.path().join("wrong.toml"), "[pair]\nnam = 1\n")?;
    let arguments = |command: &str| match command {
        "resolve" => " both --winner west",
        "why" => " both",
        "pause" | "hold" | "resume" => " forward",
        "drill" => " plan",
        "repair" => " @result --winner west",
        _ => "",
    };
    for command in commands()? {
        tried.ends(2, &format!("{command} --no-such-option")).await?;
        if command != "version" {
            let arguments = arguments(&command);
            tried.ends(78, &format!("{command}{arguments} --config @wrong.toml")).await?;
        }
    }

    // All is well.
    let ignored = items(&tried.config).await?;
    tried.ends(0, &format!("check --sample 100ms{ignored}")).await?;
    tried.ends(1, "check --sample 100ms").await?;
    for line in ["version", "status", "conflicts", "why both", "resolve both --winner west", "drill plan"] {
        tried.ends(0, line).await?;
    }
    for line in ["pause forward", "resume forward", "hold forward", "resume forward", "reload"] {
        tried.ends(0, line).await?;
    }
    daemon.wait_streaming(DEADLINE).await?;
    let differ = "verify --settle 100ms --output @result";
    tried.ends(1, "why only-here").await?;
    tried.ends(1, differ).await?;
    tried.ends(1, "repair @result --winner west --dry-run").await?;
    tried.ends(0, "repair @result --winner west").await?;
    tried.ends(0, "verify --settle 100ms").await?;

    // A region answers no more: a stop has something to finish, and is cut short.
    let east_proxy = regions.east_proxy.as_ref().context("no proxy")?;
    east_proxy.freeze_existing();
    daemon.wait_for("heartbeats to be on their way", DEADLINE, |status| status["links"][0]["stalled"] == true).await?;
    stopped_at_once(&mut daemon, &mut tried).await?;
    for line in ["conflicts", "pause forward", "hold forward", "resume forward", "reload", "drill plan"] {
        tried.ends(1, line).await?;
    }

    // A region is gone.
    east_proxy.refuse(true);
    tried.ends(2, "check --sample 100ms").await?;
    tried.ends(2, "verify").await?;
    tried.ends(1, "resolve both --winner east").await?;
    daemon.resume()?;
    eventually("it to answer", DEADLINE, async || daemon.status().await.map(Some)).await?;
    tried.ends(1, "status").await?;
    ensure!(daemon.terminate().await?.code() == Some(0));
    tried.codes.insert(("run".to_owned(), 0));

    let documented = documented();
    ensure!(
        documented == tried.codes,
        "only documented: {:?}, only seen: {:?}",
        documented.difference(&tried.codes),
        tried.codes.difference(&documented)
    );
    Ok(())
}

/// A second signal ends what finishes what is on its way.
async fn stopped_at_once(daemon: &mut Daemon, tried: &mut Tried) -> Result<()> {
    daemon.signal(Signal::SIGTERM)?;
    let told = async || Ok(daemon.output().contains("what is on its way is finished first").then_some(()));
    eventually("the first signal", DEADLINE, told).await?;
    daemon.signal(Signal::SIGTERM)?;
    let ended = daemon.wait_exit(DEADLINE).await?;
    ensure!(ended.code() == Some(1), "{ended}: {}", daemon.log_end());
    tried.codes.insert(("run".to_owned(), 1));
    Ok(())
}
