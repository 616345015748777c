use std::time::Duration;

use clap::ValueEnum;

use super::facts::{CommandFacts, Connection, RegionFacts, Shared};
use super::rights::{Missing, Need, Rights, needs};
use super::{Facts, Item, Outcome, Precheck, Row, ServerFacts, Wanted, rows};
use crate::config::ExistingKeys;
use crate::engine::source::{Info, Measured};
use crate::error::{Fault, Kind};

const OPERATING: &str = include_str!("../../docs/operating.md");

/// What a server says with which nothing is wrong; lines of `more` win.
fn server(number: u8, more: &str) -> ServerFacts {
    let info = format!(
        "redis_version:7.0.15\nrun_id:run{number}\nrole:master\nmaster_replid:{number}\nused_memory:1000000\n\
         used_memory_dataset:500000\nmaxmemory:0\ntotal_system_memory:8000000000\nmaxmemory_policy:noeviction\naof_enabled:1\n\
         rdb_last_bgsave_status:ok\naof_last_write_status:ok\nrepl_backlog_size:268435456\nconnected_slaves:0\n\
         cluster_enabled:0\n{more}"
    );
    let settings = [("repl-backlog-ttl", "0"), ("notify-keyspace-events", "AE"), ("databases", "16")];
    let commands = ["set", "del", "hexpire"].map(|name| (name.to_owned(), CommandFacts { words: 3, writes: true }));
    ServerFacts {
        info: Info::parse(&info),
        settings: settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        commands: commands.into_iter().collect(),
        rights: Rights { user: "duet".to_owned(), ..Rights::default() },
        rate: Some(1_000),
        ..ServerFacts::default()
    }
}

fn region(name: &str, server: ServerFacts) -> RegionFacts {
    let place = format!("{name}:6379");
    RegionFacts { name: name.to_owned(), place, is_local: true, is_encrypted: false, server: Ok(Box::new(server)) }
}

fn wanted() -> Wanted {
    Wanted {
        pair: "orders".to_owned(),
        prefix: "duet:".to_owned(),
        existing_keys: ExistingKeys::Fail,
        events: true,
        skew_limit: Duration::from_millis(500),
        holds_on_skew: false,
        publish: false,
        is_start: true,
        ignored: Vec::new(),
    }
}

fn facts() -> Facts {
    Facts {
        wanted: wanted(),
        regions: [region("eu", server(1, "")), region("us", server(2, ""))],
        apart: Some(Measured { offset_us: 2_000, bound_us: 500 }),
        shared: None,
    }
}

/// The first region of `facts`, which is reached.
fn eu(facts: &mut Facts) -> &mut ServerFacts {
    facts.regions[0].server.as_mut().expect("reached")
}

fn us(facts: &mut Facts) -> &mut ServerFacts {
    facts.regions[1].server.as_mut().expect("reached")
}

/// The one row that is not in order after `change`.
fn only(change: impl FnOnce(&mut Facts)) -> Row {
    let mut changed = facts();
    change(&mut changed);
    let mut found: Vec<Row> = rows(&changed).into_iter().filter(|row| row.result != Outcome::Ok).collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    let row = found.remove(0);
    assert!(row.remedy.as_ref().is_some_and(|remedy| remedy.split(' ').count() > 3), "{row:?}");
    row
}

fn expect(item: Item, result: Outcome, seen: &str, change: impl FnOnce(&mut Facts)) {
    let row = only(change);
    assert_eq!((row.item, row.result), (item, result), "{row:?}");
    assert!(row.seen.contains(seen), "{row:?}");
}

/// Says another thing in INFO of the first region.
fn says(line: &str) -> impl FnOnce(&mut Facts) {
    move |facts| *eu(facts) = server(1, line)
}

fn has_set(name: &str, value: &str) -> impl FnOnce(&mut Facts) {
    move |facts| drop(eu(facts).settings.insert(name.to_owned(), value.to_owned()))
}

#[test]
fn two_servers_that_are_fit_have_a_row_for_each_item_and_all_are_in_order() {
    let rows = rows(&facts());
    assert!(rows.iter().all(|row| row.result == Outcome::Ok && row.remedy.is_none()), "{rows:#?}");
    for item in Item::value_variants() {
        assert!(rows.iter().any(|row| row.item == *item), "{item:?}");
    }
    assert_eq!(Precheck::new(rows, Vec::new()).result, Outcome::Ok);
}

#[test]
fn events_that_duet_asks_for_by_itself_are_no_warning() {
    let mut facts = facts();
    has_set("notify-keyspace-events", "Ex")(&mut facts);
    let rows = rows(&facts);
    let row = rows.iter().find(|row| row.item == Item::KeyspaceEvents && row.seen.contains("adds eg"));
    assert!(row.is_some_and(|row| row.result == Outcome::Ok), "{rows:#?}");
}

