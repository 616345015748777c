//! Dumps that are none, that end early or never, or that are not as they were announced.

use super::Stage;
use anyhow::{Context, Result, ensure};
use duet_chaos::liar::{Cut, Lie, Says};
use duet_chaos::pair::DEADLINE;
use duet_chaos::wait::eventually;

const MARK: &str = "0123456789abcdef0123456789abcdef01234567";
/// Bytes of a dump that does not end, before it is given up.
const MUCH: usize = 64 * 1024 * 1024;

/// The answer to `PSYNC ? -1`, and the announcement of a dump whose end is marked.
fn announced(dump: &[u8]) -> Vec<u8> {
    [format!("+FULLRESYNC {} 1000\r\n$EOF:{MARK}\r\n", "e".repeat(40)).as_bytes(), dump].concat()
}

/// The beginning of a dump, with one key.
fn beginning(rest: &[u8]) -> Vec<u8> {
    [b"REDIS0011\xfe\0\0\x04lied\x011", rest].concat()
}

/// Whether what a dump holds is refused, with one of these words.
async fn refused(dump: Vec<u8>, words: &[&str]) -> Result<()> {
    told(vec![Says::Bytes(dump), Says::Nothing], words).await
}

async fn told(says: Vec<Says>, words: &[&str]) -> Result<()> {
    let mut stage = Stage::start(Some(Lie { to: "PSYNC ?".into(), says })).await?;
    stage.says(words).await?;
    stage.recovers().await?;
    stage.other_link_goes_on().await?;
    // What came of the lie is gone: the copy was made again, of what the source holds.
    let (west, east) = &stage.clients;
    ensure!(west.int("EXISTS lied").await? == 0, "the lie came back to where it was told");
    ensure!(east.int("EXISTS lied").await? == 0, "what was copied of the lie stays");
    stage.lives()
}

#[tokio::test]
async fn what_is_no_dump() -> Result<()> {
    refused(announced(b"RODIS0011"), &["not a dump"]).await?;
    refused(announced(b"REDISxxxx"), &["not a dump"]).await?;
    let line = format!("+FULLRESYNC {} 1000\r\n", "e".repeat(40));
    for (announcement, word) in [
        ("$-1\r\n", "did not announce"),
        ("$18446744073709551616\r\n", "did not announce"),
        ("$EOF:short\r\n", "has not 40 bytes"),
        ("*1\r\n", "did not announce"),
        ("-ERR no dump today\r\n", "no dump today"),
    ] {
        refused(format!("{line}{announcement}").into(), &[word]).await?;
    }
    told(vec![Says::Bytes(line.into()), Says::Bytes(vec![b'$'; 4096])], &["a line without an end"]).await
}

#[tokio::test]
async fn a_dump_that_is_damaged() -> Result<()> {
    let end = |sum: &[u8; 8]| [b"\xff".as_slice(), sum, MARK.as_bytes()].concat();
    refused(announced(&beginning(&end(b"\x01\x02\x03\x04\x05\x06\x07\x08"))), &["checksum"]).await?;
    refused(announced(&beginning(b"\xf6")), &["opcode 246 is not known"]).await?;
    let another = beginning(&[b"\xff\0\0\0\0\0\0\0\0".as_slice(), &[b'x'; 40]].concat());
    refused(announced(&another), &["announced mark"]).await?;
    let huge = b"\x81\x80\0\0\0\0\0\0\0";
    refused(announced(&beginning(&[b"\0".as_slice(), huge].concat())), &["longer than"]).await?;
    refused(announced(&beginning(&[b"\x10\x01k".as_slice(), huge].concat())), &["longer than"]).await?;
    // 300 bytes that claim to become 2^63, and 256 KiB that become 22 MiB but claim less.
    let bomb = [b"\0\x01k\xc3\x05".as_slice(), huge, b"\0a\xe0\xff\0"].concat();
    refused(announced(&beginning(&bomb)), &["longer than 536870912"]).await?;
    let compressed = [b"\0a".as_slice(), &b"\xe0\xff\0".repeat(80_000)].concat();
    let length = (compressed.len() as u32).to_be_bytes();
    let bomb = [b"\0\x01k\xc3\x80".as_slice(), &length, b"\x80", &300_000u32.to_be_bytes(), &compressed].concat();
    refused(announced(&beginning(&bomb)), &["another length"]).await
}

#[tokio::test]
async fn a_dump_that_is_longer_or_shorter_than_announced() -> Result<()> {
    let dump = beginning(b"\xff\0\0\0\0\0\0\0\0");
    for length in [dump.len() - 1, dump.len() + 1, 5] {
        let line = format!("+FULLRESYNC {} 1000\r\n${length}\r\n", "e".repeat(40));
        refused([line.as_bytes(), &dump].concat(), &[&format!("it was announced with {length}")]).await?;
    }
    let cut = announced(&beginning(b"\0\x03cut\x40"));
    told(vec![Says::Bytes(cut), Says::End], &["closed the connection"]).await
}

/// A dump goes on for ever: it is copied for as long as it comes, in bounded memory, and the copy is made again in the end.
async fn endless(beginning: Vec<u8>, again: &[u8]) -> Result<()> {
    let says =
        vec![Says::Bytes(beginning), Says::Bytes(again.repeat(MUCH / again.len())), Says::Forever(again.repeat(1000))];
    let mut stage = Stage::start(Some(Lie { to: "PSYNC ?".into(), says })).await?;
    let read = async || {
        let read = stage.daemon.link("forward").await?["bytes_read"].as_u64();
        Ok((read > Some(MUCH as u64)).then_some(()))
    };
    eventually("much of it to be read", DEADLINE, read).await.with_context(|| stage.daemon.log_end())?;
    stage.lives()?;
    stage.recovers().await?;
    stage.other_link_goes_on().await
}

#[tokio::test]
async fn a_dump_that_never_ends() -> Result<()> {
    endless(announced(&beginning(b"")), b"\xfa\x01a\x01b").await
}

#[tokio::test]
async fn a_dump_that_never_begins() -> Result<()> {
    endless(format!("+FULLRESYNC {} 1000\r\n", "e".repeat(40)).into(), b"\n").await
}

#[tokio::test]
async fn a_value_that_never_ends() -> Result<()> {
    let set = b"\x02\x01k\x81\x80\0\0\0\0\0\0\0";
    endless(announced(&beginning(set)), b"\x06member").await
}

#[tokio::test]
async fn a_dump_that_drips_is_copied_wherever_it_is_cut() -> Result<()> {
    // Byte by byte: the answer, the announcement, values, the mark and the stream behind it are cut anywhere.
    let mut stage = Stage::start(Some(Lie { to: "PSYNC ?".into(), says: vec![Says::End] })).await?;
    stage.says(&["closed the connection"]).await?;
    stage.clients.0.script("SET s 1\nRPUSH list a b\nHSET h f v\nXADD x 1-1 f v\nZADD z 1 a\nSADD t a").await?;
    stage.west.drip(true);
    stage.recovers().await?;
    ensure!(stage.clients.1.int("DBSIZE").await? > 6);
    // And the end of the stream, which a link that has lost its source asks for as well.
    stage.east.drip(true);
    stage.east.cut(Cut::All);
    stage.recovers().await?;
    stage.other_link_goes_on().await
}
