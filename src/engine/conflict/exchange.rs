//! What the two links of a pair tell each other about concurrent writes: all that they share.
//!
//! Each region's window belongs to the link that reads the region. What it finds to be executed there goes to the link
//! that writes there ([`Mail`]); what is stable at one region follows from what was read at the other.

mod held;
mod looks;
mod mail;
mod sent;
mod values;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fleeting::Fleeting;
use super::kept::Kept;
use super::lingering::Lingering;
use super::lives::Lives;
use super::order::Order;
use super::pins::Pins;
use super::policy::Policies;
use super::puts::Puts;
use super::settles::Settles;
use super::stamp::Stamp;
use super::writes::{Segment, Write, Writes};
use crate::engine::position::{Position, ReplicationId};
use crate::engine::source::Replication;

pub use looks::Look;
pub use mail::{Mail, Value};
pub use sent::Made;
pub use values::Errand;

use sent::Sent;

/// Executions that a region's window keeps of keys that have met something; beyond it they are forgotten, and the keys made
/// equal by their values.
const MOST_LOGGED: usize = 1 << 20;
/// Conflicts that are not told again.
const MOST_TOLD: usize = 256;
/// Keys that are held at a region at the same time; beyond that the later write wins.
pub const MOST_HELD: usize = 1_000;

/// A key: database and name.
pub type Name = (u32, Vec<u8>);

/// Held for moments only.
pub type SharedExchange = Arc<Mutex<Exchange>>;

/// What a region executed of the other one's writes before the session began.
#[derive(Debug)]
pub struct ReadAgain {
    /// Which part of that one's stream.
    pub part: Range<u64>,
    /// Behind which place of this one's.
    pub at: u64,
    /// The keys that were changed.
    pub names: Vec<Name>,
}

/// Where a value was taken.
#[derive(Debug, Clone, Copy)]
pub struct Placed {
    /// In the stream of its region.
    pub at: u64,
    /// Up to where that region had executed the other one's writes then.
    pub covered: u64,
    /// It is later than anything before this.
    pub floor: Option<Order>,
    /// It is that of the latest write of the whole key that the region has executed; else that one is to be executed again.
    pub is_latest: bool,
}

/// What is known of one region.
#[derive(Debug, Default)]
struct Side {
    /// Where the link that reads the region began, and what is stable: up to where in this region's stream, and where in the
    /// other's that was seen.
    stable: Option<Position>,
    seen: Option<Position>,
    /// What the other region has executed of this one's writes: up to where, and where in its stream that stands.
    executed: VecDeque<(Position, Position)>,
    /// Up to where the other region's writes were seen here.
    sees: u64,
    /// The transactions in which this region's writes were sent.
    sent: Sent,
    /// To be executed at this region.
    mail: VecDeque<Mail>,
    /// Transactions with such mail that were not answered yet.
    unanswered: usize,
    /// Everything that was on its way when the last session began has been read.
    ready: bool,
    /// It has been judged, too, up to this place. Until it is in both regions, nothing is stable.
    judged: Option<u64>,
    /// What earlier sessions of the link that reads the region have pinned.
    left: Vec<u64>,
    /// What clients wrote that is not stable.
    writes: Writes,
    /// Under which ids the history is known whose offsets these are.
    histories: Vec<ReplicationId>,
    /// Under which it was known before, and up to where (exclusive, counted from 1).
    second: Option<(ReplicationId, u64)>,
    refused: Vec<Name>,
    /// Up to where writes of the region were forgotten of keys that are to take the other one's values: these have to hold them.
    forgotten: u64,
    /// A copy onto the region took something from these keys: it can't give their values before it has taken the other one's.
    damaged: BTreeSet<Name>,
    /// Up to where the region's writes were executed at the other one when the link that reads it held last.
    held_at: Option<Position>,
    /// What the link that reads the region would have had to read again, and could not.
    missing: Range<u64>,
    /// The dump of the region that is being copied.
    dumped: Option<Dumped>,
    /// A dump of the other region is, or was, copied here: it holds this region's writes up to the first place, and the
    /// other one's up to the second.
    cut: Option<(Position, Position)>,
    /// Keys that are held here, each with the latest write that was executed.
    held: BTreeMap<Name, Order>,
    kept: Kept,
    /// Keys whose values arrived at the other region, and where in this one's stream they were taken: not told to the window
    /// yet, and all that a session that begins again may read again.
    taken: Vec<(Name, u64)>,
    given: Vec<(Name, u64)>,
    /// Whether the region holds these keys is to be looked at.
    looks: Vec<Name>,
    /// Mail that was sent, by its transaction, until that is seen in this region's stream.
    on_its_way: BTreeMap<u64, Vec<Mail>>,
    /// Values that were sent, until nothing is missing on their account.
    puts: Puts,
    /// What a copy has put here when its time was over.
    fleeting: Fleeting,
    /// What the region's server has removed by itself, and the other region may hold still.
    lingering: Lingering,
}

