//! The requests that put a value of the dump there.

use super::onto::Write;
use crate::wire::rdb::Key;
use crate::wire::resp::{command, push_command};

/// What puts a value under `key`.
pub(super) fn value(key: &Key, request: Vec<u8>, requests: u32) -> Write {
    Write { expires: key.expires_at_ms.is_some(), ..Write::of(key.database, request, requests) }
}

/// The request that puts a string there.
pub(super) fn set(key: &Key, text: &[u8]) -> Vec<u8> {
    match key.expires_at_ms {
        None => command(&[b"SET", &*key.name, text]),
        Some(at) => command(&[b"SET", &*key.name, text, b"PXAT", at.to_string().as_bytes()]),
    }
}

/// The request that puts a payload there.
pub(super) fn restore(key: &Key, payload: &[u8]) -> Vec<u8> {
    let ttl = key.expires_at_ms.unwrap_or(0).to_string();
    command(&[b"RESTORE", &*key.name, ttl.as_bytes(), payload, b"REPLACE", b"ABSTTL"])
}

/// Appends the request that lets a key expire, where it does. Gives the number of requests.
pub(super) fn expire(key: &Key, out: &mut Vec<u8>) -> u32 {
    let Some(at) = key.expires_at_ms else { return 0 };
    push_command(out, &[b"PEXPIREAT", &*key.name, at.to_string().as_bytes()]);
    1
}
