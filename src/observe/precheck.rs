//! What the precheck of this start found.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::check::Precheck;

/// The last precheck: written by its task, read by anybody without waiting.
#[derive(Debug, Default)]
pub struct PrecheckBoard(ArcSwapOption<Precheck>);

impl PrecheckBoard {
    /// The last one, if there was one already.
    pub fn get(&self) -> Option<Arc<Precheck>> {
        self.0.load_full()
    }

    /// Puts a new one there; gives the one before.
    pub fn replace(&self, precheck: Precheck) -> Option<Arc<Precheck>> {
        self.0.swap(Some(Arc::new(precheck)))
    }
}
