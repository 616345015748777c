//! The last lines of the log, for people who look at the console.

use std::collections::VecDeque;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines that are kept.
const MOST_LINES: usize = 200;
/// Bytes of a line that are kept.
const MOST_BYTES: usize = 600;

/// The last lines that tell of a change of phase, or of trouble.
#[derive(Debug, Clone, Default)]
pub struct News(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<Line>,
    number: u64,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Counts up.
    pub number: u64,
    /// When it was written.
    pub time: Timestamp,
    /// `error`, `warn` or `info`.
    pub level: &'static str,
    /// What happened.
    pub text: String,
    /// The rest of the line.
    pub fields: String,
}

impl News {
    /// The lines after this number, oldest first.
    pub fn since(&self, number: u64) -> Vec<Line> {
        self.lock().lines.iter().filter(|line| line.number > number).cloned().collect()
    }

    fn put(&self, level: &'static str, text: String, fields: String) {
        let mut lines = self.lock();
        lines.number += 1;
        let line = Line { number: lines.number, time: Timestamp::now(), level, text, fields };
        if lines.lines.len() >= MOST_LINES {
            lines.lines.pop_front();
        }
        lines.lines.push_back(line);
    }

    /// Held for a few instructions only; nothing in there can panic half way.
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for News {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG | Level::TRACE => return,
        };
        let mut words = Words::default();
        event.record(&mut words);
        self.put(level, words.text, words.fields);
    }
}

#[derive(Default)]
struct Words {
    text: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let is_text = field.name() == "message";
        let into = if is_text { &mut self.text } else { &mut self.fields };
        if into.len() > MOST_BYTES {
            return;
        }
        let written = if is_text {
            write!(into, "{value:?}")
        } else {
            let space = if into.is_empty() { "" } else { " " };
            write!(into, "{space}{}={value:?}", field.name())
        };
        written.expect("a String takes everything");
        if let Some((end, _)) = into.char_indices().find(|(place, _)| *place >= MOST_BYTES) {
            into.truncate(end);
            into.push_str("...");
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::prelude::*;

    use super::*;

    #[test]
    fn lines_are_kept_with_their_fields_and_in_bounds() {
        let news = News::default();
        let lines = tracing_subscriber::registry().with(news.clone());
        tracing::subscriber::with_default(lines, || {
            tracing::warn!(link = "forward", reconnects = 3, "forward is connecting");
            tracing::debug!("not for people");
            tracing::info!(key = "k".repeat(2_000), "long");
        });
        let [warned, long] = &news.since(0)[..] else { panic!("{:?}", news.since(0)) };
        assert_eq!((warned.level, &*warned.text), ("warn", "forward is connecting"));
        assert_eq!(warned.fields, "link=\"forward\" reconnects=3");
        assert!(long.fields.len() < 610, "{}", long.fields.len());
        assert_eq!(news.since(warned.number).len(), 1);
    }

    #[test]
    fn only_the_last_are_kept() {
        let news = News::default();
        (0..1_000).for_each(|number| news.put("info", number.to_string(), String::new()));
        assert_eq!((news.since(0).len(), news.since(999).len()), (MOST_LINES, 1));
    }
}