impl Side {
    /// Whether this is a place of the history that is read: also by the name that it had before a failover.
    fn knows(&self, place: Position) -> bool {
        let before = |(id, to)| id == place.replication_id && place.offset < to;
        self.histories.contains(&place.replication_id) || self.second.is_some_and(before)
    }
}

/// The dump of a region that is copied.
#[derive(Debug, Clone, Copy)]
pub struct Dumped {
    /// Where it was fixed.
    at: Position,
    /// Up to where the region had executed the other one's writes then.
    pub covered: Position,
    /// No write that either region had executed had a later stamp, microseconds.
    pub latest_us: i64,
}

/// What both links know.
#[derive(Debug, Default)]
pub struct Exchange {
    policies: Arc<Policies>,
    most_logged: Option<usize>,
    sides: [Side; 2],
    epoch: u64,
    /// Changes when a server is found to lack what was read of it.
    generation: u64,
    settles: Settles,
    lives: Lives,
    /// Regions with keys on which writes are to be executed again: values are taken behind that.
    repairs: BTreeSet<(usize, Name)>,
    pins: Pins,
    next: u64,
    /// No write that any region has executed has a later stamp, microseconds.
    latest_us: i64,
    /// Whole databases were moved in different orders in both regions, or may have been: one is to be copied.
    disordered: bool,
    /// Of which regions everything is to be copied, by the links that read them.
    copied: [bool; 2],
    /// Of which conflicts it was told of late that a value has ended them.
    told: VecDeque<u64>,
}

impl Exchange {
    /// Nothing is known yet, but what holds for which keys.
    pub fn new(policies: Policies) -> Self {
        Self::unknowing(Arc::new(policies))
    }

    /// The same with fewer executions of keys that have met something, at each region.
    #[must_use]
    pub fn with_most_logged(self, most_logged: usize) -> Self {
        Self { most_logged: Some(most_logged), ..self }
    }

    /// How many executions of keys that have met something a region's window keeps.
    pub fn most_logged(&self) -> usize {
        self.most_logged.unwrap_or(MOST_LOGGED)
    }

    /// Nor is it known what the regions keep of held keys: that is as old as their data.
    fn unknowing(policies: Arc<Policies>) -> Self {
        let unread = policies.hold_any();
        let mut new = Self { policies, ..Self::default() };
        new.sides.iter_mut().for_each(|side| side.kept.unread = unread);
        new
    }

    /// What holds for which keys.
    pub fn policies(&self) -> &Arc<Policies> {
        &self.policies
    }

