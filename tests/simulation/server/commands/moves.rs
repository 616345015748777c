//! Commands that bring a value, or a part of it, from one key to another.

use std::collections::{BTreeSet, VecDeque};

use super::{Context, Done, Entry, Keyspace, Reply, Text, Value};
use super::{error, number, unchanged, wrong_type};

pub(super) fn execute(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    match args[0].as_slice() {
        b"RENAME" => rename(keys, args, context),
        b"COPY" => copy(keys, args, context),
        b"SMOVE" => move_member(keys, args, context),
        b"LMOVE" => move_item(keys, args, args[3] == b"LEFT", args[4] == b"LEFT", context),
        b"RPOPLPUSH" => move_item(keys, args, false, true, context),
        _ => union(keys, args, context),
    }
}

fn rename(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    let database = &mut keys.0[context.database as usize];
    if !database.contains_key(&args[1]) {
        return error("ERR no such key");
    }
    if args[1] == args[2] {
        return unchanged(Reply::Ok);
    }
    if let Some(entry) = database.remove(&args[1]) {
        database.insert(args[2].clone(), entry);
    }
    context.changed(Reply::Ok, &args[1..3])
}

fn copy(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    let at = args.iter().position(|arg| arg == b"DB").map_or(context.database, |at| number(&args[at + 1]) as u32);
    if at == context.database && args[1] == args[2] {
        return error("ERR source and destination objects are the same");
    }
    let replaces = args[3..].iter().any(|arg| arg == b"REPLACE");
    let there = keys.0[at as usize].contains_key(&args[2]);
    let Some(entry) = keys.0[context.database as usize].get(&args[1]).filter(|_| replaces || !there) else {
        return unchanged(Reply::Integer(0));
    };
    let entry = entry.clone();
    keys.0[at as usize].insert(args[2].clone(), entry);
    let done = context.changed(Reply::Integer(1), None);
    Done { touched: vec![(at, args[2].clone())], ..done }
}

fn move_member(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    let database = &mut keys.0[context.database as usize];
    match (database.get(&args[1]).map(|entry| &entry.value), database.get(&args[2]).map(|entry| &entry.value)) {
        (None, _) => return unchanged(Reply::Integer(0)),
        (Some(Value::Set(from)), None | Some(Value::Set(_))) if !from.contains(&args[3]) => {
            return unchanged(Reply::Integer(0));
        }
        (Some(Value::Set(_)), None | Some(Value::Set(_))) if args[1] == args[2] => {
            return unchanged(Reply::Integer(1));
        }
        (Some(Value::Set(_)), None | Some(Value::Set(_))) => {}
        _ => return wrong_type(),
    }
    let to = Entry { value: Value::Set(BTreeSet::new()), expires_at_ms: None };
    if let Value::Set(members) = &mut database.entry(args[2].clone()).or_insert(to).value {
        members.insert(args[3].clone());
    }
    if let Some(Entry { value: Value::Set(members), .. }) = database.get_mut(&args[1]) {
        members.remove(&args[3]);
        if members.is_empty() {
            database.remove(&args[1]);
        }
    }
    context.changed(Reply::Integer(1), &args[1..3])
}

fn move_item(keys: &mut Keyspace, args: &[Text], from_left: bool, to_left: bool, context: &Context) -> Done {
    let database = &mut keys.0[context.database as usize];
    let is_list = |key: &Text| database.get(key).is_none_or(|entry| matches!(entry.value, Value::List(_)));
    if !is_list(&args[1]) || (database.contains_key(&args[1]) && !is_list(&args[2])) {
        return wrong_type();
    }
    let Some(Entry { value: Value::List(items), .. }) = database.get_mut(&args[1]) else {
        return unchanged(Reply::Bulk(None));
    };
    let item = if from_left { items.pop_front() } else { items.pop_back() };
    if items.is_empty() && args[1] != args[2] {
        database.remove(&args[1]);
    }
    let Some(item) = item else { return unchanged(Reply::Bulk(None)) };
    let to = Entry { value: Value::List(VecDeque::new()), expires_at_ms: None };
    if let Value::List(items) = &mut database.entry(args[2].clone()).or_insert(to).value {
        if to_left { items.push_front(item.clone()) } else { items.push_back(item.clone()) }
    }
    context.changed(Reply::Bulk(Some(item)), &args[1..3])
}

fn union(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    let database = &mut keys.0[context.database as usize];
    let mut all = BTreeSet::new();
    for key in &args[2..] {
        match database.get(key).map(|entry| &entry.value) {
            None => {}
            Some(Value::Set(members)) => all.extend(members.iter().cloned()),
            Some(_) => return wrong_type(),
        }
    }
    let count = all.len() as i64;
    let before = database.remove(&args[1]);
    if all.is_empty() && before.is_none() {
        return unchanged(Reply::Integer(0));
    }
    if !all.is_empty() {
        database.insert(args[1].clone(), Entry { value: Value::Set(all), expires_at_ms: None });
    }
    context.changed(Reply::Integer(count), [&args[1]])
}
