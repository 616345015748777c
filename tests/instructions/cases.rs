//! Fixed work, and that it is done.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use duet::engine::apply::{Applier, Identity};
use duet::engine::copy::{Copy, CopyRules};
use duet::engine::decode::rebuild::TargetFeatures;
use duet::engine::origin::Phase;
use duet::engine::position::{Position, ReplicationId};
use duet::engine::stream::Event;
use duet::wire::rdb::{Dialect, Restorable};
use duet::wire::resp::push_command;

use super::link::{BOUNDS, execute, pair};
use super::under_count;

/// What is counted: a test below has the name.
pub const ALL: [&str; 7] = [
    "sets_forward",
    "six_commands_forward",
    "echoes",
    "sets_all_the_way",
    "both_sides_crossing",
    "few_keys_before_anything_is_judged",
    "dump",
];

/// Client's writes in a case.
const WRITES: usize = 20_000;
/// Strings in a dump: not more than a copy sends ahead of its echo.
const STRINGS: usize = 10_000;
/// Keys that both sides write at a time.
const SHARED: usize = 500;
/// Writes of each side to a few keys: were each of them compared with each, that would be a hundred times as much work.
const OF_FEW: usize = 20_000;
/// Turns until heartbeats have gone round: nothing is judged before.
const ROUND: usize = 2;

