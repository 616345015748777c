//! Strings and counters (Redis `t_string.c`).

use super::{Context, Done, Effect, Entry, Keyspace, Reply, Text, Value};
use super::{error, integer, number, unchanged, wrong_type};

pub(super) fn execute(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    let database = &mut keys.0[context.database as usize];
    let key = &args[1];
    let held = match database.get(key) {
        Some(Entry { value: Value::Text(text), .. }) => Some(text.clone()),
        Some(_) if !matches!(args[0].as_slice(), b"SET" | b"MSET") => return wrong_type(),
        _ => None,
    };
    match args[0].as_slice() {
        b"GET" => unchanged(Reply::Bulk(held)),
        b"STRLEN" => unchanged(Reply::Integer(held.map_or(0, |text| text.len() as i64))),
        b"SET" => set(keys, args, context),
        b"GETSET" => {
            database.insert(key.clone(), Entry { value: Value::Text(args[2].clone()), expires_at_ms: None });
            context.changed_as(Reply::Bulk(held), key, vec![b"SET".to_vec(), key.clone(), args[2].clone()])
        }
        b"GETDEL" => match database.remove(key) {
            None => unchanged(Reply::Bulk(None)),
            Some(_) => context.changed_as(Reply::Bulk(held), key, vec![b"DEL".to_vec(), key.clone()]),
        },
        b"MSET" => {
            for pair in args[1..].chunks_exact(2) {
                database.insert(pair[0].clone(), Entry { value: Value::Text(pair[1].clone()), expires_at_ms: None });
            }
            context.changed(Reply::Ok, args[1..].iter().step_by(2))
        }
        b"APPEND" => {
            let mut text = held.unwrap_or_default();
            text.extend_from_slice(&args[2]);
            let length = text.len() as i64;
            replace(keys, key, text, context);
            context.changed(Reply::Integer(length), [key])
        }
        name => {
            let by = args.get(2).map_or(1, |by| number(by));
            let by = if name.starts_with(b"DECR") { -by } else { by };
            let Some(sum) = held.as_ref().map_or(Some(0), |text| integer(text)) else {
                return error("ERR value is not an integer or out of range");
            };
            replace(keys, key, (sum + by).to_string().into_bytes(), context);
            context.changed(Reply::Integer(sum + by), [key])
        }
    }
}

/// Another text under a key that keeps its time to live.
fn replace(keys: &mut Keyspace, key: &Text, text: Text, context: &Context) {
    let database = &mut keys.0[context.database as usize];
    let entry = database.entry(key.clone()).or_insert(Entry { value: Value::Text(Text::new()), expires_at_ms: None });
    entry.value = Value::Text(text);
}

/// What the options of SET say.
#[derive(Default)]
struct Options {
    keeps: bool,
    gets: bool,
    expires_at_ms: Option<i64>,
    /// The time to live in milliseconds, where it was told that way.
    relative_ms: Option<i64>,
}

fn set(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    let database = &mut keys.0[context.database as usize];
    let held = database.get(&args[1]);
    let mut options = Options::default();
    let mut at = 3;
    while let Some(option) = args.get(at) {
        match option.as_slice() {
            b"NX" if held.is_some() => return unchanged(Reply::Bulk(None)),
            b"XX" if held.is_none() => return unchanged(Reply::Bulk(None)),
            b"NX" | b"XX" => {}
            b"KEEPTTL" => options.keeps = true,
            b"GET" => options.gets = true,
            b"PX" | b"PXAT" => {
                let ms = number(&args[at + 1]);
                options.relative_ms = (option == b"PX").then_some(ms);
                options.expires_at_ms = Some(options.relative_ms.map_or(ms, |ms| context.now_ms + ms));
                at += 1;
            }
            _ => return error("ERR syntax error"),
        }
        at += 1;
    }
    let reply = match held {
        _ if !options.gets => Reply::Ok,
        None => Reply::Bulk(None),
        Some(Entry { value: Value::Text(text), .. }) => Reply::Bulk(Some(text.clone())),
        Some(_) => return wrong_type(),
    };
    let expires_at_ms = if options.keeps { held.and_then(|held| held.expires_at_ms) } else { options.expires_at_ms };
    database.insert(args[1].clone(), Entry { value: Value::Text(args[2].clone()), expires_at_ms });
    Done { effect: propagated(args, &options, context), ..context.changed(reply, [&args[1]]) }
}

/// How a SET goes into the stream: with an expiry in its shortest form, without GET from Redis 7 on.
fn propagated(args: &[Text], options: &Options, context: &Context) -> Effect {
    let Some(at_ms) = options.expires_at_ms else {
        let rest: Vec<Text> =
            args.iter().enumerate().filter(|(at, arg)| *at < 3 || *arg != b"GET").map(|a| a.1.clone()).collect();
        return if options.gets && context.is_7 { Effect::Rewritten(rest) } else { Effect::Verbatim };
    };
    let (word, ms) = match options.relative_ms {
        Some(ms) if !context.is_7 => ("PX", ms),
        _ => ("PXAT", at_ms),
    };
    let mut rewritten = args[..3].to_vec();
    rewritten.extend([word.as_bytes().to_vec(), ms.to_string().into_bytes()]);
    Effect::Rewritten(rewritten)
}
