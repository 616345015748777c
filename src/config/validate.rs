//! From plain values to the types of [`super::Config`]. Every bound of a setting has its name here.

mod admin;
mod check;
mod conflicts;
mod health;
mod telemetry;
mod tls;
mod verify;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

pub use admin::admin;

use super::endpoint::Endpoint;
use super::environment::variable_of;
use super::name::{NAME_RULE, PREFIX_RULE};
use super::raw::{Raw, RawRegion};
use super::schema::Settings;
use super::secret::{PASSWORD_BYTES, password_from};
use super::{
    Apply, Config, ConfigError, ExistingKeys, Forward, FullSync, Heartbeat, Http, Increments, Log, LogFormat, LogLevel,
    Pair, PairName, PositionLost, Region, RegionName, ReservedPrefix, Retry, Shutdown, WholeDatabase,
};

const HEARTBEAT_INTERVAL: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(10);
const HEARTBEAT_EXPIRE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);
/// The key must outlive some lost heartbeats, or it blinks.
const EXPIRE_PER_INTERVAL: u32 = 4;
const RETRY_FIRST: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(10);
const RETRY_MOST: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(300);
const SHUTDOWN_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
const BATCH_COMMANDS: RangeInclusive<u64> = 1..=65_536;
const BATCH_BYTES: RangeInclusive<u64> = 1_024..=16_777_216;
const IN_FLIGHT: RangeInclusive<u64> = 1..=crate::engine::apply::MOST_IN_FLIGHT;
const VALUE_BYTES: RangeInclusive<u64> = 4_096..=16_777_216;

/// Checks everything but what the network knows.
///
/// # Errors
/// The first thing that is wrong.
pub fn config(settings: &Settings, raw: Raw) -> Result<Config, ConfigError> {
    let heartbeat = Heartbeat {
        interval: duration(settings, "heartbeat.interval", &raw.heartbeat.interval, HEARTBEAT_INTERVAL)?,
        expire: duration(settings, "heartbeat.expire", &raw.heartbeat.expire, HEARTBEAT_EXPIRE)?,
    };
    if heartbeat.expire < heartbeat.interval * EXPIRE_PER_INTERVAL {
        let problem = format!("is less than {EXPIRE_PER_INTERVAL} times `heartbeat.interval`");
        return Err(settings.error("heartbeat.expire", problem, "Make it longer"));
    }
    let retry = Retry {
        first: duration(settings, "retry.first", &raw.retry.first, RETRY_FIRST)?,
        most: duration(settings, "retry.most", &raw.retry.most, RETRY_MOST)?,
    };
    if retry.most < retry.first {
        return Err(settings.error("retry.most", "is less than `retry.first`", "Make it longer"));
    }
    let whole_database = [("copy", WholeDatabase::Copy), ("refuse", WholeDatabase::Refuse)];
    Ok(Config {
        pair: pair(settings, &raw)?,
        forward: forward(settings, &raw)?,
        regions: regions(settings, &raw)?,
        http: http(settings, &raw)?,
        admin: admin(settings, &raw)?,
        health: health::health(settings, &raw)?,
        telemetry: telemetry::telemetry(settings, &raw)?,
        heartbeat,
        increments: Increments {
            publish: raw.increments.publish,
            flush: choice(settings, "increments.flush", &raw.increments.flush, &whole_database)?,
            swapdb: choice(settings, "increments.swapdb", &raw.increments.swapdb, &whole_database)?,
        },
        conflicts: conflicts::conflicts(settings, &raw)?,
        clock: conflicts::clock(settings, &raw)?,
        deletes: conflicts::deletes(settings, &raw)?,
        check: check::check(settings, &raw)?,
        guards: check::guards(settings, &raw)?,
        apply: Apply {
            batch_commands: count(settings, "apply.batch_commands", raw.apply.batch_commands, BATCH_COMMANDS)?,
            batch_bytes: count(settings, "apply.batch_bytes", raw.apply.batch_bytes, BATCH_BYTES)?,
            in_flight: count(settings, "apply.in_flight", raw.apply.in_flight, IN_FLIGHT)?,
        },
        full_sync: FullSync {
            value_bytes: count(settings, "full_sync.value_bytes", raw.full_sync.value_bytes, VALUE_BYTES)?,
        },
        verify: verify::verify(settings, &raw)?,
        retry,
        log: log(settings, &raw)?,
        shutdown: Shutdown {
            timeout: duration(settings, "shutdown.timeout", &raw.shutdown.timeout, SHUTDOWN_TIMEOUT)?,
        },
    })
}

