//! Passwords: wrong, then right; and never shown.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70};
use duet_chaos::pair::{DEADLINE, More, Regions};
use serde_json::Value;
use std::path::Path;

const RIGHT: &str = "right-hx7Qm2";
const WRONG: &str = "wrong-k9Zt41";

fn refused(status: &Value) -> bool {
    let links = status["links"].as_array();
    let names_it = |link: &Value| {
        let said = format!("{} {}", link["reason"], link["remedy"]).to_lowercase();
        link["state"] != "streaming" && said.contains("password")
    };
    links.is_some_and(|links| links.iter().any(names_it))
}

/// What the daemon says anywhere must not contain a secret.
async fn says_no_secret(daemon: &Daemon) -> Result<()> {
    let mut said = daemon.output();
    for path in ["/status", "/readyz", "/livez"] {
        said.push_str(&daemon.get(path).await?.body);
    }
    ensure!(!said.contains(RIGHT) && !said.contains(WRONG), "a secret was shown:\n{said}");
    Ok(())
}

fn with_file(file: &Path) -> More {
    let east = format!("password_file = \"{}\"", file.display());
    More { east, tables: "[log]\nlevel = \"trace\"\n".to_owned(), ..More::default() }
}

#[tokio::test]
async fn a_wrong_password_is_named_and_the_link_goes_on_when_the_server_takes_it() -> Result<()> {
    for flavor in [Redis62, Redis70] {
        let mut regions = Regions::start_with((flavor, &[]), (flavor, &["--requirepass", RIGHT])).await?;
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("password");
        std::fs::write(&file, format!("{WRONG}\n"))?;
        let mut daemon = Daemon::start(duet(), &regions.config(&with_file(&file)))?;
        daemon.wait_for("the wrong password to be named", DEADLINE, refused).await?;
        ensure!(daemon.is_running()? && daemon.get("/readyz").await?.code == 503);
        says_no_secret(&daemon).await?;
        regions.east.client().await?.run(&format!("CONFIG SET requirepass {WRONG}")).await?;
        regions.east.log_in_with("default", WRONG);
        daemon.wait_streaming(DEADLINE).await?;
        regions.west.client().await?.run("SET k 1").await?;
        regions.wait_equal().await?;
        says_no_secret(&daemon).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_password_file_that_is_corrected_is_read_again() -> Result<()> {
    let regions = Regions::start_with((Redis70, &[]), (Redis70, &["--requirepass", RIGHT])).await?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("password");
    std::fs::write(&file, WRONG)?;
    let daemon = Daemon::start(duet(), &regions.config(&with_file(&file)))?;
    daemon.wait_for("the wrong password to be named", DEADLINE, refused).await?;
    std::fs::write(&file, RIGHT)?;
    daemon.wait_streaming(DEADLINE).await?;
    regions.wait_equal().await
}

#[tokio::test]
async fn a_missing_password_is_named() -> Result<()> {
    let regions = Regions::start_with((Redis70, &["--requirepass", RIGHT]), (Redis70, &[])).await?;
    let daemon = Daemon::start(duet(), &regions.config(&More::default()))?;
    daemon.wait_for("the missing password to be named", DEADLINE, refused).await?;
    Ok(())
}

#[tokio::test]
async fn a_user_of_its_own_with_a_password_from_the_environment() -> Result<()> {
    for flavor in Flavor::ALL {
        let regions = Regions::start(flavor, flavor).await?;
        let (west, _) = regions.clients().await?;
        west.run(&format!("ACL SETUSER duet on >{RIGHT} ~* &* +@all")).await?;
        let more = More { west: "username = \"duet\"".to_owned(), ..More::default() };
        let environment = [("DUET__REGION__WEST__PASSWORD", RIGHT)];
        let daemon = Daemon::start_with(duet(), &regions.config(&more), &environment)?;
        daemon.wait_streaming(DEADLINE).await?;
        let clients = west.text("CLIENT LIST").await?;
        ensure!(clients.contains("user=duet"), "{clients}");
        west.run("SET k 1").await?;
        regions.wait_equal().await?;
        says_no_secret(&daemon).await?;
    }
    Ok(())
}
