//! Digests that servers make: `DIGEST` of Redis 8.4 for strings. No such server can be installed by `make setup`, so a stand-in
//! before a real one answers this one command, as its documentation says.

use super::{config_of, verify};
use anyhow::{Context, Result, ensure};
use duet::wire::resp::{ReplyReader, push_command};
use duet_chaos::flavor::Flavor::{Redis62, Redis70};
use duet_chaos::pair::Regions;
use duet_chaos::servers::Server;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use xxhash_rust::xxh3::xxh3_64;

/// What the documentation of `DIGEST` gives as an example.
const EXAMPLE: (&[u8], &str) = (b"Hello world", "b6acb9d84a38ff74");

/// A server before a server: it knows `DIGEST` as well.
struct StandIn {
    address: String,
    digests: Arc<AtomicU64>,
}

impl StandIn {
    async fn start(server: &Server) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, to) = (listener.local_addr()?.to_string(), server.address());
        let digests = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&digests);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, to.clone(), Arc::clone(&counter)));
            }
        });
        Ok(Self { address, digests })
    }
}

/// The next whole frame of a connection; nothing at its end.
async fn frame(stream: &mut TcpStream, held: &mut Vec<u8>) -> Result<Option<Vec<u8>>> {
    loop {
        if let Some(length) = ReplyReader::default().next(held).map_err(|error| anyhow::anyhow!("{error:?}"))? {
            return Ok(Some(held.drain(..length).collect()));
        }
        if stream.read_buf(held).await? == 0 {
            return Ok(None);
        }
    }
}

/// The words of a command as it was sent.
fn words(frame: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = frame.splitn(2, |byte| *byte == b'\n').nth(1).unwrap_or_default();
    let mut words = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let length: usize = String::from_utf8_lossy(&rest[1..end]).trim().parse().unwrap_or(0);
        words.push(rest[end + 1..end + 1 + length].to_vec());
        rest = &rest[end + 3 + length..];
    }
    words
}

async fn serve(mut client: TcpStream, to: String, digests: Arc<AtomicU64>) -> Result<()> {
    let mut server = TcpStream::connect(to).await?;
    let (mut from_client, mut from_server) = (Vec::new(), Vec::new());
    while let Some(command) = frame(&mut client, &mut from_client).await? {
        let words = words(&command);
        let is = |at: usize, word: &str| words.get(at).is_some_and(|given| given.eq_ignore_ascii_case(word.as_bytes()));
        let is_digest = is(0, "DIGEST");
        let mut asked = Vec::new();
        if is_digest {
            digests.fetch_add(1, Ordering::SeqCst);
            push_command(&mut asked, &[b"GET".to_vec(), words[1].clone()]);
        } else if is(0, "COMMAND") && is(2, "digest") {
            push_command(&mut asked, &["COMMAND", "INFO", "strlen"]);
        } else {
            asked = command;
        }
        server.write_all(&asked).await?;
        let Some(mut reply) = frame(&mut server, &mut from_server).await? else { return Ok(()) };
        if is_digest && reply.starts_with(b"$") && !reply.starts_with(b"$-1") {
            let begins = reply.iter().position(|byte| *byte == b'\n').context("no line")? + 1;
            let value = &reply[begins..reply.len() - 2];
            reply = format!("$16\r\n{:016x}\r\n", xxh3_64(value)).into_bytes();
        }
        client.write_all(&reply).await?;
    }
    Ok(())
}

/// The configuration with these addresses instead of the servers' own.
fn through(regions: &Regions, [west, east]: [&str; 2], place: &Path) -> Result<PathBuf> {
    let file = config_of(regions, place)?;
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, text.replace(&regions.west.address(), west).replace(&regions.east.address(), east))?;
    Ok(file)
}

/// How often `DUMP` was executed.
async fn dumps(server: &Server) -> Result<u64> {
    let told = server.client().await?.text("INFO commandstats").await?;
    let line = told.lines().find_map(|line| line.strip_prefix("cmdstat_dump:calls="));
    Ok(line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0))
}

#[tokio::test]
async fn strings_are_compared_by_the_digests_of_servers_that_give_them() -> Result<()> {
    ensure!(format!("{:016x}", xxh3_64(EXAMPLE.0)) == EXAMPLE.1, "the stand-in makes another hash than the server");
    // Two versions: `DIGEST` is the same in all.
    let regions = Regions::start(Redis70, Redis62).await?;
    let place = tempfile::tempdir()?;
    let (west, east) = regions.clients().await?;
    for client in [&west, &east] {
        let commands = (0..500).map(|number| vec!["SET".to_owned(), format!("k:{number}"), "x".repeat(2_000 + number)]);
        client.pipeline(&commands.collect::<Vec<_>>()).await?;
        client.script("SET number 12345\nSETRANGE big 3000000 x\nHSET h f v").await?;
    }
    let stand_ins = [StandIn::start(&regions.west).await?, StandIn::start(&regions.east).await?];
    let config = through(&regions, [&stand_ins[0].address, &stand_ins[1].address], place.path())?;
    let (code, told) = verify(&config, &["--mode", "digest"]).await?;
    ensure!(code == 0 && told["keys"] == 503, "{told:#}");
    let bytes = told["bytes"].as_u64().context("no bytes")?;
    ensure!(bytes < 300_000, "{bytes} bytes came, of 1.1 MB and two times 3 MB of values");
    ensure!(dumps(&regions.west).await? == 1, "only the hash is read");
    for stand_in in &stand_ins {
        ensure!(stand_in.digests.load(Ordering::SeqCst) >= 502, "no digests were asked for");
    }

    east.script("SETRANGE big 1500000 y\nSETRANGE k:7 3 y\nSET number 12346").await?;
    let (code, told) = verify(&config, &["--mode", "digest", "--settle", "0s", "--rounds", "1"]).await?;
    let found = told["findings"].as_array().context("no findings")?;
    let mut keys: Vec<_> = found.iter().filter_map(|found| found["key"].as_str()).collect();
    keys.sort_unstable();
    ensure!(code == 1 && keys == ["big", "k:7", "number"], "{told:#}");

    // Where one of them gives none, values are read.
    let before = dumps(&regions.west).await?;
    let config = through(&regions, [&stand_ins[0].address, &regions.east.address()], place.path())?;
    let (code, told) = verify(&config, &["--mode", "digest", "--rounds", "1"]).await?;
    ensure!(code == 1 && told["different"] == 3, "{told:#}");
    ensure!(dumps(&regions.west).await? - before >= 500, "values were not read");
    Ok(())
}
