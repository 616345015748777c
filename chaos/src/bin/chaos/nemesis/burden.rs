//! What makes life hard: clocks, other programs on the machine, a nervous administrator.

use super::Scene;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How far a clock steps ahead: what is written then with a time to live, lives for so much longer in the other region.
pub const AHEAD_S: i64 = 20;
/// How far it steps back.
pub const BEHIND_S: i64 = 300;
/// Busy loops.
const BURNERS: usize = 4;
/// Elements of a big value: an even number, since a hash takes two for each field.
const ELEMENTS: usize = 4_000;
/// Bytes of a big string.
const STRING: usize = 2 << 20;
/// Between two commands.
const PAUSE: Duration = Duration::from_millis(400);

/// The server's wall clock steps by so many seconds, and back.
pub(super) async fn clock(scene: &Scene, seconds: i64) -> Result<()> {
    scene.region().clock.step(seconds)?;
    scene.begun();
    scene.last().await;
    scene.healed();
    scene.region().clock.step(0)
}

pub(super) async fn cpu(scene: &Scene) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let burn = |stop: Arc<AtomicBool>| move || while !stop.load(Ordering::Relaxed) {};
    let burners: Vec<_> = (0..BURNERS).map(|_| std::thread::spawn(burn(Arc::clone(&stop)))).collect();
    scene.begun();
    scene.last().await;
    scene.healed();
    stop.store(true, Ordering::Relaxed);
    drop(burners);
    Ok(())
}

pub(super) async fn client_kill(scene: &Scene) -> Result<()> {
    let client = scene.region().client().await?;
    scene.begun();
    scene.again(PAUSE, async || client.run("CLIENT KILL USER duet").await.map(drop)).await?;
    scene.healed();
    Ok(())
}

/// Commands that look harmless, or are.
const NERVOUS: [&str; 18] = [
    "CONFIG RESETSTAT",
    "SCRIPT FLUSH",
    "BGSAVE",
    "BGREWRITEAOF",
    "DEBUG RELOAD",
    "REPLICAOF NO ONE",
    "CONFIG REWRITE",
    "CLIENT NO-EVICT on",
    "CLIENT KILL TYPE pubsub",
    "CLIENT KILL TYPE replica",
    "MEMORY PURGE",
    "SLOWLOG RESET",
    "LATENCY RESET",
    "ACL LOG RESET",
    "CONFIG SET maxmemory-policy allkeys-lru",
    "CONFIG SET notify-keyspace-events ''",
    "CONFIG SET hz 100",
    "SWAPDB 7 7",
];

pub(super) async fn administrator(scene: &mut Scene) -> Result<()> {
    let client = scene.region().client().await?;
    let mut rng = scene.rng.clone();
    let mut typed = Vec::new();
    scene.begun();
    scene
        .again(PAUSE, async || {
            let line = NERVOUS[rng.usize(..NERVOUS.len())];
            // What this server does not know, or does not want now, it says.
            let obeyed = client.run(line).await.is_ok();
            typed.push(format!("{line}{}", if obeyed { "" } else { " (refused)" }));
            Ok(())
        })
        .await?;
    scene.healed();
    scene.note(typed.join(", "));
    client
        .script("CONFIG SET maxmemory-policy noeviction\nCONFIG SET notify-keyspace-events Exeg\nCONFIG SET hz 10")
        .await
}

/// A string of 2 MB, a list and a hash of thousands of elements; then none of them.
pub(super) async fn big_values(scene: &Scene) -> Result<()> {
    let client = scene.region().client().await?;
    let key = |kind: &str| format!("bulk:{}:{kind}", scene.strike.side);
    let elements: Vec<String> = (0..ELEMENTS).map(|number| format!("{number}-{:0100}", scene.strike.dice)).collect();
    let words = |first: [String; 2], rest: &[String]| [first.to_vec(), rest.to_vec()].concat();
    scene.begun();
    let write = async || {
        let commands = [
            words(["SET".to_owned(), key("string")], &["x".repeat(STRING)]),
            words(["RPUSH".to_owned(), key("list")], &elements),
            words(["HSET".to_owned(), key("hash")], &elements),
            words(["APPEND".to_owned(), key("string")], &["y".repeat(STRING / 2)]),
            words(["DEL".to_owned(), key("list")], &[]),
        ];
        client.pipeline(&commands).await.map(drop)
    };
    scene.again(PAUSE, write).await?;
    scene.healed();
    let gone = ["string", "list", "hash"].map(key);
    client.run(&format!("UNLINK {}", gone.join(" "))).await.map(drop)
}
