//! `[telemetry]`

use std::time::Duration;

/// What an OpenTelemetry collector gets. `/metrics` needs nothing of this.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Its address, without a path; nothing is exported when absent.
    pub otlp: Option<String>,
    /// Between two exports of all figures.
    pub metrics_every: Duration,
    /// Between two traces of a link's transactions.
    pub trace_every: Duration,
}