fn stream(commands: impl IntoIterator<Item = Vec<String>>) -> Vec<u8> {
    let mut stream = Vec::new();
    commands.into_iter().for_each(|words| push_command(&mut stream, &words));
    stream
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn sets() -> Vec<u8> {
    let value = "x".repeat(64);
    stream((0..WRITES).map(|number| words(&format!("SET key:{:012} {value}", number * 7919 % 100_003))))
}

#[test]
fn sets_forward() {
    let [mut link, _] = pair();
    link.read(&sets());
    let sent = link.execute();
    assert_eq!(sent.windows(4).filter(|word| word == b"key:").count(), WRITES);
}

#[test]
fn six_commands_forward() {
    let [mut link, _] = pair();
    let value = "x".repeat(64);
    let commands = (0..WRITES).map(|number| {
        words(&match number % 6 {
            0 => format!("SET key:{number} {value}"),
            1 => format!("INCR counter:{}", number % 1000),
            2 => format!("LPUSH mylist {value}"),
            3 => format!("HSET myhash element:{number} {value}"),
            4 => format!("SADD myset element:{number}"),
            _ => format!("ZADD myzset {number} element:{number}"),
        })
    });
    link.read(&stream(commands));
    let sent = link.execute();
    assert_eq!(sent.windows(2).filter(|word| word == b"my").count(), WRITES / 6 * 4);
}

#[test]
fn echoes() {
    let [mut there, mut back] = pair();
    there.read(&sets());
    let echo = there.execute();
    back.read(&echo);
    assert!(back.echoes() >= WRITES as u64 / u64::from(BOUNDS.batch_commands));
    let sent = back.execute();
    assert!(!sent.windows(4).any(|word| word == b"key:"), "an echo went on");
}

/// Both links at work: what clients write in each region in some of the turns comes across and back as an echo, and
/// heartbeats with it. In the last turns everything comes to rest. Gives the number of conflicts.
fn go_round(turns: Range<usize>, mut written: impl FnMut(usize, usize) -> Vec<u8>) -> usize {
    let (mut links, mut echoes, mut conflicts) = (pair(), [Vec::new(), Vec::new()], 0);
    for turn in 0..turns.end + ROUND {
        for (region, link) in links.iter_mut().enumerate() {
            if turns.contains(&turn) {
                link.read(&written(region, turn));
            }
        }
        for (link, echo) in links.iter_mut().zip(&mut echoes) {
            link.read(&std::mem::take(echo));
            let beat = link.beat();
            link.read(&beat);
        }
        for (region, link) in links.iter_mut().enumerate() {
            echoes[1 - region] = link.execute();
            conflicts += link.events().iter().filter(|event| matches!(event, Event::Conflict(_))).count();
        }
    }
    assert!(links.iter().all(|link| link.unstable() == 0), "something is not known to be stable");
    conflicts
}

#[test]
fn sets_all_the_way() {
    let sets = sets();
    let (turns, mut rest) = (20, &sets[..]);
    let part = sets.len() / turns;
    let conflicts = go_round(ROUND..ROUND + turns, |region, _| match region {
        0 => rest.split_off(..part).expect("as many parts").to_vec(),
        _ => Vec::new(),
    });
    assert_eq!((conflicts, rest.len()), (0, 0));
}

#[test]
fn both_sides_crossing() {
    let conflicts = go_round(ROUND..ROUND + 8, |region, turn| {
        stream((0..SHARED).map(|number| words(&format!("SET key:{number} {region}:{turn}:{number}"))))
    });
    assert!(conflicts >= 8 * SHARED, "{conflicts} conflicts");
}

#[test]
fn few_keys_before_anything_is_judged() {
    let conflicts = go_round(0..1, |region, _| {
        stream((0..OF_FEW).map(|number| {
            words(&match number % 2 {
                0 => format!("SET value {region}:{number}"),
                _ => "INCR counter".to_owned(),
            })
        }))
    });
    assert!(conflicts >= OF_FEW / 2, "{conflicts} conflicts");
}

#[test]
fn dump() {
    let server = (7, 0, 15);
    let rules = CopyRules {
        restorable: Restorable::of_server(Dialect::Redis, server),
        features: TargetFeatures::of_server(Dialect::Redis, server),
        functions: true,
        set_pxat: true,
        databases: 16,
        value_bytes: 256 * 1024,
        prefix: b"duet:".to_vec(),
        onto: Arc::default(),
        covered: 0,
        building: b"duet:building".to_vec(),
        keep: Arc::default(),
        sweep_seed: None,
    };
    // Every type in every encoding a few times, and many short strings.
    let mut copied = 0;
    for dump in std::iter::repeat_n(include_bytes!("../data/rdb/redis-7.0.15.rdb").to_vec(), 4).chain([strings()]) {
        let identity = Identity { marker: b"marker".to_vec(), gate: b"gate".to_vec(), epoch: 1, first_id: 1 };
        let position = Position { replication_id: ReplicationId::NONE, offset: 5, database: 0 };
        let applier = Applier::new(identity, BOUNDS);
        let mut copy = Copy::new(rules.clone(), applier, position, 1_000, Phase::Copying);
        let mut input = BytesMut::from(format!("${}\r\n", dump.len()).as_bytes());
        input.extend_from_slice(&dump);
        for turn in 0.. {
            assert!(turn < WRITES, "{} bytes are not read", input.len());
            under_count(|| copy.on_source(&mut input, 0)).expect("a dump");
            let sent: Vec<Bytes> = under_count(|| copy.applier().out().drain(..).collect());
            let executed = execute(&sent.concat());
            let (mut replies, mut applied) = (BytesMut::from(&executed.replies[..]), Vec::new());
            under_count(|| copy.on_target(&mut replies, &mut applied)).expect("replies");
            if input.is_empty() && copy.applier().is_idle() {
                break;
            }
        }
        copied += copy.progress().0;
    }
    assert_eq!(copied, 4 * 38 + STRINGS as u64);
}

/// A dump of strings, as a server of version 7.0 writes them.
fn strings() -> Vec<u8> {
    let mut dump = b"REDIS0010\xfe\x00".to_vec();
    for number in 0..STRINGS {
        let (key, value) = (format!("key:{number:012}"), format!("{number:064x}"));
        dump.extend_from_slice(&[0, key.len() as u8]);
        dump.extend_from_slice(key.as_bytes());
        // 64 takes the length with 14 bits.
        dump.extend_from_slice(&[0x40, value.len() as u8]);
        dump.extend_from_slice(value.as_bytes());
    }
    // The end, and no checksum.
    dump.push(0xff);
    dump.extend_from_slice(&[0; 8]);
    dump
}
