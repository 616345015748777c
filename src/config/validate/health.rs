//! `[health]`

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{address, choice, count, duration};
use crate::config::raw::Raw;
use crate::config::schema::Settings;
use crate::config::{Alone, ConfigError, Health};

const MAX_LAG: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);
const LOOKS: RangeInclusive<u64> = 1..=1_000;

/// What load balancers are told.
pub fn health(settings: &Settings, raw: &Raw) -> Result<Health, ConfigError> {
    let looks = |path, number| {
        let looks = count(settings, path, number, LOOKS)?;
        Ok(u32::try_from(looks).expect("it is within its bounds"))
    };
    let agent_listen = raw.health.agent_listen.as_deref().map(|text| {
        address(text).ok_or_else(|| {
            let remedy = "Write an IP address and a port, as \"127.0.0.1:8782\"";
            settings.error("health.agent_listen", "is not an address to listen on", remedy)
        })
    });
    let agent_listen = agent_listen.transpose()?;
    if agent_listen.is_some() && raw.http.listen.is_none() {
        let problem = "is set, and `http.listen` is not: they are served together";
        return Err(settings.error("health.agent_listen", problem, "Set `http.listen`, or remove this key"));
    }
    let alone = [("serve", Alone::Serve), ("refuse", Alone::Refuse)];
    Ok(Health {
        max_lag: duration(settings, "health.max_lag", &raw.health.max_lag, MAX_LAG)?,
        alone: choice(settings, "health.alone", &raw.health.alone, &alone)?,
        rise: looks("health.rise", raw.health.rise)?,
        fall: looks("health.fall", raw.health.fall)?,
        agent_listen,
    })
}
