//! `/metrics` as Prometheus' own tool sees it, and what an OpenTelemetry collector receives.

use crate::duet;
use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use duet_chaos::flavor::Flavor::Redis70;
use duet_chaos::load::Counted;
use duet_chaos::pair::{DEADLINE, More, Regions};
use duet_chaos::wait::eventually;
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// What a collector has received.
#[derive(Default)]
struct Received {
    service: BTreeSet<String>,
    metrics: Vec<Metric>,
    spans: Vec<Span>,
}

type Collector = Arc<Mutex<Received>>;

fn at(collector: &Collector) -> std::sync::MutexGuard<'_, Received> {
    collector.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A collector: it takes what decodes as OTLP, and nothing else.
async fn collector() -> Result<(Collector, String)> {
    let collector = Collector::default();
    let routes = Router::new()
        .route("/v1/metrics", post(take_metrics))
        .route("/v1/traces", post(take_spans))
        .with_state(Arc::clone(&collector));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok((collector, address))
}

async fn take_metrics(State(collector): State<Collector>, body: Bytes) -> Result<Vec<u8>, axum::http::StatusCode> {
    let request = ExportMetricsServiceRequest::decode(body).map_err(|_| axum::http::StatusCode::BAD_REQUEST)?;
    let mut received = at(&collector);
    received.metrics.clear();
    for resource in request.resource_metrics {
        let attributes = resource.resource.unwrap_or_default().attributes;
        received
            .service
            .extend(attributes.into_iter().map(|attribute| format!("{}={:?}", attribute.key, attribute.value)));
        received.metrics.extend(resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics));
    }
    Ok(ExportMetricsServiceResponse::default().encode_to_vec())
}

async fn take_spans(State(collector): State<Collector>, body: Bytes) -> Result<Vec<u8>, axum::http::StatusCode> {
    let request = ExportTraceServiceRequest::decode(body).map_err(|_| axum::http::StatusCode::BAD_REQUEST)?;
    let spans = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    at(&collector).spans.extend(spans.flat_map(|scope| scope.spans));
    Ok(ExportTraceServiceResponse::default().encode_to_vec())
}

fn value(metrics: &[Metric], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let metric = metrics.iter().find(|metric| metric.name == name)?;
    let points = match metric.data.as_ref()? {
        metric::Data::Gauge(gauge) => &gauge.data_points,
        metric::Data::Sum(sum) => &sum.data_points,
        metric::Data::Histogram(_) | metric::Data::ExponentialHistogram(_) | metric::Data::Summary(_) => return None,
    };
    let fits = |(label, wanted): &(&str, &str), attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue]| {
        attributes.iter().any(|attribute| attribute.key == *label && format!("{:?}", attribute.value).contains(wanted))
    };
    let point = points.iter().find(|point| labels.iter().all(|label| fits(label, &point.attributes)))?;
    match point.value? {
        number_data_point::Value::AsDouble(value) => Some(value),
        number_data_point::Value::AsInt(value) => Some(value as f64),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_receives_figures_and_the_stages_of_a_transaction() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let (collector, address) = collector().await?;
    let telemetry = format!("[telemetry]\notlp = \"{address}\"\nmetrics_every = \"200ms\"\ntrace_every = \"200ms\"\n");
    let mut daemon = regions.daemon_with(duet(), &More { tables: telemetry, ..More::default() }).await?;
    Counted::new("w").write(&regions.west.client().await?, 100).await?;
    regions.wait_equal().await?;
    eventually("300 writes at the collector", DEADLINE, async || {
        let received = at(&collector);
        let writes = value(&received.metrics, "duet.link.writes", &[("link", "forward")]);
        Ok((writes == Some(300.0)).then_some(()))
    })
    .await
    .with_context(|| daemon.log_end())?;
    eventually("a lag at the collector", DEADLINE, async || {
        let received = at(&collector);
        let lag = received.metrics.iter().find(|metric| metric.name == "duet.link.lag");
        let Some(Metric { data: Some(metric::Data::Histogram(histogram)), unit, .. }) = lag else { return Ok(None) };
        Ok((unit == "s" && histogram.data_points.iter().any(|point| point.count > 0)).then_some(()))
    })
    .await?;
    let whole = async || {
        let received = at(&collector);
        Ok(received.spans.iter().any(|span| span.name == "duet.transaction").then_some(()))
    };
    eventually("a trace at the collector", DEADLINE, whole).await?;
    ensure!(daemon.terminate().await?.success());
    let received = at(&collector);
    ensure!(received.service.iter().any(|attribute| attribute.contains("duet.pair") && attribute.contains("orders")));
    ensure!(value(&received.metrics, "duet.region.reachable", &[("region", "west")]) == Some(1.0));
    let root = received.spans.iter().find(|span| span.name == "duet.transaction").context("no trace")?;
    let stages: Vec<_> = received.spans.iter().filter(|span| span.parent_span_id == root.span_id).collect();
    let names: BTreeSet<_> = stages.iter().map(|span| span.name.as_str()).collect();
    ensure!(names == BTreeSet::from(["read", "send", "execute", "echo"]), "{names:?}");
    for stage in stages {
        ensure!(stage.trace_id == root.trace_id);
        let within = root.start_time_unix_nano..=root.end_time_unix_nano;
        ensure!(
            within.contains(&stage.start_time_unix_nano) && within.contains(&stage.end_time_unix_nano),
            "{stage:?}"
        );
        ensure!(stage.start_time_unix_nano <= stage.end_time_unix_nano);
    }
    Ok(())
}

