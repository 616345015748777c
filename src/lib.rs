//! Duet keeps two unmodified Redis or Valkey deployments, in two regions, equal while clients write to both.
//!
//! The code map, in the order in which a write flows, is in `docs/architecture.md`. In one line a folder:
//!
//! * [`wire`]: bytes to values and back (RESP frames, dumps, LZF, CRC); knows nothing of replication.
//! * [`command`]: what each write command means: keys, unit, how it is made unconditional and absolute.
//! * [`engine`]: every decision, without sockets, clock or random numbers.
//! * [`runtime`]: sockets, clock, signals; performs what the engine decides.
//! * [`admin`]: orders to the running daemon, and their record.
//! * [`check`]: what of two servers would be in the way of a pair.
//! * [`drill`]: leaving a region in order, and coming back.
//! * [`journal`]: the record of conflicts, in memory and in files.
//! * [`metrics`]: the same figures for Prometheus and OpenTelemetry.
//! * [`health`]: whether a load balancer may send clients to a region.
//! * [`service`]: what the service manager is told.
//! * [`verify`]: whether both regions hold the same, which keys do not, and why.
//! * [`config`], [`cli`], [`http`], [`observe`]: what a person sets, types, asks and sees.

pub mod admin;
pub mod check;
pub mod cli;
pub mod command;
pub mod config;
pub mod drill;
pub mod engine;
pub mod error;
pub mod health;
pub mod http;
pub mod journal;
pub mod metrics;
pub mod observe;
pub mod remedy;
pub mod runtime;
pub mod service;
pub mod verify;
pub mod wire;
