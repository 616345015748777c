//! What was executed of late on one key of one region.

mod entry;
mod lost;
mod rivals;

use std::collections::{BTreeSet, HashMap, HashSet};

use bytes::Bytes;

use super::claim::{Claim, Claimed, Part, claim, lifetime_of, narrow};
use super::exchange::{Made, Name};
use super::judge::{self, Judgement, Step, Verdict, before_a_value, judge};
use super::order::{Order, Ranking};
use super::record::{Done, Record};
use super::stamp::Stamp;
use crate::command::{Access, KeyUse, Spec, Unit as CommandUnit};
use crate::wire::resp::{Command, FrameReader};

pub use entry::{Entry, order};

use entry::{covers, has_elements, removed_by};
use lost::{losers, losers_of_whole};
use rivals::Rivals;

/// So many executions most keys that have met something have: then memory for more is given back.
const FEW: usize = 4;

/// How often what is in doubt is put in order before its value is given or taken: both regions may write it all the time.
const MOST_MENDED: u32 = 8;

/// A write that is to be executed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redo {
    /// When it was written.
    pub stamp: Stamp,
    /// Where it stands in the stream of the region whose client wrote it.
    pub id: u64,
    /// Up to where that region had executed the other one's writes then, in that one's stream.
    pub seen: u64,
    /// For a deletion by the server itself: behind what it counts.
    pub behind: Option<Order>,
    /// Its database.
    pub database: u32,
    /// One request.
    pub request: Bytes,
}

/// What a key waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Waits {
    /// Nothing.
    #[default]
    Nothing,
    /// Writes that are executed again.
    Again,
    /// The other region's value.
    Value,
}

/// The executions on one key.
#[derive(Debug, Default)]
pub struct KeyLog {
    /// It is held, and this is the latest write that was executed: only one of the whole key that is later lets it go.
    pub held: Option<Order>,
    /// How its writes are ordered.
    pub ranking: Ranking,
    /// In the order in which they were executed.
    pub entries: Vec<Entry>,
    /// Deletions by the region's server itself have been among them.
    pub removed: bool,
    /// Writes of several keys have been among them.
    pub of_several: bool,
    /// There may be some that the value which was put here lacks.
    pub wiped: bool,
    /// How many of them are local ones that are not stable yet.
    pub unstable: usize,
    /// What it waits for.
    pub waits: Waits,
    /// Holds the checkpoints back while it waits.
    pub pin: Option<u64>,
    /// The other region has taken its value, so that it must not be made another one by executing writes before that again.
    pub based: bool,
    /// Where the other region's value was put here last.
    pub put: u64,
    /// How often its value was taken from the other region in one go.
    pub rounds: u32,
    /// Local entries that became stable since entries were last dropped.
    pub stable: usize,
    /// Writes of the whole key since what they cover was last dropped.
    pub replacing: usize,
    /// Records of what lost that were not told yet.
    pub lost: Vec<Record>,
    /// Some of what was executed is not known any more, so that nothing can be executed again in order.
    pub lacks: bool,
    /// Up to where this region's writes were forgotten, and the value is to be one that holds them; 0 where it is.
    pub forgotten: u64,
    /// It takes the other region's value once what it lacks was executed again; what met, where that is to be on record.
    pub doubted: Option<Box<Option<Met>>>,
    /// How often it was put in order since it is in doubt.
    pub mended: u32,
    /// Its value is on its way from here: what that was is to be known, also once more was executed.
    pub gives: bool,
    /// Its time to live may have got lost with its last element: it is to be compared once the elements are right.
    pub vanished: bool,
}

/// Two writes of several keys that met: each region's, its stamp and its place in the stream of its region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Met {
    /// By region.
    pub sides: [(Stamp, u64); 2],
}

/// What is to be done about one key.
#[derive(Debug)]
pub enum Remedy {
    /// Nothing.
    None,
    /// These writes are executed again, in this order.
    Again(Vec<Redo>),
    /// The value is taken from the other region.
    Value,
}

/// Where a key is.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The region: 0 or 1.
    pub region: usize,
    /// The database.
    pub database: u32,
    /// The key.
    pub key: &'a [u8],
}

