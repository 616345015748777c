//! What load balancers, people and scrapers ask. Takes the board, the journal and a listener, gives answers at once: on a thread of
//! its own, so that nothing that a link does can delay them. It never talks to a region and never changes anything.
//!
//! * `answers`: the routes and what they say; `conflicts`: those about conflicts.
//! * `server`: connections, and their bounds.

mod answers;
mod conflicts;
mod server;

pub use conflicts::{Conflicts, Why};
pub use server::HttpServer;

#[cfg(test)]
mod tests;
