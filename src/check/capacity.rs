//! Sizes and rates of one server.

use std::time::Duration;

use super::facts::ServerFacts;
use super::{Item, Row};

/// An outage that a backlog should bear.
const OUTAGE_S: u64 = 600;
/// An outage that it should bear at the least, whatever the rate: shorter ones happen every day.
const LEAST_OUTAGE_S: u64 = 60;
/// The backlog of a server that nobody has configured, bytes.
const DEFAULT_BACKLOG: u64 = 1 << 20;
/// Bytes of a data set that a slow copy brings over in a second.
const COPIED_A_SECOND: u64 = 20 << 20;

/// The rows of one server.
pub fn rows(of: &str, server: &ServerFacts, rows: &mut Vec<Row>) {
    rows.push(maxmemory(of, server));
    rows.push(backlog(of, server));
    rows.push(backlog_ttl(of, server));
    rows.push(output_buffer(of, server));
}

fn maxmemory(of: &str, server: &ServerFacts) -> Row {
    let used = server.number("used_memory").unwrap_or(0);
    let (limit, what) = match (server.number("maxmemory").unwrap_or(0), server.number("total_system_memory")) {
        (0, None) => return Row::ok(Item::Maxmemory, of, "no limit"),
        (0, Some(system)) => (system, "of the machine's memory"),
        (limit, _) => (limit, "of maxmemory"),
    };
    let percent = used * 100 / limit.max(1);
    let seen = format!("{} used, {percent} % {what} ({})", bytes(used), bytes(limit));
    match percent {
        0..90 => Row::ok(Item::Maxmemory, of, seen),
        _ => {
            let remedy = "Raise maxmemory or free memory: a full server refuses writes, and the link to it halts";
            Row::warning(Item::Maxmemory, of, seen, remedy)
        }
    }
}

fn backlog(of: &str, server: &ServerFacts) -> Row {
    let Some(size) = server.number("repl_backlog_size") else {
        return Row::ok(Item::Backlog, of, "its size is not told");
    };
    let Some(rate) = server.rate else {
        return match size <= DEFAULT_BACKLOG {
            true => {
                let remedy = "Raise repl-backlog-size to (bytes written per second) × (longest outage) × 2";
                Row::warning(
                    Item::Backlog,
                    of,
                    format!("{}, the default; the rate of writes is not known", bytes(size)),
                    remedy,
                )
            }
            false => Row::ok(Item::Backlog, of, format!("{}; the rate of writes is not known", bytes(size))),
        };
    };
    let seconds = size / rate.max(1);
    let seen = match rate {
        0 => format!("{}; nothing is written at the moment", bytes(size)),
        _ => format!("{} at {}/s: a cut of {} forces a full sync", bytes(size), bytes(rate), duration(seconds)),
    };
    let wanted = (rate * OUTAGE_S).max(64 << 20).next_power_of_two();
    let remedy = format!("CONFIG SET repl-backlog-size {wanted} ({}), and in redis.conf", bytes(wanted));
    match seconds {
        _ if rate == 0 && size <= DEFAULT_BACKLOG => {
            Row::warning(Item::Backlog, of, format!("{seen}; it is the default"), remedy)
        }
        _ if rate == 0 => Row::ok(Item::Backlog, of, seen),
        0..LEAST_OUTAGE_S => Row::warning(Item::Backlog, of, seen, remedy),
        _ if size <= DEFAULT_BACKLOG => Row::warning(Item::Backlog, of, seen, remedy),
        _ => Row::ok(Item::Backlog, of, seen),
    }
}

fn backlog_ttl(of: &str, server: &ServerFacts) -> Row {
    match server.setting("repl-backlog-ttl").and_then(|text| text.parse::<u64>().ok()) {
        None => Row::ok(Item::BacklogTtl, of, "cannot be seen"),
        Some(0) => Row::ok(Item::BacklogTtl, of, "the backlog is kept for ever"),
        Some(_) if server.number("connected_slaves") > Some(1) => {
            Row::ok(Item::BacklogTtl, of, "other replicas keep the backlog")
        }
        Some(seconds) => {
            let seen =
                format!("kept for {} without a replica: a longer stop of Duet costs a full sync", duration(seconds));
            Row::warning(Item::BacklogTtl, of, seen, "CONFIG SET repl-backlog-ttl 0, and in redis.conf")
        }
    }
}

/// `client-output-buffer-limit`, as `normal 0 0 0 slave 268435456 67108864 60 pubsub ...`.
fn output_buffer(of: &str, server: &ServerFacts) -> Row {
    let Some([hard, soft, seconds]) = server.setting("client-output-buffer-limit").and_then(replica_limit) else {
        return Row::ok(Item::OutputBuffer, of, "cannot be seen");
    };
    let copy = server.number("used_memory_dataset").unwrap_or(0) / COPIED_A_SECOND + 1;
    let rate = server.rate.unwrap_or(0);
    let told = |limit: u64| if limit == 0 { "no limit".to_owned() } else { bytes(limit) };
    let seen = format!(
        "{}, {} for {}; at {}/s and a copy of {}",
        told(hard),
        told(soft),
        duration(seconds),
        bytes(rate),
        duration(copy)
    );
    let overruns = |limit: u64, after: u64| limit > 0 && copy > after && rate.saturating_mul(copy) > limit;
    if overruns(hard, 0) || overruns(soft, seconds) {
        let remedy = format!(
            "CONFIG SET client-output-buffer-limit \"replica {0} {0} 60\": else the server cuts the copy, again and again",
            (rate.saturating_mul(copy) * 2).next_power_of_two()
        );
        return Row::warning(Item::OutputBuffer, of, seen, remedy);
    }
    Row::ok(Item::OutputBuffer, of, seen)
}

fn replica_limit(setting: &str) -> Option<[u64; 3]> {
    let mut words = setting.split_whitespace().skip_while(|word| !matches!(*word, "slave" | "replica")).skip(1);
    let mut next = || words.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

/// A number of bytes as a person reads it.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut size, mut unit) = (number as f64, 0);
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 || size >= 100.0 { format!("{size:.0} {}", UNITS[unit]) } else { format!("{size:.1} {}", UNITS[unit]) }
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => humantime::format_duration(Duration::from_secs(seconds / 86_400 * 86_400)).to_string(),
    }
}