impl KeyLog {
    /// Appends an execution. One that replaces the value makes those before it forgotten that are not later, and of which
    /// nothing is left to record: what lost is put on record for that, if `place` is given. Gives behind what it counts, for a
    /// deletion by the server itself.
    pub fn append(&mut self, place: Option<Place<'_>>, mut entry: Entry) -> Order {
        entry.behind = entry.behind.max(removed_by(self.ranking, &entry, self.entries.iter().rev()));
        // Behind a write of which it is not known yet when it was made it is not known whether the key is held still.
        if let Some(latest) = self.held
            && entry.stamp.is_some()
            && self.entries.is_empty()
        {
            let order = order(self.ranking, &entry);
            if !entry.replaces || order <= latest {
                self.held = Some(latest.max(order));
                return entry.behind;
            }
            self.held = None;
        }
        if entry.replaces && entry.stamp.is_some() && !entry.weak {
            self.replacing += 1;
            // Looking costs as much as there are entries.
            if self.replacing * 4 >= self.entries.len() {
                self.replacing = 0;
                self.drop_covered(place, &entry);
            }
        }
        let behind = entry.behind;
        self.push(entry);
        behind
    }

    fn push(&mut self, entry: Entry) {
        self.removed |= entry.weak && entry.local;
        self.of_several |= entry.of_several;
        self.wiped |= entry.wiped;
        self.entries.push(entry);
    }

    /// Drops what is earlier than a write of the whole value that is executed behind it, if nothing has to be told of it.
    fn drop_covered(&mut self, place: Option<Place<'_>>, entry: &Entry) {
        // What a write of several keys took from this one may have been something that only those before it tell; and
        // behind what a server's deletion counts.
        if self.gives || self.entries.iter().any(|before| before.of_several || before.weak) {
            return;
        }
        // Against what a write has lost is all there when it comes: where every stamp is known, nothing is waited for.
        // One that names the key twice is on record once.
        let is_same = |last: &Entry| !last.local && !entry.local && last.id == entry.id;
        if let Some(place) = place
            && self.entries.iter().all(|before| before.is_dated())
            && !self.entries.last().is_some_and(is_same)
        {
            self.lose(place, Done::Replayed);
        }
        // What of the other region is not judged yet may have lost against one before it.
        let judged = self.entries.iter().rposition(|before| !before.recorded).map_or(0, |last| last + 1);
        if judged < self.entries.len() {
            let (ranking, mut at) = (self.ranking, 0..);
            self.entries.retain(|before| at.next() < Some(judged) || !covers(ranking, entry, before));
        }
    }

    /// Stamps that were not known when the executions were read are known now. Tells whether there was a deletion by the server
    /// itself of which no transaction tells: the other region was left to remove by itself what it removed.
    pub fn date(&mut self, made: impl Fn(&Entry) -> Option<Made>) -> bool {
        for entry in &mut self.entries {
            if !entry.is_dated()
                && let Some(Made { stamp, seen }) = made(entry)
            {
                (entry.stamp, entry.seen) = (Some(stamp), seen);
            }
            entry.undated = false;
        }
        let untold = self.entries.iter().any(|entry| entry.stamp.is_none() && entry.weak && entry.local);
        self.entries.retain(|entry| entry.stamp.is_some());
        // What it covers was forgotten when it was read. What was executed again stands behind more than it removed.
        let mut executed: Vec<usize> = (0..self.entries.len()).collect();
        executed.sort_by_key(|index| self.entries[*index].first);
        for index in &executed {
            let entry = &self.entries[*index];
            if entry.weak {
                let before = executed.partition_point(|before| self.entries[*before].first < entry.first);
                let before = executed[..before].iter().rev().map(|before| &self.entries[*before]);
                let behind = entry.behind.max(removed_by(self.ranking, entry, before));
                self.entries[*index].behind = behind;
            }
        }
        untold
    }

