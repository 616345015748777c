//! Bits of strings (Redis `bitops.c`), of BITFIELD no more than `SET u8 0 N`.

use super::{Context, Done, Entry, Keyspace, Reply, Text, Value};
use super::{number, unchanged, wrong_type};

pub(super) fn execute(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    let database = &mut keys.0[context.database as usize];
    let text = |key: &Text| match database.get(key) {
        None => Some(Text::new()),
        Some(Entry { value: Value::Text(text), .. }) => Some(text.clone()),
        Some(_) => None,
    };
    if args[0] == b"BITOP" {
        let Some(sources) = args[3..].iter().map(text).collect::<Option<Vec<Text>>>() else { return wrong_type() };
        let result = combined(&args[1], &sources);
        let (key, length) = (&args[2], result.len() as i64);
        if !result.is_empty() {
            database.insert(key.clone(), Entry { value: Value::Text(result), expires_at_ms: None });
        } else if database.remove(key).is_none() {
            return unchanged(Reply::Integer(0));
        }
        return context.changed(Reply::Integer(length), [key]);
    }
    let key = &args[1];
    let Some(mut bits) = text(key) else { return wrong_type() };
    let before = database.contains_key(key).then(|| bits.clone());
    let reply = if args[0] == b"SETBIT" {
        let at = number(&args[2]) as usize;
        bits.resize(bits.len().max(at / 8 + 1), 0);
        let mask = 0x80 >> (at % 8);
        let was = bits[at / 8] & mask != 0;
        bits[at / 8] = if args[3] == b"1" { bits[at / 8] | mask } else { bits[at / 8] & !mask };
        Reply::Integer(was.into())
    } else {
        bits.resize(bits.len().max(1), 0);
        Reply::Array(vec![Reply::Integer(std::mem::replace(&mut bits[0], number(&args[5]) as u8).into())])
    };
    // From Redis 7 on what changes nothing is not sent.
    if context.is_7 && before.as_ref() == Some(&bits) {
        return unchanged(reply);
    }
    let expires_at_ms = database.get(key).and_then(|entry| entry.expires_at_ms);
    database.insert(key.clone(), Entry { value: Value::Text(bits), expires_at_ms });
    context.changed(reply, [key])
}

fn combined(operation: &[u8], sources: &[Text]) -> Text {
    let length = sources.iter().map(Vec::len).max().unwrap_or(0);
    let byte = |source: &Text, at: usize| source.get(at).copied().unwrap_or(0);
    let bytes = (0..length).map(|at| {
        let first = byte(&sources[0], at);
        sources[1..].iter().fold(if operation == b"NOT" { !first } else { first }, |result, source| match operation {
            b"OR" => result | byte(source, at),
            _ => result ^ byte(source, at),
        })
    });
    bytes.collect()
}
