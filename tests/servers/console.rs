//! The console in a real browser. `DUET_PICTURES=docs/pictures` keeps the pictures of the documents.

use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::browser::Browser;
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::wait::eventually;
use std::path::PathBuf;

const DESK: (u32, u32) = (1280, 860);
const PHONE: (u32, u32) = (390, 844);

/// Waits until the element's text has this word.
async fn shows(browser: &mut Browser, id: &str, word: &str) -> Result<()> {
    let mut last = String::new();
    let shown = eventually(word, DEADLINE, async || {
        last = browser.text(id).await?;
        Ok(last.contains(word).then_some(()))
    });
    shown.await.with_context(|| format!("{id} shows: {last}"))
}

async fn holds(browser: &mut Browser, what: &str, expression: &str) -> Result<()> {
    ensure!(browser.eval(expression).await? == true, "{what}: {expression}");
    Ok(())
}

#[tokio::test]
async fn it_shows_a_link_that_goes_down_and_comes_back_and_a_daemon_that_is_away() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    let mut daemon = regions.daemon(duet()).await?;
    let mut browser = Browser::open(&daemon.url(), DESK).await?;
    shows(&mut browser, "ready", "ready").await?;
    for link in ["link-0", "link-1"] {
        shows(&mut browser, link, "streaming").await?;
    }
    shows(&mut browser, "region-0", "serving").await?;
    shows(&mut browser, "precheck-result", "ok").await?;
    shows(&mut browser, "event-rows", "forward is streaming").await?;

    let west = regions.west_proxy.as_ref().context("no proxy")?;
    west.refuse(true);
    west.cut();
    shows(&mut browser, "link-0", "connecting").await?;
    shows(&mut browser, "region-0", "does not answer").await?;
    shows(&mut browser, "region-1", "Balancers send clients here").await?;
    west.refuse(false);
    shows(&mut browser, "link-0", "streaming").await?;
    shows(&mut browser, "ready", "ready").await?;

    daemon.kill9()?;
    shows(&mut browser, "stale", "Stale: Duet does not answer").await?;
    daemon.resume()?;
    shows(&mut browser, "link-1", "streaming").await?;
    let fresh = async || Ok((browser.eval("document.getElementById('stale').hidden").await? == true).then_some(()));
    eventually("the page to be fresh again", DEADLINE, fresh).await
}

#[tokio::test]
async fn it_shows_which_keys_differ_and_how_far_the_verification_is() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let tables = "[verify]\ncontinuous = true\npause = \"1s\"\nshare = \"100%\"\n".to_owned();
    let daemon = regions.daemon_with(duet(), &More { tables, ..More::default() }).await?;
    let (west, east) = regions.clients().await?;
    west.script("SET basket:7 pears\nSET other 1").await?;
    regions.settle(&daemon, DEADLINE).await?;
    crate::verify::unreplicated(&east, "SET basket:7 plums").await?;
    let mut browser = Browser::open(&daemon.url(), DESK).await?;
    shows(&mut browser, "verify-coverage", "all keys were compared within the last").await?;
    shows(&mut browser, "verify-figures", "differ").await?;
    for word in ["basket:7", "value"] {
        shows(&mut browser, "verify-rows", word).await?;
    }
    shows(&mut browser, "event-rows", "a key differs between the regions").await
}

#[tokio::test]
async fn it_shows_conflicts_with_both_values_on_a_desk_and_a_phone_in_light_and_dark() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    let daemon = regions.daemon(duet()).await?;
    let (west, east) = regions.clients().await?;
    regions.hold_links().await?;
    west.run("SET basket:7 three-pears").await?;
    east.run("SET basket:7 four-plums").await?;
    west.run("HSET user:42 mail anna@example.org").await?;
    east.run("HSET user:42 mail anna@example.com").await?;
    regions.release_links()?;
    let mut browser = Browser::open(&daemon.url(), DESK).await?;
    for word in ["basket:7", "three-pears", "four-plums", "element mail"] {
        shows(&mut browser, "conflict-rows", word).await?;
    }
    shows(&mut browser, "ready", "ready").await?;
    holds(&mut browser, "the plots are drawn", "document.querySelectorAll('.plot canvas').length === 2").await?;
    let own = "performance.getEntriesByType('resource').every((one) => one.name.startsWith(location.origin))";
    holds(&mut browser, "nothing comes from elsewhere", own).await?;
    browser.press_tab().await?;
    holds(&mut browser, "the keyboard reaches it", "document.activeElement.className === 'skip'").await?;
    browser.eval("document.activeElement.blur()").await?;

    let pictures = std::env::var_os("DUET_PICTURES").map(PathBuf::from);
    if pictures.is_some() {
        load(&regions).await?;
    }
    for (name, size, dark, back) in [
        ("light", DESK, false, "rgb(244, 245, 243)"),
        ("dark", DESK, true, "rgb(16, 20, 18)"),
        ("phone", PHONE, false, "rgb(244, 245, 243)"),
    ] {
        browser.resize(size).await?;
        browser.prefer_dark(dark).await?;
        let fits = "document.documentElement.scrollWidth <= window.innerWidth";
        holds(&mut browser, "it is not wider than the screen", fits).await?;
        let coloured = format!("getComputedStyle(document.body).backgroundColor === '{back}'");
        holds(&mut browser, name, &coloured).await?;
        if let Some(pictures) = &pictures {
            browser.picture(&pictures.join(format!("console-{name}.jpg"))).await?;
        }
    }
    Ok(())
}

/// Something to see in the plots.
async fn load(regions: &Regions) -> Result<()> {
    let (west, east) = regions.clients().await?;
    for round in 0..240_u32 {
        let writes = 40 + round % 60;
        let set = |n: u32| vec!["SET".to_owned(), format!("key:{n}"), "x".repeat(64)];
        west.pipeline(&(0..writes).map(set).collect::<Vec<_>>()).await?;
        east.pipeline(&(1_000..1_000 + writes / 3).map(set).collect::<Vec<_>>()).await?;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Ok(())
}
