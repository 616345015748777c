//! Traces: one transaction now and then, with the time that each of its stages took.

use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{Span, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

/// Makes traces, where a collector is configured.
#[derive(Debug, Clone)]
pub struct Traces {
    tracer: SdkTracer,
    every: Duration,
}

/// One transaction on its way: when it was where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stages {
    /// Its id.
    pub id: u64,
    /// When a write of it was executed at the source, by our clock.
    pub written: Instant,
    /// When it was read from the source's stream.
    pub read: Instant,
    /// When all of it had been given to the target's connection.
    pub sent: Option<Instant>,
    /// When the target had executed it, and how many writes.
    pub executed: Option<(Instant, u64)>,
}

impl Traces {
    /// Traces by `tracer`, one of each link in `every`.
    pub(super) fn new(tracer: SdkTracer, every: Duration) -> Self {
        Self { tracer, every }
    }

    /// Between two traces of a link.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// The transaction was seen again in the target's stream, at `now`: its trace is whole. `link` is its direction, from
    /// `source` to `target`.
    pub fn tell(&self, stages: &Stages, link: &str, source: &str, target: &str, now: Instant) {
        let (Some(sent), Some((executed, writes))) = (stages.sent, stages.executed) else { return };
        let wall = SystemTime::now();
        let at = |moment: Instant| wall - now.saturating_duration_since(moment);
        let root = self.tracer.span_builder("duet.transaction").with_kind(SpanKind::Internal);
        let root = root.with_start_time(at(stages.written)).with_attributes([
            KeyValue::new("duet.link", link.to_owned()),
            KeyValue::new("duet.source", source.to_owned()),
            KeyValue::new("duet.target", target.to_owned()),
            KeyValue::new("duet.transaction.id", i64::try_from(stages.id).unwrap_or(i64::MAX)),
            KeyValue::new("duet.transaction.writes", i64::try_from(writes).unwrap_or(i64::MAX)),
        ]);
        let context = Context::new().with_span(root.start_with_context(&self.tracer, &Context::new()));
        for (name, from, to) in [
            ("read", stages.written, stages.read),
            ("send", stages.read, sent),
            ("execute", sent, executed),
            ("echo", executed, now),
        ] {
            let stage = self.tracer.span_builder(name).with_start_time(at(from));
            stage.start_with_context(&self.tracer, &context).end_with_timestamp(at(to));
        }
        context.span().end_with_timestamp(wall);
    }
}
