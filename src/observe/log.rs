//! The lines that are written, on standard error: one for each change of phase.
//!
//! Where standard error is systemd's journal, each line begins with its priority as the journal takes it (`<3>`), and has neither
//! colours nor a time of its own.

use std::env::VarError;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
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
    let format = Format::default().with_target(false);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match (log.format, goes_to_the_journal()) {
        (LogFormat::Text, true) => {
            lines.with_ansi(false).event_format(Prioritized(format.with_ansi(false).without_time())).boxed()
        }
        (LogFormat::Text, false) => {
            let colours = io::IsTerminal::is_terminal(&io::stderr());
            lines.with_ansi(colours).event_format(format.with_ansi(colours)).boxed()
        }
        (LogFormat::Json, journal) => {
            let fields = tracing_subscriber::fmt::format::JsonFields::new();
            let format = format.json().flatten_event(true).with_current_span(false).with_span_list(false);
            let lines = lines.fmt_fields(fields);
            if journal { lines.event_format(Prioritized(format)).boxed() } else { lines.event_format(format).boxed() }
        }
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

/// Whether standard error is the journal's: `$JOURNAL_STREAM` names its device and inode. (It is inherited by processes whose
/// standard error is something else.)
pub fn goes_to_the_journal() -> bool {
    static JOURNAL: OnceLock<bool> = OnceLock::new();
    *JOURNAL.get_or_init(|| match std::env::var("JOURNAL_STREAM") {
        Ok(stream) => stderr_is(&stream).unwrap_or(false),
        Err(VarError::NotPresent | VarError::NotUnicode(_)) => false,
    })
}

/// The journal's word for an error, where a line goes there that is no event of the log.
pub fn error_priority() -> &'static str {
    if goes_to_the_journal() { "<3>" } else { "" }
}

fn stderr_is(stream: &str) -> io::Result<bool> {
    let file = File::from(io::stderr().as_fd().try_clone_to_owned()?).metadata()?;
    Ok(stream == format!("{}:{}", file.dev(), file.ino()))
}

/// A form of lines, with the priority of each before it, as `sd-daemon(3)` has them.
struct Prioritized<F>(F);

impl<S, N, F> FormatEvent<S, N> for Prioritized<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(context, writer, event)
    }
}
