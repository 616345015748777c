//! The board for Prometheus.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::reading::{Sample, label, read};
use super::table::{Kind, Metric, TABLE};
use crate::observe::Board;

/// What [`prometheus_text`] is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every figure of the board, now, in the OpenMetrics text format.
///
/// # Errors
/// The text could not be made.
pub fn prometheus_text(board: &Arc<Board>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Reader(Arc::clone(board))));
    let mut text = String::with_capacity(16 * 1024);
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Reader(Arc<Board>);

impl Collector for Reader {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let samples = read(&self.0, Instant::now());
        for metric in TABLE {
            let (stem, unit) = (metric.stem(), metric.prometheus_unit());
            let mut samples = samples.iter().filter(|sample| sample.metric == metric).peekable();
            if samples.peek().is_none() && metric.kind != Kind::Histogram {
                continue;
            }
            let mut encoder = encoder.encode_descriptor(&stem, metric.help, unit.as_ref(), kind(metric))?;
            if metric.kind == Kind::Histogram {
                self.lags(&mut encoder)?;
            }
            samples.try_for_each(|sample| put(&mut encoder, sample))?;
        }
        Ok(())
    }
}

impl Reader {
    /// The one histogram: the lag of each link.
    fn lags(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        for link in &self.0.links {
            let seen = link.lags.seen();
            let labels = vec![("link", label(link.direction))];
            encoder.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                seen.sum_s,
                seen.count,
                &seen.buckets,
                None,
            )?;
        }
        Ok(())
    }
}

fn put(encoder: &mut MetricEncoder<'_>, sample: &Sample) -> fmt::Result {
    // An empty family would show as `{}`.
    match (sample.metric.kind, sample.labels.is_empty()) {
        (Kind::Counter, true) => encoder.encode_counter::<NoLabelSet, _, f64>(&sample.value, None),
        (Kind::Counter, false) => {
            encoder.encode_family(&sample.labels)?.encode_counter::<NoLabelSet, _, f64>(&sample.value, None)
        }
        (Kind::Gauge | Kind::Histogram, true) => encoder.encode_gauge(&sample.value),
        (Kind::Gauge | Kind::Histogram, false) => encoder.encode_family(&sample.labels)?.encode_gauge(&sample.value),
    }
}

fn kind(metric: &Metric) -> MetricType {
    match metric.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    }
}
