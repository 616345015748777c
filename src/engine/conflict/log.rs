//! What was executed of late on one key of one region.

use bytes::Bytes;

use super::claim::{Claim, Claimed, Part, claim, lifetime_of, narrow};
use super::judge::{Judgement, Order, Step, Verdict, judge};
use super::record::{Done, MOST_KEPT, Record, Side, Unit};
use super::stamp::Stamp;
use crate::command::{Access, KeyUse, Spec};
use crate::wire::resp::{Command, FrameReader};

/// One execution of one write, as it concerns one key.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When it was written; not known yet for what was sent in an earlier session.
    pub stamp: Option<Stamp>,
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
    pub behind: Stamp,
    /// For such a one: whether it was sent in an earlier session, nobody knows as what.
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

/// A write that is to be executed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redo {
    /// When it was written.
    pub stamp: Stamp,
    /// Where it stands in the stream of the region whose client wrote it.
    pub id: u64,
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
    /// In the order in which they were executed.
    pub entries: Vec<Entry>,
    /// How many of them are local ones that are not stable yet.
    pub unstable: usize,
    /// What it waits for.
    pub waits: Waits,
    /// Holds the checkpoints back while it waits.
    pub pin: Option<u64>,
    /// The other region has taken its value, so that it must not be made another one by executing writes before that again.
    pub based: bool,
    /// How often its value was taken from the other region in one go.
    pub rounds: u32,
    /// Local entries that became stable since entries were last dropped.
    pub stable: usize,
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
    /// nothing is left to record. Gives behind what it counts, for a deletion by the server itself.
    pub fn append(&mut self, mut entry: Entry) -> Stamp {
        entry.behind = entry.behind.max(self.removed_by(&entry));
        // What a write of several keys took from this one may have been something that only those before it tell.
        if entry.replaces && entry.stamp.is_some() && !self.entries.iter().any(|before| before.of_several) {
            self.entries.retain(|before| !covers(&entry, before));
        }
        let behind = entry.behind;
        self.entries.push(entry);
        behind
    }

    /// The latest stamp of what made the value that a deletion finds when it is executed now. Of the other region's deletion
    /// it is known here what that one had sent before, and what it had seen of this region's writes.
    fn removed_by(&self, entry: &Entry) -> Stamp {
        if !entry.weak {
            return Stamp::WEAKEST;
        }
        if !entry.local {
            let had_seen = |before: &&Entry| before.id <= if before.local { entry.saw } else { entry.id };
            let stamps = self.entries.iter().filter(had_seen).map(|before| order(before).0);
            return stamps.max().unwrap_or(Stamp::WEAKEST);
        }
        let (mut latest, mut made) = (Stamp::WEAKEST, false);
        for before in self.entries.iter().rev().filter(|before| !before.wiped) {
            // What is sent is executed behind all that its region sent before.
            if !made || (before.local && !entry.silent) {
                latest = latest.max(order(before).0);
            }
            made |= before.replaces;
        }
        latest
    }

    /// Stamps that were not known when the executions were read are known now.
    pub fn date(&mut self, stamp_of: impl Fn(&Entry) -> Option<Stamp>) {
        let entries = std::mem::take(&mut self.entries);
        for mut entry in entries {
            entry.stamp = entry.stamp.or_else(|| stamp_of(&entry));
            if entry.stamp.is_some() {
                // What it covers was forgotten when it was read.
                entry.behind = entry.behind.max(self.removed_by(&entry));
                self.entries.push(entry);
            }
        }
    }

    /// A write was executed again, whole or in part: it counts from here on.
    pub fn redone(&mut self, again: Entry) {
        let of_same = |before: &Entry| before.id == again.id && before.local == again.local;
        let Some(index) = self.entries.iter().position(of_same) else { return self.entries.push(again) };
        let Entry { saw, first, spec, weak, behind, .. } = self.entries[index];
        // A part stands beside the rest of it, unless the rest adds to numbers: these have one element each.
        let is_all =
            self.entries[index].bytes == again.bytes || matches!(spec.unit, crate::command::Unit::ElementCounter(_));
        if is_all {
            self.entries.remove(index);
        }
        self.entries.push(Entry { saw, first, weak, behind, recorded: true, ..again });
    }

    /// The key was replaced by the other region's value, which holds that region's writes before `at` and ours before
    /// `covered`, and is later than anything before `floor`.
    pub fn replaced(&mut self, at: u64, covered: u64, floor: Option<Stamp>) {
        let above = |entry: &Entry| entry.stamp.is_none() || floor.is_none_or(|floor| order(entry).0 > floor);
        // What the other region still holds was not told that it is gone here.
        let sent = |entry: &Entry| !entry.silent && entry.id > if entry.local { covered } else { at };
        self.entries.retain(|entry| above(entry) && sent(entry));
        self.based = false;
        self.entries.iter_mut().for_each(|entry| entry.wiped = true);
    }

    /// The other region has taken our value as it was at `at`.
    /// Tells whether it is not the same any more: whether something was executed again here since, which the other region did
    /// not see.
    pub fn taken(&mut self, at: u64) -> bool {
        let floor = self.floor(at);
        self.entries.retain(|entry| entry.at > at || (entry.stamp.is_some() && Some(order(entry).0) >= floor));
        self.based = true;
        self.entries.iter().any(|entry| entry.at > at && entry.again)
    }

    /// The stamp of the latest execution before `at` that set or removed the whole value: what is earlier and comes later
    /// changes nothing of it.
    pub fn floor(&self, at: u64) -> Option<Stamp> {
        let before = self.entries.iter().filter(|entry| entry.at <= at && entry.replaces && entry.stamp.is_some());
        before.map(|entry| order(entry).0).max()
    }

    /// The stamp of the latest execution.
    pub fn latest(&self) -> Stamp {
        self.entries.iter().map(|entry| order(entry).0).max().unwrap_or(Stamp::WEAKEST)
    }

    /// Drops the oldest executions, up to `stable` of this region's stream, that stand in order before all others.
    pub fn forget(&mut self, stable: u64) {
        let settled = |entry: &Entry| !entry.local || entry.at <= stable;
        let prefix = self.entries.iter().take_while(|entry| settled(entry)).count();
        let (before, after) = self.entries.split_at(prefix);
        let latest = before.iter().map(order).max();
        let earliest = after.iter().map(order).min();
        if latest.zip(earliest).is_none_or(|(latest, earliest)| latest < earliest) {
            self.entries.drain(..prefix);
            self.stable = 0;
        }
    }

    /// Whether a deletion of which nobody knows what it was sent as met a write of the other region; told once.
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

    /// Judges what was executed; tells what to do, which other keys are in doubt, and which writes lost.
    pub fn judge(&mut self, place: Place<'_>, mut found: impl FnMut(Finding<'_>)) -> Remedy {
        // A region's own writes alone are in order, unless some were executed again.
        if !self.entries.iter().any(|entry| !entry.local || entry.silent || entry.wiped || entry.again) {
            return Remedy::None;
        }
        if self.take_doubt() {
            return Remedy::Value;
        }
        let mut readers: Vec<FrameReader> = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let mut reader = FrameReader::new();
            // What was read from a stream, or made by us, is a request.
            let _whole = reader.next(&entry.bytes);
            readers.push(reader);
        }
        let commands: Vec<Command<'_>> = self
            .entries
            .iter()
            .zip(&readers)
            .map(|(entry, reader)| Command::new(&entry.bytes, reader.arguments()))
            .collect();
        let steps: Vec<Step<'_>> =
            self.entries.iter().zip(&commands).map(|(entry, command)| step(entry, command, place)).collect();
        let Judgement { verdict, entangled } = judge(&steps);
        let entangled: Vec<usize> = entangled.into_iter().filter(|index| !self.entries[*index].told).collect();
        for &index in &entangled {
            let (entry, command) = (&self.entries[index], &commands[index]);
            for used in entry.spec.keys(command).filter(|used| used.access != Access::Read) {
                found(Finding::Doubt { database: used.database.unwrap_or(place.database), key: used.key });
            }
        }
        let remedy = match verdict {
            Verdict::Right => Remedy::None,
            Verdict::Again(_) if self.based => Remedy::Value,
            Verdict::Value => Remedy::Value,
            Verdict::Again(parts) => redos(&self.entries, &commands, &parts, place),
        };
        let records = losers(&self.entries, &steps, place);
        drop(steps);
        entangled.into_iter().for_each(|index| self.entries[index].told = true);
        for (index, record) in records {
            self.entries[index].recorded = true;
            if let Some(record) = record {
                found(Finding::Lost(record));
            }
        }
        remedy
    }
}

