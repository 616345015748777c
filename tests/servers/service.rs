//! What the daemon tells a service manager, and the unit that starts it.

use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::daemon::{Daemon, Signal};
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::notices::Notices;
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::servers::Ending;
use duet_chaos::threads::Stopped;
use duet_chaos::wait::eventually;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A watchdog that barks early: a loop may take half of it for a round, and it is fed four times in it.
const WATCHDOG: Duration = Duration::from_secs(4);

async fn under_a_manager(regions: &Regions) -> Result<(Daemon, Notices)> {
    let notices = Notices::listen()?;
    let path = notices.path();
    let watchdog = WATCHDOG.as_micros().to_string();
    let environment = [("NOTIFY_SOCKET", path.to_str().context("no UTF-8")?), ("WATCHDOG_USEC", &watchdog)];
    let daemon = Daemon::start_with(duet(), &regions.config(&More::default()), &environment)?;
    Ok((daemon, notices))
}

async fn fed_again(notices: &mut Notices, times: usize) -> Result<()> {
    let before = notices.count("WATCHDOG=1");
    let fed = async || Ok((notices.count("WATCHDOG=1") >= before + times).then_some(()));
    eventually("the watchdog to be fed", DEADLINE, fed).await
}

async fn shows(notices: &mut Notices, part: &str) -> Result<()> {
    let shown = eventually(part, DEADLINE, async || Ok(notices.status().contains(part).then_some(())));
    let shown = shown.await;
    shown.with_context(|| format!("told: {:#?}", notices.told()))
}

#[tokio::test]
async fn the_service_manager_hears_how_it_does_from_start_to_end() -> Result<()> {
    let mut regions = Regions::start(Redis70, Redis70).await?;
    let (mut daemon, mut notices) = under_a_manager(&regions).await?;
    shows(&mut notices, "ready: both links stream").await?;
    ensure!(notices.count("READY=1") == 1, "{:?}", notices.told());

    daemon.signal(Signal::SIGHUP)?;
    let reloaded = async || Ok((notices.count("READY=1") == 2).then_some(()));
    eventually("the reload", DEADLINE, reloaded).await?;
    let place = notices.told().iter().position(|line| line == "RELOADING=1").context("no RELOADING=1")?;
    ensure!(notices.told()[place + 1].starts_with("MONOTONIC_USEC="), "{:?}", notices.told());

    // A region that is down is no reason for a restart: the links go round, and wait.
    regions.east.stop(Ending::Kill).await?;
    shows(&mut notices, "not ready: ").await?;
    fed_again(&mut notices, 8).await?;
    ensure!(notices.status().contains("connecting"), "{}", notices.status());
    regions.east.resume().await?;
    shows(&mut notices, "ready: both links stream").await?;

    ensure!(daemon.terminate().await?.success());
    let last: Vec<_> = notices.told().iter().rev().take(2).rev().cloned().collect();
    ensure!(last == ["STOPPING=1", "STATUS=stopping: what is on its way is finished first"], "{last:?}");
    ensure!(!notices.told().iter().any(|line| line.contains("STUCK")), "{:?}", notices.told());
    Ok(())
}

#[tokio::test]
async fn a_daemon_whose_links_are_stuck_feeds_the_watchdog_no_more() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let (daemon, mut notices) = under_a_manager(&regions).await?;
    shows(&mut notices, "ready: both links stream").await?;
    fed_again(&mut notices, 2).await?;

    let stopped = Stopped::stop(daemon.pid().context("it runs")?, "link")?;
    shows(&mut notices, "STUCK: the forward link has not gone round for").await?;
    ensure!(daemon.get("/livez").await?.code == 200, "the other threads go on");
    let fed = notices.count("WATCHDOG=1");
    let stuck = Instant::now();
    let barks = async || Ok((stuck.elapsed() > WATCHDOG).then_some(()));
    eventually("the watchdog to bark", DEADLINE, barks).await?;
    ensure!(notices.count("WATCHDOG=1") == fed, "it was fed: {:?}", notices.told());
    ensure!(daemon.output().contains("the reverse link is stuck"), "{}", daemon.log_end());

    drop(stopped);
    fed_again(&mut notices, 2).await?;
    shows(&mut notices, "ready: both links stream").await
}

/// The unit, with the program under test in place of the installed one.
fn unit() -> Result<(tempfile::TempDir, PathBuf)> {
    let dir = tempfile::tempdir()?;
    let place = dir.path().join("duet.service");
    let program = duet().to_str().context("no UTF-8")?;
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/duet.service");
    std::fs::write(&place, std::fs::read_to_string(unit)?.replace("/usr/bin/duet", program))?;
    Ok((dir, place))
}

fn analyzed(arguments: &[&str], unit: &Path) -> Result<String> {
    let analyzed = Command::new("systemd-analyze").args(arguments).arg(unit).env("SYSTEMD_COLORS", "0").output();
    let analyzed = analyzed.context("systemd-analyze is missing: `make setup`")?;
    let said = String::from_utf8_lossy(&analyzed.stdout) + String::from_utf8_lossy(&analyzed.stderr);
    ensure!(analyzed.status.success(), "{said}");
    Ok(said.into_owned())
}

#[test]
fn the_unit_is_right_and_exposes_next_to_nothing() -> Result<()> {
    let (_dir, unit) = unit()?;
    let said = analyzed(&["verify", "--man=no", "--recursive-errors=no"], &unit)?;
    ensure!(said.is_empty(), "{said}");
    let said = analyzed(&["security", "--offline=true", "--no-pager", "--threshold=20"], &unit)?;
    ensure!(said.contains("Overall exposure level for duet.service"), "{said}");
    Ok(())
}
