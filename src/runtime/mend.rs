//! Making keys equal by the value of one region, because somebody says so: through what resolves conflicts, so that nothing that
//! clients write meanwhile is lost.

use serde_json::json;

use super::shared::Pair;
use crate::admin::{Done, MendKey, Refused};
use crate::engine::conflict::{Name, hold};
use crate::observe::State;

/// Keys that one order may name.
pub const MOST_MENDED: usize = 1_000;

/// What an order to make keys equal comes to.
pub fn order(pair: &Pair, winner: &str, keys: &[MendKey]) -> Result<Done, Refused> {
    let config = pair.config();
    let regions = config.regions.each_ref().map(|region| region.name.as_str());
    let Some(winner) = regions.iter().position(|region| *region == winner) else {
        let [one, other] = regions;
        let remedy = format!("Give `{one}` or `{other}`");
        return Err(Refused::new("unknown_region", format!("`{winner}` is no region of this pair"), remedy));
    };
    if keys.len() > MOST_MENDED {
        let remedy = format!("Give {MOST_MENDED} at most");
        return Err(Refused::new("too_many", format!("{} keys are too many for one order", keys.len()), remedy));
    }
    let names = keys.iter().map(MendKey::name).collect::<Result<Vec<Name>, String>>();
    let names = names.map_err(|error| Refused::new("bad_key", error, "Give the bytes of each key in base64"))?;
    if names.iter().any(|(_, name)| name.starts_with(pair.reserved.prefix())) {
        return Err(Refused::new("reserved", "one of the keys is Duet's own", "Leave it out"));
    }
    let count = names.len();
    let held = mend(pair, winner, names)?;
    let text = format!("{} keys take the value of {}", count - held.len(), regions[winner]);
    Ok(Done { text, details: json!({ "held": held }) })
}

/// Has keys take the value of region `winner` (0 the forward link's source) in the other one. It is done when that has come,
/// some round trips later. Gives which of the keys a policy holds when writes meet: a person has to decide those, and they
/// are left alone.
///
/// # Errors
/// A link does not stream.
pub fn mend(pair: &Pair, winner: usize, names: Vec<Name>) -> Result<Vec<usize>, Refused> {
    for link in &pair.links {
        if link.board.state() != State::Streaming {
            let error = format!("{} does not stream: nothing can be made equal now", link.board.direction);
            return Err(Refused::new("not_streaming", error, "Look at `duet status`, and try again"));
        }
    }
    let mut exchange = hold(&pair.exchange);
    let mut held = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        if exchange.policies().holds(&name.1) {
            held.push(at);
        } else {
            exchange.refused(1 - winner, name);
        }
    }
    drop(exchange);
    pair.links.iter().for_each(|link| link.mail.notify_one());
    Ok(held)
}
