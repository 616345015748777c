//! Asks the name service whether the addresses exist: the one question that a configuration asks of the network.

use std::net::{SocketAddr, ToSocketAddrs};

use super::schema::Settings;
use super::{Config, ConfigError, Region};

const REMEDY: &str = "Correct the name, or the name service";

/// Resolves the servers of both regions.
///
/// # Errors
/// A name that does not resolve, and one server as both regions.
pub fn check_addresses(settings: &Settings, config: &Config) -> Result<(), ConfigError> {
    let source = resolved(settings, config.source())?;
    let target = resolved(settings, config.target())?;
    match source.iter().find(|address| target.contains(address)) {
        None => Ok(()),
        Some(address) => Err(settings.error(
            &key(config.target()),
            format!("is the same server as region `{}` ({address})", config.source().name),
            "Each region needs a server of its own",
        )),
    }
}

fn resolved(settings: &Settings, region: &Region) -> Result<Vec<SocketAddr>, ConfigError> {
    let mut addresses = Vec::new();
    for shard in &region.shards {
        let unresolved = |why: String| {
            settings.error(&key(region), format!("names `{}`, which does not resolve{why}", shard.host), REMEDY)
        };
        let found = (shard.host.as_str(), shard.port).to_socket_addrs();
        let before = addresses.len();
        addresses.extend(found.map_err(|error| unresolved(format!(" ({error})")))?);
        if addresses.len() == before {
            return Err(unresolved(String::new()));
        }
    }
    Ok(addresses)
}

fn key(region: &Region) -> String {
    format!("region.{}.url", region.name)
}