    /// A write of the other region was executed and changed nothing. Where the value lacks what is to be executed again, it was
    /// that which it should have met: it is executed again behind it. Which write it was is only certain of those to lists.
    pub fn had_no_effect(&mut self, id: u64) {
        // Looking costs as much as there are entries.
        self.wiped = self.wiped && self.entries.iter().any(|entry| entry.wiped);
        if self.wiped {
            let is_it = |entry: &&mut Entry| !entry.local && entry.id == id && entry.spec.is_of_list();
            self.entries.iter_mut().filter(is_it).for_each(|entry| entry.wiped = true);
        }
    }

    /// A write was executed again, or it was one that changed nothing then: it is not to be executed once more.
    pub fn may_be_there(&mut self, id: u64, local: bool) {
        let is_it = |entry: &&mut Entry| entry.id == id && entry.local == local;
        self.entries.iter_mut().filter(is_it).for_each(|entry| entry.wiped = false);
    }

    /// Writes were executed again, in this order, each whole or in part: they count from here on. All at once, for each of them
    /// leaves its place, and there may be as many as there are entries.
    pub fn redone(&mut self, again: Vec<Entry>) {
        if self.held.is_some() {
            return;
        }
        let mut places: HashMap<(u64, bool), Vec<usize>> = HashMap::new();
        let name = |entry: &Entry| (entry.id, entry.local);
        let wanted: HashSet<(u64, bool)> = again.iter().map(name).collect();
        for (index, entry) in self.entries.iter().enumerate().filter(|(_, entry)| wanted.contains(&name(entry))) {
            places.entry(name(entry)).or_default().push(index);
        }
        let mut gone: Vec<bool> = vec![false; self.entries.len()];
        let mut with_elements = self.entries.iter().filter(|entry| has_elements(entry.spec)).count();
        for again in again {
            let places = places.entry(name(&again)).or_default();
            let new = match places.first().map(|first| &self.entries[*first]) {
                None => Entry { recorded: true, ..again },
                Some(before) => {
                    let Entry { saw, first, spec, weak, behind, doubtful, .. } = *before;
                    let (stamp, undated) = (before.stamp.or(again.stamp), !before.is_dated());
                    // Some of its elements stand beside the rest of it.
                    if before.bytes == again.bytes || !matches!(spec.unit, CommandUnit::Element(_)) {
                        for place in places.drain(..) {
                            gone[place] = true;
                            with_elements -= usize::from(has_elements(self.entries[place].spec));
                        }
                    }
                    // What changed places before is in order now, and nobody sees it any more.
                    self.vanished |= has_elements(again.spec) && with_elements > 0;
                    Entry { saw, first, stamp, undated, weak, behind, doubtful, recorded: true, ..again }
                }
            };
            places.push(self.entries.len());
            with_elements += usize::from(has_elements(new.spec));
            self.push(new);
            gone.push(false);
        }
        let mut gone = gone.into_iter();
        self.entries.retain(|_| gone.next() == Some(false));
        if self.entries.len() <= FEW {
            self.entries.shrink_to_fit();
        }
    }

    /// The key was replaced by the other region's value, which holds that region's writes before `at` and ours before
    /// `covered`, and is later than anything before `floor`; that stands at `put` in this region's stream. Gives other keys that
    /// what was there before left in doubt.
    pub fn replaced(
        &mut self,
        place: Place<'_>,
        put: u64,
        (at, covered, floor): (u64, u64, Option<Order>),
    ) -> BTreeSet<Name> {
        self.lose(place, Done::Reconciled);
        let doubts = self.entangled(place);
        let ranking = self.ranking;
        // What a deletion by the server removed may have been a value that was put there before, of which no entry tells.
        let seen = |entry: &Entry| floor.filter(|floor| ranking.has_seen(entry.author(), *floor));
        for entry in self.entries.iter_mut().filter(|entry| entry.weak) {
            entry.behind = entry.behind.max(seen(entry).unwrap_or(Order::WEAKEST));
        }
        let above = |entry: &Entry| !entry.is_dated() || floor.is_none_or(|floor| order(ranking, entry) > floor);
        // What the other region still holds was not told that it is gone here.
        let sent = |entry: &Entry| !entry.silent && entry.id > if entry.local { covered } else { at };
        self.entries.retain(|entry| above(entry) && sent(entry));
        (self.based, self.lacks, self.put) = (false, false, put);
        self.entries.iter_mut().for_each(|entry| entry.wiped = true);
        self.wiped = true;
        doubts
    }