/// What a judgement found besides.
#[derive(Debug)]
pub enum Finding<'a> {
    /// A key that a write to several keys left in doubt.
    Doubt {
        /// Its database.
        database: u32,
        /// The key.
        key: &'a [u8],
    },
    /// A write lost.
    Lost(Record),
}

fn order(entry: &Entry) -> Order {
    if entry.weak {
        return (entry.behind, u64::MAX);
    }
    (entry.stamp.unwrap_or(Stamp::WEAKEST), entry.id)
}

fn covers(entry: &Entry, before: &Entry) -> bool {
    before.stamp.is_some() && order(before) <= order(entry) && (before.local || before.recorded)
}

fn step<'a>(entry: &Entry, command: &Command<'a>, place: Place<'_>) -> Step<'a> {
    let claimed = match used(entry.spec, command, place) {
        Some(used) if entry.requests == 1 => claim(command, entry.spec, &used),
        Some(used) if used.access == Access::Write => Claimed { claim: Claim::Whole, alone: false, family: 0 },
        _ => Claimed { claim: Claim::Sequence, alone: false, family: 0 },
    };
    let Entry { first: at, local, saw, wiped, silent, .. } = *entry;
    Step { order: order(entry), claimed, local, at, saw, wiped, silent }
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
        let (stamp, id) = (entry.stamp?, entry.id);
        Some(Redo { stamp, id, database: place.database, request: request.into() })
    };
    // A time to live may be over when it is set again, although it was made longer before that.
    let lives = |(index, _): &(usize, Part)| lifetime_of(entries[*index].spec, &commands[*index]);
    let first = parts.iter().position(|part| lives(part) == Some(true));
    let prolonged = first.is_some_and(|first| parts.iter().skip(first + 1).any(|part| lives(part).is_some()));
    match parts.iter().map(redo).collect::<Option<Vec<Redo>>>() {
        Some(redos) if !prolonged => Remedy::Again(redos),
        Some(_) | None => Remedy::Value,
    }
}

