//! Orders to the running daemon.

use crate::conflicts::clocks_apart;
use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::load::Counted;
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::wait::eventually;
use std::path::Path;
use std::process::{Command, Output};

/// Orders are taken at a socket in this directory, and recorded there.
pub fn admin(place: &Path) -> String {
    let place = place.display();
    format!("[admin]\nlisten = \"unix:{place}/admin.sock\"\naudit = \"{place}\"\n")
}

/// What `duet` says to these words, with the daemon's configuration.
pub fn order(daemon: &Daemon, words: &[&str]) -> Result<Output> {
    let output = Command::new(duet()).args(words).arg("--config").arg(daemon.config()).env("USER", "alice").output()?;
    Ok(output)
}

#[tokio::test]
async fn a_link_that_is_paused_goes_on_where_it_was_and_both_orders_are_on_record() -> Result<()> {
    let place = tempfile::tempdir()?;
    let regions = Regions::start(Redis70, Redis70).await?;
    let more = More { tables: admin(place.path()), ..More::default() };
    let daemon = regions.daemon_with(duet(), &more).await?;
    let (west, east) = regions.clients().await?;
    let counted = Counted::new("w");
    counted.write(&west, 100).await?;
    regions.wait_equal().await?;

    let paused = order(&daemon, &["pause", "forward"])?;
    let said = String::from_utf8(paused.stdout)?;
    ensure!(paused.status.success() && said.contains("forward is paused"), "{said}");
    let link = daemon.link("forward").await?;
    let alice = |link: &serde_json::Value| link["reason"].as_str().is_some_and(|why| why.contains("alice (uid "));
    ensure!(link["state"] == "paused" && link["error_code"] == "paused" && alice(&link), "{link:#}");
    ensure!(daemon.get("/readyz").await?.code == 503);
    counted.write(&west, 100).await?;
    east.args(&["SET", "other-way", "1"]).await?;
    eventually("the other link's write", DEADLINE, async || {
        Ok((west.text("GET other-way").await? == "1").then_some(()))
    })
    .await?;
    let status = daemon.status().await?;
    ensure!(status["links"][0]["state"] == "paused" && status["links"][1]["state"] == "streaming", "{status:#}");
    let before = daemon.link("forward").await?["writes_applied"].as_u64().context("no count")?;

    ensure!(order(&daemon, &["resume", "forward"])?.status.success());
    regions.wait_equal().await?;
    daemon.wait_streaming(DEADLINE).await?;
    let link = daemon.link("forward").await?;
    ensure!(link["full_sync"].is_null() && link["set_aside"] == 0, "{link:#}");
    ensure!(link["writes_applied"].as_u64() > Some(before), "{link:#}");
    ensure!(
        !daemon.output().contains("full copy begins again") && daemon.output().matches("full sync begins").count() == 1
    );

    let record = std::fs::read_to_string(place.path().join("orders-audit.jsonl"))?;
    let actions: Vec<serde_json::Value> = record.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(actions.len() == 2 && actions[0]["action"] == "pause" && actions[1]["action"] == "resume", "{record}");
    let status = daemon.status().await?;
    ensure!(status["audit"]["recent"] == serde_json::Value::from(actions), "{status:#}");
    Ok(())
}

