//! Gathers the facts of a precheck at both servers: pipelined, read-only, bounded.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::client::{Client, Reply, bytes, clock_us, elements, integer, text};
use super::names::{Walk, held};
use crate::check::facts::{CommandFacts, Connection, RegionFacts, Shared};
use crate::check::rights::{Need, Rights, needs};
use crate::check::{Facts, ServerFacts, Wanted};
use crate::config::{Config, Region};
use crate::engine::origin::ReservedKeys;
use crate::engine::source::{Info, Measured, Offset};
use crate::error::{Fault, Kind};

/// Settings that are looked at.
const SETTINGS: [&str; 6] = [
    "save",
    "repl-backlog-ttl",
    "client-output-buffer-limit",
    "min-replicas-to-write",
    "notify-keyspace-events",
    "databases",
];
/// Batches of names of which it is looked whether the other region holds them.
const SHARED_BATCHES: usize = 10;
/// Round trips in search of keys with the reserved prefix.
const RESERVED_LOOKS: usize = 20;
/// How often a clock is asked.
const CLOCK_LOOKS: usize = 3;

/// What both servers say. `sample` is how long the rate of writes is measured; not at all when it is zero.
pub async fn gather(config: &Config, wanted: Wanted, sample: Duration) -> Facts {
    let epoch = Instant::now();
    let keys = ReservedKeys::new(config.pair.reserved_prefix.as_str(), config.pair.name.as_str());
    let [ours, theirs] = &config.regions;
    let names = [ours.name.as_str(), theirs.name.as_str()];
    let ((ours_told, ours_clock), (theirs_told, theirs_clock)) = tokio::join!(
        region(ours, &keys, names, &wanted, sample, epoch),
        region(theirs, &keys, [names[1], names[0]], &wanted, sample, epoch)
    );
    let apart = ours_clock.zip(theirs_clock).map(|(ours, theirs)| Measured::between(ours, theirs));
    let mut facts = Facts { wanted, regions: [ours_told, theirs_told], apart, shared: None };
    if let Some([one, other]) = facts.both()
        && !one.is_known
        && !other.is_known
        && one.keys() > 0
        && other.keys() > 0
    {
        let turned = one.keys() > other.keys();
        let (fewer, more) = if turned { (theirs, ours) } else { (ours, theirs) };
        // Where names can't be compared nothing is said of them: the rights that this takes have a row of their own.
        facts.shared = shared(fewer, more, keys.prefix()).await.ok();
    }
    facts
}

async fn region(
    region: &Region,
    keys: &ReservedKeys,
    names: [&str; 2],
    wanted: &Wanted,
    sample: Duration,
    epoch: Instant,
) -> (RegionFacts, Option<Measured>) {
    let shard = region.primary();
    let mut clock = Offset::default();
    let server = server(region, keys, names, wanted, sample, (epoch, &mut clock)).await;
    let told = RegionFacts {
        name: region.name.to_string(),
        place: format!("{}:{}", shard.host, shard.port),
        is_local: shard.host == "localhost" || shard.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
        is_encrypted: region.tls.is_some(),
        server: server.map(Box::new),
    };
    (told, clock.at(since(epoch)))
}

async fn server(
    region: &Region,
    keys: &ReservedKeys,
    names: [&str; 2],
    wanted: &Wanted,
    sample: Duration,
    (epoch, clock): (Instant, &mut Offset),
) -> Result<ServerFacts, Fault> {
    let mut client = Client::connect(region, region.primary()).await?;
    let mut facts = general(&mut client, keys, names).await?;
    for _ in 0..CLOCK_LOOKS {
        let asked = since(epoch);
        if let Some(now_us) = client.calls(&[["TIME"]]).await?.first().and_then(clock_us) {
            clock.learn(now_us, asked, since(epoch));
        }
    }
    facts.rights = rights(region, &facts, wanted).await?;
    facts.reserved = reserved(&mut client, &wanted.prefix).await?;
    if !sample.is_zero() {
        facts.rate = rate(&mut client, sample).await?;
    }
    Ok(facts)
}

