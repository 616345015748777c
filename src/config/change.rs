//! What a changed configuration means for a daemon that runs.

use std::path::PathBuf;

use secrecy::ExposeSecret;

use super::{Certificate, Config, Region, Tls};

/// When the new value of a key takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// At once, or when it is needed next.
    AtOnce,
    /// At once, because connections are made anew. Positions stay.
    Reconnect,
    /// Not before the daemon is restarted.
    Restart,
}

/// A key whose value is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// With its sections.
    pub key: String,
    /// When its new value takes effect.
    pub takes: Takes,
}

type Same<T> = fn(&T, &T) -> bool;

/// Every key but those of regions.
const KEYS: &[(&str, Takes, Same<Config>)] = &[
    ("pair.name", Takes::Restart, |a, b| a.pair.name == b.pair.name),
    ("pair.reserved_prefix", Takes::Restart, |a, b| a.pair.reserved_prefix == b.pair.reserved_prefix),
    ("forward.source", Takes::Restart, |a, b| a.source().name == b.source().name),
    ("forward.target", Takes::Restart, |a, b| a.target().name == b.target().name),
    ("forward.existing_keys", Takes::AtOnce, |a, b| a.forward.existing_keys == b.forward.existing_keys),
    ("forward.position_lost", Takes::AtOnce, |a, b| a.forward.position_lost == b.forward.position_lost),
    ("http.listen", Takes::Restart, |a, b| a.http.listen == b.http.listen),
    ("http.certificate_file", Takes::Restart, |a, b| served(a, |tls| &tls.file) == served(b, |tls| &tls.file)),
    ("http.key_file", Takes::Restart, |a, b| served(a, |tls| &tls.key) == served(b, |tls| &tls.key)),
    ("admin.listen", Takes::Restart, |a, b| a.admin.listen == b.admin.listen),
    ("admin.token_file", Takes::Restart, |a, b| a.admin.token_file == b.admin.token_file),
    ("admin.host", Takes::Restart, |a, b| a.admin.host == b.admin.host),
    ("admin.audit", Takes::Restart, |a, b| a.admin.audit == b.admin.audit),
    ("admin.audit_bytes", Takes::Restart, |a, b| a.admin.audit_bytes == b.admin.audit_bytes),
    ("health.max_lag", Takes::Restart, |a, b| a.health.max_lag == b.health.max_lag),
    ("health.alone", Takes::Restart, |a, b| a.health.alone == b.health.alone),
    ("health.rise", Takes::Restart, |a, b| a.health.rise == b.health.rise),
    ("health.fall", Takes::Restart, |a, b| a.health.fall == b.health.fall),
    ("health.agent_listen", Takes::Restart, |a, b| a.health.agent_listen == b.health.agent_listen),
    ("heartbeat.interval", Takes::Restart, |a, b| a.heartbeat.interval == b.heartbeat.interval),
    ("heartbeat.expire", Takes::Restart, |a, b| a.heartbeat.expire == b.heartbeat.expire),
    ("increments.publish", Takes::Reconnect, |a, b| a.increments.publish == b.increments.publish),
    ("increments.flush", Takes::Reconnect, |a, b| a.increments.flush == b.increments.flush),
    ("increments.swapdb", Takes::Reconnect, |a, b| a.increments.swapdb == b.increments.swapdb),
    ("conflicts.policy", Takes::Restart, |a, b| a.conflicts.policy == b.conflicts.policy),
    ("conflicts.prefix", Takes::Restart, |a, b| a.conflicts.prefixes == b.conflicts.prefixes),
    ("conflicts.journal", Takes::Restart, |a, b| a.conflicts.journal == b.conflicts.journal),
    ("conflicts.journal_bytes", Takes::Restart, |a, b| a.conflicts.journal_bytes == b.conflicts.journal_bytes),
    ("clock.skew_limit", Takes::Restart, |a, b| a.clock.skew_limit == b.clock.skew_limit),
    ("clock.beyond", Takes::Restart, |a, b| a.clock.beyond == b.clock.beyond),
    ("deletes.expiry", Takes::Restart, |a, b| a.deletes.expiry == b.deletes.expiry),
    ("deletes.eviction", Takes::Restart, |a, b| a.deletes.eviction == b.deletes.eviction),
    ("check.ignore", Takes::Restart, |a, b| a.check.ignored == b.check.ignored),
    ("guards.flush_keys", Takes::Reconnect, |a, b| a.guards.limits.flush_keys == b.guards.limits.flush_keys),
    ("guards.deletes", Takes::Reconnect, |a, b| a.guards.limits.deletes == b.guards.limits.deletes),
    ("guards.delete_percent", Takes::Reconnect, |a, b| {
        a.guards.limits.delete_percent == b.guards.limits.delete_percent
    }),
    ("guards.delete_floor", Takes::Reconnect, |a, b| a.guards.limits.delete_floor == b.guards.limits.delete_floor),
    ("guards.window", Takes::Reconnect, |a, b| a.guards.limits.window_ms == b.guards.limits.window_ms),
    ("guards.echo", Takes::Reconnect, |a, b| a.guards.limits.echo == b.guards.limits.echo),
    ("guards.marker_back", Takes::Reconnect, |a, b| a.guards.marker_back == b.guards.marker_back),
    ("verify.continuous", Takes::Restart, |a, b| a.verify.continuous == b.verify.continuous),
    ("verify.share", Takes::Restart, |a, b| a.verify.share == b.verify.share),
    ("verify.pause", Takes::Restart, |a, b| a.verify.pause == b.verify.pause),
    ("verify.repair", Takes::Restart, |a, b| a.verify.repair == b.verify.repair),
    ("verify.backup", Takes::Restart, |a, b| a.verify.backup == b.verify.backup),
    ("telemetry.otlp", Takes::Restart, |a, b| a.telemetry.otlp == b.telemetry.otlp),
    ("telemetry.metrics_every", Takes::Restart, |a, b| a.telemetry.metrics_every == b.telemetry.metrics_every),
    ("telemetry.trace_every", Takes::Restart, |a, b| a.telemetry.trace_every == b.telemetry.trace_every),
    ("apply.batch_commands", Takes::Reconnect, |a, b| a.apply.batch_commands == b.apply.batch_commands),
    ("apply.batch_bytes", Takes::Reconnect, |a, b| a.apply.batch_bytes == b.apply.batch_bytes),
    ("apply.in_flight", Takes::Reconnect, |a, b| a.apply.in_flight == b.apply.in_flight),
    ("full_sync.value_bytes", Takes::AtOnce, |a, b| a.full_sync.value_bytes == b.full_sync.value_bytes),
    ("retry.first", Takes::AtOnce, |a, b| a.retry.first == b.retry.first),
    ("retry.most", Takes::AtOnce, |a, b| a.retry.most == b.retry.most),
    ("log.level", Takes::AtOnce, |a, b| a.log.level == b.log.level),
    ("log.format", Takes::Restart, |a, b| a.log.format == b.log.format),
    ("shutdown.timeout", Takes::Restart, |a, b| a.shutdown.timeout == b.shutdown.timeout),
];

