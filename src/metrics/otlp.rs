//! Export to an OpenTelemetry collector, over HTTP: the same figures, and traces of sampled transactions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use opentelemetry::metrics::{AsyncInstrument, Meter, MeterProvider};
use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::reading::read;
use super::table::{Kind, Metric, TABLE};
use super::trace::Traces;
use crate::config::Config;
use crate::observe::{Board, LAG_METRIC};

/// How long one export, and the last one at the end, may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// Who measures.
const SCOPE: &str = "duet";

/// What sends to the collector; its threads are its own.
#[derive(Debug)]
pub struct Telemetry {
    metrics: SdkMeterProvider,
    spans: SdkTracerProvider,
}

impl Telemetry {
    /// Starts exporting where that is configured. To be called before the board is made: its histogram of lags asks for what
    /// is set here.
    ///
    /// # Errors
    /// The endpoint cannot be used.
    pub fn start(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(endpoint) = &config.telemetry.otlp else { return Ok(None) };
        let endpoint = endpoint.trim_end_matches('/');
        let resource = Resource::builder()
            .with_service_name("duet")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("duet.pair", config.pair.name.to_string()))
            .build();
        let exporter = MetricExporter::builder().with_http().with_endpoint(format!("{endpoint}/v1/metrics"));
        let exporter = exporter.with_timeout(EXPORT_TIMEOUT).build().context("metrics cannot be exported")?;
        let reader = PeriodicReader::builder(exporter).with_interval(config.telemetry.metrics_every).build();
        let metrics = SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(reader).build();
        let exporter = SpanExporter::builder().with_http().with_endpoint(format!("{endpoint}/v1/traces"));
        let exporter = exporter.with_timeout(EXPORT_TIMEOUT).build().context("traces cannot be exported")?;
        let spans = SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();
        global::set_meter_provider(metrics.clone());
        Ok(Some(Self { metrics, spans }))
    }

    /// From now on the figures of `board` are exported.
    pub fn observe(&self, board: &Arc<Board>) {
        let meter = self.metrics.meter(SCOPE);
        for metric in TABLE {
            observe(&meter, metric, Arc::clone(board));
        }
    }

    /// What makes traces of transactions, one of each link in `every` at most.
    pub fn traces(&self, every: Duration) -> Traces {
        Traces::new(self.spans.tracer(SCOPE), every)
    }

    /// Sends what is left, and ends; a collector that does not answer keeps nobody waiting.
    pub fn stop(self) {
        for ended in [self.spans.shutdown_with_timeout(STOP_TIMEOUT), self.metrics.shutdown_with_timeout(STOP_TIMEOUT)]
        {
            if let Err(error) = ended {
                tracing::warn!(%error, "the last figures did not reach the collector");
            }
        }
    }
}

fn observe(meter: &Meter, metric: &'static Metric, board: Arc<Board>) {
    let tell = move |instrument: &dyn AsyncInstrument<f64>| {
        for sample in read(&board, Instant::now()).into_iter().filter(|sample| sample.metric == metric) {
            let labels: Vec<_> = sample.labels.into_iter().map(|(label, value)| KeyValue::new(label, value)).collect();
            instrument.observe(sample.value, &labels);
        }
    };
    // The provider keeps the callbacks; what is built here is only their handle.
    match metric.kind {
        Kind::Counter => {
            let counter = meter.f64_observable_counter(metric.name).with_unit(metric.unit);
            let _kept = counter.with_description(metric.help).with_callback(tell).build();
        }
        Kind::Gauge => {
            let gauge = meter.f64_observable_gauge(metric.name).with_unit(metric.unit);
            let _kept = gauge.with_description(metric.help).with_callback(tell).build();
        }
        // Recorded where it is measured.
        Kind::Histogram => debug_assert_eq!(metric.name, LAG_METRIC),
    }
}
