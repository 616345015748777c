//! One execution of one write, and its place among the others.

use bytes::Bytes;

use crate::command::{Spec, Unit};
use crate::engine::conflict::order::{Author, Order, Ranking};
use crate::engine::conflict::stamp::Stamp;

/// One execution of one write, as it concerns one key.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When it was written; not known yet for what was sent in an earlier session.
    pub stamp: Option<Stamp>,
    /// That is what it had when it was executed again. It was sent in an earlier session, perhaps later, with a later stamp.
    pub undated: bool,
    /// Where it stands in the stream of the region whose client wrote it: its name.
    pub id: u64,
    /// Where this execution stands in this region's stream.
    pub at: u64,
    /// Where it was first executed there.
    pub first: u64,
    /// Whether it is another execution than the first.
    pub again: bool,
    /// Whether a client of this region wrote it.
    pub local: bool,
    /// For a write of the other region: up to where that one had seen this region's writes.
    pub saw: u64,
    /// Up to where its region had executed the other one's writes when it was written, in that one's stream.
    pub seen: u64,
    /// The database that was in force.
    pub database: u32,
    /// What it is.
    pub spec: &'static Spec,
    /// The request; more than one where `requests` says so.
    pub bytes: Bytes,
    /// How many requests these are.
    pub requests: u32,
    /// The key was replaced since by a value that was made without it.
    pub wiped: bool,
    /// A deletion by the server itself that the other region is not told.
    pub silent: bool,
    /// A deletion by the server itself, or what may be one: any update that is concurrent with it beats it.
    pub weak: bool,
    /// For such a one: the latest of the writes that made what it removed. It counts right behind that.
    pub behind: Order,
    /// For such a one of this region: it was not compared yet with what it has met.
    pub doubtful: bool,
    /// A record was made of it, or none is to be made.
    pub recorded: bool,
    /// It was told that this left other keys in doubt.
    pub told: bool,
    /// It sets or removes the whole value.
    pub replaces: bool,
    /// What it does to one key depends on another one.
    pub of_several: bool,
}

impl Entry {
    /// Whether it is certain when it was written.
    pub(super) fn is_dated(&self) -> bool {
        self.stamp.is_some() && !self.undated
    }

    /// The write, as its order depends on it.
    pub(super) fn author(&self) -> Author {
        let Self { local, stamp, id, seen, .. } = *self;
        Author { local, stamp: stamp.unwrap_or(Stamp::WEAKEST), id, seen }
    }
}

/// Its place in the order of the key's writes.
pub fn order(ranking: Ranking, entry: &Entry) -> Order {
    if entry.weak {
        return Order(entry.behind.0, entry.behind.1, entry.behind.2.saturating_add(1));
    }
    ranking.order(entry.author())
}

/// The latest of what made the value that a deletion by the server finds when it is executed behind these, the last one first. Of
/// the other region's deletion it is known here what that one had sent before, and what it had seen of this region's writes.
pub(super) fn removed_by<'a>(ranking: Ranking, entry: &Entry, before: impl Iterator<Item = &'a Entry>) -> Order {
    let (mut latest, mut made) = (Order::WEAKEST, false);
    if !entry.weak {
        return latest;
    }
    let is_such = |other: &Entry| other.weak && other.local == entry.local && !other.silent && !other.again;
    if !entry.local {
        for before in before {
            if before.id <= if before.local { entry.saw } else { entry.id } {
                latest = latest.max(order(ranking, before));
                // That one counts behind all that it had seen; and so does this one.
                if is_such(before) && before.saw >= entry.saw {
                    break;
                }
            }
        }
        return latest;
    }
    for before in before.filter(|before| !before.wiped) {
        // What is sent is executed behind all that its region sent before.
        if !made || (before.local && !entry.silent) {
            latest = latest.max(order(ranking, before));
        }
        made |= before.replaces;
        if made && (entry.silent || is_such(before)) {
            break;
        }
    }
    latest
}

/// Whether nothing is left of `before` once `entry`, a write of the whole value, is executed behind it.
pub(super) fn covers(ranking: Ranking, entry: &Entry, before: &Entry) -> bool {
    before.is_dated() && order(ranking, before) <= order(ranking, entry)
}

/// Whether it sets or removes elements of a key, which goes with the last of them, or its time to live.
pub(super) fn has_elements(spec: &Spec) -> bool {
    use Unit::{Element, ElementCounter, Lifetime, Sequence};
    matches!(spec.unit, Element(_) | ElementCounter(_) | Lifetime | Sequence)
}
