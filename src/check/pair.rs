//! Both servers together.

use super::capacity::bytes;
use super::facts::{Facts, ServerFacts, Shared};
use super::{Item, Row};
use crate::command::lookup;
use crate::config::ExistingKeys;
use crate::wire::rdb::Dialect;

/// Commands that are told by name.
const EXAMPLES: usize = 8;

/// The rows of the pair and of its links.
pub fn rows(facts: &Facts, both: [&ServerFacts; 2], rows: &mut Vec<Row>) {
    let names = [0, 1].map(|region: usize| facts.regions[region].name.as_str());
    let pair = facts.wanted.pair.as_str();
    rows.push(same_server(pair, names, both));
    rows.push(same_data(pair, names, both));
    rows.push(another_duet(facts, both));
    rows.push(clocks(facts, names));
    for (source, target) in [(0, 1), (1, 0)] {
        let of = format!("{} > {}", names[source], names[target]);
        rows.push(dialect(&of, both[source], both[target]));
        rows.push(commands(&of, both[source], both[target]));
        rows.push(databases(&of, both[source], both[target]));
    }
    let of = format!("{} > {}", names[0], names[1]);
    rows.push(memory_room(&of, both));
    rows.push(existing_keys(&of, facts, both));
}

fn same_server(pair: &str, [ours, theirs]: [&str; 2], both: [&ServerFacts; 2]) -> Row {
    let [one, other] = both.map(|server| server.text("run_id"));
    if one.is_some() && one == other {
        let seen = format!("{ours} and {theirs} are one process");
        return Row::failed(Item::SameServer, pair, seen, "Point the two urls at different servers").holding();
    }
    Row::ok(Item::SameServer, pair, "two servers")
}

fn same_data(pair: &str, [ours, theirs]: [&str; 2], both: [&ServerFacts; 2]) -> Row {
    let [one, other] = both.map(|server| server.text("master_replid"));
    if one.is_some() && one == other {
        let seen = format!("{ours} and {theirs} share one history: one replicates the other, or both a third");
        let remedy = "REPLICAOF NO ONE at the replica, or take servers of two regions: else every write arrives twice";
        return Row::failed(Item::SameData, pair, seen, remedy).holding();
    }
    Row::ok(Item::SameData, pair, "two histories")
}

/// Connections of Duet are named `duet/<pair>/<source>><target>`.
fn another_duet(facts: &Facts, both: [&ServerFacts; 2]) -> Row {
    let pair = facts.wanted.pair.as_str();
    let pairs = |server: &ServerFacts| -> Vec<(String, String)> {
        let named = server.connections.iter().filter_map(|each| {
            let (pair, _) = each.name.strip_prefix("duet/")?.split_once('/')?;
            Some((pair.to_owned(), each.address.clone()))
        });
        named.collect()
    };
    let [ours, theirs] = both.map(pairs);
    let foreign = ours.iter().find(|(name, _)| name != pair && theirs.iter().any(|(other, _)| other == name));
    if let Some((name, address)) = foreign {
        let seen = format!("the pair `{name}` (from {address}) connects these two servers already");
        let remedy = "Stop one of the two daemons: each would copy what the other one copies, without end";
        return Row::failed(Item::AnotherDuet, pair, seen, remedy).holding();
    }
    let running = ours.iter().chain(&theirs).find(|(name, _)| name == pair);
    match (running, facts.wanted.is_start) {
        (Some((_, address)), true) => {
            let remedy = "Run one daemon per pair: the one that starts later takes over, the other one stops";
            Row::warning(Item::AnotherDuet, pair, format!("a Duet of this pair is connected from {address}"), remedy)
        }
        (Some((_, address)), false) => Row::ok(Item::AnotherDuet, pair, format!("this pair's Duet runs, at {address}")),
        (None, _) if !ours.is_empty() || !theirs.is_empty() => {
            let remedy =
                "Nothing, if it is meant: what one pair copies to a server the other one takes for its clients' writes";
            Row::warning(Item::AnotherDuet, pair, "another pair uses one of the servers", remedy)
        }
        (None, _) => Row::ok(Item::AnotherDuet, pair, "none is connected"),
    }
}