    /// A session of the link that reads region `region` begins at `position`; what was sent up to `high` is not sent again.
    /// What was on its way is given up: both links look again at everything that waits. `known_as` is the id under which an
    /// earlier session knew the history; without one the session does not go on from any.
    pub fn begin(&mut self, region: usize, position: Position, high: u64, known_as: Option<ReplicationId>) {
        let fresh = known_as.is_none();
        self.epoch += 1;
        for (name, doubted) in self.settles.give_up() {
            for (side, _) in self.sides.iter_mut().zip(doubted).filter(|(_, doubted)| *doubted) {
                side.refused.push(name.clone());
            }
        }
        self.repairs.clear();
        self.lives.begin(region);
        for side in &mut self.sides {
            side.mail.clear();
            side.taken.clone_from(&side.given);
            side.looks.clear();
            side.ready = false;
            side.judged = None;
            side.sees = 0;
        }
        // Until the region is judged again, what was unfinished is.
        let kept = &self.sides[region].kept;
        self.sides[region].left = self.pins.of(region).filter(|pin| !kept.has_pin(*pin)).collect();
        let side = &mut self.sides[region];
        if fresh {
            side.histories.clear();
            (side.writes, side.sent, side.lingering) = Default::default();
            side.cut = None;
        }
        side.lingering.begin(position.offset);
        let silent = side.writes.after(position.offset).filter(|write| write.facts.silent);
        side.sent.begin(high, silent.map(|write| write.at));
        side.writes.begin(position.offset);
        for id in [Some(position.replication_id), known_as].into_iter().flatten() {
            if !side.histories.contains(&id) {
                side.histories.push(id);
            }
        }
        if fresh {
            side.forgotten = 0;
            side.stable = Some(position);
            side.seen = None;
            side.executed.clear();
            self.sides[1 - region].seen = Some(position);
            self.sides[1 - region].executed.clear();
        } else if side.stable.is_none_or(|stable| stable.offset < position.offset) {
            side.stable = Some(position);
        }
        // What this link had sent and was not answered is decided: its connection is gone.
        self.sides[1 - region].unanswered = 0;
        self.sides[1 - region].kept.send_again();
        for region in [0, 1] {
            if self.sides[region].seen.is_none() {
                self.sides[region].seen = self.sides[1 - region].stable;
            }
        }
    }

    /// A session of the link that reads `region` is about to begin, and its source no longer has this part of what may be
    /// unfinished: what is known of it is made equal by its value, which the region gives that wrote it. Where a value was put
    /// upon it, the other one does, which has executed all of it.
    pub fn misses(&mut self, region: usize, part: Range<u64>) {
        if !part.is_empty() {
            let writes = self.sides[region].writes.after(part.start);
            let names: BTreeSet<Name> = writes.flat_map(|write| write.written()).collect();
            let whole = |name: &Name| !self.sides[1 - region].damaged.contains(name);
            let put_upon: Vec<Name> = self.sides[region].puts.names().filter(|name| whole(name)).cloned().collect();
            self.sides[1 - region].refused.extend(names);
            put_upon.into_iter().for_each(|name| self.damaged(region, name));
        }
        self.sides[region].missing = part;
    }

    /// These keys were written in parts of the stream of `region` which the other one has executed of late. Where such a part
    /// can't be read any more, they are made equal by their values.
    pub fn lacks(&mut self, region: usize, parts: &mut Vec<ReadAgain>) {
        let missing = &self.sides[region].missing;
        let met = |part: &Range<u64>| part.start.max(missing.start) < part.end.min(missing.end);
        let names = parts.drain(..).filter(|again| met(&again.part)).flat_map(|again| again.names);
        let names: BTreeSet<Name> = names.collect();
        self.sides[1 - region].refused.extend(names);
    }

    /// The link that reads `region` holds: everything before `at` has been executed at the other region.
    pub fn holds(&mut self, region: usize, at: Position) {
        self.sides[region].held_at = Some(at);
    }

    /// A dump of `region` was fixed at `at`, while the other link held; it will be copied. What both regions executed before is
    /// decided by it: nothing of that is compared or repaired any more. Gives up to where it holds the other region's writes.
    pub fn dumped(&mut self, region: usize, at: Position) -> u64 {
        let covered = self.sides[1 - region].held_at.unwrap_or(Position::NONE);
        self.epoch += 1;
        self.settles = Settles::default();
        self.repairs.clear();
        self.lives = Lives::default();
        self.pins = Pins::default();
        self.disordered = false;
        for (of, side) in self.sides.iter_mut().enumerate() {
            let (stable, seen) = if of == region { (at, covered) } else { (covered, at) };
            side.mail.clear();
            side.on_its_way.clear();
            (side.puts, side.fleeting, side.lingering) = Default::default();
            side.refused.clear();
            side.damaged.clear();
            side.forgotten = 0;
            side.taken.clear();
            side.given.clear();
            side.looks.clear();
            for (name, _) in std::mem::take(&mut side.held) {
                self.next += 1;
                side.kept.change(name, self.next, None);
            }
            side.kept.over = side.kept.unread;
            side.left.clear();
            side.executed.clear();
            (side.ready, side.judged, side.sees) = (false, None, 0);
            (side.stable, side.seen) = (Some(stable), Some(seen));
        }
        let side = &mut self.sides[region];
        (side.writes, side.sent) = (Writes::default(), Sent::default());
        side.histories = vec![at.replication_id];
        side.dumped = Some(Dumped { at, covered, latest_us: self.latest_us });
        self.sides[1 - region].cut = Some((covered, at));
        covered.offset
    }

