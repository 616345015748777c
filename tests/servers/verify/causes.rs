//! Why keys differ, as the running daemon knows it: what was set aside, and what is held on account of a conflict.

use super::{run, said, verify};
use crate::admin::admin;
use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::pair::{DEADLINE, More, Regions};
use serde_json::Value;

const TABLES: &str = "[verify]\ncontinuous = true\npause = \"1s\"\nshare = \"50%\"\n\
                      [[conflicts.prefix]]\nprefix = \"h:\"\npolicy = \"hold\"\n";

fn finding<'a>(told: &'a Value, key: &str) -> Result<&'a Value> {
    let found = told["findings"].as_array().into_iter().flatten().find(|finding| finding["key"] == key);
    found.with_context(|| format!("{key} was not found: {told:#}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_set_aside_and_what_is_held_is_told_with_the_difference() -> Result<()> {
    let place = tempfile::tempdir()?;
    // A renamed command travels under its new name: nobody else knows it.
    let renamed: &[&str] = &["--rename-command", "APPEND", "BOOST"];
    let regions = Regions::start_with((Redis70, renamed), (Redis70, &[])).await?.behind_proxies().await?;
    let more = More { tables: format!("{}{TABLES}", admin(place.path())), ..More::default() };
    let daemon = regions.daemon_with(duet(), &more).await?;
    let (west, east) = regions.clients().await?;
    west.script("SET aside a\nSET same 1").await?;
    regions.settle(&daemon, DEADLINE).await?;
    west.run("BOOST aside b").await?;
    daemon.wait_for("it to be set aside", DEADLINE, |status| status["links"][0]["set_aside"] == 1).await?;
    regions.hold_links().await?;
    west.run("SET h:k west").await?;
    east.run("SET h:k east").await?;
    regions.release_links()?;
    daemon.wait_for("the key to be held", DEADLINE, |status| status["conflicts"]["held_now"] == 1).await?;

    let result = place.path().join("result.db");
    let path = result.to_string_lossy().into_owned();
    let (code, told) = verify(&daemon.config(), &["--settle", "0s", "--output", &path]).await?;
    ensure!(code == 1 && told["different"] == 2, "{told:#}");
    let aside = finding(&told, "aside")?;
    ensure!(aside["difference"] == "value" && aside["cause"] == "set_aside", "{aside:#}");
    ensure!(aside["reason"].as_str().is_some_and(|why| why.starts_with("set aside: ")), "{aside:#}");
    let held = finding(&told, "h:k")?;
    ensure!(held["cause"] == "in_conflict" && held["reason"].to_string().contains("duet resolve"), "{held:#}");
    let shown = said(&run(&daemon.config(), &["verify", "--settle", "0s"]).await?);
    ensure!(shown.contains("set aside: ") && shown.contains("held"), "{shown}");

    // The daemon's own rounds say the same, in status, log and metrics.
    let both = |status: &Value| status["verify"]["different"] == 2;
    let status = daemon.wait_for("both to be found", DEADLINE, both).await?;
    let verify = &status["verify"];
    ensure!(finding(verify, "aside")?["reason"].to_string().contains("set aside"), "{verify:#}");
    ensure!(finding(verify, "h:k")?["reason"].to_string().contains("held"), "{verify:#}");
    ensure!(verify["differences"]["value"] == 2, "{verify:#}");
    let metrics = daemon.get("/metrics").await?.body;
    ensure!(metrics.contains("duet_verify_findings{difference=\"value\"} 2"), "{metrics}");

    // A repair makes equal what was set aside, and leaves to a person what a policy holds.
    let repaired = said(&run(&daemon.config(), &["repair", &path, "--winner", "west"]).await?);
    ensure!(repaired.contains("repaired: 1 keys, LEFT ALONE: 1"), "{repaired}");
    ensure!(repaired.contains("\"h:k\": its policy is `hold`: decide it with `duet resolve`"), "{repaired}");
    ensure!(east.text("GET aside").await? == "ab", "not the value of the west");
    let resolved = run(&daemon.config(), &["resolve", "h:k", "--winner", "east"]).await?;
    ensure!(resolved.status.success(), "{}", said(&resolved));
    regions.settle(&daemon, DEADLINE).await?;
    daemon.wait_for("nothing to differ", DEADLINE, |status| status["verify"]["different"] == 0).await?;
    Ok(())
}
