//! The lines that are written, on standard error: one for each change of phase.

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

use super::News;
use crate::config::{Log, LogFormat, LogLevel};

/// Starts logging for the whole process; a second call has no effect. Gives the lines that people may look at again.
pub fn init(log: &Log) -> News {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let news = News::default();
    // The module's name would be a second field `target`, beside the region that a link writes.
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(std::io::stderr);
    let lines = match log.format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    let told = news.clone().with_filter(LevelFilter::INFO);
    if tracing_subscriber::registry().with(lines.with_filter(level)).with(told).try_init().is_err() {
        tracing::debug!("logging was started before");
    }
    news
}
