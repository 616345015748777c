use std::collections::HashMap;

use super::load::{checked, settings};
use super::*;

const MINIMAL: &str = include_str!("../../conf/minimal.toml");

/// The smallest configuration, without a look at the network.
pub(crate) fn minimal() -> Config {
    checked(&settings("minimal.toml", MINIMAL, &HashMap::new()).unwrap()).unwrap()
}

#[test]
fn the_minimal_file_works_as_it_stands() {
    let config = minimal();
    assert_eq!(config.pair.name.as_str(), "orders");
    assert_eq!(config.source().name.as_str(), "eu-west");
    assert_eq!(config.target().shards, [Shard { host: "127.0.0.1".into(), port: 7002 }]);
    assert_eq!(config.http.listen.unwrap().port(), 8780);
    assert_eq!(config.heartbeat.interval, Duration::from_millis(250));
}
