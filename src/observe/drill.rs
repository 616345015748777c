//! The failover drill.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::drill::Drill;

/// The drill that is under way, or the last one: written by whoever does it, read by anybody without waiting.
#[derive(Debug, Default)]
pub struct DrillBoard(ArcSwapOption<Drill>);

impl DrillBoard {
    /// The drill, if there was one.
    pub fn get(&self) -> Option<Arc<Drill>> {
        self.0.load_full()
    }

    /// It stands here now.
    pub fn set(&self, drill: Option<Drill>) {
        self.0.store(drill.map(Arc::new));
    }
}
