//! What commands do to the data, what they answer, and as what they are propagated (Redis `t_*.c`, `db.c`).

use std::collections::VecDeque;

use super::data::{Entry, Keyspace, Text, Value};
use super::dump;

/// The commands on data that a server knows.
pub const COMMANDS: [&str; 25] = [
    "GET",
    "EXISTS",
    "SET",
    "DEL",
    "UNLINK",
    "RENAME",
    "PEXPIREAT",
    "INCR",
    "INCRBY",
    "LPUSH",
    "RPUSH",
    "LPOP",
    "HSET",
    "HDEL",
    "SADD",
    "SREM",
    "ZADD",
    "ZREM",
    "ZREMRANGEBYSCORE",
    "XADD",
    "RESTORE",
    "APPEND",
    "FLUSHDB",
    "FLUSHALL",
    "SWAPDB",
];

/// An answer.
#[derive(Debug, Clone)]
pub enum Reply {
    Ok,
    Integer(i64),
    Bulk(Option<Text>),
    Error(String),
    Array(Vec<Reply>),
}

/// How a command goes into the stream.
#[derive(Debug)]
pub enum Effect {
    None,
    Verbatim,
    Rewritten(Vec<Text>),
}

/// What a command came to.
#[derive(Debug)]
pub struct Done {
    pub reply: Reply,
    pub effect: Effect,
    /// What was changed.
    pub touched: Vec<(u32, Text)>,
}

/// What a command finds.
pub struct Context {
    pub database: u32,
    /// The server's clock, Unix milliseconds.
    pub now_ms: i64,
    /// Whether expiry times are propagated as absolute ones (Redis 7).
    pub absolute: bool,
}

impl Reply {
    /// The reply in RESP.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ok => out.extend_from_slice(b"+OK\r\n"),
            Self::Integer(number) => out.extend_from_slice(format!(":{number}\r\n").as_bytes()),
            Self::Bulk(None) => out.extend_from_slice(b"$-1\r\n"),
            Self::Bulk(Some(text)) => {
                out.extend_from_slice(format!("${}\r\n", text.len()).as_bytes());
                out.extend_from_slice(text);
                out.extend_from_slice(b"\r\n");
            }
            Self::Error(text) => out.extend_from_slice(format!("-{text}\r\n").as_bytes()),
            Self::Array(replies) => {
                out.extend_from_slice(format!("*{}\r\n", replies.len()).as_bytes());
                replies.iter().for_each(|reply| reply.encode(out));
            }
        }
    }
}

fn error(text: &str) -> Done {
    Done { reply: Reply::Error(text.to_owned()), effect: Effect::None, touched: Vec::new() }
}

fn wrong_type() -> Done {
    error("WRONGTYPE Operation against a key holding the wrong kind of value")
}

fn unchanged(reply: Reply) -> Done {
    Done { reply, effect: Effect::None, touched: Vec::new() }
}

fn number(text: &[u8]) -> i64 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether the command needs memory, so that a server at its limit refuses it.
pub fn needs_memory(name: &[u8]) -> bool {
    matches!(
        name,
        b"SET"
            | b"APPEND"
            | b"INCR"
            | b"INCRBY"
            | b"LPUSH"
            | b"RPUSH"
            | b"HSET"
            | b"SADD"
            | b"ZADD"
            | b"XADD"
            | b"RESTORE"
    )
}