    /// Other keys that a write to several keys left in doubt, for it met another value of this one than at the other region:
    /// told once.
    fn entangled(&mut self, place: Place<'_>) -> BTreeSet<Name> {
        if !self.entries.iter().any(|entry| entry.of_several && !entry.told) {
            return BTreeSet::new();
        }
        let (indices, mut names) = self.with_steps(place, |entries, commands, steps| {
            untold(judge::entangled(steps), entries, commands, place.database)
        });
        indices.into_iter().for_each(|index| self.entries[index].told = true);
        names.remove(&(place.database, place.key.to_vec()));
        names
    }

    /// The other region has taken our value as it was at `at`.
    /// Tells whether it is not the same any more: whether something was executed again here since, which the other region did
    /// not see.
    pub fn taken(&mut self, place: Place<'_>, at: u64) -> bool {
        self.lose(place, Done::Reconciled);
        if at < self.put {
            // A session that began again hears of it once more: ours is another one since.
            return false;
        }
        let (floor, ranking) = (self.floor(at), self.ranking);
        let above = |entry: &Entry| entry.stamp.is_some() && Some(order(ranking, entry)) >= floor;
        self.entries.retain(|entry| entry.at > at || above(entry));
        self.based = true;
        self.entries.iter().any(|entry| entry.at > at && entry.again)
    }

    /// The place of the latest execution before `at` that set or removed the whole value: what is earlier and comes later
    /// changes nothing of it.
    pub fn floor(&self, at: u64) -> Option<Order> {
        let replaces = |entry: &&Entry| entry.at <= at && entry.replaces && entry.stamp.is_some();
        self.entries.iter().filter(replaces).map(|entry| order(self.ranking, entry)).max()
    }

    /// Whether the value as it was at `at` is that of the latest write that set or removed the whole of it: else that one
    /// is to be executed again.
    pub fn holds_latest(&self, at: u64) -> bool {
        let replaces = |entry: &&Entry| entry.at <= at && entry.replaces && entry.stamp.is_some();
        let last = self.entries.iter().rev().find(replaces);
        last.is_none_or(|last| Some(order(self.ranking, last)) == self.floor(at))
    }

    /// Drops the oldest executions, up to `stable` of this region's stream, that stand in order before all others.
    pub fn forget(&mut self, stable: u64) {
        let settled = |entry: &Entry| !entry.local || entry.at <= stable;
        let prefix = self.entries.iter().take_while(|entry| settled(entry)).count();
        let (before, after) = self.entries.split_at(prefix);
        let latest = before.iter().map(|entry| order(self.ranking, entry)).max();
        let earliest = after.iter().map(|entry| order(self.ranking, entry)).min();
        if latest.zip(earliest).is_none_or(|(latest, earliest)| latest < earliest) {
            self.entries.drain(..prefix);
        }
        // Also where nothing could be dropped: looking costs as much as there are entries.
        self.stable = 0;
    }

    /// Whether what the server removed has met a write of the other region: told once. Both regions may take it for another
    /// thing, after a restart or where events were lost, so the value decides, which is the same for both.
    fn take_doubt(&mut self) -> bool {
        let concurrent = |local: &Entry, other: &Entry| other.saw < local.id && other.first > local.first;
        let meets = |doubtful: &Entry| {
            let mut others = self.entries.iter().filter(|other| other.local != doubtful.local);
            others.any(|other| if doubtful.local { concurrent(doubtful, other) } else { concurrent(other, doubtful) })
        };
        let met = self.entries.iter().filter(|entry| entry.doubtful).any(meets);
        if met {
            self.entries.iter_mut().for_each(|entry| entry.doubtful = false);
        }
        met
    }