/// The writes of the other region that lost against a local one, with the record of each; each of them once.
fn losers(entries: &[Entry], steps: &[Step<'_>], place: Place<'_>) -> Vec<(usize, Option<Record>)> {
    let new = (0..entries.len()).filter(|index| !entries[*index].local && !entries[*index].recorded);
    new.map(|index| (index, loser(entries, steps, index, place))).collect()
}

fn loser(entries: &[Entry], steps: &[Step<'_>], index: usize, place: Place<'_>) -> Option<Record> {
    let (entry, step) = (&entries[index], &steps[index]);
    let rivals =
        steps.iter().enumerate().filter(|(_, rival)| rival.local && rival.at < step.at && rival.order > step.order);
    let (unit, winner) = rivals
        .filter_map(|(rival, of)| Some((crossing(&step.claimed.claim, &of.claimed.claim)?, &entries[rival])))
        .max_by_key(|(_, rival)| order(rival))?;
    let (loser, winner) = (entry.stamp?, winner.stamp?);
    Some(Record {
        id: name(loser, entry.id, place),
        found_at: place.region,
        database: place.database,
        key: place.key.to_vec(),
        unit,
        winner: Side { region: place.region, stamp: winner },
        loser: Side { region: 1 - place.region, stamp: loser },
        write: entry.bytes.get(..entry.bytes.len().min(MOST_KEPT)).unwrap_or_default().to_vec(),
        length: entry.bytes.len(),
        done: Done::Replayed,
    })
}

/// What two claims both decide, so that one of them loses.
fn crossing(ours: &Claim<'_>, theirs: &Claim<'_>) -> Option<Unit> {
    use Claim::{Counter, ElementCounters, Elements, Lifetime, Read, Registers, Sequence, Whole};
    match (ours, theirs) {
        (Read, _) | (_, Read) | (Counter, Counter) | (Registers, Registers) => None,
        (ElementCounters(_), ElementCounters(_)) => None,
        (Whole, _) | (_, Whole) => Some(Unit::Whole),
        (Lifetime(_), Lifetime(_)) => Some(Unit::Lifetime),
        (Lifetime(_), _) | (_, Lifetime(_)) => None,
        (Elements { names, .. } | ElementCounters(names), Elements { names: others, .. } | ElementCounters(others)) => {
            names.iter().find(|name| others.contains(name)).map(|name| Unit::Element(name.to_vec()))
        }
        (Sequence | Counter | Registers | Elements { .. } | ElementCounters(_), _) => Some(Unit::Sequence),
    }
}

/// The same number for the same losing write of the same key: FNV-1a.
fn name(stamp: Stamp, index: u64, place: Place<'_>) -> u64 {
    let numbers = [stamp.time_us as u64, u64::from(stamp.rank), index, u64::from(place.database)];
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
    bytes
        .chain(place.key.iter().copied())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
