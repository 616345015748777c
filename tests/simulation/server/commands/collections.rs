//! Lists, hashes, sets, sorted sets and streams, one key at a time (Redis `t_list.c`, `t_hash.c`, `t_set.c`, `t_zset.c`,
//! `t_stream.c`).

use std::collections::VecDeque;

use super::{Context, Done, Entry, Keyspace, Reply, Text, Value};
use super::{error, integer, number, unchanged, wrong_type};

/// What a command came to at a value of its type.
enum Change {
    /// The reply, and whether something changed.
    Made(Reply, bool),
    WrongType,
    NoInteger,
}

pub(super) fn execute(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    if args[0] == b"XADD" {
        return append(keys, args, context);
    }
    let database = &mut keys.0[context.database as usize];
    let empty = match args[0].as_slice() {
        b"HSET" | b"HINCRBY" => Some(Value::Hash(Default::default())),
        b"SADD" => Some(Value::Set(Default::default())),
        b"ZADD" | b"ZINCRBY" => Some(Value::Scores(Default::default())),
        b"LPUSH" | b"RPUSH" => Some(Value::List(VecDeque::new())),
        _ => None,
    };
    if let Some(value) = empty {
        database.entry(args[1].clone()).or_insert(Entry { value, expires_at_ms: None });
    }
    let Some(entry) = database.get_mut(&args[1]) else {
        return unchanged(match args[0].as_slice() {
            b"LPOP" | b"RPOP" | b"HGET" => Reply::Bulk(None),
            b"LTRIM" => Reply::Ok,
            b"HGETALL" => Reply::Array(Vec::new()),
            _ => Reply::Integer(0),
        });
    };
    let change = change(&mut entry.value, args);
    if entry.value.is_empty() {
        database.remove(&args[1]);
    }
    match change {
        Change::Made(reply, true) => context.changed(reply, [&args[1]]),
        Change::Made(reply, false) => unchanged(reply),
        Change::WrongType => wrong_type(),
        Change::NoInteger => error("ERR hash value is not an integer"),
    }
}

fn change(value: &mut Value, args: &[Text]) -> Change {
    let rest = &args[2..];
    match (args[0].as_slice(), value) {
        (name, Value::List(items)) => list(items, name, rest),
        (name, Value::Hash(fields)) => hash(fields, name, rest),
        (b"SADD", Value::Set(members)) => {
            counted(rest.iter().filter(|member| members.insert((*member).clone())).count())
        }
        (b"SREM", Value::Set(members)) => counted(rest.iter().filter(|member| members.remove(*member)).count()),
        (name, Value::Scores(members)) => scores(members, name, rest),
        _ => Change::WrongType,
    }
}

fn counted(count: usize) -> Change {
    Change::Made(Reply::Integer(count as i64), count > 0)
}

fn list(items: &mut VecDeque<Text>, name: &[u8], rest: &[Text]) -> Change {
    match name {
        b"LPUSH" => rest.iter().for_each(|item| items.push_front(item.clone())),
        b"RPUSH" => items.extend(rest.iter().cloned()),
        b"LPOP" => return Change::Made(Reply::Bulk(items.pop_front()), true),
        b"RPOP" => return Change::Made(Reply::Bulk(items.pop_back()), true),
        b"LLEN" => return Change::Made(Reply::Integer(items.len() as i64), false),
        b"LREM" => {
            let found = items.iter().position(|item| *item == rest[1]);
            return counted(usize::from(found.and_then(|found| items.remove(found)).is_some()));
        }
        b"LTRIM" => {
            let place = |text: &Text| match number(text) {
                at if at < 0 => (items.len() as i64 + at).max(0) as usize,
                at => at as usize,
            };
            let (from, to) = (place(&rest[0]), place(&rest[1]) + 1);
            items.truncate(to);
            items.drain(..from.min(items.len()));
            return Change::Made(Reply::Ok, true);
        }
        _ => return Change::WrongType,
    }
    Change::Made(Reply::Integer(items.len() as i64), true)
}

fn hash(fields: &mut std::collections::BTreeMap<Text, Text>, name: &[u8], rest: &[Text]) -> Change {
    match name {
        b"HSET" => {
            let new = rest.chunks(2).filter(|pair| fields.insert(pair[0].clone(), pair[1].clone()).is_none()).count();
            Change::Made(Reply::Integer(new as i64), true)
        }
        b"HDEL" => counted(rest.iter().filter(|field| fields.remove(*field).is_some()).count()),
        b"HGET" => Change::Made(Reply::Bulk(fields.get(&rest[0]).cloned()), false),
        b"HGETALL" => {
            let texts = fields.iter().flat_map(|(field, value)| [field, value]);
            Change::Made(Reply::Array(texts.map(|text| Reply::Bulk(Some(text.clone()))).collect()), false)
        }
        b"HINCRBY" => {
            let Some(sum) = fields.get(&rest[0]).map_or(Some(0), |text| integer(text)) else {
                return Change::NoInteger;
            };
            let sum = sum + number(&rest[1]);
            fields.insert(rest[0].clone(), sum.to_string().into_bytes());
            Change::Made(Reply::Integer(sum), true)
        }
        _ => Change::WrongType,
    }
}

fn scores(members: &mut std::collections::BTreeMap<Text, i64>, name: &[u8], rest: &[Text]) -> Change {
    match name {
        b"ZADD" => {
            let new = |pair: &&[Text]| members.insert(pair[1].clone(), number(&pair[0])) != Some(number(&pair[0]));
            counted(rest.chunks(2).filter(new).count())
        }
        b"ZINCRBY" => {
            let score = members.entry(rest[1].clone()).or_default();
            *score += number(&rest[0]);
            Change::Made(Reply::Bulk(Some(score.to_string().into_bytes())), true)
        }
        b"ZREM" => counted(rest.iter().filter(|member| members.remove(*member).is_some()).count()),
        b"ZREMRANGEBYSCORE" => {
            let below = number(rest[1].strip_prefix(b"(").unwrap_or_default());
            let before = members.len();
            if members.values().any(|score| *score < below) {
                members.retain(|_, score| *score >= below);
            }
            counted(before - members.len())
        }
        _ => Change::WrongType,
    }
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
    context.changed_as(Reply::Bulk(Some(rewritten[2].clone())), &args[1], rewritten)
}
