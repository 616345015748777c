//! Keys of a result, made equal by the running daemon.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Tally;
use super::choose::{Choice, Chooser};
use crate::admin::{MendKey, Order};
use crate::cli::order::Door;
use crate::config::Config;
use crate::engine::origin::ReservedKeys;
use crate::observe::escaped;
use crate::runtime::verify::{Fence, Lane, Limits, MOST_BYTES, Reader, Taken, look};
use crate::verify::backup::{Backup, MOST_HELD, Saved};
use crate::verify::file::File;
use crate::verify::{Look, Name, Next, Plan, Suspect};

/// Keys that are repaired together.
const TOGETHER: usize = 100;
/// How long both links may take to pass a moment.
const FENCE_PATIENCE: Duration = Duration::from_secs(30);
/// How long a key may take to become equal.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Bytes of an order, below what the daemon takes; of a key beside its name.
const ORDER_BYTES: usize = 48 * 1024;
const KEY_OVERHEAD: usize = 48;

/// Looks at keys of both regions.
pub(super) struct Watcher {
    plan: Plan,
    lane: Lane,
    fence: Fence,
    began: Instant,
}

impl Watcher {
    pub(super) async fn open(config: &Config) -> anyhow::Result<Self> {
        // Twice, with both links in between: what is on its way is not touched.
        let plan = Plan { settle: Duration::ZERO, ..Plan::default() };
        let limits = [0, 1].map(|_| Arc::new(Limits::new(&plan, None)));
        let lane = Lane::open(&config.regions, &limits).await?;
        let reserved = ReservedKeys::new(config.pair.reserved_prefix.as_str(), config.pair.name.as_str());
        let fence = Fence::new(&reserved, config.regions.each_ref().map(|region| region.name.as_str()));
        Ok(Self { plan, lane, fence, began: Instant::now() })
    }

    /// # Errors
    /// The links do not move.
    pub(super) async fn pass(&mut self) -> anyhow::Result<()> {
        if self.fence.pass(&mut self.lane, FENCE_PATIENCE).await? {
            return Ok(());
        }
        bail!("the links do not move: a repair goes through the running daemon. Look at `duet status`")
    }

    pub(super) async fn look(&mut self, names: &[Name]) -> anyhow::Result<BTreeMap<Name, Look>> {
        Ok(look(&mut self.lane, &self.plan, names, self.began.elapsed()).await?.0)
    }

