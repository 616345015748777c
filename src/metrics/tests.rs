use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::observe::{Board, Duty, RoundStatus, ServerStatus, SetAside, State, tests::board};
use crate::verify::{Difference, Finding, Plan, Sight};

const ALERTS: &str = include_str!("../../conf/alerts.yml");
const DASHBOARD: &str = include_str!("../../conf/grafana-dashboard.json");
const DOCUMENT: &str = include_str!("../../docs/metrics.md");
const REMEDIES: &str = include_str!("../../docs/alerts.md");

/// A board that has something to say for every name.
fn busy() -> Arc<Board> {
    let now = Instant::now();
    let board = board(now);
    for link in &board.links {
        link.enter(State::Streaming, None);
        link.heartbeat_seen(Duration::from_millis(12), now);
        link.set_aside(SetAside::new(0, b"k", "module value", "no such module"));
        link.begin_full_sync(now);
    }
    board.regions[1].set_duty(Duty::Drained, "ops", "patch day");
    let server =
        ServerStatus { offset: 0, bytes_per_s: None, backlog_bytes: Some(1 << 20), memory_bytes: Some(1 << 30) };
    for region in &board.regions {
        region.told(server, now);
        region.told(ServerStatus { offset: 1 << 20, ..server }, now + Duration::from_secs(1));
    }
    let measured = crate::engine::source::Measured { offset_us: -12_000, bound_us: 700 };
    board.clocks.look(Some(measured), false);
    let (verification, started_at) = (&board.verification, jiff::Timestamp::now());
    let why = "start".to_owned();
    let round = RoundStatus { why, started_at, ended_at: None, keys: 0, seen: 0, total: 0, undecided: 0 };
    verification.begin(round, false);
    verification.progress(40, 50, 50, 1);
    let sights = [Sight::none(), Sight::none()];
    let differences = vec![Difference::Missing { side: 1, other: 0 }];
    verification.found(&Finding::new((0, b"k".to_vec()), sights, differences, 2, ([0; 2], &Plan::default())));
    verification.end(started_at);
    Arc::new(board)
}

/// Every series that is exported, without labels.
fn exported() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for metric in TABLE {
        let name = metric.prometheus_name();
        match metric.kind {
            Kind::Counter | Kind::Gauge => names.extend([name]),
            Kind::Histogram => names.extend(["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}"))),
        }
    }
    names
}

/// Every word of a text that may be a series of ours.
fn named_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("duet_") || word.starts_with("process_")).map(str::to_owned).collect()
}

#[test]
fn every_name_of_the_table_is_read_and_no_other() {
    let read: BTreeSet<_> = read(&busy(), Instant::now()).iter().map(|sample| sample.metric.name).collect();
    let gauges = TABLE.iter().filter(|metric| metric.kind != Kind::Histogram);
    assert_eq!(read, gauges.map(|metric| metric.name).collect());
}

#[test]
fn prometheus_gets_every_name_of_the_table_and_no_other() {
    let text = prometheus_text(&busy()).unwrap();
    let shown: BTreeSet<_> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next().map(str::to_owned))
        .collect();
    assert_eq!(shown, exported());
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn figures_are_in_base_units_with_their_labels() {
    let text = prometheus_text(&busy()).unwrap();
    for line in [
        "duet_link_lag_now_seconds{link=\"forward\"} 0.012",
        "duet_link_state{link=\"forward\",state=\"streaming\"} 1.0",
        "duet_link_state{link=\"forward\",state=\"halted\"} 0.0",
        "duet_link_lag_seconds_bucket{le=\"0.025\",link=\"forward\"} 1",
        "duet_link_lag_seconds_count{link=\"reverse\"} 1",
        "duet_link_set_aside_total{link=\"forward\",kind=\"module value\"} 1.0",
        "duet_region_duty{region=\"us-east\",duty=\"drained\"} 1.0",
        "duet_region_backlog_survival_seconds{region=\"eu-west\"} 1.0",
        "duet_clock_offset_seconds -0.012",
        "duet_verify_findings{difference=\"lack_target\"} 1.0",
        "duet_verify_findings{difference=\"value\"} 0.0",
        "duet_verify_keys_total 40.0",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is not in:\n{text}");
    }
}

#[test]
fn alerts_and_dashboard_name_only_what_is_exported() {
    for (file, text) in [("alerts.yml", ALERTS), ("grafana-dashboard.json", DASHBOARD)] {
        let named = named_in(text);
        assert!(named.len() > 5, "{file}");
        let unknown: Vec<_> = named.difference(&exported()).cloned().collect();
        assert!(unknown.is_empty(), "{file} names what is not exported: {unknown:?}");
    }
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().iter().all(|panel| panel["title"].is_string()));
}

/// One row for each name.
#[test]
fn the_document_has_every_name_and_no_other() {
    let row = |metric: &Metric| {
        let Metric { name, kind, unit, labels, help } = metric;
        let kind = format!("{kind:?}").to_lowercase();
        let prometheus = metric.prometheus_name();
        format!("| `{prometheus}` | `{name}` | {kind} | {unit} | {} | {help} |", labels.join(", "))
    };
    let rows: Vec<_> = TABLE.iter().map(row).collect();
    let shown: Vec<_> =
        DOCUMENT.lines().filter(|line| line.starts_with("| `duet_") || line.starts_with("| `process_")).collect();
    assert!(shown == rows, "docs/metrics.md should have these rows:\n{}", rows.join("\n"));
}

/// Each alert of the file has a row in the document that says what to do.
#[test]
fn every_alert_is_explained() {
    let alerts = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let explained = REMEDIES.lines().filter_map(|line| line.strip_prefix("## "));
    assert_eq!(
        explained.collect::<Vec<_>>(),
        alerts.collect::<Vec<_>>(),
        "the sections of docs/alerts.md, and the rules"
    );
}