    /// Whether the server has removed what was about to be mended: then the other region, which was told of it, has removed
    /// the right value. Told once.
    pub fn take_overtaken(&mut self) -> bool {
        // Looking costs as much as there are entries.
        if !self.removed {
            return false;
        }
        let again = self.entries.iter().filter(|entry| entry.again);
        let mut latest: Vec<(u64, Order)> = again.map(|entry| (entry.at, order(self.ranking, entry))).collect();
        latest.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
        // Of each: the latest of those that were executed no earlier.
        for index in 1..latest.len() {
            latest[index].1 = latest[index].1.max(latest[index - 1].1);
        }
        let is_overtaken = |removed: &Entry| {
            let later = latest.partition_point(|(at, _)| *at > removed.at);
            later.checked_sub(1).is_some_and(|last| latest[last].1 > order(self.ranking, removed))
        };
        let of_server = |entry: &Entry| entry.weak && entry.local && !entry.again && !entry.told;
        let Some(index) = self.entries.iter().position(|entry| of_server(entry) && is_overtaken(entry)) else {
            return false;
        };
        self.entries[index].told = true;
        true
    }

    /// Judges what was executed; tells what to do, which other keys are in doubt, and which writes lost.
    pub fn judge(&mut self, place: Place<'_>, mut found: impl FnMut(Finding)) -> Remedy {
        // A value may have replaced since what these met.
        self.take_lost().for_each(|record| found(Finding::Lost(record)));
        // A region's own writes alone are in order, unless some were executed again.
        if !self.entries.iter().any(|entry| !entry.local || entry.silent || entry.wiped || entry.again) {
            return Remedy::None;
        }
        if self.take_doubt() {
            return Remedy::Value;
        }
        let (remedy, entangled, doubts, vanished) = self.with_steps(place, |entries, commands, steps| {
            let Judgement { verdict, entangled, vanished } = judge(steps);
            let (entangled, doubts) = untold(entangled, entries, commands, place.database);
            let remedy = match verdict {
                Verdict::Right => Remedy::None,
                Verdict::Again(_) if self.based => Remedy::Value,
                // What a value that was put there lacks is known all the same.
                Verdict::Again(_) if self.lacks => match before_a_value(steps) {
                    Verdict::Again(parts) => redos(entries, commands, &parts, place),
                    Verdict::Right | Verdict::Value => Remedy::Value,
                },
                Verdict::Value => Remedy::Value,
                Verdict::Again(parts) => redos(entries, commands, &parts, place),
            };
            (remedy, entangled, doubts, vanished)
        });
        self.vanished |= vanished;
        doubts.into_iter().for_each(|name| found(Finding::Doubt(name)));
        entangled.into_iter().for_each(|index| self.entries[index].told = true);
        self.lose(place, if matches!(remedy, Remedy::Value) { Done::Reconciled } else { Done::Replayed });
        self.take_lost().for_each(|record| found(Finding::Lost(record)));
        remedy
    }

    /// What is to be done about a key that is in doubt, whatever its log says: first what is known to be wrong is mended, for
    /// the other region may take the value from here.
    pub fn mend(&mut self, place: Place<'_>) -> Remedy {
        let may_be_wrong = self.entries.iter().any(|entry| !entry.local || entry.again);
        if may_be_wrong && !self.based && !self.lacks && self.mended < MOST_MENDED {
            let remedy = self.with_steps(place, |entries, commands, steps| match judge(steps).verdict {
                Verdict::Again(parts) => redos(entries, commands, &parts, place),
                Verdict::Right | Verdict::Value => Remedy::Value,
            });
            if matches!(remedy, Remedy::Again(_)) {
                self.mended += 1;
                return remedy;
            }
        }
        self.before_a_value(place)
    }

    /// What of it a value that was put there lacks: that is executed again before a value is taken.
    pub fn before_a_value(&self, place: Place<'_>) -> Remedy {
        if !self.entries.iter().any(|entry| entry.wiped) || self.based {
            return Remedy::Value;
        }
        self.with_steps(place, |entries, commands, steps| match before_a_value(steps) {
            Verdict::Again(parts) => redos(entries, commands, &parts, place),
            Verdict::Right | Verdict::Value => Remedy::Value,
        })
    }

    /// The records that were not told yet. Most keys have no more: the memory for them goes, too.
    pub fn take_lost(&mut self) -> impl Iterator<Item = Record> + use<> {
        std::mem::take(&mut self.lost).into_iter()
    }

