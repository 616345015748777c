//! Duet as a whole, on real servers: a module per behaviour. Needs `make setup`.
//!
//! Every test starts servers and a daemon of its own, and waits for conditions with deadlines.

mod admin;
mod balancers;
mod big;
mod clocks;
mod config_errors;
mod conflict_record;
mod conflicts;
mod console;
mod copies;
mod cut;
mod demo;
mod drill;
mod echo;
mod events;
mod exactly_once;
mod existing_keys;
mod exit_codes;
mod failovers;
mod faults;
mod full_sync;
mod guards;
mod health;
mod http;
mod increments;
mod late_exec;
mod lying;
mod metrics;
mod overrun;
mod password;
mod precheck;
mod restart;
mod restore_command;
mod reverse_start;
mod samples;
mod service;
mod sigterm;
mod soundness;
mod tls;
mod unknown;
mod unknown_types;
mod verify;
mod whole_database;
mod writes;

use std::path::Path;

/// The program under test.
fn duet() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_duet"))
}
