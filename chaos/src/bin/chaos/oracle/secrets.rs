//! No password in anything that the daemon wrote or says.

use crate::world::World;
use anyhow::Result;
use duet_chaos::daemon::get;
use std::path::Path;

/// What is asked by HTTP.
const PATHS: [&str; 7] = ["/status", "/metrics", "/conflicts", "/history", "/events", "/readyz", "/syncz?region=west"];

/// Where a secret was seen, and how many bytes were looked at.
///
/// # Errors
/// When a file can't be read.
pub async fn look(world: &World) -> Result<(Vec<String>, usize)> {
    let mut said = vec![
        ("the log".to_owned(), world.daemon.lock().await.output().into_bytes()),
        ("the log of a second daemon".to_owned(), world.others().into_bytes()),
    ];
    for path in PATHS {
        // One that is not there for a moment is looked at at the next rest.
        if let Ok(answer) = get(&world.http, path).await {
            said.push((path.to_owned(), answer.body.into_bytes()));
        }
    }
    for dir in ["conflicts", "audit", "second/conflicts", "second/audit"] {
        said.extend(files(&world.dir().join(dir))?);
    }
    let secrets = world.secrets();
    let shows = |bytes: &[u8], secret: &str| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    let shown = said.iter().filter(|(_, bytes)| secrets.iter().any(|secret| shows(bytes, secret)));
    let wrong = shown.map(|(name, _)| format!("a password stands in {name}")).collect();
    Ok((wrong, said.iter().map(|(_, bytes)| bytes.len()).sum()))
}

fn files(dir: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_file() {
            found.push((path.display().to_string(), std::fs::read(&path)?));
        }
    }
    Ok(found)
}
