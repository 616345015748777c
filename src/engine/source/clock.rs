//! The source's clock at a place of its stream.
//!
//! Only heartbeats carry a time. What was written while Duet was away lies between two known moments; by how far is told
//! from the bytes between them. Needed where a server sends relative expiry times (Redis 6.2). Daemons that never came so
//! far as to read have left heartbeats there, too: [`heartbeats`] finds them before the first of it is dated.

use std::collections::VecDeque;

use crate::engine::position::Position;
use crate::wire::resp::{Command, FrameReader};

/// The latest moment that is taken from a key or a server, Unix milliseconds: the year 144,683. It can be counted on from there, in
/// microseconds too, and a marker can tell what comes of it.
pub const LATEST_MS: i64 = 1 << 52;

/// A moment in digits, Unix milliseconds, or `None` where it is none that a clock can show.
pub fn moment(text: &[u8]) -> Option<i64> {
    let ms = std::str::from_utf8(text).ok()?.parse().ok()?;
    (0..=LATEST_MS).contains(&ms).then_some(ms)
}

/// What the heartbeats in `stream`, which begins at `from`, say: the offset behind each, and its Unix milliseconds; `key` is
/// the heartbeat's. It ends with the last whole command.
pub fn heartbeats(mut stream: &[u8], from: Position, key: &[u8]) -> VecDeque<(u64, i64)> {
    let (mut reader, mut found) = (FrameReader::new(), VecDeque::new());
    let (mut offset, mut database) = (from.offset, from.database);
    while let Ok(Some(length)) = reader.next(stream)
        && let Some((frame, rest)) = stream.split_at_checked(length)
    {
        let command = Command::new(frame, reader.arguments());
        let is = |name: &str| command.name().eq_ignore_ascii_case(name.as_bytes());
        offset += length as u64;
        stream = rest;
        if is("SELECT") {
            let number = std::str::from_utf8(command.arg(1)).ok().and_then(|text| text.parse().ok());
            database = number.unwrap_or(database);
        } else if command.arg(1) == key
            && (is("PUBLISH") || (database == 0 && is("SET")))
            && let Some(ms) = moment(command.arg(2))
        {
            found.push_back((offset, ms));
        }
    }
    found
}

/// Maps offsets of a stream to the source's clock.
#[derive(Debug, Clone)]
pub struct StreamClock {
    /// The newest known moment: offset in bytes, Unix milliseconds.
    known: (u64, i64),
    /// Where the stream ended when the link attached, and when that was.
    attached: (u64, i64),
    /// Moments before that one that are known from further on in the stream.
    ahead: VecDeque<(u64, i64)>,
    interval_ms: i64,
}

impl StreamClock {
    /// A clock for a link that reads from `from` (offset, Unix milliseconds) and attached when the stream had come to
    /// `attached`; heartbeats are written every `interval_ms`.
    pub fn new(from: (u64, i64), attached: (u64, i64), interval_ms: i64) -> Self {
        Self { known: from, attached, ahead: VecDeque::new(), interval_ms }
    }

    /// The same clock, where the [`heartbeats`] `ahead` are known before they are read.
    pub fn with_ahead(self, ahead: VecDeque<(u64, i64)>) -> Self {
        Self { ahead, ..self }
    }

    /// A heartbeat at `offset` was written at `ms`.
    pub fn heartbeat(&mut self, offset: u64, ms: i64) {
        self.known = (offset, self.known.1.max(ms));
        while self.ahead.front().is_some_and(|ahead| ahead.0 <= offset) {
            self.ahead.pop_front();
        }
    }

    /// Whether what stands at `offset` was written while nobody read, more than a heartbeat's interval later than `than_ms`, Unix
    /// milliseconds. What is read as it comes lies between two heartbeats.
    pub fn is_much_later(&self, offset: u64, than_ms: i64) -> bool {
        offset < self.attached.0 && self.at(offset, 0, false) > than_ms + self.interval_ms
    }

    /// The source's clock when what stands at `offset` was written, Unix milliseconds; `now_ms` is that clock now, and
    /// `beating` tells whether heartbeats could be written of late.
    pub fn at(&self, offset: u64, now_ms: i64, beating: bool) -> i64 {
        let (known_offset, known_ms) = self.known;
        let (attached_offset, attached_ms) = self.attached;
        if offset < attached_offset {
            let next = self.ahead.iter().copied().find(|ahead| ahead.0 > offset.max(known_offset));
            let (next_offset, next_ms) = next.filter(|next| next.0 < attached_offset).unwrap_or(self.attached);
            let span = i128::from(next_offset.saturating_sub(known_offset).max(1));
            let done = i128::from(offset.saturating_sub(known_offset));
            let gap = i128::from((next_ms - known_ms).max(0));
            return known_ms + i64::try_from(gap * done / span).unwrap_or(0);
        }
        let floor = if known_offset < attached_offset { attached_ms } else { known_ms };
        let ceiling = if beating { floor + 2 * self.interval_ms } else { i64::MAX };
        now_ms.clamp(floor.min(ceiling), ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::resp::command;

    #[test]
    fn what_was_written_while_nobody_read_is_dated_by_its_place() {
        let clock = StreamClock::new((1000, 50_000), (2000, 60_000), 250);
        assert_eq!(clock.at(1000, 99_000, true), 50_000);
        assert_eq!(clock.at(1500, 99_000, true), 55_000);
        assert_eq!(clock.at(1999, 99_000, true), 59_990);
    }

    #[test]
    fn heartbeats_that_nobody_has_read_date_what_stands_before_them() {
        let line = |text: &str| command(&text.split(' ').collect::<Vec<_>>());
        let (beat, other) = (line("SET duet:p:heartbeat:a 51000 PX 60000"), line("INCR n"));
        let stream = [line("SELECT 3"), beat.clone(), line("SELECT 0"), other, beat, line("SET cut off")].concat();
        let (from, whole) = (Position { offset: 1000, ..Position::NONE }, stream.len() - 3);
        let cut = stream.len() as u64 - line("SET cut off").len() as u64;
        let found = heartbeats(&stream[..whole], from, b"duet:p:heartbeat:a");
        assert_eq!(found, [(1000 + cut, 51_000)], "a client's in another database is none");

        let mut clock = StreamClock::new((1000, 50_000), (3000, 90_000), 250).with_ahead([(2000, 51_000)].into());
        assert_eq!(clock.at(1500, 99_000, true), 50_500);
        clock.heartbeat(2000, 51_000);
        assert_eq!(clock.at(2500, 99_000, true), 70_500);
    }

    #[test]
    fn what_is_read_late_is_dated_by_the_heartbeat_before_it() {
        let mut clock = StreamClock::new((0, 0), (0, 10_000), 250);
        clock.heartbeat(500, 20_000);
        assert_eq!(clock.at(510, 20_100, true), 20_100);
        assert_eq!(clock.at(510, 95_000, true), 20_500);
        assert_eq!(clock.at(510, 95_000, false), 95_000);
        assert_eq!(clock.at(510, 19_000, true), 20_000);
    }
}
