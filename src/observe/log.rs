//! The lines that are written, on standard error: one for each change of phase.

use std::sync::OnceLock;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Registry, reload};

use super::News;
use crate::config::{Log, LogFormat, LogLevel};

/// The level that is in force.
static LEVEL: OnceLock<reload::Handle<LevelFilter, Registry>> = OnceLock::new();

/// Starts logging for the whole process; a second call has no effect. Gives the lines that people may look at again.
pub fn init(log: &Log) -> News {
    let (level, handle) = reload::Layer::new(filter(log.level));
    let news = News::default();
    // The module's name would be a second field `target`, beside the region that a link writes.
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(std::io::stderr);
    let lines = match log.format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    let told = news.clone().with_filter(LevelFilter::INFO);
    let started = tracing_subscriber::registry().with(lines.with_filter(level)).with(told).try_init();
    if started.is_err() || LEVEL.set(handle).is_err() {
        tracing::debug!("logging was started before");
    }
    news
}

/// The least important line that is written from now on.
pub fn set_level(level: LogLevel) {
    let Some(handle) = LEVEL.get() else { return };
    if let Err(error) = handle.reload(filter(level)) {
        tracing::error!(%error, "the level of the log cannot be changed");
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
