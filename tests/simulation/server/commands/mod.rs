//! What commands do to the data, what they answer, and as what they are propagated (Redis `t_*.c`, `db.c`).

mod bits;
mod collections;
mod keyspace;
mod moves;
mod strings;

use super::data::{Entry, Keyspace, Text, Value};

/// The commands on data that a server knows.
const COMMANDS: [&str; 57] = [
    "APPEND",
    "BITFIELD",
    "BITOP",
    "COPY",
    "DECR",
    "DECRBY",
    "DEL",
    "DUMP",
    "EXISTS",
    "FLUSHALL",
    "FLUSHDB",
    "GET",
    "GETDEL",
    "GETSET",
    "HDEL",
    "HGET",
    "HGETALL",
    "HINCRBY",
    "HSET",
    "INCR",
    "INCRBY",
    "LLEN",
    "LMOVE",
    "LPOP",
    "LPUSH",
    "LREM",
    "LTRIM",
    "MSET",
    "PERSIST",
    "PEXPIRE",
    "PEXPIREAT",
    "PTTL",
    "RENAME",
    "RESTORE",
    "RPOP",
    "RPOPLPUSH",
    "RPUSH",
    "SADD",
    "SET",
    "SETBIT",
    "SMOVE",
    "SREM",
    "STRLEN",
    "SUNIONSTORE",
    "SWAPDB",
    "TYPE",
    "UNLINK",
    "XADD",
    "ZADD",
    "ZINCRBY",
    "ZREM",
    "ZREMRANGEBYSCORE",
    "PUBLISH",
    "MULTI",
    "EXEC",
    "WATCH",
    "PEXPIRETIME",
];

/// The commands that a server of this kind knows: the last one came with Redis 7.
pub fn known(is_7: bool) -> impl Iterator<Item = &'static str> {
    COMMANDS.into_iter().take(COMMANDS.len() - usize::from(!is_7))
}

/// An answer.
#[derive(Debug, Clone)]
pub enum Reply {
    Ok,
    Word(&'static str),
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
    pub is_7: bool,
}

impl Reply {
    /// The reply in RESP.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ok => out.extend_from_slice(b"+OK\r\n"),
            Self::Word(word) => out.extend_from_slice(format!("+{word}\r\n").as_bytes()),
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
    integer(text).unwrap_or(0)
}

fn integer(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl Context {
    /// The command changed these keys of its database and goes into the stream as it is.
    fn changed<'k>(&self, reply: Reply, keys: impl IntoIterator<Item = &'k Text>) -> Done {
        let touched = keys.into_iter().map(|key| (self.database, key.clone())).collect();
        Done { reply, effect: Effect::Verbatim, touched }
    }

    /// As [`Self::changed`], but it goes into the stream as `effect`.
    fn changed_as(&self, reply: Reply, key: &Text, effect: Vec<Text>) -> Done {
        Done { effect: Effect::Rewritten(effect), ..self.changed(reply, [key]) }
    }
}

/// Whether the command needs memory, so that a server at its limit refuses it.
pub fn needs_memory(name: &[u8]) -> bool {
    matches!(
        name,
        b"SET"
            | b"GETSET"
            | b"MSET"
            | b"APPEND"
            | b"SETBIT"
            | b"BITFIELD"
            | b"BITOP"
            | b"INCR"
            | b"INCRBY"
            | b"DECR"
            | b"DECRBY"
            | b"LPUSH"
            | b"RPUSH"
            | b"LMOVE"
            | b"RPOPLPUSH"
            | b"HSET"
            | b"HINCRBY"
            | b"SADD"
            | b"SUNIONSTORE"
            | b"ZADD"
            | b"ZINCRBY"
            | b"XADD"
            | b"COPY"
            | b"RESTORE"
    )
}

/// Executes a command that works on the data.
pub fn execute(keys: &mut Keyspace, args: &[Text], context: &Context) -> Done {
    match args[0].as_slice() {
        b"GET" | b"STRLEN" | b"SET" | b"GETSET" | b"GETDEL" | b"MSET" | b"APPEND" | b"INCR" | b"INCRBY" | b"DECR"
        | b"DECRBY" => strings::execute(keys, args, context),
        b"SETBIT" | b"BITFIELD" | b"BITOP" => bits::execute(keys, args, context),
        b"LPUSH" | b"RPUSH" | b"LPOP" | b"RPOP" | b"LLEN" | b"LREM" | b"LTRIM" | b"HSET" | b"HDEL" | b"HGET"
        | b"HGETALL" | b"HINCRBY" | b"SADD" | b"SREM" | b"ZADD" | b"ZINCRBY" | b"ZREM" | b"ZREMRANGEBYSCORE"
        | b"XADD" => collections::execute(keys, args, context),
        b"RENAME" | b"COPY" | b"SMOVE" | b"LMOVE" | b"RPOPLPUSH" | b"SUNIONSTORE" => {
            moves::execute(keys, args, context)
        }
        b"TIME" => {
            let bulk = |number: i64| Reply::Bulk(Some(number.to_string().into_bytes()));
            let now = Reply::Array(vec![bulk(context.now_ms / 1000), bulk(context.now_ms % 1000 * 1000)]);
            Done { reply: now, effect: Effect::None, touched: Vec::new() }
        }
        b"PUBLISH" => Done { reply: Reply::Integer(0), effect: Effect::Verbatim, touched: Vec::new() },
        _ => keyspace::execute(keys, args, context),
    }
}