/// What a link finds when it goes on was written before what the other one has brought meanwhile, or after it.
#[tokio::test]
async fn what_was_written_during_a_pause_is_as_late_as_it_was_written_also_after_a_restart() -> Result<()> {
    for (restarts, links, writes) in
        [(false, "reverse", 2), (true, "reverse", 2), (false, "both", 3), (true, "both", 3)]
    {
        let place = tempfile::tempdir()?;
        let regions = Regions::start(Redis70, Redis70).await?;
        let more = More { tables: admin(place.path()), ..More::default() };
        let mut daemon = regions.daemon_with(duet(), &more).await?;
        let (west, east) = regions.clients().await?;
        ensure!(order(&daemon, &["pause", links])?.status.success());
        for (number, client) in (0..writes).zip([&east, &west].into_iter().cycle()) {
            client.args(&["SET", "k", &format!("written as number {number}")]).await?;
            client.args(&["HSET", "h", "f", &format!("written as number {number}")]).await?;
            clocks_apart().await?;
        }
        if restarts {
            daemon.kill9()?;
            daemon.resume()?;
        }
        eventually("the pause to end", DEADLINE, async || {
            Ok(order(&daemon, &["resume", links])?.status.success().then_some(()))
        })
        .await?;
        daemon.wait_streaming(DEADLINE).await?;
        regions.settle(&daemon, DEADLINE).await?;
        let last = format!("written as number {}", writes - 1);
        for client in [&west, &east] {
            let found = [client.text("GET k").await?, client.text("HGET h f").await?];
            ensure!(found.iter().all(|found| *found == last), "{found:?}, not {last}; {links}, restarts: {restarts}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_pause_of_a_link_whose_servers_are_away_is_taken_at_once_and_so_is_its_end() -> Result<()> {
    let place = tempfile::tempdir()?;
    let mut regions = Regions::start(Redis70, Redis70).await?;
    let more = More { tables: admin(place.path()), ..More::default() };
    let mut daemon = regions.daemon_with(duet(), &more).await?;
    regions.east.stop(duet_chaos::servers::Ending::Save).await?;
    let said = String::from_utf8(order(&daemon, &["pause", "both"])?.stdout)?;
    ensure!(said.contains("A restart of Duet before east answers ends the pause"), "{said}");
    let status = daemon.status().await?;
    ensure!((0..2).all(|link| status["links"][link]["state"] == "paused"), "{status:#}");
    regions.east.resume().await?;
    ensure!(order(&daemon, &["resume", "both"])?.status.success());
    daemon.wait_streaming(DEADLINE).await?;
    ensure!(order(&daemon, &["pause", "both"])?.status.success());
    ensure!(daemon.terminate().await?.success(), "{}", daemon.log_end());
    let nobody = order(&daemon, &["resume", "both"])?;
    let said = String::from_utf8(nobody.stderr)?;
    ensure!(nobody.status.code() == Some(1) && said.contains("Is `duet run` running"), "{said}");
    Ok(())
}

/// Who pauses a link before work on something does not want it to go on by itself because the daemon was restarted.
#[tokio::test]
async fn a_pause_lasts_over_a_restart_of_the_daemon_and_its_end_does_too() -> Result<()> {
    let place = tempfile::tempdir()?;
    let regions = Regions::start(Redis70, Redis70).await?;
    let more = More { tables: admin(place.path()), ..More::default() };
    let mut daemon = regions.daemon_with(duet(), &more).await?;
    let (west, _) = regions.clients().await?;
    let counted = Counted::new("w");
    counted.write(&west, 100).await?;
    let said = String::from_utf8(order(&daemon, &["pause", "forward"])?.stdout)?;
    ensure!(said.contains("forward is paused") && !said.contains("restart"), "{said}");
    daemon.kill9()?;
    counted.write(&west, 100).await?;

    let paused = |status: &serde_json::Value| {
        let [forward, reverse] = [0, 1].map(|link| status["links"][link]["state"].clone());
        forward == "paused" && reverse == "streaming"
    };
    daemon = Daemon::start(duet(), &regions.config(&more))?;
    daemon.wait_for("the pause to be remembered", DEADLINE, paused).await?;
    let reason = daemon.link("forward").await?["reason"].clone();
    ensure!(reason.as_str().is_some_and(|why| why.contains("alice (uid ")), "{reason}");
    ensure!(order(&daemon, &["resume", "forward"])?.status.success());
    regions.wait_equal().await?;

    ensure!(daemon.terminate().await?.success(), "{}", daemon.log_end());
    daemon = Daemon::start(duet(), &regions.config(&more))?;
    daemon.wait_streaming(DEADLINE).await?;
    Ok(())
}

/// What can change does, without a new copy; what can't is named; a wrong file changes nothing.
#[tokio::test]
async fn a_reload_takes_over_what_can_change_and_names_what_cannot() -> Result<()> {
    let place = tempfile::tempdir()?;
    let regions = Regions::start(Redis70, Redis70).await?;
    let more = More { tables: admin(place.path()), ..More::default() };
    let daemon = regions.daemon_with(duet(), &more).await?;
    let (west, east) = regions.clients().await?;
    let text = std::fs::read_to_string(daemon.config())?;
    let publish =
        format!("{text}\n[increments]\npublish = true\n[log]\nlevel = \"debug\"\n[shutdown]\ntimeout = \"5s\"\n");
    std::fs::write(daemon.config(), &publish)?;
    let said = String::from_utf8(order(&daemon, &["reload"])?.stdout)?;
    ensure!(
        said.contains("in force from now on: increments.publish, log.level; connections are made anew")
            && said.contains("NOT in force before a restart: shutdown.timeout"),
        "{said}"
    );
    daemon.wait_streaming(DEADLINE).await?;
    let hears = |status: &serde_json::Value| status["links"][0]["lag_ms"].as_u64().is_some_and(|lag| lag < 1_000);
    daemon.wait_for("the new connections to flow", DEADLINE, hears).await?;
    Counted::new("w").write(&west, 10).await?;
    regions.wait_equal().await?;
    ensure!(daemon.output().matches("full sync begins").count() == 1 && daemon.output().contains("DEBUG"));
    let commands = |text: String| text.lines().find(|line| line.starts_with("cmdstat_publish:")).map(str::to_owned);
    ensure!(commands(east.text("INFO commandstats").await?).is_none());
    west.run("PUBLISH news 1").await?;
    eventually("the message in the other region", DEADLINE, async || {
        Ok(commands(east.text("INFO commandstats").await?))
    })
    .await?;

    std::fs::write(daemon.config(), publish.replace("[increments]", "[incremets]"))?;
    let pid = daemon.pid().context("no daemon")?.to_string();
    ensure!(Command::new("kill").args(["-HUP", &pid]).status()?.success());
    eventually("the reload to be refused", DEADLINE, async || {
        let output = daemon.output();
        Ok((output.contains("not reloaded") && output.contains("Did you mean `increments`?")).then_some(()))
    })
    .await?;
    let refused = order(&daemon, &["reload"])?;
    ensure!(refused.status.code() == Some(78), "the command reads the same file");
    daemon.wait_streaming(DEADLINE).await?;
    let recent = daemon.status().await?["audit"]["recent"].clone();
    ensure!(recent[1]["by"] == "SIGHUP" && recent[1]["result"] == "refused", "{recent:#}");
    Ok(())
}
