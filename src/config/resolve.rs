//! Asks the name service whether the addresses exist: the one question that a configuration asks of the network.

use std::io;
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
        let found = match (shard.host.as_str(), shard.port).to_socket_addrs() {
            Err(error) if is_temporary(&error) => continue,
            found => found.map_err(|error| unresolved(format!(" ({error})")))?,
        };
        let before = addresses.len();
        addresses.extend(found);
        if addresses.len() == before {
            return Err(unresolved(String::new()));
        }
    }
    Ok(addresses)
}

/// Whether the name service itself is away, as it may be while a machine boots: then nothing is known of the name, and the links
/// ask again and again. (The standard library has no kind for it; the words are those of `gai_strerror(3)`.)
fn is_temporary(error: &io::Error) -> bool {
    let words = error.to_string();
    ["Temporary failure in name resolution", "Try again"].iter().any(|temporary| words.contains(temporary))
}

fn key(region: &Region) -> String {
    format!("region.{}.url", region.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_service_that_is_away_is_no_mistake_in_the_configuration() {
        let failed = |words: &str| io::Error::other(format!("failed to lookup address information: {words}"));
        assert!(is_temporary(&failed("Temporary failure in name resolution")));
        assert!(!is_temporary(&failed("Name or service not known")));
    }
}
