//! The oracle: what two servers hold, and where it differs.
//!
//! All databases, all keys but those with the reserved prefix: type, value, expiry; and functions. Memory encodings
//! are not compared, nor is what a server keeps for itself (idle times, access frequencies).

mod reading;

use crate::servers::Server;
use crate::wait::eventually;
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::time::Duration;

/// Keys with this prefix are the daemon's own.
pub const RESERVED: &[u8] = b"duet:";
/// By how much two expiry times may differ, in milliseconds: Redis 6.2 tells them relative to when it is asked, and
/// writes them relative to when they are read.
pub const EXPIRY_TOLERANCE_MS: i64 = 1_500;
/// How many differences are spelled out.
const SHOWN: usize = 20;

/// What one key holds, in a form that is the same on every server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name of the type, as `TYPE` gives it.
    pub kind: String,
    /// The value's elements in canonical order; a string has one.
    pub items: Vec<Vec<u8>>,
    /// What a stream counts beside its entries, where the server tells: compared when both do.
    pub counters: Option<String>,
    /// When the key expires, in milliseconds of Unix time.
    pub expires_ms: Option<i64>,
    /// When fields of a hash expire, in milliseconds of Unix time.
    pub field_expiry_ms: BTreeMap<Vec<u8>, i64>,
}

/// Everything that a server holds, by database and key.
pub type Contents = BTreeMap<(i64, Vec<u8>), Entry>;

/// Reads everything that a server holds. Meaningful when nothing writes to it meanwhile.
///
/// # Errors
/// When the server does not answer, or holds a type that the oracle does not know.
pub async fn contents(server: &Server) -> Result<Contents> {
    reading::contents(server).await
}

/// Compares two servers and describes what differs, one line each; empty when they are equal.
///
/// # Errors
/// As [`contents`].
pub async fn differences(a: &Server, b: &Server) -> Result<Vec<String>> {
    differences_within(a, b, EXPIRY_TOLERANCE_MS).await
}

/// Like [`differences`], where expiry times may differ by so many milliseconds.
///
/// # Errors
/// As [`contents`].
pub async fn differences_within(a: &Server, b: &Server, expiry_ms: i64) -> Result<Vec<String>> {
    let (left, right) = tokio::try_join!(contents(a), contents(b))?;
    let mut found = compare_within(&left, &right, expiry_ms);
    if a.flavor().at_least_seven() && b.flavor().at_least_seven() {
        let (left, right) = tokio::try_join!(reading::functions(a), reading::functions(b))?;
        if left != right {
            found.push(format!("functions: {left:?} against {right:?}"));
        }
    }
    Ok(found)
}

/// Waits until two servers hold the same.
///
/// # Errors
/// With the differences, when `deadline` has passed.
pub async fn wait_equal(a: &Server, b: &Server, deadline: Duration) -> Result<()> {
    wait_equal_within(a, b, EXPIRY_TOLERANCE_MS, deadline).await
}

/// Like [`wait_equal`], where expiry times may differ by so many milliseconds.
///
/// # Errors
/// As [`wait_equal`].
pub async fn wait_equal_within(a: &Server, b: &Server, expiry_ms: i64, deadline: Duration) -> Result<()> {
    eventually("both regions to be equal", deadline, async || {
        let found = differences_within(a, b, expiry_ms).await?;
        if found.is_empty() {
            return Ok(Some(()));
        }
        let shown = found.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n  ");
        bail!("{} differences, {:?} against {:?}:\n  {shown}", found.len(), a.flavor(), b.flavor())
    })
    .await
}

/// Describes where two contents differ.
pub fn compare(left: &Contents, right: &Contents) -> Vec<String> {
    compare_within(left, right, EXPIRY_TOLERANCE_MS)
}