    /// The dump of `region` that was fixed at `at`, once.
    pub fn take_dumped(&mut self, region: usize, at: Position) -> Option<Dumped> {
        self.sides[region].dumped.take_if(|dumped| dumped.at == at)
    }

    /// Up to where a dump that was copied onto `region` holds its writes, and where in the other region it was fixed.
    pub fn cut(&self, region: usize) -> Option<(u64, Position)> {
        self.sides[region].cut.map(|(covered, at)| (covered.offset, at))
    }

    /// A write with this stamp may have been executed at any region, microseconds.
    pub fn has_stamp(&mut self, time_us: i64) {
        self.latest_us = self.latest_us.max(time_us);
    }

    /// No write that any region has executed has a later stamp, microseconds.
    pub fn latest_us(&self) -> i64 {
        self.latest_us
    }

    /// Changes whenever a session begins.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Both regions have executed a `SWAPDB`, and a `FLUSHDB` or another `SWAPDB` of the other one, each its own first; or one was
    /// read while a session began or everything was copied. Any key may differ, so that everything has to be copied. Until it
    /// is, a restart finds that again.
    pub fn disordered(&mut self) {
        if !self.disordered {
            self.disordered = true;
            self.pin(0);
        }
    }

    /// Whether that is so, no dump was fixed since, and it is `region` of which one is to be copied: while the other one is
    /// copied, that comes first.
    pub fn is_disordered(&self, region: usize) -> bool {
        self.disordered && region == 0 && !self.copied[1 - region]
    }

    /// The link that reads `region` will copy everything, until a session of it begins to read on.
    pub fn copies(&mut self, region: usize) {
        self.copied[region] = true;
    }

    /// Whether the link that reads `region` has said so.
    pub fn is_copied(&self, region: usize) -> bool {
        self.copied[region]
    }

    /// Which servers this is about: another number once one of them was replaced by one that lacks what was read of it.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// A link found this history at `region`. Where it lacks what was read of the region, because a replica took over that had
    /// not everything, all that is known may rest on what is gone: both links begin as after a restart, from their markers.
    /// Tells whether that is so.
    pub fn finds(&mut self, region: usize, history: &Replication) -> bool {
        let Side { writes, histories, .. } = &self.sides[region];
        let goes_on = |(id, to): (ReplicationId, u64)| histories.contains(&id) && !writes.is_read(to);
        if histories.is_empty() || histories.contains(&history.id) || history.second.is_some_and(goes_on) {
            self.sides[region].second = history.second;
            return false;
        }
        *self = Self {
            epoch: self.epoch + 1,
            generation: self.generation + 1,
            next: self.next,
            latest_us: self.latest_us,
            most_logged: self.most_logged,
            copied: self.copied,
            ..Self::unknowing(Arc::clone(&self.policies))
        };
        self.sides[region].second = history.second;
        true
    }

    /// The stream of `region` was read up to where it stood when the session began, and beyond.
    pub fn set_ready(&mut self, region: usize) {
        self.sides[region].ready = true;
    }

    /// Whether both streams were.
    pub fn is_ready(&self) -> bool {
        self.sides.iter().all(|side| side.ready)
    }

    /// Up to where the stream of `region` has been judged, bytes; nothing while something may be on its way that an earlier
    /// session sent.
    pub fn judged(&self, region: usize) -> Option<u64> {
        self.sides[region].judged
    }

    /// Keys that `region` does not hold as they will be: what they are to be there has been sent for, or is not seen there yet.
    pub fn unresolved(&self, region: usize) -> usize {
        self.pins.count(region) + self.sides[region].refused.len()
    }

