//! What the service manager (systemd) is told: that the daemon serves, how it does, that it lives, that it stops.
//!
//! * [`Watch`]: pure: which of the daemon's loops no longer go round.
//! * [`reloading`]: tells that settings are read again.
//! * [`Service`]: tells it, from a thread of its own, so that it can be told also when the links are stuck.
//!
//! It takes the board; it never asks a server, and nothing waits for it.

mod manager;
mod watch;

pub use manager::{Service, reloading};
pub use watch::{Movement, Watch};
