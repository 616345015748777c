//! One server by itself.

use super::facts::{Facts, RegionFacts, ServerFacts, Wanted};
use super::rights::{Rights, acl_line};
use super::{Item, Row, capacity};
use crate::engine::origin::ReservedKeys;
use crate::error::{Fault, Kind};
use crate::remedy::advice;

/// Names of connections, keys or commands that are told.
const EXAMPLES: usize = 5;

/// The rows of the region with this index.
pub fn rows(facts: &Facts, index: usize, rows: &mut Vec<Row>) {
    let Some(region) = facts.regions.get(index) else { return };
    let server = match &region.server {
        Ok(server) => server,
        Err(fault) => return rows.push(unreached(region, fault)),
    };
    let of = region.name.as_str();
    rows.push(Row::ok(Item::Reachable, of, format!("{} answers", region.place)));
    rows.push(Row::ok(Item::Password, of, login(server)));
    rows.push(tls(region));
    rows.push(version(of, server));
    rows.push(role(of, server));
    rows.push(cluster(of, server));
    if server.number("cluster_enabled") != Some(1) && server.text("role").as_deref() != Some("slave") {
        rows.push(rights(of, server, facts.has_scripts(index)));
    }
    rows.push(modules(of, server));
    rows.push(eviction(of, server));
    rows.push(persistence(of, server));
    rows.push(min_replicas(of, server));
    rows.push(keyspace_events(of, server, &facts.wanted));
    rows.push(sentinel(of, server));
    rows.push(reserved(of, server, &facts.wanted));
    capacity::rows(of, server, rows);
}

fn unreached(region: &RegionFacts, fault: &Fault) -> Row {
    let of = region.name.as_str();
    match fault.kind {
        Kind::WrongPassword => {
            let remedy =
                format!("Set `username` and `password_file` of [region.{of}] to a user that this server knows");
            Row::failed(Item::Password, of, &fault.text, remedy)
        }
        Kind::NoPermission => {
            let remedy = format!("Make a user with the rights that Duet needs: {}", acl_line("", false));
            Row::failed(Item::Rights, of, &fault.text, remedy)
        }
        Kind::Certificate | Kind::Tls => Row::failed(Item::Tls, of, &fault.text, advice(fault.kind).remedy),
        Kind::Loading => {
            Row::warning(Item::Reachable, of, &fault.text, "Nothing: the server loads its data; Duet waits")
        }
        _ => {
            let remedy =
                format!("Start the server, or correct `url` of [region.{of}] or the network; Duet keeps trying");
            Row::failed(Item::Reachable, of, &fault.text, remedy)
        }
    }
}

fn login(server: &ServerFacts) -> String {
    match server.rights.user.as_str() {
        "" => "accepted".to_owned(),
        user => format!("accepted, as user {user}"),
    }
}

fn tls(region: &RegionFacts) -> Row {
    let of = region.name.as_str();
    match (region.is_encrypted, region.is_local) {
        (true, _) => Row::ok(Item::Tls, of, "encrypted"),
        (false, true) => Row::ok(Item::Tls, of, "not encrypted, within this machine"),
        (false, false) => {
            let remedy =
                format!("Use a rediss:// url for [region.{of}], or a network or tunnel that encrypts by itself");
            Row::warning(Item::Tls, of, "the password and all data cross the network in plain text", remedy)
        }
    }
}

fn version(of: &str, server: &ServerFacts) -> Row {
    let number = |name: &str| server.text(name);
    let told = match (number("valkey_version"), number("redis_version")) {
        (Some(valkey), _) => format!("Valkey {valkey}"),
        (None, Some(redis)) => format!("Redis {redis}"),
        (None, None) => "a program that tells no version".to_owned(),
    };
    match server.info.server() {
        Ok(_) => Row::ok(Item::Version, of, told),
        Err(_) => Row::failed(Item::Version, of, told, "Use Redis 5 or later, or Valkey"),
    }
}

