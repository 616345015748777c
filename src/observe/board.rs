//! Both links of a pair.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{
    AuditBoard, ClockBoard, Conflicts, Direction, DrillBoard, JournalBoard, LinkBoard, PrecheckBoard, RegionBoard,
    Rounds, VerifyBoard,
};
use crate::config::Config;

/// What the runtime writes, and HTTP and people read.
#[derive(Debug)]
pub struct Board {
    /// The name of the pair.
    pub pair: String,
    /// The forward link, then the reverse one.
    pub links: [Arc<LinkBoard>; 2],
    /// The source of the forward link, then its target.
    pub regions: [Arc<RegionBoard>; 2],
    /// How far the clocks of both regions are apart.
    pub clocks: Arc<ClockBoard>,
    /// How conflicts ended.
    pub conflicts: Conflicts,
    /// How their record does.
    pub journal: JournalBoard,
    /// The last orders.
    pub audit: AuditBoard,
    /// The failover drill.
    pub drill: Arc<DrillBoard>,
    /// What the precheck of this start found.
    pub precheck: Arc<PrecheckBoard>,
    /// How the daemon's own verification does.
    pub verification: Arc<VerifyBoard>,
    /// How often it was looked whether the regions are fit for clients.
    pub looks: Rounds,
    pub(super) started: Instant,
}

impl Board {
    /// The board of a pair that begins now.
    pub fn new(config: &Config, now: Instant) -> Self {
        let (source, target) = (&config.source().name, &config.target().name);
        let interval = config.heartbeat.interval;
        let link = |direction, source: &dyn ToString, target: &dyn ToString| {
            Arc::new(LinkBoard::new(direction, source.to_string(), target.to_string(), interval, now))
        };
        Self {
            pair: config.pair.name.to_string(),
            links: [link(Direction::Forward, source, target), link(Direction::Reverse, target, source)],
            regions: [source, target].map(|region| Arc::new(RegionBoard::new(region.to_string(), interval))),
            clocks: Arc::new(ClockBoard::new([source.to_string(), target.to_string()], &config.clock, interval)),
            conflicts: Conflicts::default(),
            journal: JournalBoard::default(),
            audit: AuditBoard::default(),
            precheck: Arc::default(),
            verification: Arc::default(),
            drill: Arc::default(),
            looks: Rounds::default(),
            started: now,
        }
    }

    /// The link that copies the full data, then increments.
    pub fn forward(&self) -> &Arc<LinkBoard> {
        &self.links[0]
    }

    /// How long the daemon has been running.
    pub fn uptime(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// The region of this name.
    pub fn region(&self, name: &str) -> Option<&Arc<RegionBoard>> {
        self.regions.iter().find(|region| region.name == name)
    }

    /// The link that copies increments the other way.
    pub fn reverse(&self) -> &Arc<LinkBoard> {
        &self.links[1]
    }
}
