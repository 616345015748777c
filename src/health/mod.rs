//! May a load balancer send clients to a region? Takes what the board shows at one moment, gives 200 or 503 with a reason.
//! Pure, but for one short lock; it never asks a server.
//!
//! * `standing`: how a region stands at one moment; `hysteresis`: how often it must stand so before an answer changes.
//! * [`Health`]: looks at both regions again and again, and keeps the answer for each lag that somebody bears.
//! * `agent`: the same answer in the words of HAProxy's agent check.

mod agent;
mod hysteresis;
mod looks;
mod standing;

pub use agent::agent_word;
pub use looks::{Answer, Health, NoSuchRegion};
pub use standing::{Standing, View};

#[cfg(test)]
mod tests;