/// Executes a command that works on the data.
pub fn execute(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    let key = args.get(1).cloned().unwrap_or_default();
    let here = context.database as usize;
    let one = |reply: Reply, changed: bool| Done {
        reply,
        effect: if changed { Effect::Verbatim } else { Effect::None },
        touched: if changed { vec![(context.database, args[1].clone())] } else { Vec::new() },
    };
    match args[0].as_slice() {
        b"GET" => match keys.0[here].get(&key) {
            None => unchanged(Reply::Bulk(None)),
            Some(Entry { value: Value::Text(text), .. }) => unchanged(Reply::Bulk(Some(text.clone()))),
            Some(_) => wrong_type(),
        },
        b"EXISTS" => {
            let held = args[1..].iter().filter(|key| keys.0[here].contains_key(*key)).count();
            unchanged(Reply::Integer(held as i64))
        }
        b"SET" => set(keys, args, context),
        b"DEL" | b"UNLINK" => {
            let gone: Vec<_> = args[1..].iter().filter(|key| keys.0[here].remove(*key).is_some()).cloned().collect();
            let effect = if gone.is_empty() { Effect::None } else { Effect::Verbatim };
            let touched = gone.iter().map(|key| (context.database, key.clone())).collect();
            Done { reply: Reply::Integer(gone.len() as i64), effect, touched }
        }
        b"RENAME" => match keys.0[here].remove(&key) {
            None => error("ERR no such key"),
            Some(entry) => {
                keys.0[here].insert(args[2].clone(), entry);
                let touched = [key, args[2].clone()].map(|key| (context.database, key)).to_vec();
                Done { reply: Reply::Ok, effect: Effect::Verbatim, touched }
            }
        },
        b"PEXPIREAT" => match keys.0[here].get_mut(&key) {
            None => one(Reply::Integer(0), false),
            Some(entry) => {
                entry.expires_at_ms = Some(number(&args[2]));
                one(Reply::Integer(1), true)
            }
        },
        b"APPEND" => {
            let entry =
                keys.0[here].entry(key).or_insert(Entry { value: Value::Text(Text::new()), expires_at_ms: None });
            let Value::Text(text) = &mut entry.value else { return wrong_type() };
            text.extend_from_slice(&args[2]);
            one(Reply::Integer(text.len() as i64), true)
        }
        b"INCR" | b"INCRBY" => {
            let by = args.get(2).map_or(1, |by| number(by));
            let entry =
                keys.0[here].entry(key).or_insert(Entry { value: Value::Text(b"0".to_vec()), expires_at_ms: None });
            let Value::Text(text) = &mut entry.value else { return wrong_type() };
            let sum = number(text) + by;
            *text = sum.to_string().into_bytes();
            one(Reply::Integer(sum), true)
        }
        b"LPUSH" | b"RPUSH" | b"LPOP" | b"HSET" | b"HDEL" | b"SADD" | b"SREM" | b"ZADD" | b"ZREM"
        | b"ZREMRANGEBYSCORE" => collection(keys, args, context),
        b"XADD" => append(keys, args, context),
        b"RESTORE" => match dump::restored(&args[3]) {
            None => error("ERR Bad data format"),
            Some(value) => {
                let ttl = number(&args[2]);
                let entry = Entry { value, expires_at_ms: (ttl != 0).then_some(ttl) };
                keys.0[here].insert(key, entry);
                one(Reply::Ok, true)
            }
        },
        b"FLUSHDB" | b"FLUSHALL" | b"SWAPDB" => whole(keys, args, context),
        b"PUBLISH" => Done { reply: Reply::Integer(0), effect: Effect::Verbatim, touched: Vec::new() },
        name => error(&format!("ERR unknown command '{}'", String::from_utf8_lossy(name))),
    }
}

fn set(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    let database = &mut keys.0[context.database as usize];
    let (mut expires_at_ms, mut relative) = (None, None);
    let mut at = 3;
    while let Some(option) = args.get(at) {
        match option.as_slice() {
            b"NX" if database.contains_key(&args[1]) => return unchanged(Reply::Bulk(None)),
            b"NX" => {}
            b"PX" => {
                relative = Some(at);
                expires_at_ms = Some(context.now_ms + number(&args[at + 1]));
                at += 1;
            }
            b"PXAT" => {
                expires_at_ms = Some(number(&args[at + 1]));
                at += 1;
            }
            _ => return error("ERR syntax error"),
        }
        at += 1;
    }
    database.insert(args[1].clone(), Entry { value: Value::Text(args[2].clone()), expires_at_ms });
    let effect = match (relative, expires_at_ms) {
        (Some(at), Some(ms)) if context.absolute => {
            let mut rewritten = args.to_vec();
            rewritten[at] = b"PXAT".to_vec();
            rewritten[at + 1] = ms.to_string().into_bytes();
            Effect::Rewritten(rewritten)
        }
        _ => Effect::Verbatim,
    };
    Done { reply: Reply::Ok, effect, touched: vec![(context.database, args[1].clone())] }
}

/// Commands on lists, hashes, sets and sorted sets.
fn collection(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    let database = &mut keys.0[context.database as usize];
    let creates = matches!(args[0].as_slice(), b"LPUSH" | b"RPUSH" | b"HSET" | b"SADD" | b"ZADD");
    if creates && !database.contains_key(&args[1]) {
        let value = match args[0].as_slice() {
            b"HSET" => Value::Hash(Default::default()),
            b"SADD" => Value::Set(Default::default()),
            b"ZADD" => Value::Scores(Default::default()),
            _ => Value::List(VecDeque::new()),
        };
        database.insert(args[1].clone(), Entry { value, expires_at_ms: None });
    }
    let Some(entry) = database.get_mut(&args[1]) else {
        return unchanged(if args[0] == b"LPOP" { Reply::Bulk(None) } else { Reply::Integer(0) });
    };
    let Some((reply, changed)) = change(&mut entry.value, args) else { return wrong_type() };
    if entry.value.is_empty() {
        database.remove(&args[1]);
    }
    let touched = if changed { vec![(context.database, args[1].clone())] } else { Vec::new() };
    Done { reply, effect: if changed { Effect::Verbatim } else { Effect::None }, touched }
}

