//! What can be chosen: modes, filters, samples, limits, an interrupted run.

use super::{config_of, run, said, verify};
use anyhow::{Result, ensure};
use duet_chaos::flavor::Flavor::{Redis62, Redis70};
use duet_chaos::pair::Regions;
use serde_json::Value;
use std::time::{Duration, Instant};

fn keys(told: &Value) -> Vec<String> {
    let findings = told["findings"].as_array().into_iter().flatten();
    let mut keys: Vec<_> = findings.filter_map(|finding| finding["key"].as_str().map(str::to_owned)).collect();
    keys.sort();
    keys
}

#[tokio::test]
async fn modes_and_filters_leave_out_what_they_say() -> Result<()> {
    let regions = Regions::start(Redis70, Redis62).await?;
    let place = tempfile::tempdir()?;
    let config = config_of(&regions, place.path())?;
    let (west, east) = regions.clients().await?;
    west.script("SET a:value 1\nSET a:length 1\nSET a:type 1\nHSET b:hash f 1\nSET b:only 1\nSET ttl v EX 1000")
        .await?;
    east.script("SET a:value 2\nSET a:length 12\nSADD a:type 1\nHSET b:hash f 2\nSET ttl v EX 2000").await?;
    regions.east.client_in(2).await?.run("SET two 1").await?;
    let big = "x".repeat(50_000);
    west.args(&["SET", "big", &format!("{big}1")]).await?;
    east.args(&["SET", "big", &format!("{big}2")]).await?;
    for (arguments, expected) in [
        (&["--no-ttl", "--mode", "outline"] as &[&str], "a:type b:only two"),
        (&["--no-ttl", "--mode", "3"], "a:type b:only two"),
        (&["--no-ttl", "--mode", "length"], "a:length a:type b:only two"),
        (&["--mode", "skip-big", "--big", "20000"], "a:length a:type a:value b:hash b:only ttl two"),
        (&["--mode", "full", "--ttl-tolerance", "2h"], "a:length a:type a:value b:hash b:only big two"),
        (&["--prefix", "b:"], "b:hash b:only"),
        (&["--prefix", "b:", "--prefix", "two"], "b:hash b:only two"),
        (&["--pattern", "a:*e"], "a:type a:value"),
        (&["--db", "2"], "two"),
        (&["--type", "hash"], "b:hash"),
        (&["--type", "set", "--type", "hash"], "a:type b:hash"),
        (&["--type", "set"], "a:type"),
    ] {
        let (code, told) = verify(&config, &[&["--rounds", "1"], arguments].concat()).await?;
        ensure!(
            code == 1 && keys(&told).join(" ") == expected,
            "{arguments:?}: {:?}, expected {expected}",
            keys(&told)
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_sample_is_the_same_in_each_run_and_limits_hold() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let place = tempfile::tempdir()?;
    let config = config_of(&regions, place.path())?;
    let west = regions.west.client().await?;
    let commands: Vec<_> =
        (0..3_000).map(|number| vec!["SET".to_owned(), format!("k:{number}"), "v".to_owned()]).collect();
    west.pipeline(&commands).await?;
    let sampled = async || verify(&config, &["--rounds", "1", "--sample", "10%", "--seed", "3"]).await;
    let ((code, one), (_, other)) = (sampled().await?, sampled().await?);
    ensure!(code == 1 && keys(&one) == keys(&other) && (200..400).contains(&keys(&one).len()), "{}", keys(&one).len());
    ensure!(one["keys"] == one["different"], "each key is counted once: {one:#}");

    let began = Instant::now();
    let (_, told) = verify(&config, &["--rounds", "1", "--mode", "outline", "--qps", "5000"]).await?;
    ensure!(told["different"] == 3_000, "{told:#}");
    // 3,000 types and times to live, the first second's worth at once, and the looks again.
    ensure!(began.elapsed().as_secs_f64() > 1.0, "faster than 5,000 requests a second: {:?}", began.elapsed());
    Ok(())
}

#[tokio::test]
async fn an_interrupted_run_goes_on_where_it_was() -> Result<()> {
    let mut regions = Regions::start(Redis70, Redis70).await?.behind_proxies().await?;
    // So far away that names are asked for in several parts.
    for proxy in [&regions.west_proxy, &regions.east_proxy].into_iter().flatten() {
        proxy.delay(Duration::from_millis(15));
    }
    let place = tempfile::tempdir()?;
    let config = config_of(&regions, place.path())?;
    let (west, east) = regions.clients().await?;
    for client in [&west, &east] {
        for from in 0..20 {
            let name = |number| format!("k:{}", from * 2_000 + number);
            let commands: Vec<_> =
                (0..2_000).map(|number| vec!["SET".to_owned(), name(number), "v".to_owned()]).collect();
            client.pipeline(&commands).await?;
        }
    }
    east.script("SET k:1 w\nSET k:39999 w").await?;
    let file = place.path().join("result.db");
    let output = file.to_string_lossy().into_owned();
    let arguments = ["verify", "--rounds", "1", "--parallel", "1", "--qps", "12000", "--output", &output];
    let mut command = tokio::process::Command::new(crate::duet());
    command.args(arguments).arg("--config").arg(&config).env_remove("DUET_CONFIG");
    let child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn()?;
    let mut child = child;
    // Until it has told the file how far it is.
    let begun = async || {
        let told = run(&config, &["verify", "--output", &output, "--resume", "--mode", "outline"]).await?;
        Ok(said(&told).contains("other options").then_some(()))
    };
    duet_chaos::wait::eventually("a checkpoint", duet_chaos::pair::DEADLINE, begun).await?;
    ensure!(child.try_wait()?.is_none(), "it had ended already");
    child.kill().await?;

    let again = run(&config, &["verify", "--rounds", "1", "--output", &output]).await?;
    ensure!(again.status.code() == Some(2) && said(&again).contains("exists"), "{}", said(&again));
    let (code, told) = verify(&config, &["--rounds", "1", "--output", &output, "--resume"]).await?;
    ensure!(code == 1 && told["different"] == 2, "{told:#}");
    let ended = run(&config, &["verify", "--rounds", "1", "--output", &output, "--resume"]).await?;
    ensure!(said(&ended).contains("has come to its end"), "{}", said(&ended));

    // A region that can't be reached: it is not known whether they are equal.
    regions.west_proxy = None;
    let refused = run(&config, &["verify"]).await?;
    ensure!(
        refused.status.code() == Some(2) && said(&refused).contains("duet: west (127.0.0.1:"),
        "{}",
        said(&refused)
    );
    Ok(())
}

#[tokio::test]
async fn a_page_and_a_table_show_what_differs() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let place = tempfile::tempdir()?;
    let config = config_of(&regions, place.path())?;
    let (west, east) = regions.clients().await?;
    west.script("HSET user:7 mail a@b name <Ann>").await?;
    east.script("HSET user:7 mail a@c name <Ann>").await?;
    let page = place.path().join("page.html");
    let path = page.to_string_lossy();
    let told = run(&config, &["verify", "--settle", "1s", "--html", &path]).await?;
    let text = said(&told);
    for part in
        ["west and east DIFFER in 1 keys (1 value)", "user:7", "field mail: a@b | a@c", "The links did not move"]
    {
        ensure!(text.contains(part), "no {part} in\n{text}");
    }
    let page = std::fs::read_to_string(page)?;
    ensure!(page.contains("<code>user:7</code>") && page.contains("a@c"), "{page}");
    Ok(())
}