fn clocks(facts: &Facts, [ours, theirs]: [&str; 2]) -> Row {
    let pair = facts.wanted.pair.as_str();
    let limit = facts.wanted.skew_limit.as_micros();
    let Some(apart) = facts.apart else {
        return Row::warning(Item::Clocks, pair, "not known", "Allow the user TIME at both servers");
    };
    let (distance, bound) = (apart.offset_us.unsigned_abs(), apart.bound_us.unsigned_abs());
    let ahead = if apart.offset_us < 0 { ours } else { theirs };
    let (distance_ms, bound_ms) = (distance.div_ceil(1000), bound.div_ceil(1000));
    let limit_ms = limit / 1000;
    let seen = format!("{ahead} is {distance_ms} ms (± {bound_ms} ms) ahead, limit {limit_ms} ms");
    if u128::from(distance.saturating_sub(bound)) <= limit {
        return Row::ok(Item::Clocks, pair, seen);
    }
    match facts.wanted.holds_on_skew {
        true => Row::failed(Item::Clocks, pair, seen, "Set both with NTP; until then both links hold (clock.beyond)"),
        false => Row::warning(Item::Clocks, pair, seen, format!("Set both with NTP: writes of {ahead} win too often")),
    }
}

/// `RESTORE` takes payloads of the same program and of older ones.
fn dialect(of: &str, source: &ServerFacts, target: &ServerFacts) -> Row {
    let (Ok(from), Ok(to)) = (source.info.server(), target.info.server()) else {
        return Row::ok(Item::Dialect, of, "not known");
    };
    let same = from.dialect == to.dialect;
    let restores = if same {
        to.version.0 >= from.version.0
    } else {
        // Up to Redis 7.2 the two programs have one form.
        from.dialect == Dialect::Redis && (from.version.0, from.version.1) <= (7, 2)
    };
    if restores {
        return Row::ok(Item::Dialect, of, "the target restores the source's values as they are");
    }
    let seen =
        "newer encodings are rebuilt by commands: the copy is slower; what the target has no words for is set aside";
    match same {
        true => Row::warning(
            Item::Dialect,
            of,
            seen,
            "Nothing, if that will do; else bring the target to the source's version",
        ),
        false => {
            Row::warning(Item::Dialect, of, seen, "Nothing, if that will do; else use one program in both regions")
        }
    }
}

fn commands(of: &str, source: &ServerFacts, target: &ServerFacts) -> Row {
    let writes = |name: &str| source.commands.get(name).is_some_and(|facts| facts.writes);
    let mut lacking: Vec<(&str, u64)> = Vec::new();
    let (mut used, mut unknown) = (0, Vec::new());
    for (call, count) in &source.calls {
        let name = call.split('|').next().unwrap_or(call);
        if !writes(name) {
            continue;
        }
        used += 1;
        if lookup(name.as_bytes()).is_none() {
            unknown.push((name, *count));
        } else if !target.commands.contains_key(name) {
            lacking.push((name, *count));
        }
    }
    let told = |list: &[(&str, u64)]| -> String {
        let names: Vec<String> = list
            .iter()
            .take(EXAMPLES)
            .map(|(name, count)| format!("{} ({count} calls)", name.to_uppercase()))
            .collect();
        names.join(", ")
    };
    match (lacking.is_empty(), unknown.is_empty()) {
        (true, true) => {
            Row::ok(Item::Commands, of, format!("the target knows all {used} write commands in use at the source"))
        }
        (false, _) => {
            let remedy = "Look in docs/conflicts.md whether Duet has other words for it; else what it writes is set aside. Upgrade the \
                          target, or do without it";
            Row::warning(
                Item::Commands,
                of,
                format!("in use at the source, and not known at the target: {}", told(&lacking)),
                remedy,
            )
        }
        (true, false) => {
            let remedy =
                "Duet does not know it: what it writes is set aside, unless the server sends it as another command";
            Row::warning(
                Item::Commands,
                of,
                format!("in use at the source, and not known to Duet: {}", told(&unknown)),
                remedy,
            )
        }
    }
}

