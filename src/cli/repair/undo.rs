//! `duet repair --undo`: what a repair has overwritten, written again.

use std::path::Path;

use super::Tally;
use super::mending::Watcher;
use crate::config::Config;
use crate::observe::escaped;
use crate::runtime::verify::Reader;
use crate::verify::backup::{Backup, Held, Saved};
use crate::verify::{Features, Name, parts_of};

/// Keys that are read together.
const TOGETHER: u32 = 100;

/// Writes the values of a backup again at the regions that had them: new updates, which go to both.
pub(super) async fn run(config: &Config, path: &Path, dry: bool) -> anyhow::Result<Tally> {
    let backup = Backup::open(path)?;
    let mut watcher = Watcher::open(config).await?;
    watcher.pass().await?;
    let [left, right] = &config.regions;
    let mut readers = [Reader::open(left).await?, Reader::open(right).await?];
    let mut tally = Tally { what: "written again", dry, ..Tally::default() };
    let mut after = 0;
    loop {
        let saved = backup.read(after, TOGETHER)?;
        let Some((last, _)) = saved.last() else { return Ok(tally) };
        after = *last;
        let mut written: Vec<Name> = Vec::new();
        for (_, saved) in saved {
            let loser = config.regions.iter().position(|region| region.name.as_str() == saved.loser);
            let Some(loser) = loser else {
                tally.leave(&saved.name, &format!("{} is no region of this pair", saved.loser));
                continue;
            };
            if dry {
                let (database, name) = &saved.name;
                tally.done += 1;
                let line = format!("database {database}, key \"{}\": what {} held", escaped(name), saved.loser);
                tally.planned.push(line);
                continue;
            }
            let Saved { name, won, lost, .. } = &saved;
            let key = (name.0, name.1.as_slice());
            match readers[loser].put(key, |held| is_same(held, won), lost).await {
                Ok(true) => written.push(saved.name),
                Ok(false) => tally.leave(name, "it was changed since the repair"),
                Err(error) => tally.leave(name, &format!("{error:#}")),
            }
        }
        let asked = written.len() as u64;
        let left = watcher.wait_equal(written).await?;
        tally.done += asked - left.len() as u64;
        for name in &left {
            tally.leave(name, "it was not equal 30 s later: look at `duet status`, and verify again");
        }
    }
}

/// Whether both hold the same value, in whatever encoding.
fn is_same(one: &Held, other: &Held) -> bool {
    const ALL: Features = Features { field_ttl: false, stream_counters: false };
    match (one, other) {
        (Some((one, _)), Some((other, _))) => match (parts_of(one, ALL, 0), parts_of(other, ALL, 0)) {
            (Ok(one), Ok(other)) => one == other,
            _ => one == other,
        },
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