    /// The place of the latest write that `region` may have executed: what a client writes there from now on is later.
    pub fn latest(&self, region: usize) -> Order {
        let seen = self.sides[region].sees;
        let own = self.sides[region].sent.latest(u64::MAX);
        let other = self.sides[1 - region].sent.latest(seen);
        // What is not sent yet has its stamp, too.
        let sent = self.sides[region].sent.end();
        let unsent = self.sides[region].writes.after(sent).filter_map(|write| write.facts.stamp).max();
        own.max(other).max(unsent).map_or(Order::WEAKEST, |Stamp { time_us, rank }| Order(time_us, rank, u64::MAX))
    }

    /// A transaction with these writes of `region`, made then, was sent.
    pub fn sent(&mut self, region: usize, writes: Range<u64>, made: Made) {
        self.has_stamp(made.stamp.time_us);
        self.sides[region].sent.sent(writes, made);
    }

    /// The other region has executed the writes of `region` up to `high`, those from `since` on made then; that stands
    /// before `place` in its stream, which shows that these keys were deleted among them (by [`shown`](super::window::shown)).
    pub fn executed(
        &mut self,
        region: usize,
        (since, high): (u64, Position),
        place: Position,
        made: Made,
        deleted: Vec<u64>,
    ) {
        self.has_stamp(made.stamp.time_us);
        let side = &mut self.sides[region];
        side.sent.executed(since..high.offset, made, deleted);
        if side.executed.back().is_none_or(|(last, _)| last.offset < high.offset) {
            side.executed.push_back((high, place));
        }
    }

    /// `region` has executed the other region's writes up to `high`.
    pub fn has_seen(&mut self, region: usize, high: u64) {
        let side = &mut self.sides[region];
        side.sees = side.sees.max(high);
    }

    /// What was read of `region` is judged up to `judged`, and what follows from it pinned: what had been executed at the other
    /// region before what was seen is stable.
    pub fn advance(&mut self, region: usize, judged: u64) {
        let Self { sides, repairs, .. } = self;
        sides[region].judged = Some(judged);
        sides[region].puts.judged(judged, |name| repairs.contains(&(region, name.clone())));
        for pin in std::mem::take(&mut self.sides[region].left) {
            self.unpin(pin);
        }
        let Some(judged_there) = self.sides[1 - region].judged else { return };
        // Where nobody wrote at the other region there is nothing to be seen of it.
        let seen = self.sides[1 - region].writes.quiet_from(self.sides[region].sees);
        let side = &mut self.sides[region];
        let until = seen.min(judged_there);
        while side.executed.front().is_some_and(|(_, place)| place.offset <= until) {
            if let Some((stable, place)) = side.executed.pop_front()
                && side.stable.is_none_or(|before| before.offset < stable.offset)
            {
                side.stable = Some(stable);
                side.seen = Some(place);
            }
        }
        // A session that begins again reads from where something is unfinished.
        let unfinished = self.pins.lowest(region).map(|place| place.offset).into_iter();
        if let Some(low) = unfinished.chain(self.settled(region).map(|place| place.offset)).min() {
            let side = &mut self.sides[region];
            side.sent.forget(low);
        }
    }

    /// Clients of `region` wrote this; everything before `read` was read.
    pub fn wrote(&mut self, region: usize, writes: impl Iterator<Item = Segment>, read: u64) {
        self.sides[region].writes.extend(writes, read);
    }

    /// What clients of `region` wrote that is not stable.
    pub fn writes(&self, region: usize) -> &Writes {
        &self.sides[region].writes
    }

    /// Under which id the history of `region` is read.
    pub fn history(&self, region: usize) -> Option<ReplicationId> {
        self.sides[region].histories.first().copied()
    }

    /// Whether `place` may be one of the history of `region` that is read.
    pub fn is_of(&self, region: usize, place: Position) -> bool {
        self.sides[region].histories.is_empty() || self.sides[region].knows(place)
    }

    /// Whether the stream of `region` is to be read up to `place` still.
    pub fn is_unread(&self, region: usize, place: Position) -> bool {
        let Side { writes, histories, .. } = &self.sides[region];
        self.is_of(region, place) && (histories.is_empty() || !writes.is_read(place.offset))
    }

