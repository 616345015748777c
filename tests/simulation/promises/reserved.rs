//! Reserved keys are never copied as data: a region holds those of Duet that belong there, and a client's own.

use duet::engine::origin::ReservedKeys;

use crate::server::Keyspace;

/// Looks at the region `here` of `names`; `own` are the reserved names that its own clients wrote;
/// `moved` tells that clients may have swapped databases, and ours with them.
pub fn holds(
    region: &Keyspace,
    reserved: &ReservedKeys,
    [here, there]: [&str; 2],
    own: &[u8],
    moved: bool,
) -> Result<(), String> {
    let allowed = [
        reserved.marker(there),
        reserved.gate(there),
        reserved.epoch(there),
        reserved.heartbeat(here),
        reserved.heartbeat(there),
        reserved.probe(here),
        reserved.held(here),
    ];
    for (index, database) in region.0.iter().enumerate() {
        for key in database.keys().filter(|key| key.starts_with(reserved.prefix())) {
            if ((index != 0 && !moved) || !allowed.contains(key)) && !key.ends_with(own) {
                return Err(format!("{here} holds '{}' in database {index}", String::from_utf8_lossy(key)));
            }
        }
    }
    Ok(())
}
