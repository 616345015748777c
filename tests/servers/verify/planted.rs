//! Every kind of difference is planted between two servers, and each is found and nothing else.

use super::{config_of, verify};
use anyhow::{Result, ensure};
use duet_chaos::client::Client;
use duet_chaos::flavor::Flavor::{self, Redis62, Redis70, Valkey91};
use duet_chaos::pair::Regions;
use serde_json::Value;
use std::collections::BTreeMap;

/// What both hold: every type, in short and in long encodings.
const BOTH: &str =
    "SET s:int 17\nSET s:text 'some text'\nAPPEND s:raw a\nAPPEND s:raw b\nSET s:ttl v\nPEXPIREAT s:ttl 4102444800000
    RPUSH l a b c 4\nSADD set:int 1 2 3\nSADD set:text a b c\nHSET h a 1 b 2\nZADD z 0.1 a 2 b 1e300 c inf d
    XADD x 1-1 f v\nXADD x 2-1 f v g w\nXGROUP CREATE x g 0\nXREADGROUP GROUP g c COUNT 1 STREAMS x >
    SETBIT bits 1000 1\nPFADD hll a b c\nGEOADD geo 13.4 52.5 berlin";
/// Keys that are made different: what is done to the left, what to the right, and the class.
const PLANTED: [(&str, &str, &str, &str); 22] = [
    ("only:left", "SET only:left v", "", "lack_target"),
    ("only:right", "", "RPUSH only:right a", "lack_source"),
    ("type", "SET type a", "SADD type a", "type"),
    ("string:value", "SET string:value a", "SET string:value b", "value"),
    ("string:length", "SET string:length a", "SET string:length ab", "value"),
    ("string:empty", "SETRANGE string:empty 0 ''\nSET string:empty ''", "SET string:empty 0", "value"),
    ("list:order", "RPUSH list:order a b", "RPUSH list:order b a", "value"),
    ("list:item", "RPUSH list:item a b", "RPUSH list:item a c", "value"),
    ("set:member", "SADD set:member a b", "SADD set:member a c", "value"),
    ("set:more", "SADD set:more 1 2", "SADD set:more 1", "value"),
    ("hash:value", "HSET hash:value f a", "HSET hash:value f b", "value"),
    ("hash:field", "HSET hash:field f a", "HSET hash:field g a", "value"),
    ("zset:score", "ZADD zset:score 1 a", "ZADD zset:score 1.0000000000000002 a", "value"),
    ("zset:member", "ZADD zset:member 1 a", "ZADD zset:member 1 b", "value"),
    ("ttl:value", "SET ttl:value v PX 900000", "SET ttl:value v PX 800000", "ttl"),
    ("ttl:missing", "SET ttl:missing v", "SET ttl:missing v PX 800000", "ttl"),
    ("stream:entry", "XADD stream:entry 1-1 f a", "XADD stream:entry 1-1 f b", "value"),
    (
        "stream:last",
        "XADD stream:last 1-1 f a",
        "XADD stream:last 1-1 f a\nXADD stream:last 2-1 f a\nXDEL stream:last 2-1",
        "value",
    ),
    ("stream:group", "XADD stream:group 1-1 f a\nXGROUP CREATE stream:group g 0", "XADD stream:group 1-1 f a", "value"),
    (
        "stream:delivered",
        "XADD stream:delivered 1-1 f a\nXGROUP CREATE stream:delivered g 0",
        "XADD stream:delivered 1-1 f a\nXGROUP CREATE stream:delivered g 1-1",
        "value",
    ),
    (
        "stream:pending",
        "XADD stream:pending 1-1 f a\nXGROUP CREATE stream:pending g 0\nXREADGROUP GROUP g c STREAMS stream:pending >",
        "XADD stream:pending 1-1 f a\nXGROUP CREATE stream:pending g 0\nXREADGROUP GROUP g d STREAMS stream:pending >",
        "value",
    ),
    ("bits", "SETBIT bits 2000 1", "SETBIT bits 2001 1", "value"),
];
/// Members of a collection that is read in pieces, and that no server keeps in its short encoding.
const MANY: usize = 30_000;

