//! What waits in the queues of a link, beside what they take.

use super::Counter;

/// The queues of one link.
#[derive(Debug, Default)]
pub struct Queues {
    /// Transactions that the target has not answered.
    pub in_flight: Queue,
    /// Bytes that the target's connection has not taken.
    pub unwritten_bytes: Queue,
    /// Writes of the source's clients that are kept to be compared with concurrent ones.
    pub window: Queue,
}

/// One queue. The runtime writes it, and anybody reads it.
#[derive(Debug, Default)]
pub struct Queue {
    /// What waits.
    pub depth: Counter,
    /// The most that it takes.
    pub limit: Counter,
}

impl Queues {
    /// Each with its name.
    pub fn all(&self) -> [(&'static str, &Queue); 3] {
        [
            ("transactions_in_flight", &self.in_flight),
            ("unwritten_bytes", &self.unwritten_bytes),
            ("window_writes", &self.window),
        ]
    }
}