#[test]
fn each_item_of_one_server_is_judged() {
    use Outcome::{Failed, Warning};
    let fails = |kind: Kind| move |facts: &mut Facts| facts.regions[0].server = Err(Fault::new(kind, "eu said no"));
    expect(Item::Reachable, Failed, "eu said no", fails(Kind::Unreachable));
    expect(Item::Reachable, Warning, "eu said no", fails(Kind::Loading));
    expect(Item::Password, Failed, "eu said no", fails(Kind::WrongPassword));
    expect(Item::Rights, Failed, "eu said no", fails(Kind::NoPermission));
    expect(Item::Tls, Warning, "plain text", |facts| facts.regions[0].is_local = false);
    expect(Item::Tls, Failed, "eu said no", fails(Kind::Certificate));
    expect(Item::Version, Failed, "Redis 4", says("redis_version:4.0.1"));
    expect(
        Item::Role,
        Failed,
        "a replica of 10.0.0.9:6379",
        says("role:slave\nmaster_host:10.0.0.9\nmaster_port:6379"),
    );
    expect(Item::Cluster, Failed, "cluster", says("cluster_enabled:1"));
    expect(Item::Modules, Warning, "search", |facts| eu(facts).modules.push("search".to_owned()));
    expect(Item::Eviction, Warning, "allkeys-lru", says("maxmemory:8000000000\nmaxmemory_policy:allkeys-lru"));
    expect(Item::Maxmemory, Warning, "95 % of maxmemory", says("maxmemory:1050000"));
    expect(Item::Persistence, Warning, "neither", |facts| {
        *eu(facts) = server(1, "aof_enabled:0");
        eu(facts).settings.insert("save".to_owned(), String::new());
    });
    expect(Item::Persistence, Warning, "last save failed", says("rdb_last_bgsave_status:err"));
    expect(Item::BacklogTtl, Warning, "60 min", has_set("repl-backlog-ttl", "3600"));
    expect(Item::MinReplicas, Warning, "min-replicas-to-write 1", has_set("min-replicas-to-write", "1"));
    let connected = |name: &str| Connection { name: name.to_owned(), address: "10.0.0.7".to_owned() };
    expect(Item::Sentinel, Warning, "1 connections", |facts| eu(facts).connections.push(connected("sentinel-1a-cmd")));
    expect(Item::ReservedPrefix, Warning, "duet:mine", |facts| {
        eu(facts).reserved = vec!["duet:orders:marker:us".to_owned(), "duet:mine".to_owned()];
    });
}

#[test]
fn the_backlog_is_measured_against_the_rate_of_writes() {
    expect(Item::Backlog, Outcome::Warning, "a cut of 38 s forces a full sync", |facts| {
        *eu(facts) = server(1, "repl_backlog_size:1048576");
        eu(facts).rate = Some(27_594);
    });
    expect(Item::Backlog, Outcome::Warning, "default; the rate of writes is not known", |facts| {
        *eu(facts) = server(1, "repl_backlog_size:1048576");
        eu(facts).rate = None;
    });
    let row = only(|facts| eu(facts).rate = Some(20 << 20));
    assert!(row.remedy.is_some_and(|remedy| remedy.contains("17179869184")), "ten minutes");
}

#[test]
fn an_output_buffer_that_a_copy_overruns_is_found() {
    expect(Item::OutputBuffer, Outcome::Warning, "256 MiB, 64.0 MiB for 60 s", |facts| {
        *eu(facts) = server(1, "used_memory_dataset:4000000000\nrepl_backlog_size:68719476736");
        eu(facts).rate = Some(2 << 20);
        let limits = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";
        eu(facts).settings.insert("client-output-buffer-limit".to_owned(), limits.to_owned());
    });
}

#[test]
fn rights_that_are_needed_fail_and_others_warn() {
    let missing = |right: &str, loses| Missing { right: right.to_owned(), loses };
    expect(Item::Rights, Outcome::Failed, "lacks +psync +script|load", |facts| {
        *us(facts) = server(2, "redis_version:6.2.14");
        *eu(facts) = server(1, "redis_version:6.2.14");
        eu(facts).rights.missing = vec![missing("+psync", None), missing("+script|load", None)];
    });
    expect(Item::Rights, Outcome::Warning, "lacks +client|pause: no drill", |facts| {
        eu(facts).rights.missing = vec![missing("+client|pause", Some("no drill")), missing("+script|load", None)];
    });
    expect(Item::Rights, Outcome::Warning, "psync", |facts| eu(facts).rights.unknown.push("psync".to_owned()));
}