/// Everything that one round trip tells.
async fn general(client: &mut Client, keys: &ReservedKeys, names: [&str; 2]) -> Result<ServerFacts, Fault> {
    let mut requests: Vec<Vec<Vec<u8>>> = vec![
        vec![b"INFO".to_vec(), b"all".to_vec()],
        vec![b"COMMAND".to_vec()],
        vec![b"CLIENT".to_vec(), b"LIST".to_vec()],
        vec![b"GET".to_vec(), keys.marker(names[1])],
        std::iter::once(b"EXISTS".to_vec()).chain(keys.all(names)).collect(),
    ];
    requests.extend(SETTINGS.map(|name| vec![b"CONFIG".to_vec(), b"GET".to_vec(), name.into()]));
    let replies = client.calls(&requests).await?;
    let [info, commands, connections, marker, own, settings @ ..] = replies.as_slice() else {
        return Err(Fault::new(Kind::Protocol, format!("{} gave too few replies", client.place())));
    };
    if let Reply::Error(error) = info {
        return Err(Fault::of_reply(error, &format!("{} answered INFO", client.place())));
    }
    let info = text(info);
    let settings: HashMap<String, String> = settings
        .iter()
        .filter_map(|reply| match elements(reply) {
            [name, value] => Some((text(name), text(value))),
            _ => None,
        })
        .collect();
    let modules = info.lines().filter_map(|line| line.strip_prefix("module:name="));
    let modules = modules.map(|rest| rest.split(',').next().unwrap_or(rest).trim().to_owned());
    // Valkey 9 lists its own scripts as one; they hold no values.
    let modules = modules.filter(|name| name != "lua").collect();
    let info = Info::parse(&info);
    let calls = info.entries().filter_map(|(name, value)| {
        let name = name.strip_prefix("cmdstat_")?.to_lowercase();
        let calls = value.split(',').find_map(|part| part.strip_prefix("calls="))?.parse().ok()?;
        Some((name, calls))
    });
    Ok(ServerFacts {
        calls: calls.collect(),
        settings,
        modules,
        commands: elements(commands).iter().filter_map(command).collect(),
        connections: text(connections).lines().filter_map(connection).collect(),
        is_known: !bytes(marker).is_empty(),
        own_keys: u64::try_from(integer(own)).unwrap_or(0),
        info,
        ..ServerFacts::default()
    })
}

/// One entry of `COMMAND`: name, arity, flags.
fn command(entry: &Reply) -> Option<(String, CommandFacts)> {
    let [name, arity, flags, ..] = elements(entry) else { return None };
    let words = usize::try_from(integer(arity).unsigned_abs()).ok()?;
    let writes = elements(flags).iter().any(|flag| bytes(flag) == b"write");
    Some((text(name).to_lowercase(), CommandFacts { words, writes }))
}

/// A line of `CLIENT LIST`, if it is of a connection that has a name.
fn connection(line: &str) -> Option<Connection> {
    let value = |field: &str| line.split(' ').find_map(|part| part.strip_prefix(field));
    let name = value("name=").filter(|name| name.starts_with("duet/") || name.starts_with("sentinel-"))?;
    let address = value("addr=")?;
    let address = address.rsplit_once(':').map_or(address, |(host, _)| host);
    Some(Connection { name: name.to_owned(), address: address.to_owned() })
}

/// What the user may not do: by `ACL DRYRUN` where the server has it and the user may use it; else by queueing each
/// command in a transaction that is given up. A connection of its own, since that may leave it in any state.
async fn rights(region: &Region, server: &ServerFacts, wanted: &Wanted) -> Result<Rights, Fault> {
    if !server.commands.contains_key("acl") {
        let missing = Rights::default();
        return Ok(missing);
    }
    let mut client = Client::connect(region, region.primary()).await?;
    let user = match client.calls(&[["ACL", "WHOAMI"]]).await?.first() {
        Some(Reply::BulkString(user)) => String::from_utf8_lossy(user).into_owned(),
        _ => region.username.clone().unwrap_or_else(|| "default".to_owned()),
    };
    let mut rights = Rights { user, ..Rights::default() };
    let needs = needs(server, wanted.events);
    if !try_dry(&mut client, &needs, &mut rights).await? {
        queue(&mut client, &needs, &mut rights).await?;
        ask_alone(&mut client, &needs, wanted.is_start, &mut rights).await?;
    }
    Ok(rights)
}

/// Asks by `ACL DRYRUN`; false where that is not to be had.
async fn try_dry(client: &mut Client, needs: &[Need], rights: &mut Rights) -> Result<bool, Fault> {
    let user = rights.user.clone();
    let dry = |words: &[String]| -> Vec<String> {
        ["ACL", "DRYRUN", &user].into_iter().map(str::to_owned).chain(words.iter().cloned()).collect()
    };
    let first = client.calls(&[dry(&["ping".to_owned()])]).await?;
    if matches!(first.first(), Some(Reply::Error(_)) | None) {
        return Ok(false);
    }
    let requests: Vec<Vec<String>> = needs
        .iter()
        .map(|need| match need.right.as_str() {
            "psync" => dry(&["psync".to_owned(), "?".to_owned(), "-1".to_owned()]),
            _ => dry(&need.words),
        })
        .collect();
    let replies = client.calls(&requests).await?;
    for (need, reply) in needs.iter().zip(replies) {
        match reply {
            Reply::Error(error) => rights.learn(need, &error),
            reply => rights.learn(need, &text(&reply)),
        }
    }
    Ok(true)
}