/// The keys of a region. A new password is used by the next connection: those that are there stay.
const REGION_KEYS: &[(&str, Takes, Same<Region>)] = &[
    ("url", Takes::Reconnect, |a, b| a.shards == b.shards && a.tls.is_some() == b.tls.is_some()),
    ("username", Takes::Reconnect, |a, b| a.username == b.username),
    ("password", Takes::AtOnce, |a, b| {
        let text = |region: &Region| region.password.as_ref().map(|text| text.expose_secret().to_owned());
        text(a) == text(b)
    }),
    ("ca_file", Takes::AtOnce, |a, b| tls(a, |tls| tls.ca_file.as_ref()) == tls(b, |tls| tls.ca_file.as_ref())),
    ("certificate_file", Takes::AtOnce, |a, b| own(a, |own| &own.file) == own(b, |own| &own.file)),
    ("key_file", Takes::AtOnce, |a, b| own(a, |own| &own.key) == own(b, |own| &own.key)),
    ("server_name", Takes::AtOnce, |a, b| tls(a, |tls| Some(&tls.server_name)) == tls(b, |tls| Some(&tls.server_name))),
    ("password_file", Takes::AtOnce, |a, b| a.password_file == b.password_file),
];

fn tls<'a, T>(region: &'a Region, part: fn(&'a Tls) -> Option<&'a T>) -> Option<&'a T> {
    region.tls.as_ref().and_then(part)
}