/// Makes both sides equal in what is not planted.
async fn fill(client: &Client) -> Result<()> {
    client.script(BOTH).await?;
    for (kind, command) in [("set", "SADD"), ("hash", "HSET"), ("zset", "ZADD"), ("list", "RPUSH")] {
        let key = format!("many:{kind}");
        let commands = (0..MANY).map(|number| {
            let member = format!("member:{number:08}:{}", "x".repeat(40));
            let number = number.to_string();
            match kind {
                "hash" => vec![command.to_owned(), key.clone(), member, number],
                "zset" => vec![command.to_owned(), key.clone(), number, member],
                _ => vec![command.to_owned(), key.clone(), member],
            }
        });
        for batch in commands.collect::<Vec<_>>().chunks(5_000) {
            client.pipeline(batch).await?;
        }
    }
    let entries: Vec<_> = (1..=MANY)
        .map(|number| ["XADD", "many:stream", &format!("{number}-1"), "f", &"x".repeat(60)].map(str::to_owned).to_vec())
        .collect();
    for batch in entries.chunks(5_000) {
        client.pipeline(batch).await?;
    }
    client.script("XGROUP CREATE many:stream g 0\nXREADGROUP GROUP g c COUNT 3000 STREAMS many:stream >").await?;
    Ok(())
}

/// One member of each big collection, and a bit of a string of 8 MiB.
async fn plant_in_big(left: &Client, right: &Client, pair: (Flavor, Flavor)) -> Result<Vec<&'static str>> {
    let member = format!("member:00017000:{}", "x".repeat(40));
    right.args(&["SREM", "many:set", &member]).await?;
    right.args(&["HSET", "many:hash", &member, "other"]).await?;
    right.args(&["ZINCRBY", "many:zset", "1", &member]).await?;
    right.args(&["LSET", "many:list", "17000", "other"]).await?;
    right.script("XDEL many:stream 17000-1\nXACK many:stream g 2999-1").await?;
    for client in [left, right] {
        client.script("SETRANGE many:string 8388608 x").await?;
    }
    right.run("SETBIT many:string 40000001 1").await?;
    let mut planted = vec!["many:set", "many:hash", "many:zset", "many:list", "many:stream", "many:string"];
    if pair.0.has_field_expiry() && pair.1.has_field_expiry() {
        for (client, at) in [(left, "4102444800000"), (right, "4102444900000")] {
            client.script("HSET fields a 1 b 2").await?;
            client.run(&format!("HPEXPIREAT fields {at} FIELDS 1 b")).await?;
        }
        planted.push("fields");
    }
    Ok(planted)
}

/// Names that are no text, and another database.
async fn plant_names(regions: &Regions) -> Result<Vec<(&'static str, &'static str)>> {
    let (west, east) = regions.clients().await?;
    for client in [&west, &east] {
        client.args(&[b"SET".as_slice(), b"\xff\x00same", b"\x00\xfe"]).await?;
        client.args(&[b"SET".as_slice(), b"duet:orders:own", b"1"]).await?;
    }
    west.args(&[b"SET".as_slice(), b"\xff\x00\r\nbinary", b"\x00\xfe"]).await?;
    east.args(&[b"SET".as_slice(), b"\xff\x00\r\nbinary", b"\x00\xff"]).await?;
    east.args(&[b"SET".as_slice(), b"duet:orders:own", b"2"]).await?;
    regions.west.client_in(3).await?.script("SET elsewhere a\nSET third 1").await?;
    regions.east.client_in(3).await?.script("SET elsewhere b\nSET third 1").await?;
    Ok(vec![("\\xff\\x00\\r\\nbinary", "value"), ("elsewhere", "value")])
}