/// Queues each command in a transaction that is given up: the server looks at rights when it queues.
async fn queue(client: &mut Client, needs: &[Need], rights: &mut Rights) -> Result<(), Fault> {
    let multi = Need { right: "multi".to_owned(), words: Vec::new(), loses: None, alone: false };
    match client.calls(&[["MULTI"]]).await?.first() {
        // What is asked now is executed unless it is queued: so nothing is asked where MULTI was not heard.
        Some(Reply::Error(error)) => {
            rights.learn(&multi, error);
            return Ok(());
        }
        Some(_) => {}
        None => return Ok(()),
    }
    let queued: Vec<&Need> = needs.iter().filter(|need| !need.alone).collect();
    let requests: Vec<&[String]> = queued.iter().map(|need| need.words.as_slice()).collect();
    let replies = client.calls(&requests).await?;
    for (need, reply) in queued.into_iter().zip(replies) {
        match reply {
            Reply::Error(error) => rights.learn(need, &error),
            reply => rights.learn(need, &text(&reply)),
        }
    }
    client.call(&["DISCARD"]).await.map(|_| ())
}

/// Asks for what cannot be queued. `PSYNC` in a form that no primary obeys; a start finds out by itself, and the server
/// writes a line about it to its log.
async fn ask_alone(client: &mut Client, needs: &[Need], is_start: bool, rights: &mut Rights) -> Result<(), Fault> {
    for need in needs.iter().filter(|need| need.alone) {
        let nobody = "0".repeat(40);
        let refused = ["psync", &nobody, "-1", "FAILOVER"].map(str::to_owned);
        let words = match need.right.as_str() {
            "psync" if is_start => continue,
            "psync" => refused.as_slice(),
            _ => need.words.as_slice(),
        };
        if let Some(Reply::Error(error)) = client.calls(&[words]).await?.first() {
            rights.learn(need, error);
        }
    }
    Ok(())
}

/// Names with the reserved prefix, as far as a bounded search of database 0 finds them.
async fn reserved(client: &mut Client, prefix: &str) -> Result<Vec<String>, Fault> {
    let (mut cursor, mut found) = ("0".to_owned(), Vec::new());
    let pattern = format!("{prefix}*");
    for _ in 0..RESERVED_LOOKS {
        let replies = client.calls(&[["SCAN", cursor.as_str(), "MATCH", &pattern, "COUNT", "1000"]]).await?;
        let Some([next, names]) = replies.first().map(elements) else { break };
        found.extend(elements(names).iter().map(text));
        cursor = text(next);
        if cursor == "0" {
            break;
        }
    }
    found.sort();
    Ok(found)
}

/// Bytes a second that the replication stream grows by; nothing where the server has no backlog, and so no stream.
async fn rate(client: &mut Client, sample: Duration) -> Result<Option<u64>, Fault> {
    let Some(before) = offset(client).await? else { return Ok(None) };
    let began = Instant::now();
    sleep(sample).await;
    let Some(after) = offset(client).await? else { return Ok(None) };
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    Ok(Some(after.saturating_sub(before).saturating_mul(1000) / millis))
}

async fn offset(client: &mut Client) -> Result<Option<u64>, Fault> {
    let info = Info::parse(&text(&client.call(&["INFO", "replication"]).await?));
    let active = info.get::<u8>("repl_backlog_active") == Some(1);
    Ok(info.get("master_repl_offset").filter(|_| active))
}

/// Of names of `fewer`, how many `more` holds, as far as a bounded search finds them.
async fn shared(fewer: &Region, more: &Region, prefix: &[u8]) -> Result<Shared, Fault> {
    let mut fewer = Client::connect(fewer, fewer.primary()).await?;
    let mut more = Client::connect(more, more.primary()).await?;
    let mut walk = Walk::new(&mut fewer, prefix).await?;
    let mut shared = Shared { looked: 0, found: 0, all: false };
    for _ in 0..SHARED_BATCHES {
        let Some(names) = walk.next(&mut fewer).await? else {
            return Ok(Shared { all: true, ..shared });
        };
        let held = held(&mut more, &names).await?;
        shared.looked += held.len() as u64;
        shared.found += held.iter().filter(|held| **held).count() as u64;
    }
    Ok(shared)
}

fn since(epoch: Instant) -> i64 {
    i64::try_from(epoch.elapsed().as_micros()).unwrap_or(i64::MAX)
}
