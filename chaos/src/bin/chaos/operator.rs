//! The person at the console: decides what Duet does not decide by itself. What a link is held for, and by which code.

use crate::side::Side;
use crate::workload::Notes;
use crate::world::World;
use anyhow::{Context, Result};
use duet_chaos::daemon::get;
use serde_json::Value;
use std::time::Duration;

/// How long a copy may take.
const COPIED: Duration = Duration::from_secs(60);

/// Looks at what is held, and acts. Returns what was decided, in words.
///
/// # Errors
/// When the daemon does not answer, or can't be started again.
pub async fn decide(world: &World, notes: &Notes) -> Result<Vec<String>> {
    let status: Value = serde_json::from_str(&get(&world.http, "/status").await?.body)?;
    let held = |link: &&Value| link["state"] == "held";
    let links = status["links"].as_array().context("no links")?;
    let mut decided = Vec::new();
    for link in links.iter().filter(held) {
        let (code, direction) = (link["error_code"].as_str().unwrap_or(""), link["direction"].as_str().unwrap_or(""));
        match code {
            "marker_back" | "flush_seen" | "mass_delete" | "echo_grows" => {
                world.order(&["resume", direction, "--accept"]).await?;
                decided.push(format!("{direction} was held by {code}: accepted"));
            }
            "both_positions_lost" | "source_shrunk" | "position_lost" | "databases_differ" => {
                decided.push(copy_again(world, notes, code).await?);
                return Ok(decided);
            }
            _ => {}
        }
    }
    Ok(decided)
}

/// The region that kept its history wins: what the other one alone has may be gone then.
async fn copy_again(world: &World, notes: &Notes, code: &str) -> Result<String> {
    let loser = notes.struck_history.unwrap_or(Side::East);
    let word = loser.link_into();
    let mut daemon = world.daemon.lock().await;
    daemon.terminate().await?;
    daemon.resume_with(&["--full-sync", word])?;
    daemon.wait_streaming(COPIED).await?;
    // Until the copy begins, clients of that region write what it takes away.
    notes.ledger().lost(loser, notes.since);
    Ok(format!("held by {code}: `duet run --full-sync {word}`, the data of the {} win", loser.other()))
}