    /// Makes the records of what lost and has none yet.
    fn lose(&mut self, place: Place<'_>, done: Done) {
        if self.entries.iter().all(|entry| entry.recorded) {
            return;
        }
        let whole = |entry: &Entry| entry.replaces && !entry.of_several;
        let records = if self.entries.iter().all(whole) {
            losers_of_whole(&self.entries, self.ranking, place)
        } else {
            self.with_steps(place, |entries, _, steps| losers(entries, steps, place))
        };
        for (index, record) in records {
            self.entries[index].recorded = true;
            self.lost.extend(record.map(|record| Record { done, ..record }));
        }
    }

    /// Whether a write of each region met the other one, so that one of them is on record, here or at the other region.
    pub fn has_met(&self, place: Place<'_>) -> bool {
        self.with_steps(place, |_, _, steps| {
            let rivals = Rivals::of(steps, |step| step.id);
            steps.iter().any(|step| !step.local && rivals.meets(step))
        })
    }

    /// The last writes of both regions, where there are any of both.
    pub fn met(&self, region: usize) -> Option<Met> {
        let last = |local: bool| {
            let of_region = self.entries.iter().filter(|entry| entry.local == local);
            of_region.filter_map(|entry| Some((entry.stamp?, entry.id))).max()
        };
        let (ours, theirs) = (last(true)?, last(false)?);
        Some(Met { sides: if region == 0 { [ours, theirs] } else { [theirs, ours] } })
    }

    fn with_steps<T>(&self, place: Place<'_>, look: impl FnOnce(&[Entry], &[Command<'_>], &[Step<'_>]) -> T) -> T {
        let mut readers: Vec<FrameReader> = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let mut reader = FrameReader::new();
            // What was read from a stream, or made by us, is a request.
            let _whole = reader.next(&entry.bytes);
            readers.push(reader);
        }
        let read = self.entries.iter().zip(&readers);
        let commands: Vec<Command<'_>> =
            read.map(|(entry, reader)| Command::new(&entry.bytes, reader.arguments())).collect();
        let steps: Vec<Step<'_>> =
            self.entries.iter().zip(&commands).map(|(entry, command)| self.step(entry, command, place)).collect();
        look(&self.entries, &commands, &steps)
    }

    /// It is to take the other region's value, since these met. Tells whether that is known.
    pub fn doubt(&mut self, met: Option<Met>) -> bool {
        let before = self.doubted.take();
        let is_known = before.is_some();
        self.doubted = Some(Box::new(before.and_then(|met| *met).or(met)));
        is_known
    }

    /// Forgets what was executed, for want of memory, but for what the value here lacks: the key is to take the other region's
    /// value, which is to be on record by what met. Gives up to where that value has to hold this region's writes, and
    /// whether this is news.
    pub fn forget_all(&mut self, region: usize) -> (u64, bool) {
        let forgotten = self.entries.iter().filter(|entry| entry.local).map(|entry| entry.id).max();
        self.forgotten = forgotten.max(Some(self.forgotten)).unwrap_or(0);
        let met = self.met(region);
        self.entries = std::mem::take(&mut self.entries).into_iter().filter(|entry| entry.wiped).collect();
        (self.based, self.lacks) = (false, true);
        (self.forgotten, !self.doubt(met))
    }

    /// The other region's value was put here, which holds this region's writes up to `covered`. Tells whether it lacks some of
    /// which nobody knows any more.
    pub fn lacks_forgotten(&mut self, covered: u64) -> bool {
        let lacks = covered < self.forgotten;
        if !lacks {
            self.forgotten = 0;
        }
        lacks
    }

    /// Neither region's writes are given up: what was executed is forgotten, but for the place of the latest, or that of
    /// `least`, if that is later.
    pub fn hold(&mut self, least: Order) {
        self.held = Some(self.latest().max(least));
        self.entries.clear();
        self.waits = Waits::Nothing;
    }

    /// Whether the last write is one of the whole key that is later than all: were the key held, that would let it go.
    pub fn is_let_go(&self) -> bool {
        let last = self.entries.last().filter(|last| last.replaces && last.stamp.is_some());
        last.is_some_and(|last| order(self.ranking, last) == self.latest())
    }

    /// What was read of a held key before it was known when it was made.
    pub fn sort_held(&mut self) {
        if self.held.is_some() {
            for entry in std::mem::take(&mut self.entries) {
                self.append(None, entry);
            }
        }
    }

    /// The place of the latest of its writes.
    pub fn latest(&self) -> Order {
        let known = self.entries.iter().filter(|entry| entry.stamp.is_some());
        known.map(|entry| order(self.ranking, entry)).max().unwrap_or(Order::WEAKEST)
    }

    fn step<'a>(&self, entry: &Entry, command: &Command<'a>, place: Place<'_>) -> Step<'a> {
        let claimed = match used(entry.spec, command, place) {
            Some(used) if entry.requests == 1 => claim(command, entry.spec, &used),
            Some(used) if used.access == Access::Write => Claimed { claim: Claim::Whole, alone: false, family: 0 },
            _ => Claimed { claim: Claim::Sequence, alone: false, family: 0 },
        };
        let Entry { id, first: at, local, wiped, silent, .. } = *entry;
        // Where one region always wins, its lives do too: there is no longer one of two concurrent ones then.
        let saw = if self.ranking == Ranking::Time { entry.saw } else { u64::MAX };
        Step { order: order(self.ranking, entry), id, claimed, local, at, saw, wiped, silent }
    }
}

