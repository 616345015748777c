//! After silence a region holds exactly what the clients' writes come to.

use crate::server::Keyspace;

/// Compares a region with what is expected.
pub fn holds(region: &Keyspace, expected: &Keyspace, prefix: &[u8]) -> Result<(), String> {
    region.without(prefix).difference(expected).map_or(Ok(()), |what| Err(format!("held / expected: {what}")))
}
