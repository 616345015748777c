//! After silence both regions hold the same, the reserved keys aside.

use crate::server::Keyspace;

/// Compares both regions.
pub fn holds(regions: [&Keyspace; 2], prefix: &[u8]) -> Result<(), String> {
    let [a, b] = regions;
    let difference = a.difference(b, |_, key| !key.starts_with(prefix));
    difference.map_or(Ok(()), |what| Err(format!("a / b: {what}")))
}
