//! A value of a type that nobody knows, in the dump of a source that is newer than all else: set aside, and the link goes on.
//!
//! No server has such a type, so a relay before the source puts another type code into what it says of one key.

use crate::duet;
use anyhow::{Result, ensure};
use duet_chaos::daemon::Daemon;
use duet_chaos::flavor::Flavor::{self, Redis70, Valkey91};
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::wait::eventually;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

/// Bytes, and what they become.
type Change = (&'static [u8], &'static [u8]);

/// A small hash in the dump (its type, 16, and its key), and in the answer to DUMP (its type and its listpack), and what
/// becomes of them.
const TYPES: [Change; 2] = [
    (b"\x10\x08odd:hash", b"\x63\x08odd:hash"),
    (b"\x10\x12\x12\x00\x00\x00\x02\x00\x85field", b"\x63\x12\x12\x00\x00\x00\x02\x00\x85field"),
];

/// Listens, and passes everything on to the server at `address`, with the changes to what the server says.
async fn relay(address: String, changes: &'static [Change]) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let place = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let address = address.clone();
            tokio::spawn(async move {
                let (mut from_client, to_client) = client.into_split();
                let (from_server, mut to_server) = TcpStream::connect(address).await?.into_split();
                tokio::try_join!(copy(&mut from_client, &mut to_server), change(from_server, to_client, changes))
            });
        }
    });
    Ok(place)
}

async fn change(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    changes: &[Change],
) -> std::io::Result<u64> {
    let mut held = Vec::new();
    while from.read_buf(&mut held).await? > 0 {
        for &(wanted, instead) in changes {
            while let Some(at) = held.windows(wanted.len()).position(|window| window == wanted) {
                held.splice(at..at + wanted.len(), instead.iter().copied());
            }
        }
        // What may be the beginning of one is held back.
        let begins = |at: &usize| changes.iter().any(|(wanted, _)| wanted.starts_with(&held[*at..]));
        let ready = (0..held.len()).find(begins).unwrap_or(held.len());
        to.write_all(&held[..ready]).await?;
        held.drain(..ready);
    }
    Ok(0)
}

/// The daemon, with a relay before the west.
async fn daemon_behind(regions: &Regions, changes: &'static [Change]) -> Result<Daemon> {
    let place = relay(regions.west.address(), changes).await?;
    Daemon::start(duet(), &regions.config(&More::default()).replace(&regions.west.address(), &place))
}

async fn goes_on(west: Flavor, east: Flavor, what: &str) -> Result<()> {
    // Without a checksum in the dump, for the relay does not mend it.
    let regions = Regions::start_with((west, &["--rdbchecksum", "no"]), (east, &[])).await?;
    let (at_west, at_east) = regions.clients().await?;
    at_west.run("DEBUG POPULATE 2000 before 20").await?;
    let at_west_5 = regions.west.client_in(5).await?;
    at_west_5.script("HSET odd:hash field 12345\nSET here 1\nPEXPIRE odd:hash 10000000").await?;
    let daemon = daemon_behind(&regions, &TYPES).await?;
    daemon.wait_streaming(DEADLINE).await?;
    let counted = |status: &Value| status["links"][0]["set_aside"] == 1;
    let status = daemon.wait_for("it to be counted", DEADLINE, counted).await?;
    let item = &status["links"][0]["set_aside_recent"][0];
    ensure!(item["key"] == "odd:hash" && item["database"] == 5 && item["what"] == what, "{item:#}");
    ensure!(status["links"][0]["reconnects"] == 0, "{status:#}");
    ensure!(at_east.int("DBSIZE").await? >= 2000);
    let at_east_5 = regions.east.client_in(5).await?;
    ensure!(at_east_5.int("EXISTS here").await? == 1 && at_east_5.int("EXISTS odd:hash").await? == 0);
    at_west_5.script("DEL odd:hash\nSET after 1").await?;
    at_east.run("SET back 1").await?;
    eventually("writes on both sides", DEADLINE, async || {
        let arrived = at_east_5.int("EXISTS after").await? == 1 && at_west.int("EXISTS back").await? == 1;
        Ok(arrived.then_some(()))
    })
    .await?;
    regions.wait_equal().await
}

#[tokio::test]
async fn a_target_of_the_same_family_is_asked_and_refuses() -> Result<()> {
    goes_on(Redis70, Redis70, "RESTORE").await
}

#[tokio::test]
async fn a_target_of_another_family_is_not_asked() -> Result<()> {
    goes_on(Redis70, Valkey91, "value of type 99").await
}

#[tokio::test]
async fn a_value_that_is_another_one_by_now_halts_the_link_until_a_copy_succeeds() -> Result<()> {
    let regions = Regions::start_with((Redis70, &["--rdbchecksum", "no"]), (Redis70, &[])).await?;
    let (west, east) = regions.clients().await?;
    west.script("HSET odd:hash field 12345\nSET here 1").await?;
    // Only the dump is changed: the answer to DUMP has another type, as if the key had been written anew.
    let daemon = daemon_behind(&regions, &TYPES[..1]).await?;
    let halted = |status: &Value| status["links"][0]["state"] == "halted";
    let status = daemon.wait_for("the link to halt", DEADLINE, halted).await?;
    let link = &status["links"][0];
    let reason = link["reason"].as_str().unwrap_or_default();
    ensure!(link["error_code"] == "dump" && reason.contains("odd:hash") && reason.contains("type 99"), "{link:#}");
    west.run("DEL odd:hash").await?;
    daemon.wait_streaming(DEADLINE).await?;
    ensure!(east.int("EXISTS here").await? == 1);
    regions.wait_equal().await
}
