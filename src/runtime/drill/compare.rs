//! Both regions at a step of a drill, compared by the verifier, for as long as an order may take.

use std::collections::HashSet;
use std::time::Duration;

use crate::drill::Comparison;
use crate::engine::guard::survey::{Name, survey};
use crate::error::{Fault, Kind};
use crate::runtime::attach::{replication, since};
use crate::runtime::client::Client;
use crate::runtime::shared::Pair;
use crate::runtime::verify::compare_within;
use crate::verify::{Finding, Plan};

/// How long a comparison may take: less than an order may.
const WITHIN: Duration = Duration::from_secs(15);
/// How much of the other region's stream is looked at for what its clients have written, bytes.
const MOST_READ: u64 = 64 * 1024 * 1024;
/// Keys that look different are kept until it is known which of them clients have written meanwhile.
const MOST_FOUND: usize = 65_536;
/// Examples that are named.
const EXAMPLES: usize = 5;
/// How long a difference has to be there where both links carry writes.
const SETTLE: Duration = Duration::from_secs(1);
/// How long a key that changes all the time is looked at.
const PATIENCE: Duration = Duration::from_secs(5);

/// Compares the region that is left with the other one, in both directions. `other_since` is where the other region's history
/// stood when nothing more of it came across: keys that its clients have written since are left out, and a look need not wait
/// for the links.
///
/// # Errors
/// A [`Fault`] when a server does not answer, or more differs than can be told from what clients have written meanwhile.
pub(super) async fn compare(pair: &Pair, from: usize, other_since: Option<u64>) -> Result<Comparison, Fault> {
    let plan = Plan {
        rounds: if other_since.is_some() { 1 } else { 2 },
        settle: SETTLE,
        patience: PATIENCE,
        ..Plan::default()
    };
    let mut names: HashSet<Name> = HashSet::new();
    let take = |finding: Finding| {
        names.insert(finding.name);
        if names.len() > MOST_FOUND {
            let text = format!("more than {MOST_FOUND} keys differ: `duet verify` tells more");
            return Err(Fault::new(Kind::Waiting, text));
        }
        Ok(())
    };
    let found = compare_within(&pair.config(), plan, WITHIN, take).await?;
    let before = names.len();
    if let Some(offset) = other_since {
        // Read last: what was written while it was compared counts too.
        let written = written(pair, from, offset).await?;
        names.retain(|name| !written.contains(name));
    }
    let examples = names.iter().take(EXAMPLES).map(|(n, name)| format!("{} in database {n}", name.escape_ascii()));
    // The verifier's sides are those of the configuration.
    let sides = [from, 1 - from];
    Ok(Comparison {
        keys: sides.map(|side| found.total[side]),
        seen: sides.map(|side| found.seen[side]),
        compared: found.keys,
        all: found.whole && found.undecided == 0,
        different: names.len() as u64,
        examples: examples.collect(),
        left_out: (before - names.len()) as u64,
        undecided: found.undecided,
    })
}

/// Keys that clients of the other region have written since then.
async fn written(pair: &Pair, from: usize, offset: u64) -> Result<HashSet<Name>, Fault> {
    let other = pair.source(1 - from);
    let history = replication(&mut Client::connect(&other, other.primary()).await?).await?;
    if history.offset.saturating_sub(offset) > MOST_READ {
        let text = format!("{} has written more than 64 MiB since the fence: it can't be told which keys", other.name);
        return Err(Fault::new(Kind::Waiting, text));
    }
    let stream = since(&other, &history, offset + 1, MOST_READ).await?;
    let marker = pair.reserved.marker(pair.source(from).name.as_str());
    let survey = survey(&stream, 0, &marker, pair.reserved.prefix())?;
    if survey.is_partial || survey.flushes > 0 {
        let text = format!("{} has changed too many keys since the fence to tell which differ", other.name);
        return Err(Fault::new(Kind::Waiting, text));
    }
    Ok(survey.written.into_iter().chain(survey.deleted).collect())
}
