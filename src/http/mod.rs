//! What load balancers, people and scrapers ask. Takes the board, the journal and a listener, gives answers at once: on a thread of
//! its own, so that nothing that a link does can delay them. It never talks to a region, and only orders change anything.
//!
//! * `answers`: the routes and what they say; `conflicts`: those about conflicts; `syncz`: what load balancers ask.
//! * `console`: the page for people, with all that it needs.
//! * `agent`: what HAProxy's agent checks ask, on a port of its own.
//! * `actions`: orders, on a listener of their own; who may give them.
//! * `server`, `listener`: connections, and their bounds.

mod actions;
mod agent;
mod answers;
mod conflicts;
mod console;
mod listener;
mod server;
mod syncz;

pub use actions::BY_HEADER;
pub use agent::word as agent_line;
pub use answers::{Known, routes};
pub use conflicts::{Conflicts, Why};
pub use server::{AdminServer, HttpServer};

#[cfg(test)]
mod tests;
