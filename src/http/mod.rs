//! What load balancers, people and scrapers ask. Takes the board and a listener, gives answers at once: on a thread of
//! its own, so that nothing that a link does can delay them. It never talks to a region and never changes anything.
//!
//! * `answers`: the routes and what they say.
//! * `server`: connections, and their bounds.

mod answers;
mod server;

pub use server::HttpServer;

#[cfg(test)]
mod tests;