fn databases(of: &str, source: &ServerFacts, target: &ServerFacts) -> Row {
    let highest = source.info.keyspace().iter().map(|(index, _)| *index).max().unwrap_or(0);
    match target.setting("databases").and_then(|text| text.parse::<u32>().ok()) {
        Some(count) if highest >= count => {
            let seen = format!("the source uses database {highest}, the target has {count}");
            Row::failed(
                Item::Databases,
                of,
                seen,
                format!("Set `databases {}` in the target's redis.conf and restart it", highest + 1),
            )
        }
        Some(count) => {
            Row::ok(Item::Databases, of, format!("the target has {count}, the source uses up to number {highest}"))
        }
        None => Row::ok(Item::Databases, of, format!("the source uses up to number {highest}")),
    }
}

/// Whether a first copy fits; a pair that has been at work needs no room for one.
fn memory_room(of: &str, [source, target]: [&ServerFacts; 2]) -> Row {
    if is_known([source, target]) {
        return Row::ok(Item::MemoryRoom, of, "the pair has been copied before");
    }
    let needed = source.number("used_memory_dataset").or_else(|| source.number("used_memory")).unwrap_or(0);
    let used = target.number("used_memory").unwrap_or(0);
    let limit = match target.number("maxmemory").unwrap_or(0) {
        0 => target.number("total_system_memory"),
        limit => Some(limit),
    };
    let Some(limit) = limit else { return Row::ok(Item::MemoryRoom, of, "the target has no limit") };
    let room = limit.saturating_sub(used);
    let seen = format!("the source holds {}, the target has room for {}", bytes(needed), bytes(room));
    let remedy = format!("Raise the target's maxmemory to {} or more", bytes(used + needed + needed / 2));
    if room < needed {
        Row::failed(Item::MemoryRoom, of, seen, remedy).holding()
    } else if room < needed + needed / 4 {
        Row::warning(Item::MemoryRoom, of, seen, remedy)
    } else {
        Row::ok(Item::MemoryRoom, of, seen)
    }
}

fn existing_keys(of: &str, facts: &Facts, both: [&ServerFacts; 2]) -> Row {
    let keys = both[1].keys();
    if is_known(both) {
        return Row::ok(Item::ExistingKeys, of, "the pair has been copied before");
    }
    if keys == 0 {
        return Row::ok(Item::ExistingKeys, of, "the target is empty");
    }
    let only = "keys that only the target holds stay there and are not copied to the source";
    let shared = match facts.shared {
        Some(Shared { found: 0, looked, all: true }) => {
            let seen =
                format!("the target holds {keys} keys, none of the {looked} names of the smaller region is in both");
            return Row::warning(Item::ExistingKeys, of, seen, format!("Empty the target, or know that {only}"));
        }
        Some(Shared { found, looked, .. }) => {
            format!("the target holds {keys} keys; of {looked} names {found} are in both regions")
        }
        None => format!("the target holds {keys} keys"),
    };
    match facts.wanted.existing_keys {
        ExistingKeys::Fail if facts.shared.is_some_and(|shared| shared.found > 0) => {
            let remedy = "Empty the target, or set forward.existing_keys to \"overwrite\" or \"keep\": as it is the start is held";
            Row::failed(Item::ExistingKeys, of, shared, remedy)
        }
        ExistingKeys::Fail => {
            Row::warning(Item::ExistingKeys, of, shared, format!("Empty the target, or know that {only}"))
        }
        ExistingKeys::Overwrite => Row::warning(
            Item::ExistingKeys,
            of,
            shared,
            format!("Nothing, if it is meant: the source's values replace them; {only}"),
        ),
        ExistingKeys::Keep => {
            let remedy = "Nothing, if it is meant: the regions differ in these keys until they are written again";
            Row::warning(Item::ExistingKeys, of, shared, remedy)
        }
    }
}

fn is_known(both: [&ServerFacts; 2]) -> bool {
    both.iter().any(|server| server.is_known)
}