/// `[http]`; the files of its certificate are not looked at.
///
/// # Errors
/// The first thing that is wrong.
pub fn http(settings: &Settings, raw: &Raw) -> Result<Http, ConfigError> {
    let listen = raw.http.listen.as_ref().map(|text| {
        address(text).ok_or_else(|| {
            let remedy = "Write an IP address and a port, as \"127.0.0.1:8780\", or \"0.0.0.0:8780\" for all addresses";
            settings.error("http.listen", "is not an address to listen on", remedy)
        })
    });
    Ok(Http { listen: listen.transpose()?, tls: tls::served(settings, raw)? })
}

/// An address to listen on.
fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}").parse().ok(),
        None => text.parse().ok(),
    }
}

fn pair(settings: &Settings, raw: &Raw) -> Result<Pair, ConfigError> {
    let name = required(settings, "pair.name", raw.pair.name.as_deref(), "name = \"orders\"")?;
    let name =
        PairName::parse(name).ok_or_else(|| settings.error("pair.name", "is not a name", use_rule(NAME_RULE)))?;
    let reserved_prefix = ReservedPrefix::parse(&raw.pair.reserved_prefix)
        .ok_or_else(|| settings.error("pair.reserved_prefix", "is not a prefix", use_rule(PREFIX_RULE)))?;
    Ok(Pair { name, reserved_prefix })
}

fn use_rule(rule: &str) -> String {
    format!("Use {rule}")
}

fn forward(settings: &Settings, raw: &Raw) -> Result<Forward, ConfigError> {
    let existing = [("fail", ExistingKeys::Fail), ("overwrite", ExistingKeys::Overwrite), ("keep", ExistingKeys::Keep)];
    let lost = [("full_sync", PositionLost::FullSync), ("hold", PositionLost::Hold)];
    Ok(Forward {
        existing_keys: choice(settings, "forward.existing_keys", &raw.forward.existing_keys, &existing)?,
        position_lost: choice(settings, "forward.position_lost", &raw.forward.position_lost, &lost)?,
    })
}