#[test]
fn both_servers_together_are_judged() {
    use Outcome::{Failed, Warning};
    expect(Item::SameServer, Failed, "one process", says("run_id:run2"));
    expect(Item::SameData, Failed, "one history", says("master_replid:2"));
    expect(Item::Clocks, Warning, "us is 702 ms", |facts| {
        facts.apart = Some(Measured { offset_us: 702_000, bound_us: 500 })
    });
    expect(Item::Clocks, Failed, "eu is 702 ms", |facts| {
        facts.wanted.holds_on_skew = true;
        facts.apart = Some(Measured { offset_us: -702_000, bound_us: 500 });
    });
    expect(Item::Clocks, Warning, "not known", |facts| facts.apart = None);
    expect(Item::Dialect, Warning, "rebuilt by commands", says("redis_version:8.0.1"));
    expect(Item::Commands, Warning, "not known at the target: HEXPIRE (3 calls)", |facts| {
        eu(facts).calls = [("hexpire".to_owned(), 3), ("get".to_owned(), 9)].into();
        us(facts).commands.remove("hexpire");
    });
    expect(Item::Commands, Warning, "not known to Duet: FT.ADD", |facts| {
        eu(facts).commands.insert("ft.add".to_owned(), CommandFacts { words: 3, writes: true });
        eu(facts).calls = [("ft.add".to_owned(), 3)].into();
    });
    expect(Item::Databases, Failed, "uses database 20", says("db20:keys=1,expires=0"));
    expect(Item::MemoryRoom, Failed, "room for", |facts| {
        *eu(facts) = server(1, "used_memory_dataset:4000000000");
        *us(facts) = server(2, "maxmemory:2000000000");
    });
}

#[test]
fn another_duet_on_the_same_two_servers_holds_the_start() {
    let connected = |name: &str| Connection { name: name.to_owned(), address: "10.0.0.7".to_owned() };
    let row = only(|facts| {
        eu(facts).connections.push(connected("duet/stock/b>a"));
        us(facts).connections.push(connected("duet/stock/a>b"));
    });
    assert_eq!((row.item, row.result, row.holds), (Item::AnotherDuet, Outcome::Failed, true));
    expect(Item::AnotherDuet, Outcome::Warning, "another pair", |facts| {
        eu(facts).connections.push(connected("duet/stock/b>a"));
    });
    expect(Item::AnotherDuet, Outcome::Warning, "connected from 10.0.0.7", |facts| {
        eu(facts).connections.push(connected("duet/orders/us>eu"));
    });
}

#[test]
fn keys_that_the_target_of_a_new_pair_holds_are_told() {
    let full = |facts: &mut Facts, found| {
        *us(facts) = server(2, "db0:keys=10,expires=0");
        facts.shared = Some(Shared { looked: 10, found, all: true });
    };
    expect(Item::ExistingKeys, Outcome::Failed, "3 are in both", |facts| full(facts, 3));
    expect(Item::ExistingKeys, Outcome::Warning, "none of the 10 names", |facts| full(facts, 0));
    expect(Item::ExistingKeys, Outcome::Warning, "3 are in both", |facts| {
        full(facts, 3);
        facts.wanted.existing_keys = ExistingKeys::Overwrite;
    });
    let mut known = facts();
    full(&mut known, 3);
    us(&mut known).is_known = true;
    assert!(rows(&known).iter().all(|row| row.result == Outcome::Ok), "it has been copied before");
}

#[test]
fn what_is_ignored_is_shown_and_does_not_count() {
    let mut changed = facts();
    changed.wanted.ignored = vec![Item::SameServer];
    *eu(&mut changed) = server(1, "run_id:run2");
    let precheck = Precheck::new(rows(&changed), Vec::new());
    assert!(
        precheck.rows.iter().any(|row| row.item == Item::SameServer && row.ignored && row.result == Outcome::Failed)
    );
    assert_eq!((precheck.result, precheck.holds()), (Outcome::Ok, None));
}

#[test]
fn every_item_has_its_line_in_the_documents() {
    for item in Item::value_variants() {
        assert!(OPERATING.contains(&format!("| `{}` |", item.name())), "{item:?}");
    }
}

#[test]
fn answers_tell_which_right_is_missing() {
    let need = |right: &str, loses, alone| Need { right: right.to_owned(), words: Vec::new(), loses, alone };
    let mut rights = Rights::default();
    for (need, answer) in [
        (need("get", None, false), "QUEUED"),
        (need("set", None, false), "OK"),
        (need("psync", None, true), "ERR PSYNC FAILOVER can't be sent to a master."),
        (need("client|kill", None, false), "NOPERM this user has no permissions to run the 'client|kill' command"),
        (need("memory|usage", Some("x"), false), "NOPERM No permissions to access a key"),
        (need("del", None, false), "User duet has no permissions to access the 'check:duet' key"),
        (need("restore", None, false), "ERR unknown"),
    ] {
        rights.learn(&need, answer);
    }
    let told: Vec<_> = rights.missing.iter().map(|each| (each.right.as_str(), each.loses)).collect();
    assert_eq!(told, [("+client|kill", None), ("~*", None)]);
    assert_eq!(rights.unknown, ["restore"]);
}

#[test]
fn every_write_command_of_the_server_is_asked_about_with_enough_words() {
    let needs = needs(&server(1, ""), false);
    let words = |right: &str| needs.iter().find(|need| need.right == right).map(|need| need.words.len());
    assert_eq!(words("hexpire"), Some(3));
    assert_eq!(words("psync"), None, "the server does not have it");
}
