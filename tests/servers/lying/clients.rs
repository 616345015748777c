//! Clients that lie on servers that do not: Duet's own keys with other things in them, and keys that nobody expects.

use crate::admin::{admin, order};
use crate::duet;
use anyhow::{Context, Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::wait::eventually;

use super::peak_kib;

/// Numbers of a marker: epoch, id, high offset, time, stamp, since and saw.
fn marker(numbers: [&str; 7]) -> String {
    let [epoch, id, offset, time, stamp, since, saw] = numbers;
    format!("duet1 streaming {epoch} {id} {} {offset} 0 {offset} 0 {time} {stamp} {since} {saw}", "a".repeat(40))
}

/// Values that are put where a marker is expected.
fn forged() -> Vec<String> {
    let (most, over) = ("9223372036854775807", "18446744073709551615");
    vec![
        String::new(),
        "duet1 ".repeat(10_000),
        "\0\r\n*1\r\n$4\r\nPING\r\n".to_owned(),
        marker([most; 7]),
        marker([over, over, over, most, most, over, over]),
        marker(["9007199254740992", "9007199254740992", "4611686018427387904", "9007199254740992", most, "0", "0"]),
        marker(["0", "0", "0", "0", "-9223372036854775808", "0", "0"]),
        format!("{} again:{most}.255.{over}.{over}", marker(["1", "1", "1", "1", "1", "1", "1"])),
        format!("{} value:{over}.{over}.{most}.255.{over}", marker(["1", "1", "1", "1", "1", "1", "1"])),
    ]
}

/// What is written in the west arrives in the east, and the other way round; `meanwhile` is done while it is waited for.
async fn both_links_go_on(
    west: &Client,
    east: &Client,
    value: usize,
    meanwhile: impl AsyncFn() -> Result<()>,
) -> Result<()> {
    for (from, to, key) in [(west, east, "crossing:east"), (east, west, "crossing:west")] {
        from.run(&format!("SET {key} {value}")).await?;
        let expected = value.to_string();
        let arrived = async || {
            meanwhile().await?;
            Ok((to.text(&format!("GET {key}")).await? == expected).then_some(()))
        };
        eventually("both links to go on", DEADLINE, arrived).await?;
    }
    Ok(())
}

/// Where both links begin anew while neither marker is there, they say so, and are told which region is right.
async fn decide(daemon: &Daemon) -> Result<()> {
    let status = daemon.status().await?;
    let links = status["links"].as_array().context("links")?;
    if links.iter().any(|link| link["error_code"] == "both_positions_lost") {
        order(daemon, &["resume", "forward", "--accept"])?;
    }
    Ok(())
}

/// Writes this to each of Duet's keys at both servers, alone and in a transaction, while the daemon runs, and before it starts.
#[tokio::test]
async fn forged_values_in_reserved_keys() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    // With the guard, links hold where so many markers come that Duet has not written.
    let place = tempfile::tempdir()?;
    let tables = format!("[retry]\nmost = \"200ms\"\n[guards]\necho = false\n{}", admin(place.path()));
    let mut daemon = regions.daemon_with(duet(), &More { tables, ..More::default() }).await?;
    let (west, east) = regions.clients().await?;
    for (number, value) in forged().iter().enumerate() {
        for kind in ["marker", "gate", "heartbeat", "probe", "kept", "building", "drill", "pause", "held"] {
            for (client, region) in [(&west, "west"), (&east, "east"), (&west, "east"), (&east, "west")] {
                let key = format!("duet:orders:{kind}:{region}");
                client.args(&["SET", &key, value]).await?;
                client
                    .pipeline(&[
                        vec!["MULTI"],
                        vec!["SET", &key, value],
                        vec!["SET", "in a transaction", "x"],
                        vec!["EXEC"],
                    ])
                    .await?;
                client.args(&["DEL", &key]).await?;
            }
        }
        let gone_on = both_links_go_on(&west, &east, number, async || decide(&daemon).await).await;
        gone_on.with_context(|| format!("{value:.200} {}", daemon.log_end()))?;
        ensure!(daemon.is_running()?, "it ended at {value:.200}: {}", daemon.log_end());
    }
    // And at a start: it says what it finds, or begins anew, but goes on living.
    for value in forged() {
        daemon.kill9()?;
        for client in [&west, &east] {
            for region in ["west", "east"] {
                for kind in ["marker", "heartbeat", "gate", "held", "kept"] {
                    client.args(&["SET", &format!("duet:orders:{kind}:{region}"), &value]).await?;
                }
            }
        }
        daemon.resume()?;
        let told = daemon.wait_for("each link to stream, or to say why not", DEADLINE, |status| {
            let knows = |link: &serde_json::Value| link["state"] == "streaming" || link["reason"].is_string();
            status["links"].as_array().is_some_and(|links| links.iter().all(knows))
        });
        told.await.with_context(|| format!("at {value:.200}"))?;
        for client in [&west, &east] {
            let keys = ["gate:west", "gate:east", "held:west", "held:east", "kept:west", "kept:east"];
            let keys = keys.map(|key| format!("duet:orders:{key}"));
            client.args(&[&["UNLINK".to_owned()], &keys[..]].concat()).await?;
        }
        ensure!(daemon.is_running()?, "it ended at {value:.200}: {}", daemon.log_end());
        ensure!(peak_kib(&daemon)? < 200 * 1024);
    }
    // Without them it begins as with a new pair, in which the regions are alike already.
    daemon.kill9()?;
    for client in [&west, &east] {
        let keys = client.args(&["KEYS", "duet:*"]).await?;
        let keys: Vec<String> = duet_chaos::redis::from_redis_value(keys)?;
        client.args(&[&["UNLINK".to_owned(), "x".to_owned()], &keys[..]].concat()).await?;
    }
    east.run("FLUSHALL").await?;
    daemon.resume()?;
    daemon.wait_streaming(DEADLINE).await?;
    regions.wait_equal().await
}