fn log(settings: &Settings, raw: &Raw) -> Result<Log, ConfigError> {
    let levels = [
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
    Ok(Log {
        level: choice(settings, "log.level", &raw.log.level, &levels)?,
        format: choice(
            settings,
            "log.format",
            &raw.log.format,
            &[("text", LogFormat::Text), ("json", LogFormat::Json)],
        )?,
    })
}

fn regions(settings: &Settings, raw: &Raw) -> Result<[Region; 2], ConfigError> {
    for name in raw.region.keys() {
        if RegionName::parse(name).is_none() {
            return Err(settings.error(&format!("region.{name}"), "has no valid name", use_rule(NAME_RULE)));
        }
    }
    let source = required(settings, "forward.source", raw.forward.source.as_deref(), "source = \"eu-west\"")?;
    let target = required(settings, "forward.target", raw.forward.target.as_deref(), "target = \"us-east\"")?;
    if source == target {
        return Err(settings.error("forward.target", "is the same region as `forward.source`", "Name the other one"));
    }
    let regions = [
        region_named(settings, raw, "forward.source", source)?,
        region_named(settings, raw, "forward.target", target)?,
    ];
    match raw.region.keys().find(|name| *name != source && *name != target) {
        None => Ok(regions),
        Some(third) => Err(settings.error(
            &format!("region.{third}"),
            "is a third region, and a pair has two",
            format!("Remove it, or name it in `forward` instead of `{source}` or `{target}`"),
        )),
    }
}

fn region_named(settings: &Settings, raw: &Raw, key: &str, name: &str) -> Result<Region, ConfigError> {
    let (Some(parsed), Some(region)) = (RegionName::parse(name), raw.region.get(name)) else {
        let known: Vec<_> = raw.region.keys().map(|name| format!("`{name}`")).collect();
        let known =
            if known.is_empty() { "There is none yet".into() } else { format!("There are {}", known.join(", ")) };
        let remedy = format!("{known}: add a section [region.{name}] with a `url`, or name one that exists");
        return Err(settings.error(key, "names no region of this file", remedy));
    };
    region_of(settings, parsed, region)
}

fn region_of(settings: &Settings, name: RegionName, raw: &RawRegion) -> Result<Region, ConfigError> {
    let key = |key: &str| format!("region.{name}.{key}");
    let url = raw.url.as_ref().map(|url| url.expose_secret());
    let url = required(settings, &key("url"), url, "url = \"redis://host:port\"")?;
    let endpoint = Endpoint::parse(url).map_err(|error| settings.error(&key("url"), error.problem, error.remedy))?;
    if endpoint.username.is_some() && raw.username.is_some() {
        return Err(settings.error(&key("username"), "is set, and so is a user in the url", "Keep one of them"));
    }
    let username = endpoint.username.or_else(|| raw.username.clone());
    let password = password(settings, &key, endpoint.password, raw)?;
    if username.as_deref() == Some("") {
        return Err(settings.error(&key("username"), "is empty", "Name a user, or remove the key for `default`"));
    }
    let tls = tls::tls(settings, &key, endpoint.tls, &endpoint.shard, raw)?;
    let password_file = raw.password_file.clone();
    Ok(Region { shards: vec![endpoint.shard], username, password, password_file, tls, name })
}

fn password(
    settings: &Settings,
    key: &dyn Fn(&str) -> String,
    in_url: Option<SecretString>,
    raw: &RawRegion,
) -> Result<Option<SecretString>, ConfigError> {
    let remedy = "Keep one of them; `password_file` shows the secret to the fewest";
    match (in_url, &raw.password, &raw.password_file) {
        (None, None, None) => Ok(None),
        (Some(password), None, None) => Ok(Some(password)),
        (None, Some(password), None) => {
            let length = password.expose_secret().len() as u64;
            if (1..=PASSWORD_BYTES).contains(&length) {
                return Ok(Some(password.clone()));
            }
            let problem = format!("is empty or longer than {PASSWORD_BYTES} bytes");
            Err(settings.error(&key("password"), problem, "Set the password, or remove the key where there is none"))
        }
        (None, None, Some(path)) => password_from(path).map(Some).map_err(|problem| {
            let problem = format!("names the file {path}, which {problem}");
            settings.error(
                &key("password_file"),
                problem,
                "Give the path of a file that Duet may read and that holds the password",
            )
        }),
        (_, Some(_), Some(_)) => Err(settings.error(&key("password_file"), "is set, and so is `password`", remedy)),
        (Some(_), Some(_), None) => {
            Err(settings.error(&key("password"), "is set, and so is a password in the url", remedy))
        }
        (Some(_), None, Some(_)) => {
            Err(settings.error(&key("password_file"), "is set, and so is a password in the url", remedy))
        }
    }
}

fn required<'a>(
    settings: &Settings,
    path: &str,
    value: Option<&'a str>,
    example: &str,
) -> Result<&'a str, ConfigError> {
    value.ok_or_else(|| {
        let section = path.rsplit_once('.').map_or("", |(section, _)| section);
        let remedy = format!("Add `{example}` below [{section}], or set {}", variable_of(path));
        settings.error(path, "is missing", remedy)
    })
}

fn choice<T: Copy>(settings: &Settings, path: &str, text: &str, choices: &[(&str, T)]) -> Result<T, ConfigError> {
    choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        settings.error(path, "has a value that it does not take", format!("It takes {}", names.join(" or ")))
    })
}

fn duration(
    settings: &Settings,
    path: &str,
    text: &str,
    bounds: RangeInclusive<Duration>,
) -> Result<Duration, ConfigError> {
    let [least, most] = [bounds.start(), bounds.end()].map(|bound| humantime::format_duration(*bound));
    let remedy = format!("Write a number with a unit, as \"250ms\", \"10s\" or \"2m\", from {least} to {most}");
    match humantime::parse_duration(text) {
        Err(_) => Err(settings.error(path, "is not a duration", remedy)),
        Ok(duration) if !bounds.contains(&duration) => Err(settings.error(path, "is out of its bounds", remedy)),
        Ok(duration) => Ok(duration),
    }
}

fn count(settings: &Settings, path: &str, number: u64, bounds: RangeInclusive<u64>) -> Result<usize, ConfigError> {
    let fits = bounds.contains(&number).then(|| usize::try_from(number).ok()).flatten();
    fits.ok_or_else(|| {
        let remedy = format!("It takes {} to {}", bounds.start(), bounds.end());
        settings.error(path, format!("is {number}, which is out of its bounds"), remedy)
    })
}