fn role(of: &str, server: &ServerFacts) -> Row {
    match server.text("role").as_deref() {
        Some("master") => Row::ok(Item::Role, of, "a primary"),
        _ => {
            let primary = server.text("master_host").zip(server.number("master_port"));
            let seen = match primary {
                Some((host, port)) => format!("a replica of {host}:{port}"),
                None => "not a primary".to_owned(),
            };
            let remedy = format!("Promote it, or point `url` of [region.{of}] at its primary");
            Row::failed(Item::Role, of, seen, remedy)
        }
    }
}

fn cluster(of: &str, server: &ServerFacts) -> Row {
    match server.number("cluster_enabled") {
        Some(1) => {
            let remedy =
                format!("Point `url` of [region.{of}] at a standalone primary: this version serves no clusters");
            Row::failed(Item::Cluster, of, "part of a cluster", remedy)
        }
        _ => Row::ok(Item::Cluster, of, "standalone"),
    }
}

/// `takes_scripts` tells whether the other region sends scripts.
fn rights(of: &str, server: &ServerFacts, takes_scripts: bool) -> Row {
    let Rights { user, missing, unknown } = &server.rights;
    let missing: Vec<_> = missing.iter().filter(|each| takes_scripts || !each.right.starts_with("+script")).collect();
    let named = |needed: bool| -> Vec<&str> {
        missing.iter().filter(|each| each.loses.is_none() == needed).map(|each| each.right.as_str()).collect()
    };
    let grant = |missing: &[&str]| format!("ACL SETUSER {user} {}", missing.join(" "));
    let (needed, wanted) = (named(true), named(false));
    if !needed.is_empty() {
        let seen = format!("user {user} lacks {}", needed.join(" "));
        return Row::failed(Item::Rights, of, seen, grant(&[needed, wanted].concat()));
    }
    if !wanted.is_empty() {
        let mut losses: Vec<&str> = missing.iter().filter_map(|each| each.loses).collect();
        losses.dedup();
        let seen = format!("user {user} lacks {}: {}", wanted.join(" "), losses.join("; "));
        return Row::warning(Item::Rights, of, seen, grant(&wanted));
    }
    if !unknown.is_empty() {
        let seen = format!("it cannot be seen whether user {user} has {}", unknown.join(" "));
        return Row::warning(Item::Rights, of, seen, "Allow +acl|dryrun, or compare its rights with `acl` below");
    }
    Row::ok(Item::Rights, of, "everything that Duet does is allowed")
}

fn modules(of: &str, server: &ServerFacts) -> Row {
    if server.modules.is_empty() {
        return Row::ok(Item::Modules, of, "none");
    }
    let remedy =
        "Values of modules are not copied: they are set aside and counted. Keep them out of what both regions need";
    Row::warning(Item::Modules, of, server.modules.join(", "), remedy)
}

fn eviction(of: &str, server: &ServerFacts) -> Row {
    let policy = server.text("maxmemory_policy").unwrap_or_else(|| "not told".to_owned());
    match (policy.as_str(), server.number("maxmemory")) {
        ("noeviction" | "not told", _) => Row::ok(Item::Eviction, of, policy),
        (_, Some(0)) => {
            Row::ok(Item::Eviction, of, format!("{policy}, but without a limit of memory nothing is evicted"))
        }
        _ => {
            let remedy = "CONFIG SET maxmemory-policy noeviction: what is evicted here is deleted in the other region too, and \
                          Duet's own keys can be evicted";
            Row::warning(Item::Eviction, of, policy, remedy)
        }
    }
}

