//! Commands on keys of any type, and on whole databases (Redis `db.c`, `expire.c`, `cluster.c`).

use super::super::dump;
use super::{Context, Done, Entry, Keyspace, Reply, Text, Value};
use super::{error, number, unchanged};

pub(super) fn execute(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    let here = context.database as usize;
    match args[0].as_slice() {
        b"EXISTS" => {
            let held = args[1..].iter().filter(|key| keys.0[here].contains_key(*key)).count();
            unchanged(Reply::Integer(held as i64))
        }
        b"TYPE" => unchanged(Reply::Word(keys.0[here].get(&args[1]).map_or("none", |entry| entry.value.kind()))),
        b"PTTL" | b"PEXPIRETIME" => {
            let since = if args[0] == b"PTTL" { context.now_ms } else { 0 };
            unchanged(Reply::Integer(match keys.0[here].get(&args[1]) {
                None => -2,
                Some(Entry { expires_at_ms: None, .. }) => -1,
                Some(Entry { expires_at_ms: Some(at), .. }) => (at - since).max(0),
            }))
        }
        b"DUMP" => match keys.0[here].get(&args[1]).map(|entry| dump::payload(&entry.value, context.is_7)) {
            None => unchanged(Reply::Bulk(None)),
            Some(Some(payload)) => unchanged(Reply::Bulk(Some(payload))),
            Some(None) => error("ERR the model has no payload for this type"),
        },
        b"DEL" | b"UNLINK" => {
            let gone: Vec<Text> = args[1..].iter().filter(|key| keys.0[here].remove(*key).is_some()).cloned().collect();
            let reply = Reply::Integer(gone.len() as i64);
            if gone.is_empty() { unchanged(reply) } else { context.changed(reply, &gone) }
        }
        b"PEXPIREAT" | b"PEXPIRE" | b"PERSIST" => lifetime(keys, args, context),
        b"RESTORE" => restore(keys, args, context),
        b"FLUSHDB" | b"FLUSHALL" | b"SWAPDB" => whole(keys, args, context),
        name => error(&format!("ERR unknown command '{}'", String::from_utf8_lossy(name))),
    }
}

fn lifetime(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    let database = &mut keys.0[context.database as usize];
    let key = &args[1];
    let Some(entry) = database.get_mut(key) else { return unchanged(Reply::Integer(0)) };
    if args[0] == b"PERSIST" {
        return match entry.expires_at_ms.take() {
            None => unchanged(Reply::Integer(0)),
            Some(_) => context.changed(Reply::Integer(1), [key]),
        };
    }
    let relative = args[0] == b"PEXPIRE";
    let at_ms = number(&args[2]) + if relative { context.now_ms } else { 0 };
    if at_ms <= context.now_ms {
        database.remove(key);
        return context.changed_as(Reply::Integer(1), key, vec![b"DEL".to_vec(), key.clone()]);
    }
    entry.expires_at_ms = Some(at_ms);
    if relative && context.is_7 {
        let effect = vec![b"PEXPIREAT".to_vec(), key.clone(), at_ms.to_string().into_bytes()];
        return context.changed_as(Reply::Integer(1), key, effect);
    }
    context.changed(Reply::Integer(1), [key])
}

fn restore(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    let database = &mut keys.0[context.database as usize];
    let has = |option: &[u8]| args[4..].iter().any(|arg| arg == option);
    if !has(b"REPLACE") && database.contains_key(&args[1]) {
        return error("BUSYKEY Target key name already exists.");
    }
    if !dump::is_taken(&args[3], context.is_7) {
        return error("ERR DUMP payload version or checksum are wrong");
    }
    let Some(value) = dump::restored(&args[3]) else { return error("ERR Bad data format") };
    let before = database.remove(&args[1]);
    let ttl = number(&args[2]);
    let at_ms = (ttl != 0).then_some(ttl + if has(b"ABSTTL") { 0 } else { context.now_ms });
    if at_ms.is_some_and(|at| at <= context.now_ms) {
        return match before {
            None => unchanged(Reply::Ok),
            Some(_) => context.changed_as(Reply::Ok, &args[1], vec![b"DEL".to_vec(), args[1].clone()]),
        };
    }
    database.insert(args[1].clone(), Entry { value, expires_at_ms: at_ms });
    match at_ms {
        Some(at) if context.is_7 && !has(b"ABSTTL") => {
            let mut effect = args.to_vec();
            effect[2] = at.to_string().into_bytes();
            effect.push(b"ABSTTL".to_vec());
            context.changed_as(Reply::Ok, &args[1], effect)
        }
        _ => context.changed(Reply::Ok, [&args[1]]),
    }
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
    Done { touched, ..context.changed(Reply::Ok, None) }
}

impl Value {
    /// What `TYPE` answers.
    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Hash(_) => "hash",
            Self::Set(_) => "set",
            Self::Scores(_) => "zset",
            Self::Log(_) => "stream",
        }
    }
}