fn own(region: &Region, part: fn(&Certificate) -> &PathBuf) -> Option<&PathBuf> {
    region.tls.as_ref()?.own.as_ref().map(part)
}

fn served(config: &Config, part: fn(&Certificate) -> &PathBuf) -> Option<&PathBuf> {
    config.http.tls.as_ref().map(|tls| part(&tls.certificate))
}

/// What differs between the configuration that is in force and a new one.
pub fn changes(running: &Config, new: &Config) -> Vec<Change> {
    let pair = KEYS.iter().filter(|(_, _, same)| !same(running, new));
    let mut changes: Vec<_> = pair.map(|(key, takes, _)| Change { key: (*key).to_owned(), takes: *takes }).collect();
    if same_regions(running, new) {
        for (before, after) in running.regions.iter().zip(&new.regions) {
            let region = REGION_KEYS.iter().filter(|(_, _, same)| !same(before, after));
            changes.extend(region.map(|(key, takes, _)| {
                let key = format!("region.{}.{key}", before.name);
                Change { key, takes: *takes }
            }));
        }
    }
    changes
}

impl Config {
    /// With every value of `new` that needs no restart.
    pub fn reloaded(&self, new: &Self) -> Self {
        let mut merged = self.clone();
        merged.forward.clone_from(&new.forward);
        merged.increments.clone_from(&new.increments);
        merged.guards.clone_from(&new.guards);
        merged.apply.clone_from(&new.apply);
        merged.full_sync.clone_from(&new.full_sync);
        merged.retry.clone_from(&new.retry);
        merged.log.level = new.log.level;
        if same_regions(self, new) {
            merged.regions.clone_from(&new.regions);
        }
        merged
    }
}

fn same_regions(running: &Config, new: &Config) -> bool {
    running.source().name == new.source().name && running.target().name == new.target().name
}

#[cfg(test)]
mod tests {
    use super::super::schema::{ANY_REGION, known, paths};
    use super::super::tests::minimal;
    use super::*;

    #[test]
    fn of_every_key_it_is_known_when_it_takes_effect() {
        let mut written: Vec<_> = KEYS.iter().map(|(key, ..)| (*key).to_owned()).collect();
        written.extend(REGION_KEYS.iter().map(|(key, ..)| format!("region.{ANY_REGION}.{key}")));
        written.sort();
        let mut existing: Vec<_> = paths(&known(), "");
        existing.retain(|path| !path.starts_with("conflicts.prefix."));
        existing.push("conflicts.prefix".into());
        existing.sort();
        assert_eq!(written, existing);
    }

    #[test]
    fn what_takes_effect_is_taken_over_and_the_rest_is_named() {
        let running = minimal();
        let mut new = minimal();
        new.regions[0].shards[0].port = 7;
        new.apply.in_flight = 7;
        new.retry.most *= 2;
        new.heartbeat.interval *= 2;
        new.http.listen = None;
        let found = changes(&running, &new);
        let of = |takes| found.iter().filter(|c| c.takes == takes).map(|c| c.key.as_str()).collect::<Vec<_>>();
        assert_eq!(of(Takes::AtOnce), ["retry.most"]);
        assert_eq!(of(Takes::Reconnect), ["apply.in_flight", "region.eu-west.url"]);
        assert_eq!(of(Takes::Restart), ["http.listen", "heartbeat.interval"]);
        let left = changes(&running.reloaded(&new), &new);
        assert_eq!(left, found.into_iter().filter(|change| change.takes == Takes::Restart).collect::<Vec<_>>());
    }

    #[test]
    fn other_regions_are_another_pair() {
        let mut new = minimal();
        new.regions.swap(0, 1);
        let found = changes(&minimal(), &new);
        assert!(found.iter().all(|change| change.takes == Takes::Restart), "{found:?}");
        assert_eq!(minimal().reloaded(&new).source().name, minimal().source().name);
    }
}
