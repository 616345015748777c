//! What scrapers and collectors get: every figure of the board under a name that stays.
//!
//! * `table`: each name, once, with kind, unit and labels; `reading`: their values at one moment.
//! * `text`: for Prometheus; `otlp`: for an OpenTelemetry collector, also the traces of sampled transactions (`trace`).

mod otlp;
mod reading;
mod table;
mod text;
mod trace;

pub use otlp::Telemetry;
pub use reading::{Sample, read};
pub use table::{Kind, Metric, TABLE};
pub use text::{CONTENT_TYPE, prometheus_text};
pub use trace::{Stages, Traces};

#[cfg(test)]
mod tests;