#[tokio::test]
async fn a_collector_that_is_away_keeps_nobody_waiting_and_is_named_in_the_log() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let telemetry = "[telemetry]\notlp = \"http://127.0.0.1:9\"\nmetrics_every = \"200ms\"\ntrace_every = \"200ms\"\n";
    let mut daemon = regions.daemon_with(duet(), &More { tables: telemetry.to_owned(), ..More::default() }).await?;
    Counted::new("w").write(&regions.west.client().await?, 100).await?;
    regions.wait_equal().await?;
    let told = async || Ok((daemon.output().contains("Export")).then_some(()));
    eventually("a line about it", DEADLINE, told).await?;
    ensure!(daemon.terminate().await?.success());
    Ok(())
}

#[tokio::test]
async fn prometheus_own_tool_finds_nothing_wrong() -> Result<()> {
    let regions = Regions::start(Redis70, Redis70).await?;
    let daemon = regions.daemon(duet()).await?;
    let shown = async || {
        let answer = daemon.get("/metrics").await?;
        let all = ["duet_link_lag_now_seconds", "duet_region_backlog_bytes", "duet_clock_offset_seconds"];
        Ok(all.iter().all(|name| answer.body.contains(name)).then_some(answer))
    };
    let answer = eventually("figures of links, regions and clocks", DEADLINE, shown).await?;
    ensure!(answer.head.to_lowercase().contains("content-type: application/openmetrics-text"), "{}", answer.head);
    promtool(&["check", "metrics"], &older(&answer.body))?;
    promtool(&["check", "rules", concat!(env!("CARGO_MANIFEST_DIR"), "/conf/alerts.yml")], "")
}

/// The tool reads the older text format, which knows no units and no end, and calls counters by their whole name.
fn older(text: &str) -> String {
    let counters: BTreeSet<_> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let whole = |line: &str| {
        let mut words: Vec<_> = line.splitn(4, ' ').map(str::to_owned).collect();
        if let [hash, _, name, _] = &mut words[..]
            && hash == "#"
            && counters.contains(&**name)
        {
            name.push_str("_total");
        }
        words.join(" ") + "\n"
    };
    let known = text.lines().filter(|line| !line.starts_with("# UNIT") && *line != "# EOF");
    known.map(whole).collect()
}

fn promtool(arguments: &[&str], input: &str) -> Result<()> {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start promtool: run `make setup`")?;
    child.stdin.take().context("no input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "promtool {arguments:?}: {said}");
    Ok(())
}
