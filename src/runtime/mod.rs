//! Performs what the engine decides.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::observe::{Board, Direction};

/// What the operator says at a start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// The link whose source is copied in full over its target: the word that a held pair waits for.
    pub full_sync: Option<Direction>,
}

/// Keeps the pair equal until `shutdown`, and drains then.
///
/// # Errors
/// What stops both links for good.
pub async fn run(
    _config: Arc<Config>,
    _board: Arc<Board>,
    _options: Options,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    shutdown.cancelled().await;
    Ok(())
}