/// What a judgement found besides.
#[derive(Debug)]
pub enum Finding {
    /// A key that a write to several keys left in doubt.
    Doubt(Name),
    /// A write lost.
    Lost(Record),
}

/// Those of `entangled`, by their places in the log, that were not told yet, and the keys that they change: each once.
fn untold(
    mut entangled: Vec<usize>,
    entries: &[Entry],
    commands: &[Command<'_>],
    database: u32,
) -> (Vec<usize>, BTreeSet<Name>) {
    entangled.retain(|index| !entries[*index].told);
    let written = entangled.iter().flat_map(|index| entries[*index].spec.written(&commands[*index], database));
    let names = written.map(|(database, name)| (database, name.to_vec())).collect();
    (entangled, names)
}

/// How the command uses the key: as the last of its places that name it and write.
fn used<'a>(spec: &Spec, command: &Command<'a>, place: Place<'_>) -> Option<KeyUse<'a>> {
    let mut of_key = spec
        .keys(command)
        .filter(|used| used.key == place.key && used.database.is_none_or(|database| database == place.database));
    let first = of_key.next()?;
    Some(of_key.filter(|used| used.access != Access::Read).last().unwrap_or(first))
}

fn redos(entries: &[Entry], commands: &[Command<'_>], parts: &[(usize, Part)], place: Place<'_>) -> Remedy {
    let redo = |(index, part): &(usize, Part)| {
        let (entry, command) = (&entries[*index], &commands[*index]);
        let request = narrow(command, entry.spec, place.key, part)?;
        let (stamp, id, seen) = (entry.stamp?, entry.id, entry.seen);
        let behind = entry.weak.then_some(entry.behind);
        Some(Redo { stamp, id, seen, behind, database: place.database, request: request.into() })
    };
    // A time to live may be over when it is set again, although it was made longer before that.
    let lives = |(index, _): &(usize, Part)| lifetime_of(entries[*index].spec, &commands[*index]);
    let first = parts.iter().position(|part| lives(part) == Some(true));
    let prolonged = first.is_some_and(|first| parts.iter().skip(first + 1).any(|part| lives(part).is_some()));
    // There may be as many as there are keys.
    let mut redos = Vec::with_capacity(parts.len());
    for redo in parts.iter().map(redo) {
        let Some(redo) = redo else { return Remedy::Value };
        redos.push(redo);
    }
    if prolonged { Remedy::Value } else { Remedy::Again(redos) }
}

/// FNV-1a.
pub fn hash(numbers: &[u64], database: u32, key: &[u8]) -> u64 {
    let numbers = numbers.iter().copied().chain([u64::from(database)]);
    let bytes = numbers.flat_map(u64::to_le_bytes).chain(key.iter().copied());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