async fn finds_all(west: Flavor, east: Flavor, mode: &str) -> Result<()> {
    let regions = Regions::start(west, east).await?;
    let place = tempfile::tempdir()?;
    let config = config_of(&regions, place.path())?;
    let (left, right) = regions.clients().await?;
    fill(&left).await?;
    fill(&right).await?;
    let quick = ["--rounds", "1", "--mode", mode, "--big", "100000"];
    let (code, told) = verify(&config, &quick).await?;
    ensure!(code == 0 && told["verdict"] == "equal", "equal regions differ: {told:#}");
    ensure!(told["keys"].as_u64() > Some(15), "{told:#}");

    let mut expected: BTreeMap<String, &str> = BTreeMap::new();
    for (key, on_left, on_right, class) in PLANTED {
        left.script(on_left).await?;
        right.script(on_right).await?;
        expected.insert(key.to_owned(), class);
    }
    for key in plant_in_big(&left, &right, (west, east)).await? {
        expected.insert(key.to_owned(), "value");
    }
    for (key, class) in plant_names(&regions).await? {
        expected.insert(key.to_owned(), class);
    }
    let (code, told) = verify(&config, &quick).await?;
    let found: BTreeMap<String, &str> = findings(&told)
        .filter_map(|finding| Some((finding["key"].as_str()?.to_owned(), finding["difference"].as_str()?)))
        .collect();
    ensure!(code == 1 && found == expected, "{west:?} and {east:?}: found {found:#?}, expected {expected:#?}");
    ensure!(told["different"].as_u64() == Some(expected.len() as u64), "{told:#}");
    if mode == "full" {
        names_the_parts(&told)?;
    }
    Ok(())
}

fn findings(told: &Value) -> impl Iterator<Item = &Value> {
    told["findings"].as_array().into_iter().flatten()
}

/// Which fields, members, items and bytes differ.
fn names_the_parts(told: &Value) -> Result<()> {
    let parts = |key: &str| -> Vec<String> {
        let finding = findings(told).find(|finding| finding["key"] == key);
        let parts = finding.and_then(|finding| finding["parts"].as_array()).into_iter().flatten();
        parts
            .map(|part| format!("{} {}", part["kind"].as_str().unwrap_or("?"), part["name"].as_str().unwrap_or("?")))
            .collect()
    };
    let member = format!("member:00017000:{}", "x".repeat(40));
    for (key, expected) in [
        ("hash:value", vec!["field f".to_owned()]),
        ("hash:field", vec!["field f".to_owned(), "field g".to_owned()]),
        ("set:member", vec!["member b".to_owned(), "member c".to_owned()]),
        ("zset:score", vec!["score a".to_owned()]),
        ("list:item", vec!["item index 1".to_owned()]),
        ("stream:entry", vec!["entry 1-1".to_owned()]),
        ("bits", vec!["text byte 250".to_owned()]),
        ("many:set", vec![format!("member {member}")]),
        ("many:hash", vec![format!("field {member}")]),
        ("many:zset", vec![format!("score {member}")]),
        ("many:list", vec!["item index 17000".to_owned()]),
        ("many:string", vec!["text byte 5000000".to_owned()]),
    ] {
        ensure!(parts(key) == expected, "{key}: {:?}, expected {expected:?}", parts(key));
    }
    let stream = parts("many:stream");
    ensure!(stream.contains(&"entry 17000-1".to_owned()), "{stream:?}");
    ensure!(stream.iter().any(|part| part == "pending g 2999-1"), "{stream:?}");
    Ok(())
}

#[tokio::test]
async fn each_planted_difference_is_found_on_redis_6_2() -> Result<()> {
    finds_all(Redis62, Redis62, "full").await
}

#[tokio::test]
async fn each_planted_difference_is_found_on_redis_7_0() -> Result<()> {
    finds_all(Redis70, Redis70, "full").await
}

#[tokio::test]
async fn each_planted_difference_is_found_on_valkey_9_1() -> Result<()> {
    finds_all(Valkey91, Valkey91, "full").await
}

#[tokio::test]
async fn each_planted_difference_is_found_between_versions() -> Result<()> {
    finds_all(Redis62, Valkey91, "full").await?;
    finds_all(Valkey91, Redis70, "full").await
}

#[tokio::test]
async fn each_planted_difference_is_found_by_digests() -> Result<()> {
    finds_all(Redis70, Redis70, "digest").await?;
    finds_all(Valkey91, Valkey91, "digest").await?;
    finds_all(Redis62, Redis70, "digest").await
}
