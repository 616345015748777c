//! `[telemetry]`

use std::ops::RangeInclusive;
use std::time::Duration;

use url::Url;

use super::duration;
use crate::config::raw::Raw;
use crate::config::schema::Settings;
use crate::config::{ConfigError, Telemetry};

const EVERY: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(24 * 60 * 60);

/// What a collector gets.
///
/// # Errors
/// The first thing that is wrong.
pub fn telemetry(settings: &Settings, raw: &Raw) -> Result<Telemetry, ConfigError> {
    let raw = &raw.telemetry;
    if let Some(otlp) = &raw.otlp {
        let wrong = |problem: &str| {
            let remedy = "Write the address of a collector that takes OTLP over HTTP, as \"http://127.0.0.1:4318\"";
            settings.error("telemetry.otlp", problem, remedy)
        };
        match Url::parse(otlp) {
            Ok(url) if url.scheme() == "https" => {
                return Err(wrong("is https, which is not spoken here: send to a collector on this machine"));
            }
            Ok(url) if url.scheme() != "http" || !url.has_host() => return Err(wrong("is not an http address")),
            Ok(url) if url.path() != "/" || url.query().is_some() => {
                return Err(wrong("has a path: `/v1/metrics` and `/v1/traces` are added"));
            }
            Ok(_) => {}
            Err(_) => return Err(wrong("is not an http address")),
        }
    }
    Ok(Telemetry {
        otlp: raw.otlp.clone(),
        metrics_every: duration(settings, "telemetry.metrics_every", &raw.metrics_every, EVERY)?,
        trace_every: duration(settings, "telemetry.trace_every", &raw.trace_every, EVERY)?,
    })
}