    /// Whether the stream of `region` was read up to `high`, and what of it behind `since` went to the other region: nothing
    /// where that is of another history.
    pub fn sent_part(&self, region: usize, since: u64, high: Position) -> (bool, impl Iterator<Item = Write<'_>>) {
        let Side { writes, histories, .. } = &self.sides[region];
        let known = self.sides[region].knows(high).then(|| writes.part(since, high.offset)).flatten();
        let is_read = !histories.is_empty() && !self.is_unread(region, high);
        (is_read, known.into_iter().flatten().filter(|write| !write.facts.silent))
    }

    /// Drops what is stable of it. Tells how many writes were dropped besides, for want of memory.
    pub fn forget(&mut self, region: usize) -> usize {
        // A session that begins again reads from where something is unfinished, and needs what stands there.
        let stable = self.stable(region);
        let needed = self.pins.lowest(region).map_or(stable, |place| stable.min(place.offset));
        let side = &mut self.sides[region];
        side.given.retain(|(_, at)| *at > needed);
        side.writes.forget(needed)
    }

    /// Up to where the writes of `region` are stable.
    pub fn stable(&self, region: usize) -> u64 {
        self.sides[region].stable.map_or(0, |stable| stable.offset)
    }

    /// From where a restart has to read `region`, whose writes before `high` were sent.
    pub fn low(&self, region: usize, high: Position) -> Position {
        let unfinished = self.pins.lowest(region).into_iter().chain(self.settled(region));
        let low = unfinished.chain([high]).min_by_key(|place| place.offset);
        Position { replication_id: high.replication_id, ..low.unwrap_or(high) }
    }

    /// In which transactions the writes of `region` were sent.
    pub fn transactions(&self, region: usize) -> &Sent {
        &self.sides[region].sent
    }

    /// Holds the checkpoints back at what is stable now, on account of `region`.
    pub fn pin(&mut self, region: usize) -> u64 {
        self.next += 1;
        // What an earlier session left unfinished is found again with the pins of that session still in force.
        let left: Vec<[Option<Position>; 2]> =
            self.sides.iter().flat_map(|side| &side.left).filter_map(|pin| self.pins.places(*pin)).collect();
        let places = [0, 1].map(|of| {
            let places = left.iter().filter_map(|places| places[of]).chain(self.settled(of));
            places.min_by_key(|place| place.offset)
        });
        self.pins.insert(self.next, region, places);
        self.next
    }

    /// From where `region` would have to be read if nothing were unfinished.
    fn settled(&self, region: usize) -> Option<Position> {
        let bounds = [self.sides[region].stable, self.sides[1 - region].seen];
        bounds.into_iter().flatten().min_by_key(|place| place.offset)
    }

    /// Lets go of it.
    pub fn unpin(&mut self, pin: u64) {
        self.pins.remove(pin);
    }

    /// `region` refused a write to this key inside of a transaction that it executed.
    pub fn refused(&mut self, region: usize, name: Name) {
        self.sides[region].refused.push(name);
    }

    /// A copy onto `region` has put a value there that lacks something: the other region's is taken.
    pub fn damaged(&mut self, region: usize, name: Name) {
        self.sides[region].damaged.insert(name.clone());
        self.refused(region, name);
    }

    /// What the last copy onto `region` has put there when its time was over, or nearly.
    pub fn fleeting(&mut self, region: usize) -> &mut Fleeting {
        &mut self.sides[region].fleeting
    }

    /// What the server of `region` has removed by itself, and the other region may hold still.
    pub fn lingering(&mut self, region: usize) -> &mut Lingering {
        &mut self.sides[region].lingering
    }

    /// Writes of `region` up to this place were forgotten, of keys that are to take the other one's values.
    pub fn forgot(&mut self, region: usize, at: u64) {
        self.sides[region].forgotten = self.sides[region].forgotten.max(at);
    }

    /// What [`Self::refused`] was told.
    pub fn take_refused(&mut self, region: usize) -> Vec<Name> {
        std::mem::take(&mut self.sides[region].refused)
    }
}

/// What both links know, also after a panic of who held it: it is whole at any moment.
pub fn hold(exchange: &SharedExchange) -> MutexGuard<'_, Exchange> {
    exchange.lock().unwrap_or_else(PoisonError::into_inner)
}