    /// Which keys are not equal after some time.
    pub(super) async fn wait_equal(&mut self, mut names: Vec<Name>) -> anyhow::Result<Vec<Name>> {
        let began = Instant::now();
        while !names.is_empty() && began.elapsed() < PATIENCE {
            self.pass().await?;
            let looks = self.look(&names).await?;
            names.retain(|name| looks.get(name).is_some_and(|look| !look.differences.is_empty()));
            if !names.is_empty() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Ok(names)
    }
}

/// Repairs the keys of `result`; without a `door` to the daemon it only says what would be done.
pub(super) async fn run(
    config: &Config,
    result: &Path,
    backup: &Path,
    chooser: Chooser,
    door: Option<Door>,
) -> anyhow::Result<Tally> {
    let file = File::open(result)?;
    check_pair(config, &file, result)?;
    let mut watcher = Watcher::open(config).await?;
    watcher.pass().await?;
    let [left, right] = &config.regions;
    let readers = [Reader::open(left).await?, Reader::open(right).await?];
    let dry = door.is_none();
    let mut tally = Tally { what: "repaired", dry, backup: Some(backup.to_owned()), ..Tally::default() };
    let backup = if dry { None } else { Some(Backup::create(backup)?) };
    let regions = config.regions.each_ref().map(|region| region.name.to_string());
    let mut repair = Mending { regions, chooser, door, backup, readers, watcher };
    let mut after = 0;
    loop {
        let entries = file.entries(after, TOGETHER)?;
        let Some((last, _)) = entries.last() else { return Ok(tally) };
        after = *last;
        let names: Vec<Name> = entries.into_iter().map(|(_, entry)| entry.name).collect();
        if !repair.batch(names, &mut tally).await? {
            return Ok(tally);
        }
    }
}

/// # Errors
/// The result is of another pair.
fn check_pair(config: &Config, file: &File, path: &Path) -> anyhow::Result<()> {
    let Some(summary) = file.summary()? else {
        bail!(
            "the run of {} has not come to its end: `duet verify --output {0} --resume` goes on with it",
            path.display()
        );
    };
    let regions = config.regions.each_ref().map(|region| region.name.to_string());
    if summary.pair != config.pair.name.to_string() || summary.regions != regions {
        let [source, target] = &summary.regions;
        bail!("{} is of the pair {} of {source} and {target}, not of this one", path.display(), summary.pair);
    }
    Ok(())
}

/// Gives the order for keys, and gives those of which it was obeyed.
async fn order(door: &Door, winner: &str, names: Vec<Name>, tally: &mut Tally) -> Vec<Name> {
    let (mut ordered, mut rest) = (Vec::new(), names.as_slice());
    while !rest.is_empty() {
        // What an order may hold is bounded; one key alone always goes.
        let mut bytes = 0;
        let fits = |(_, name): &&Name| {
            bytes += name.len() * 4 / 3 + KEY_OVERHEAD;
            bytes <= ORDER_BYTES
        };
        let (now, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        rest = later;
        let key = |(database, name): &Name| MendKey { database: *database, key_base64: STANDARD.encode(name) };
        let order = Order::Mend { winner: winner.to_owned(), keys: now.iter().map(key).collect() };
        match door.give(&order).await {
            Ok(done) => {
                let held = done.details["held"].as_array().cloned().unwrap_or_default();
                for (at, name) in now.iter().enumerate() {
                    if held.contains(&at.into()) {
                        tally.leave(name, "its policy is `hold`: decide it with `duet resolve`");
                    } else {
                        ordered.push(name.clone());
                    }
                }
            }
            Err(error) => now.iter().for_each(|name| tally.leave(name, &format!("{error:#}"))),
        }
    }
    ordered
}

/// Why a key is left that is too big, and what to do.
fn too_big(size: i64, region: &str, winner: &str) -> String {
    let (mib, most) = (size.unsigned_abs().div_ceil(1024 * 1024), MOST_BYTES / 1024 / 1024);
    format!(
        "it takes about {mib} MiB at {region}, and more than {most} MiB are not made equal: write it again, or delete it, at \
         {winner} (docs/verifying.md, big values)"
    )
}

struct Mending {
    regions: [String; 2],
    chooser: Chooser,
    door: Option<Door>,
    backup: Option<Backup>,
    readers: [Reader; 2],
    watcher: Watcher,
}

impl Mending {
    /// Repairs some keys. Tells whether to go on.
    async fn batch(&mut self, names: Vec<Name>, tally: &mut Tally) -> anyhow::Result<bool> {
        let looks = self.still_different(names, tally).await?;
        let (mut by_winner, mut go_on): ([Vec<Saved>; 2], bool) = (Default::default(), true);
        let mut held = 0;
        for (name, look) in looks {
            if !go_on {
                break;
            }
            match self.chooser.choose(&name, &look).await? {
                Choice::Winner(winner) => {
                    if let Some(saved) = self.take(name, winner, tally).await? {
                        held += saved.bytes();
                        by_winner[winner].push(saved);
                    }
                    if held >= MOST_HELD {
                        held = 0;
                        self.mend_all(&mut by_winner, tally).await?;
                    }
                }
                Choice::Leave(why) => tally.leave(&name, &why),
                Choice::Stop => go_on = false,
            }
        }
        self.mend_all(&mut by_winner, tally).await?;
        Ok(go_on)
    }

    async fn mend_all(&mut self, by_winner: &mut [Vec<Saved>; 2], tally: &mut Tally) -> anyhow::Result<()> {
        for (winner, saved) in by_winner.iter_mut().enumerate() {
            self.mend(winner, std::mem::take(saved), tally).await?;
        }
        Ok(())
    }

    /// Keys that are different in the same way before and behind both links.
    async fn still_different(&mut self, names: Vec<Name>, tally: &mut Tally) -> anyhow::Result<Vec<(Name, Look)>> {
        let plan = self.watcher.plan.clone();
        let first = self.watcher.look(&names).await?;
        self.watcher.pass().await?;
        let mut second = self.watcher.look(&names).await?;
        let mut different = Vec::new();
        for name in names {
            let (Some(before), Some(now)) = (first.get(&name), second.remove(&name)) else { continue };
            let mut suspect = Suspect::new(name.clone(), Duration::ZERO);
            suspect.look(before, &plan);
            match suspect.look(&now, &plan) {
                Next::Different(_) => different.push((name, now)),
                Next::Equal => tally.equal += 1,
                Next::Again | Next::Undecided => tally.leave(&name, "clients change it just now: try again"),
            }
        }
        Ok(different)
    }

    /// Takes what both regions hold.
    async fn take(&mut self, name: Name, winner: usize, tally: &mut Tally) -> anyhow::Result<Option<Saved>> {
        let mut held = Vec::with_capacity(2);
        for side in [winner, 1 - winner] {
            match self.readers[side].take(name.0, &name.1).await? {
                Taken::Value(value) => held.push(value),
                Taken::TooBig(size) => {
                    tally.leave(&name, &too_big(size, &self.regions[side], &self.regions[winner]));
                    return Ok(None);
                }
            }
        }
        let (Some(lost), Some(won)) = (held.pop(), held.pop()) else { return Ok(None) };
        let [winner, loser] = [&self.regions[winner], &self.regions[1 - winner]].map(String::clone);
        Ok(Some(Saved { name, winner, loser, won, lost }))
    }

    /// Has the daemon make keys equal, and looks whether they are.
    async fn mend(&mut self, winner: usize, saved: Vec<Saved>, tally: &mut Tally) -> anyhow::Result<()> {
        if saved.is_empty() {
            return Ok(());
        }
        let (Some(door), Some(backup)) = (&self.door, &mut self.backup) else {
            tally.done += saved.len() as u64;
            for Saved { name: (database, name), winner, loser, won, .. } in &saved {
                let what = if won.is_some() { "takes the value" } else { "loses the key, as it is missing" };
                let line = format!("database {database}, key \"{}\": {loser} {what} of {winner}", escaped(name));
                tally.planned.push(line.replace("missing of", "missing in"));
            }
            return Ok(());
        };
        backup.save(&saved)?;
        let names: Vec<Name> = saved.into_iter().map(|saved| saved.name).collect();
        let ordered = order(door, &self.regions[winner], names, tally).await;
        let asked = ordered.len() as u64;
        let left = self.watcher.wait_equal(ordered).await?;
        tally.done += asked - left.len() as u64;
        for name in &left {
            tally.leave(name, "it was not equal 30 s later: look at `duet status`, and verify again");
        }
        Ok(())
    }
}
