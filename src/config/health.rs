//! `[health]`

use std::net::SocketAddr;
use std::time::Duration;

/// What load balancers are told.
#[derive(Debug, Clone, Copy)]
pub struct Health {
    /// The lag that is borne where a question names none.
    pub max_lag: Duration,
    /// Whether a region serves while the other one does not answer.
    pub alone: Alone,
    /// Good looks in a row before a region is back in; one look each heartbeat.
    pub rise: u32,
    /// Bad looks in a row before a region is out.
    pub fall: u32,
    /// Where HAProxy's agent checks are answered; nowhere when absent.
    pub agent_listen: Option<SocketAddr>,
}

/// `health.alone`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alone {
    /// It serves: newer data is nowhere to be had.
    Serve,
    /// It does not: it may lack what the other region took last.
    Refuse,
}
