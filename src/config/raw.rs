//! The plain form of the file: every key with its default. What has no default is an `Option`.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Serialize, Serializer};

/// The whole file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Raw {
    pub pair: RawPair,
    pub forward: RawForward,
    pub region: BTreeMap<String, RawRegion>,
    pub http: RawHttp,
    pub admin: RawAdmin,
    pub health: RawHealth,
    pub telemetry: RawTelemetry,
    pub heartbeat: RawHeartbeat,
    pub increments: RawIncrements,
    pub conflicts: RawConflicts,
    pub clock: RawClock,
    pub deletes: RawDeletes,
    pub check: RawCheck,
    pub guards: RawGuards,
    pub apply: RawApply,
    pub full_sync: RawFullSync,
    pub verify: RawVerify,
    pub retry: RawRetry,
    pub log: RawLog,
    pub shutdown: RawShutdown,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawPair {
    pub name: Option<String>,
    pub reserved_prefix: String,
}

impl Default for RawPair {
    fn default() -> Self {
        Self { name: None, reserved_prefix: "duet:".into() }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawForward {
    pub source: Option<String>,
    pub target: Option<String>,
    pub existing_keys: String,
    pub position_lost: String,
}

impl Default for RawForward {
    fn default() -> Self {
        Self { source: None, target: None, existing_keys: "fail".into(), position_lost: "full_sync".into() }
    }
}

/// The url is a secret too: its user part may carry a password.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawRegion {
    #[serde(serialize_with = "hidden")]
    pub url: Option<SecretString>,
    pub username: Option<String>,
    #[serde(serialize_with = "hidden")]
    pub password: Option<SecretString>,
    pub password_file: Option<String>,
    pub ca_file: Option<String>,
    pub certificate_file: Option<String>,
    pub key_file: Option<String>,
    pub server_name: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawHttp {
    pub listen: Option<String>,
    pub certificate_file: Option<String>,
    pub key_file: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawAdmin {
    pub listen: Option<String>,
    pub token_file: Option<String>,
    pub host: Option<String>,
    pub audit: Option<String>,
    pub audit_bytes: u64,
}

impl Default for RawAdmin {
    fn default() -> Self {
        Self { listen: None, token_file: None, host: None, audit: None, audit_bytes: 1_048_576 }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawHealth {
    pub max_lag: String,
    pub alone: String,
    pub rise: u64,
    pub fall: u64,
    pub agent_listen: Option<String>,
}

impl Default for RawHealth {
    fn default() -> Self {
        Self { max_lag: "1s".into(), alone: "serve".into(), rise: 8, fall: 4, agent_listen: None }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawTelemetry {
    pub otlp: Option<String>,
    pub metrics_every: String,
    pub trace_every: String,
}

impl Default for RawTelemetry {
    fn default() -> Self {
        Self { otlp: None, metrics_every: "30s".into(), trace_every: "10s".into() }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawHeartbeat {
    pub interval: String,
    pub expire: String,
}

impl Default for RawHeartbeat {
    fn default() -> Self {
        Self { interval: "250ms".into(), expire: "60s".into() }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawIncrements {
    pub publish: bool,
    pub flush: String,
    pub swapdb: String,
}

impl Default for RawIncrements {
    fn default() -> Self {
        Self { publish: false, flush: "copy".into(), swapdb: "copy".into() }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawConflicts {
    pub policy: String,
    pub prefix: Vec<RawPrefix>,
    pub journal: Option<String>,
    pub journal_bytes: u64,
}

impl Default for RawConflicts {
    fn default() -> Self {
        Self { policy: "last-update-wins".into(), prefix: Vec::new(), journal: None, journal_bytes: 67_108_864 }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawPrefix {
    pub prefix: Option<String>,
    pub policy: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawClock {
    pub skew_limit: String,
    pub beyond: String,
}

impl Default for RawClock {
    fn default() -> Self {
        Self { skew_limit: "500ms".into(), beyond: "alarm".into() }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawDeletes {
    pub expiry: String,
    pub eviction: String,
}

impl Default for RawDeletes {
    fn default() -> Self {
        Self { expiry: "events".into(), eviction: "events".into() }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawCheck {
    pub ignore: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawGuards {
    pub flush_keys: u64,
    pub deletes: u64,
    pub delete_percent: u64,
    pub delete_floor: u64,
    pub window: String,
    pub echo: bool,
    pub marker_back: String,
}

impl Default for RawGuards {
    fn default() -> Self {
        Self {
            flush_keys: 1_000,
            deletes: 0,
            delete_percent: 50,
            delete_floor: 10_000,
            window: "10s".into(),
            echo: true,
            marker_back: "1m".into(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawApply {
    pub batch_commands: u64,
    pub batch_bytes: u64,
    pub in_flight: u64,
}

impl Default for RawApply {
    fn default() -> Self {
        Self { batch_commands: 128, batch_bytes: 262_144, in_flight: 256 }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawFullSync {
    pub value_bytes: u64,
}

impl Default for RawFullSync {
    fn default() -> Self {
        Self { value_bytes: 262_144 }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawVerify {
    pub continuous: bool,
    pub share: String,
    pub pause: String,
    pub repair: String,
    pub backup: Option<String>,
}

impl Default for RawVerify {
    fn default() -> Self {
        Self { continuous: false, share: "1%".into(), pause: "1m".into(), repair: "never".into(), backup: None }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawRetry {
    pub first: String,
    pub most: String,
}

impl Default for RawRetry {
    fn default() -> Self {
        Self { first: "100ms".into(), most: "10s".into() }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawLog {
    pub level: String,
    pub format: String,
}

impl Default for RawLog {
    fn default() -> Self {
        Self { level: "info".into(), format: "text".into() }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawShutdown {
    pub timeout: String,
}

impl Default for RawShutdown {
    fn default() -> Self {
        Self { timeout: "8s".into() }
    }
}

/// The schema needs a place for the key, and nobody needs the value.
fn hidden<S: Serializer>(_: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_none()
}