/// Like [`compare`], where expiry times may differ by so many milliseconds.
pub fn compare_within(left: &Contents, right: &Contents, expiry_ms: i64) -> Vec<String> {
    let mut found = Vec::new();
    for (key, entry) in left {
        match right.get(key) {
            None => found.push(format!("{}: only on the left, {}", name(key), entry.kind)),
            Some(other) => {
                found.extend(difference(entry, other, expiry_ms).map(|what| format!("{}: {what}", name(key))))
            }
        }
    }
    let missing = right.iter().filter(|(key, _)| !left.contains_key(*key));
    found.extend(missing.map(|(key, entry)| format!("{}: only on the right, {}", name(key), entry.kind)));
    found
}

fn difference(left: &Entry, right: &Entry, expiry_ms: i64) -> Option<String> {
    if left.kind != right.kind {
        return Some(format!("{} against {}", left.kind, right.kind));
    }
    if left.items != right.items {
        let at = left.items.iter().zip(&right.items).take_while(|(a, b)| a == b).count();
        let item = |items: &[Vec<u8>]| items.get(at).map_or("nothing".to_owned(), |item| shorten(item));
        let counts = (left.items.len(), right.items.len());
        return Some(format!(
            "{} of {counts:?} items, at {at}: {} against {}",
            left.kind,
            item(&left.items),
            item(&right.items)
        ));
    }
    if let (Some(a), Some(b)) = (&left.counters, &right.counters)
        && a != b
    {
        return Some(format!("{a} against {b}"));
    }
    let close = |left, right| close(left, right, expiry_ms);
    if !close(left.expires_ms, right.expires_ms) {
        return Some(format!("expires {:?} against {:?}", left.expires_ms, right.expires_ms));
    }
    let fields = left.field_expiry_ms.keys().chain(right.field_expiry_ms.keys());
    let mut differing = fields
        .filter(|field| !close(left.field_expiry_ms.get(*field).copied(), right.field_expiry_ms.get(*field).copied()));
    differing.next().map(|field| {
        let (a, b) = (left.field_expiry_ms.get(field), right.field_expiry_ms.get(field));
        format!("field {} expires {a:?} against {b:?}", shorten(field))
    })
}

fn close(left: Option<i64>, right: Option<i64>, expiry_ms: i64) -> bool {
    match (left, right) {
        (None, None) => true,
        (Some(left), Some(right)) => left.abs_diff(right) <= expiry_ms.unsigned_abs(),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn name((database, key): &(i64, Vec<u8>)) -> String {
    format!("{database}/{}", shorten(key))
}

fn shorten(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(80)];
    let more = if shown.len() < bytes.len() { format!(".. ({} bytes)", bytes.len()) } else { String::new() };
    format!("{}{more}", shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: &str, items: &[&str], expires_ms: Option<i64>) -> Contents {
        let items = items.iter().map(|item| item.as_bytes().to_vec()).collect();
        let entry =
            Entry { kind: kind.to_owned(), items, counters: None, expires_ms, field_expiry_ms: BTreeMap::new() };
        Contents::from([((0, b"k".to_vec()), entry)])
    }

    #[test]
    fn equal_contents_have_no_differences() {
        let (a, b) = (one("list", &["x", "y"], Some(10_000)), one("list", &["x", "y"], Some(11_000)));
        assert_eq!(compare(&a, &b), Vec::<String>::new());
    }

    #[test]
    fn each_difference_is_named() {
        let base = one("list", &["x", "y"], None);
        for (other, word) in [
            (one("set", &["x", "y"], None), "list against set"),
            (one("list", &["x", "z"], None), "at 1: y against z"),
            (one("list", &["x"], None), "y against nothing"),
            (one("list", &["x", "y"], Some(5)), "expires None against Some(5)"),
            (Contents::new(), "only on the left"),
        ] {
            let found = compare(&base, &other);
            assert!(found.len() == 1 && found[0].contains(word), "{found:?}");
        }
        assert!(compare(&Contents::new(), &base)[0].contains("only on the right"));
    }
}
