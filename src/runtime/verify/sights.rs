//! Single keys, as exactly as a run compares them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::batch::{TOGETHER, length_command};
use super::lane::{Lane, Request, milliseconds};
use super::pieces;
use crate::error::Fault;
use crate::runtime::client::{Reply, bytes, integer, text};
use crate::verify::{Content, Difference, Look, MOST_PARTS, Mode, Name, Plan, Sight, differences, hash_of, parts_of};

/// A key before its value is read.
struct Seen {
    name: Name,
    sights: [Sight; 2],
    size: u64,
}

/// Looks at keys in both regions; `at` is the moment that the looks get. Gives the servers' clocks as well, Unix
/// milliseconds.
///
/// # Errors
/// A [`Fault`] when a server can't be reached, or refuses to tell.
pub async fn look(
    lane: &mut Lane,
    plan: &Plan,
    names: &[Name],
    at: Duration,
) -> Result<(BTreeMap<Name, Look>, [i64; 2]), Fault> {
    let mut by_database: BTreeMap<u32, Vec<Name>> = BTreeMap::new();
    for name in names {
        by_database.entry(name.0).or_default().push(name.clone());
    }
    let (mut looks, mut now_ms) = (BTreeMap::new(), [0; 2]);
    for (database, names) in by_database {
        let (mut seen, clocks) = outlines(lane, plan, database, names).await?;
        now_ms = clocks;
        let by_value = matches!(plan.mode, Mode::Full | Mode::Digest | Mode::SkipBig);
        let (read, outlined): (Vec<_>, Vec<_>) = seen.drain(..).partition(|seen| by_value && is_read(seen));
        let (big, small): (Vec<_>, Vec<_>) = read.into_iter().partition(|seen| seen.size > plan.big_bytes);
        for seen in outlined {
            let differences = differences(&seen.sights[0], &seen.sights[1], plan);
            looks.insert(seen.name, Look { sights: seen.sights, differences, at });
        }
        values(lane, plan, database, small, (now_ms, at), &mut looks).await?;
        for seen in big {
            let mut found = differences(&seen.sights[0], &seen.sights[1], plan);
            if plan.mode != Mode::SkipBig {
                let key = (database, seen.name.1.as_slice());
                let parts = pieces::differing(lane, plan, key, &seen.sights[0].kind, seen.size, MOST_PARTS).await?;
                if !parts.is_empty() {
                    found.retain(|found| !matches!(found, Difference::Length(_)));
                }
                found.extend(parts.into_iter().map(Difference::Part));
            }
            looks.insert(seen.name, Look { sights: seen.sights, differences: found, at });
        }
    }
    Ok((looks, now_ms))
}

/// Whether there is more to compare than what is known already.
fn is_read(seen: &Seen) -> bool {
    seen.sights.iter().any(Sight::exists) && (seen.sights[0].kind == seen.sights[1].kind || !both_exist(seen))
}

fn both_exist(seen: &Seen) -> bool {
    seen.sights.iter().all(Sight::exists)
}

/// Types, lengths, times to live and sizes.
async fn outlines(
    lane: &mut Lane,
    plan: &Plan,
    database: u32,
    names: Vec<Name>,
) -> Result<(Vec<Seen>, [i64; 2]), Fault> {
    let expiry = [0, 1].map(|side| lane.ends[side].expiry_command());
    let asked = expiry.map(|expiry| {
        let mut requests: Vec<Request<'_>> = Vec::with_capacity(names.len() * 3 + 1);
        for (_, name) in &names {
            requests.push(vec![b"TYPE", name]);
            requests.push(vec![b"MEMORY", b"USAGE", name]);
            requests.push(vec![expiry, name]);
        }
        requests.push(vec![b"TIME"]);
        requests
    });
    let replies = lane.ask(database, [&asked[0], &asked[1]]).await?;
    let now_ms = [0, 1].map(|side| replies[side].last().map_or(0, milliseconds));
    let mut seen = Vec::with_capacity(names.len());
    for (at, name) in names.into_iter().enumerate() {
        let told = [0, 1].map(|side| match &replies[side][at * 3..at * 3 + 3] {
            [kind, size, expires] => {
                let expires_at_ms = lane.ends[side].expires_at(integer(expires), now_ms[side]);
                (Sight { kind: text(kind), expires_at_ms, ..Sight::default() }, integer(size).unsigned_abs())
            }
            _ => (Sight::none(), 0),
        });
        let size = told[0].1.max(told[1].1);
        seen.push(Seen { name, sights: told.map(|(sight, _)| sight), size });
    }
    lengths(lane, plan, database, &mut seen).await?;
    Ok((seen, now_ms))
}

async fn lengths(lane: &mut Lane, plan: &Plan, database: u32, seen: &mut [Seen]) -> Result<(), Fault> {
    if plan.mode == Mode::Outline {
        return Ok(());
    }
    let asked = [0, 1].map(|side| {
        let known = seen.iter().enumerate();
        known.filter_map(|(at, seen)| Some((at, length_command(&seen.sights[side].kind)?))).collect::<Vec<_>>()
    });
    let requests = asked.each_ref().map(|asked| {
        let requests = asked.iter().map(|(at, command)| vec![*command, seen[*at].name.1.as_slice()]);
        requests.collect::<Vec<Request<'_>>>()
    });
    let replies = lane.ask(database, [&requests[0], &requests[1]]).await?;
    for side in [0, 1] {
        for ((at, _), reply) in asked[side].iter().zip(&replies[side]) {
            seen[*at].sights[side].length = integer(reply).unsigned_abs();
        }
    }
    Ok(())
}

/// Reads values that are not big, and compares them.
async fn values(
    lane: &mut Lane,
    plan: &Plan,
    database: u32,
    seen: Vec<Seen>,
    (now_ms, at): ([i64; 2], Duration),
    looks: &mut BTreeMap<Name, Look>,
) -> Result<(), Fault> {
    let features = lane.features();
    let mut rest = seen;
    while !rest.is_empty() {
        let mut together = 0;
        let fits = |seen: &&Seen| {
            together += seen.size;
            together <= TOGETHER
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let later = rest.split_off(count);
        let requests: Vec<Request<'_>> = rest.iter().map(|seen| vec![b"DUMP".as_slice(), &seen.name.1]).collect();
        let _room = lane.room(rest.iter().map(|seen| seen.size).sum()).await;
        let replies = lane.ask(database, [&requests, &requests]).await?;
        for (index, seen) in std::mem::replace(&mut rest, later).into_iter().enumerate() {
            let Seen { name, mut sights, .. } = seen;
            for side in [0, 1] {
                sights[side] = match &replies[side][index] {
                    Reply::BulkString(payload) => {
                        let content = match parts_of(payload, features, now_ms[side]) {
                            Ok(parts) => Content::Parts(parts),
                            Err(_) => Content::Digest(hash_of(bytes(&replies[side][index]))),
                        };
                        Sight { content, ..std::mem::take(&mut sights[side]) }
                    }
                    _ => Sight::none(),
                };
            }
            let found = differences(&sights[0], &sights[1], plan);
            // The value itself is not kept: what differs of it is.
            let sights = sights.map(|sight| Sight { content: Content::Digest(sight.digest()), ..sight });
            looks.insert(name, Look { sights, differences: found, at });
        }
    }
    Ok(())
}
