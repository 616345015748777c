//! Every exported name. OpenTelemetry's are as they stand here; Prometheus' follow from them by its rules: `_` for `.`, the
//! unit in words, `_total` for counters.

use prometheus_client::registry::Unit;

/// How a figure behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows while the daemon runs.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often it was how large.
    Histogram,
}

/// One exported name.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name for OpenTelemetry.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its unit in UCUM, as OpenTelemetry has it; "" for a state, `{...}` for things that are counted.
    pub unit: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it is.
    pub help: &'static str,
}

const fn metric(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, unit, labels, help }
}

use Kind::{Counter, Gauge, Histogram};

const LINK: &[&str] = &["link"];
const REGION: &[&str] = &["region"];

/// All of them.
pub const TABLE: &[Metric] = &[
    metric("duet.ready", Gauge, "", &[], "1 when both links stream and move, as /readyz says"),
    metric("duet.build.info", Gauge, "", &["pair", "version"], "1; the pair and the version are in the labels"),
    metric("duet.uptime", Gauge, "s", &[], "since the start of the daemon"),
    metric("duet.link.state", Gauge, "", &["link", "state"], "1 for the state that the link is in, 0 for the others"),
    metric("duet.link.stalled", Gauge, "", LINK, "1 when the link streams and no heartbeat comes through"),
    metric(
        "duet.link.lag",
        Histogram,
        "s",
        LINK,
        "end-to-end lag of each heartbeat: source's clock to echo at the target",
    ),
    metric("duet.link.lag.now", Gauge, "s", LINK, "end-to-end lag; it grows while heartbeats are missing"),
    metric("duet.link.writes", Counter, "{write}", LINK, "write commands that the target has executed"),
    metric(
        "duet.link.transactions",
        Counter,
        "{transaction}",
        LINK,
        "marked transactions (batches) that the target has executed",
    ),
    metric(
        "duet.link.io",
        Counter,
        "By",
        &["link", "direction"],
        "bytes read from the source's stream, and written to the target",
    ),
    metric(
        "duet.link.echoes",
        Counter,
        "{transaction}",
        LINK,
        "Duet's own transactions, seen again in the source's stream and dropped",
    ),
    metric("duet.link.reconnects", Counter, "{session}", LINK, "sessions begun anew after the link had streamed"),
    metric("duet.link.set_aside", Counter, "{item}", &["link", "kind"], "things that were not copied"),
    metric(
        "duet.link.offset",
        Gauge,
        "By",
        LINK,
        "bytes of the source's history whose writes are applied at the target",
    ),
    metric(
        "duet.link.queue.depth",
        Gauge,
        "",
        &["link", "queue"],
        "what waits in a queue: transactions or writes, or bytes where its name says so",
    ),
    metric("duet.link.queue.limit", Gauge, "", &["link", "queue"], "the most that the queue takes"),
    metric(
        "duet.link.unresolved",
        Gauge,
        "{key}",
        LINK,
        "keys of the source for which something is still to be done on account of a conflict",
    ),
    metric(
        "duet.full_sync.keys",
        Gauge,
        "{key}",
        &["link", "count"],
        "keys of the full sync that runs: done, and in all",
    ),
    metric("duet.full_sync.read", Gauge, "By", LINK, "bytes of the dump that were read by the full sync that runs"),
    metric("duet.conflicts", Counter, "{conflict}", &["outcome"], "concurrent writes, by what was done"),
    metric("duet.conflicts.by_unit", Counter, "{conflict}", &["unit"], "concurrent writes, by what they were about"),
    metric("duet.keys.held", Gauge, "{key}", &[], "keys that wait for an operator's decision"),
    metric("duet.journal.queue.depth", Gauge, "{record}", &[], "conflicts that wait to be recorded"),
    metric("duet.journal.queue.limit", Gauge, "{record}", &[], "the most that may wait"),
    metric(
        "duet.journal.dropped",
        Counter,
        "{record}",
        &[],
        "records of conflicts that are no longer kept, or never were",
    ),
    metric(
        "duet.clock.offset",
        Gauge,
        "s",
        &[],
        "by how much the clock of the forward link's target is ahead of its source's",
    ),
    metric("duet.clock.bound", Gauge, "s", &[], "by how much that may be wrong at most"),
    metric("duet.region.reachable", Gauge, "", REGION, "1 when the region's server answers"),
    metric("duet.region.duty", Gauge, "", &["region", "duty"], "1 for the duty that the region has, 0 for the others"),
    metric("duet.region.offset", Gauge, "By", REGION, "bytes of history that the server has written"),
    metric("duet.region.write_rate", Gauge, "By/s", REGION, "bytes of history that the server writes in a second"),
    metric("duet.region.backlog", Gauge, "By", REGION, "size of the server's replication backlog"),
    metric(
        "duet.region.backlog.survival",
        Gauge,
        "s",
        REGION,
        "how long a link may be cut at the present rate of writes before it needs a full copy",
    ),
    metric("duet.region.memory", Gauge, "By", REGION, "used_memory of the server"),
    metric(
        "duet.verify.findings",
        Gauge,
        "{key}",
        &["difference"],
        "keys that are known to differ between the regions, by what they differ in",
    ),
    metric("duet.verify.coverage.age", Gauge, "s", &[], "all keys of both regions were compared within so long"),
    metric("duet.verify.rounds", Counter, "{round}", &[], "whole rounds of the daemon's own verification"),
    metric("duet.verify.keys", Counter, "{key}", &[], "keys that it has compared"),
    metric("duet.verify.undecided", Gauge, "{key}", &[], "keys of its last whole round that were never seen still"),
    metric("duet.verify.repairs", Counter, "{key}", &[], "keys that it has made equal, as verify.repair says"),
    metric("process.memory.usage", Gauge, "By", &[], "resident memory of the daemon"),
];

impl Metric {
    /// The row of this name; every name that is read has one.
    pub(super) fn named(name: &str) -> &'static Self {
        TABLE.iter().find(|metric| metric.name == name).expect("every name that is read stands in the table")
    }

    /// Its name for Prometheus, without unit and `_total`.
    pub(super) fn stem(&self) -> String {
        self.name.replace('.', "_")
    }

    /// Its unit for Prometheus.
    pub(super) fn prometheus_unit(&self) -> Option<Unit> {
        match self.unit {
            "s" => Some(Unit::Seconds),
            "By" => Some(Unit::Bytes),
            "By/s" => Some(Unit::Other("bytes_per_second".into())),
            _ => None,
        }
    }

    /// Its name as Prometheus shows it; a histogram has this name with `_bucket`, `_sum` and `_count`.
    pub fn prometheus_name(&self) -> String {
        let unit = self.prometheus_unit().map_or(String::new(), |unit| format!("_{}", unit.as_str()));
        let total = if self.kind == Counter { "_total" } else { "" };
        format!("{}{unit}{total}", self.stem())
    }
}