/// The reply, and whether something changed; `None` for the wrong type.
fn change(value: &mut Value, args: &[Text]) -> Option<(Reply, bool)> {
    let rest = &args[2..];
    let changed = match (args[0].as_slice(), value) {
        (b"LPUSH", Value::List(items)) => {
            rest.iter().for_each(|item| items.push_front(item.clone()));
            return Some((Reply::Integer(items.len() as i64), true));
        }
        (b"RPUSH", Value::List(items)) => {
            items.extend(rest.iter().cloned());
            return Some((Reply::Integer(items.len() as i64), true));
        }
        (b"LPOP", Value::List(items)) => return Some((Reply::Bulk(items.pop_front()), true)),
        (b"HSET", Value::Hash(fields)) => {
            let new = rest.chunks(2).filter(|pair| fields.insert(pair[0].clone(), pair[1].clone()).is_none()).count();
            return Some((Reply::Integer(new as i64), true));
        }
        (b"HDEL", Value::Hash(fields)) => rest.iter().filter(|field| fields.remove(*field).is_some()).count(),
        (b"SADD", Value::Set(members)) => rest.iter().filter(|member| members.insert((*member).clone())).count(),
        (b"SREM", Value::Set(members)) => rest.iter().filter(|member| members.remove(*member)).count(),
        (b"ZADD", Value::Scores(members)) => rest
            .chunks(2)
            .filter(|pair| members.insert(pair[1].clone(), number(&pair[0])) != Some(number(&pair[0])))
            .count(),
        (b"ZREM", Value::Scores(members)) => rest.iter().filter(|member| members.remove(*member).is_some()).count(),
        (b"ZREMRANGEBYSCORE", Value::Scores(members)) => {
            let below = number(rest[1].strip_prefix(b"(").unwrap_or_default());
            let before = members.len();
            if members.values().any(|score| *score < below) {
                members.retain(|_, score| *score >= below);
            }
            before - members.len()
        }
        _ => return None,
    };
    Some((Reply::Integer(changed as i64), changed > 0))
}

fn append(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    let entry = keys.0[context.database as usize]
        .entry(args[1].clone())
        .or_insert(Entry { value: Value::Log(Vec::new()), expires_at_ms: None });
    let Value::Log(entries) = &mut entry.value else { return wrong_type() };
    let last = entries.last().map_or((0, 0), |(id, _)| *id);
    let id = match args[2].as_slice() {
        b"*" => last.max((context.now_ms as u64, 0)),
        text => {
            let text = String::from_utf8_lossy(text).into_owned();
            let (ms, seq) = text.split_once('-').unwrap_or((&text, "0"));
            let id = (number(ms.as_bytes()) as u64, number(seq.as_bytes()) as u64);
            if id <= last {
                return error("ERR The ID specified in XADD is equal or smaller than the target stream top item");
            }
            id
        }
    };
    let id = if id == last { (id.0, id.1 + 1) } else { id };
    entries.push((id, args[3..].to_vec()));
    let mut rewritten = args.to_vec();
    rewritten[2] = format!("{}-{}", id.0, id.1).into_bytes();
    let reply = Reply::Bulk(Some(rewritten[2].clone()));
    Done { reply, effect: Effect::Rewritten(rewritten), touched: vec![(context.database, args[1].clone())] }
}

/// Commands on whole databases.
fn whole(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    let databases: Vec<u32> = match args[0].as_slice() {
        b"FLUSHDB" => vec![context.database],
        b"FLUSHALL" => (0..keys.0.len() as u32).collect(),
        _ => vec![number(&args[1]) as u32, number(&args[2]) as u32],
    };
    let touched = databases
        .iter()
        .flat_map(|&index| keys.0[index as usize].keys().map(move |key| (index, key.clone())))
        .collect();
    if args[0] == b"SWAPDB" {
        keys.0.swap(databases[0] as usize, databases[1] as usize);
    } else {
        databases.iter().for_each(|&index| keys.0[index as usize].clear());
    }
    Done { reply: Reply::Ok, effect: Effect::Verbatim, touched }
}
