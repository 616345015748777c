//! The board at one moment, figure by figure.

use std::time::Instant;

use super::table::Metric;
use crate::observe::{Board, Direction, Duty, LinkBoard, RegionBoard, State, VerifyState};
use crate::verify::Class;

/// One value of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its name, kind and unit.
    pub metric: &'static Metric,
    /// The values of its labels.
    pub labels: Vec<(&'static str, String)>,
    /// The figure itself.
    pub value: f64,
}

const STATES: [State; 7] =
    [State::Connecting, State::FullSync, State::Streaming, State::Paused, State::Held, State::Halted, State::Stopped];
const DUTIES: [Duty; 3] = [Duty::Serving, Duty::Drained, Duty::Fenced];

/// What is known at `now`: all but histograms, and nothing for what is not known. Samples of one name are together.
pub fn read(board: &Board, now: Instant) -> Vec<Sample> {
    let mut reading = Reading::default();
    reading.pair(board, now);
    for link in &board.links {
        reading.link(link, now);
    }
    for region in &board.regions {
        reading.region(region, now);
    }
    reading.samples.sort_by_key(|sample| sample.metric.name);
    reading.samples
}

#[derive(Default)]
struct Reading {
    samples: Vec<Sample>,
}

impl Reading {
    fn put(&mut self, name: &str, labels: &[&str], value: impl Into<Option<f64>>) {
        let metric = Metric::named(name);
        debug_assert_eq!(metric.labels.len(), labels.len(), "{name}");
        let Some(value) = value.into() else { return };
        let labels = metric.labels.iter().zip(labels).map(|(label, value)| (*label, (*value).to_owned())).collect();
        self.samples.push(Sample { metric, labels, value });
    }

    fn pair(&mut self, board: &Board, now: Instant) {
        self.put("duet.ready", &[], flag(board.readiness(now).ready));
        self.put("duet.build.info", &[&board.pair, env!("CARGO_PKG_VERSION")], 1.0);
        self.put("duet.uptime", &[], board.uptime(now).as_secs_f64());
        let conflicts = board.conflicts.counts();
        for (outcome, count) in [
            ("replayed", conflicts.replayed),
            ("dropped", conflicts.dropped),
            ("reconciled", conflicts.reconciled),
            ("held", conflicts.held),
        ] {
            self.put("duet.conflicts", &[outcome], count as f64);
        }
        let units = conflicts.by_unit;
        for (unit, count) in [
            ("whole", units.whole),
            ("element", units.element),
            ("lifetime", units.lifetime),
            ("sequence", units.sequence),
        ] {
            self.put("duet.conflicts.by_unit", &[unit], count as f64);
        }
        self.put("duet.keys.held", &[], board.links.iter().map(|link| link.held().len()).sum::<usize>() as f64);
        self.put("duet.journal.queue.depth", &[], board.journal.waiting.get() as f64);
        self.put("duet.journal.queue.limit", &[], crate::journal::MOST_WAITING as f64);
        self.put("duet.journal.dropped", &[], board.journal.dropped.get() as f64);
        let clock = board.clocks.status();
        let seconds = |ms: i64| ms as f64 / 1_000.0;
        self.put("duet.clock.offset", &[], clock.offset_ms.map(seconds));
        self.put("duet.clock.bound", &[], clock.bound_ms.map(seconds));
        self.put("process.memory.usage", &[], resident_bytes());
        self.verification(board);
    }

    /// Nothing while it is off.
    fn verification(&mut self, board: &Board) {
        let verify = board.verification.status(jiff::Timestamp::now());
        if verify.state == VerifyState::Off {
            return;
        }
        for class in Class::ALL {
            let count = verify.differences.get(&class).copied().unwrap_or(0);
            self.put("duet.verify.findings", &[class.name()], count as f64);
        }
        self.put("duet.verify.coverage.age", &[], verify.covered_within_s.map(|age_s| age_s as f64));
        self.put("duet.verify.rounds", &[], verify.rounds as f64);
        self.put("duet.verify.keys", &[], verify.compared as f64);
        self.put("duet.verify.undecided", &[], verify.last.map(|last| last.undecided as f64));
        self.put("duet.verify.repairs", &[], verify.repaired as f64);
    }

    fn link(&mut self, link: &LinkBoard, now: Instant) {
        let name = &*label(link.direction);
        let state = link.state();
        for other in STATES {
            self.put("duet.link.state", &[name, &other.to_string()], flag(other == state));
        }
        self.put("duet.link.stalled", &[name], flag(link.stalled(now)));
        self.put("duet.link.lag.now", &[name], link.lag_ms(now).map(|lag_ms| lag_ms as f64 / 1_000.0));
        for (metric, counter) in [
            ("duet.link.writes", &link.writes_applied),
            ("duet.link.transactions", &link.transactions),
            ("duet.link.echoes", &link.echoes_dropped),
            ("duet.link.reconnects", &link.reconnects),
            ("duet.link.unresolved", &link.unresolved),
        ] {
            self.put(metric, &[name], counter.get() as f64);
        }
        self.put("duet.link.io", &[name, "read"], link.bytes_read.get() as f64);
        self.put("duet.link.io", &[name, "written"], link.bytes_written.get() as f64);
        self.put("duet.link.offset", &[name], link.applied_offset.get() as f64);
        for (kind, count) in link.set_aside_kinds() {
            self.put("duet.link.set_aside", &[name, &kind], count as f64);
        }
        for (queue, gauge) in link.queues.all() {
            self.put("duet.link.queue.depth", &[name, queue], gauge.depth.get() as f64);
            self.put("duet.link.queue.limit", &[name, queue], gauge.limit.get() as f64);
        }
        if let Some(progress) = link.full_sync() {
            self.put("duet.full_sync.keys", &[name, "done"], progress.keys_done.get() as f64);
            self.put("duet.full_sync.keys", &[name, "total"], progress.keys_total.get() as f64);
            self.put("duet.full_sync.read", &[name], progress.bytes_done.get() as f64);
        }
    }

    fn region(&mut self, region: &RegionBoard, now: Instant) {
        let name = &*region.name;
        let duty = region.duty().duty;
        self.put("duet.region.reachable", &[name], flag(region.is_reachable(now)));
        for other in DUTIES {
            self.put("duet.region.duty", &[name, &other.to_string()], flag(other == duty));
        }
        let Some(server) = region.server() else { return };
        self.put("duet.region.offset", &[name], server.offset as f64);
        self.put("duet.region.write_rate", &[name], server.bytes_per_s);
        self.put("duet.region.backlog", &[name], server.backlog_bytes.map(|bytes| bytes as f64));
        self.put("duet.region.backlog.survival", &[name], server.backlog_lasts_s());
        self.put("duet.region.memory", &[name], server.memory_bytes.map(|bytes| bytes as f64));
    }
}

/// How a link is called in labels.
pub(super) fn label(direction: Direction) -> String {
    direction.to_string()
}

fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

/// What this process takes, where Linux tells it.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}