#[tokio::test]
async fn an_epoch_that_no_daemon_has_come_to_is_named() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let (west, east) = regions.clients().await?;
    let mut daemon = regions.daemon(duet()).await?;
    daemon.kill9()?;
    east.run("SET duet:orders:epoch:west 9223372036854775807").await?;
    daemon.resume()?;
    let named = daemon.wait_for("the key to be named", DEADLINE, |status| {
        status["links"][0]["reason"].as_str().is_some_and(|reason| reason.contains("duet:orders:epoch:west"))
    });
    named.await?;
    east.run("DEL duet:orders:epoch:west").await?;
    daemon.wait_streaming(DEADLINE).await?;
    both_links_go_on(&west, &east, 1, async || Ok(())).await
}

/// Names and values with every byte in them, empty ones, and such as look like the protocol.
#[tokio::test]
async fn names_and_values_of_any_bytes() -> Result<()> {
    let every: Vec<u8> = (0..=255).collect();
    let odd: [&[u8]; 9] =
        [b"", b"\r\n", b"\n", b"\0", b" ", b"*1\r\n$8\r\nFLUSHALL\r\n", b"+FULLRESYNC a 1\r\n", b"$-1\r\n", &every];
    for flavor in [Redis62, Redis70, Valkey91] {
        odd_names(flavor, &odd).await?;
    }
    Ok(())
}

async fn odd_names(flavor: Flavor, odd: &[&[u8]]) -> Result<()> {
    let regions = Regions::start(flavor, flavor).await?;
    let (west, east) = regions.clients().await?;
    let write = async |client: &Client, before: &[u8]| -> Result<()> {
        for word in odd {
            let name = |kind: &[u8]| [before, kind, word].concat();
            let (s, l, h, t, z, x) = (name(b"s"), name(b"l"), name(b"h"), name(b"t"), name(b"z"), name(b"x"));
            let commands: Vec<Vec<&[u8]>> = vec![
                vec![b"SET", &s, word],
                vec![b"APPEND", &s, word],
                vec![b"SETRANGE", &s, b"1", word],
                vec![b"RPUSH", &l, word, word],
                vec![b"LSET", &l, b"0", word],
                vec![b"LREM", &l, b"1", word],
                vec![b"HSET", &h, word, word],
                vec![b"SADD", &t, word, b"other"],
                vec![b"SREM", &t, word],
                vec![b"ZADD", &z, b"1", word],
                vec![b"XADD", &x, b"1-1", word, word],
                vec![b"RENAME", &l, &h],
                vec![b"XGROUP", b"CREATE", &x, word, b"0"],
                vec![b"PEXPIREAT", &s, b"4000000000000"],
            ];
            client.pipeline(&commands).await?;
        }
        Ok(())
    };
    // Through a full copy, and through increments of either region. The empty name itself is one, too.
    write(&west, b"copied").await?;
    west.args(&[&b"SET"[..], b"", b""]).await?;
    let mut daemon = regions.daemon(duet()).await?;
    write(&west, b"west").await?;
    write(&east, b"east").await?;
    east.args(&[&b"APPEND"[..], b"", b"\r\n"]).await?;
    regions.settle(&daemon, DEADLINE).await?;
    ensure!(west.int("DBSIZE").await? > 100 && daemon.is_running()?);
    Ok(())
}

/// The longest names and values that the servers pass on as they are configured by default: a replica may owe 256 MiB.
#[tokio::test]
async fn a_name_and_a_value_of_many_megabytes() -> Result<()> {
    const LONG: usize = 64 * 1024 * 1024;
    let regions = Regions::start(Redis70, Redis70).await?;
    let (west, east) = regions.clients().await?;
    let mut daemon = regions.daemon(duet()).await?;
    let mut name = vec![b'n'; LONG];
    west.args(&[&b"SET"[..], &name, b"short"]).await?;
    let arrived = async |count: i64| {
        eventually("it to arrive", DEADLINE, async || Ok((east.int("DBSIZE").await? >= count).then_some(()))).await
    };
    regions.wait_acknowledged().await?;
    name[LONG - 1] = b'm';
    west.args(&[&b"SET"[..], b"short", &name]).await?;
    west.args(&[&b"HSET"[..], b"hash", &name, b"1"]).await?;
    arrived(3).await?;
    regions.wait_acknowledged().await?;
    both_links_go_on(&west, &east, 1, async || Ok(())).await?;
    for key in [&vec![b'n'; LONG][..], b"short"] {
        let lengths = [west.args(&[b"STRLEN", key]).await?, east.args(&[b"STRLEN", key]).await?];
        ensure!(lengths[0] == lengths[1], "{lengths:?}");
    }
    ensure!(daemon.is_running()?);
    let kib = peak_kib(&daemon)?;
    ensure!(kib < 12 * (LONG as u64 >> 10), "the daemon took {kib} KiB");
    west.args(&[&b"DEL"[..], &vec![b'n'; LONG], b"short", b"hash"]).await?;
    regions.settle(&daemon, DEADLINE).await
}