fn persistence(of: &str, server: &ServerFacts) -> Row {
    let has_failed = |name: &str| server.text(name).is_some_and(|status| status != "ok");
    if has_failed("rdb_last_bgsave_status") || has_failed("aof_last_write_status") {
        let remedy =
            "See the server's log (disk full?): it may refuse writes until it can save, and a restart loses data";
        return Row::warning(Item::Persistence, of, "the last save failed", remedy);
    }
    let appends = server.number("aof_enabled") == Some(1);
    let saves = server.setting("save").is_none_or(|save| !save.is_empty());
    match (appends, saves) {
        (true, _) => Row::ok(Item::Persistence, of, "append-only file"),
        (false, true) => Row::ok(Item::Persistence, of, "snapshots: a crash loses what came after the last one"),
        (false, false) => {
            let remedy =
                "CONFIG SET appendonly yes: without it a restart comes back empty, and is filled from the other region";
            Row::warning(Item::Persistence, of, "neither snapshots nor an append-only file", remedy)
        }
    }
}

fn min_replicas(of: &str, server: &ServerFacts) -> Row {
    let wanted: u64 = server.setting("min-replicas-to-write").and_then(|text| text.parse().ok()).unwrap_or(0);
    if wanted == 0 {
        return Row::ok(Item::MinReplicas, of, "writes do not depend on replicas");
    }
    let others = server.number("connected_slaves").unwrap_or(0);
    let seen = format!("min-replicas-to-write {wanted}, {others} connected");
    let remedy = format!(
        "Duet counts as one replica: set min-replicas-to-write {} to ask for as many of your own. Below it the server refuses \
         writes, Duet's too",
        wanted + 1
    );
    Row::warning(Item::MinReplicas, of, seen, remedy)
}

fn keyspace_events(of: &str, server: &ServerFacts, wanted: &Wanted) -> Row {
    if !wanted.events {
        return Row::ok(Item::KeyspaceEvents, of, "not used (`[deletes]`)");
    }
    let Some(events) = server.setting("notify-keyspace-events") else {
        let remedy =
            "Allow +config|get +config|set +psubscribe +hello, or set notify-keyspace-events Exeg in redis.conf";
        return Row::warning(Item::KeyspaceEvents, of, "the setting cannot be seen", remedy);
    };
    let has = |letter: char| events.contains(letter) || (letter != 'E' && events.contains('A'));
    let missing: String = "Exeg".chars().filter(|letter| !has(*letter)).collect();
    if missing.is_empty() {
        return Row::ok(Item::KeyspaceEvents, of, format!("\"{events}\""));
    }
    Row::ok(Item::KeyspaceEvents, of, format!("\"{events}\": Duet adds {missing} by CONFIG SET at each start"))
}

fn sentinel(of: &str, server: &ServerFacts) -> Row {
    let watching = server.connections.iter().filter(|each| each.name.starts_with("sentinel-")).count();
    if watching == 0 {
        return Row::ok(Item::Sentinel, of, "none is connected");
    }
    let remedy = format!(
        "Give [region.{of}] a url whose name follows the primary: Duet does not ask Sentinel. Writes that a failover loses may \
         stay in the other region"
    );
    Row::warning(Item::Sentinel, of, format!("{watching} connections of Sentinel"), remedy)
}

fn reserved(of: &str, server: &ServerFacts, wanted: &Wanted) -> Row {
    let is_ours = |name: &&String| {
        let rest = name.strip_prefix(&wanted.prefix).unwrap_or_default();
        rest.split(':').nth(1).is_some_and(|kind| ReservedKeys::KINDS.contains(&kind))
    };
    let foreign: Vec<&str> = server.reserved.iter().filter(|name| !is_ours(name)).map(String::as_str).collect();
    if foreign.is_empty() {
        return Row::ok(Item::ReservedPrefix, of, format!("`{}` is used by Duet alone", wanted.prefix));
    }
    let examples: Vec<String> = foreign.iter().take(EXAMPLES).map(|name| name.escape_debug().to_string()).collect();
    let seen = format!("{} keys begin with `{}`: {}", foreign.len(), wanted.prefix, examples.join(", "));
    let remedy = "Rename them, or set pair.reserved_prefix to what no client uses: they are not copied";
    Row::warning(Item::ReservedPrefix, of, seen, remedy)
}
