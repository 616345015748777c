//! Concurrent writes in one link: what it tells the window of its source, and what it executes at its target on the
//! other link's account.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::{Beginning, Now, Rules};
use crate::command::{Class, Spec};
use crate::engine::apply::is_joined;
use crate::engine::conflict::{
    Again, Exchange, Facts, Found, Key, Made, Mail, Name, Note, Ours, Part, Put, ReadAgain, Redo, SharedExchange,
    Stamp, StampClock, Value, What, Window, hold, key_of, replaces, shown, shown_as, spec_of,
};
use crate::engine::origin::{Marker, Phase};
use crate::engine::position::Position;
use crate::wire::resp::Command;

/// How far it is known that everything on its way when the session began was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fence {
    /// The other link's transactions are not all answered.
    Waiting,
    /// A heartbeat that was written after this moment must be read, Unix milliseconds of the source's clock.
    Armed(i64),
    /// It was.
    Passed,
}

/// A transaction of the other link that is being read.
#[derive(Debug)]
struct Echo {
    marker: Marker,
    note: Note,
    /// What of it changed something: the first argument of each, by its hash.
    shown: Vec<u64>,
    /// Its requests with their databases, where it holds no new writes.
    requests: Vec<(u32, Bytes)>,
    /// The keys that it writes, where that may be of interest.
    names: Vec<Name>,
    /// Of these, those that it deletes, each by itself.
    deleted: Vec<Name>,
}

/// What a link knows of concurrent writes.
#[derive(Debug)]
pub(super) struct Crossing {
    exchange: SharedExchange,
    /// The region that is read: 0 or 1.
    region: usize,
    ranks: [u8; 2],
    window: Window,
    /// The order of some keys' writes depends on what the source had seen when it wrote.
    follows: bool,
    /// The last place outside of any transaction, bytes.
    at: u64,
    clock: StampClock,
    /// When the writes of the open batch were made; none where it has none.
    stamp: Option<Stamp>,
    /// Up to where the source had executed the target's writes when the open batch began, and has now.
    saw: u64,
    sees: Position,
    /// Up to where the writes of the source were sent.
    since: u64,
    /// The open batch has to go before more is read.
    pub(super) must_close: bool,
    echo: Option<Echo>,
    placing: Option<u64>,
    /// Nonces that were found, where they stand, and what had been seen there.
    unplaced: Vec<(u64, u64, u64)>,
    /// The server has deleted these keys in the midst of the echo that is being read, since the last request of ours.
    expired: Vec<Name>,
    /// A copy that an earlier session made is being read; and what it has put there, behind which place.
    copies: bool,
    copied: Vec<(u64, Name)>,
    fence: Fence,
    /// Parts of the target's stream whose echoes were read before anything is judged, and the keys that they write.
    read_again: Vec<ReadAgain>,
    epoch: u64,
    /// Which servers it is about.
    generation: u64,
    /// Transactions with mail that were not answered.
    mailed: VecDeque<u64>,
    pub(super) found: Vec<Found>,
}

impl Crossing {
    /// For a link that begins to read at `position`, having sent everything before `high` already.
    pub(super) fn new(rules: &Rules, from: u64) -> Self {
        let (exchange, region) = (Arc::clone(&rules.exchange), rules.region);
        let policies = Arc::clone(hold(&exchange).policies());
        let follows = policies.follow_the_other(region);
        let first_is_larger = u8::from(rules.origin > rules.peer);
        let ranks =
            if region == 0 { [first_is_larger, 1 - first_is_larger] } else { [1 - first_is_larger, first_is_larger] };
        Self {
            exchange,
            region,
            ranks,
            window: Window::new(region, from, rules.seed, policies),
            follows,
            at: from,
            clock: StampClock::new(ranks[region], rules.causal),
            stamp: None,
            saw: 0,
            sees: Position::NONE,
            since: 0,
            must_close: false,
            echo: None,
            placing: None,
            unplaced: Vec::new(),
            expired: Vec::new(),
            copies: false,
            copied: Vec::new(),
            fence: Fence::Waiting,
            read_again: Vec::new(),
            epoch: 0,
            generation: 0,
            mailed: VecDeque::new(),
            found: Vec::new(),
        }
    }

    /// The session begins.
    pub(super) fn begin(&mut self, beginning: Beginning) {
        self.since = beginning.high.offset;
        let mut exchange = hold(&self.exchange);
        exchange.misses(self.region, beginning.low..beginning.from.offset);
        exchange.begin(self.region, beginning.from, beginning.high.offset, beginning.known_as);
        (self.epoch, self.generation) = (exchange.epoch(), exchange.generation());
        if exchange.wants_held(self.region) {
            // Since this session looked a server was found to be replaced: it begins once more.
            self.generation = self.generation.wrapping_sub(1);
        }
        self.window.hold(&exchange);
        if !exchange.held(self.region).is_empty() {
            self.found.push(Found::Held);
        }
        // What a dump holds, or an earlier session sent, may be later than the clock is now. But what the other region has
        // written since, while this link stood still, is not earlier than what is read now.
        let mut latest_us = beginning.stamp_us.unwrap_or(exchange.latest_us());
        if let Some(dumped) = exchange.take_dumped(self.region, beginning.high) {
            (self.sees, latest_us) = (dumped.covered, dumped.latest_us);
        }
        if self.follows && self.sees.offset < beginning.saw {
            // What had been seen before the place where this session begins to read is not read again.
            let replication_id = exchange.history(1 - self.region).unwrap_or(self.sees.replication_id);
            self.sees = Position { replication_id, offset: beginning.saw, ..Position::NONE };
        }
        self.clock.has_seen(Stamp { time_us: latest_us, rank: 0 });
    }

    /// Whether one of the servers was replaced by one that lacks something: then this session's view of them is wrong.
    pub(super) fn is_outdated(&self) -> bool {
        hold(&self.exchange).generation() != self.generation
    }

    /// Whether everything of its region is to be copied, since whole databases differ.
    pub(super) fn is_disordered(&self) -> bool {
        hold(&self.exchange).is_disordered(self.region)
    }

    /// Looks whether a dump was fixed that is copied onto the region: what was executed before is in it, or gone.
    pub(super) fn attend(&mut self) {
        let cut = hold(&self.exchange).cut(self.region);
        if let Some((covered, at)) = cut {
            self.cut(covered, at);
        }
    }

    /// A dump that was fixed at `at` of the other region, and holds this one's writes up to `covered`, is copied here.
    fn cut(&mut self, covered: u64, at: Position) {
        if self.window.cut(covered) {
            self.sees = if self.sees.offset > at.offset && self.follows { self.sees } else { at };
            // What is held by now was not decided by the copy.
            self.window.hold(&hold(&self.exchange));
        }
    }

    /// A copy onto the region has taken something from this key: the other region's value is taken.
    pub(super) fn doubt(&mut self, name: Name) {
        hold(&self.exchange).damaged(self.region, name);
    }

    /// Whether the open batch does not say all that its region had seen by now. Where that decides which of two writes
    /// stays, the batch has to go before such a write is read: longer and shorter times to live.
    pub(super) fn is_behind(&self) -> bool {
        self.stamp.is_some() && self.saw != self.sees.offset
    }

    /// A client's write was read; `sent` tells whether it goes into the open batch, or went with an earlier session.
    pub(super) fn wrote(&mut self, sent: bool, at: u64, database: u32, written: Written<'_>, written_ms: i64) {
        let stamp = sent.then(|| {
            let fresh = || self.clock.stamp(written_ms);
            if self.stamp.is_none() {
                self.saw = self.sees.offset;
            }
            *self.stamp.get_or_insert_with(fresh)
        });
        let Written { key, bytes, requests, silent, weak } = written;
        let (seen, sees, behind) = (self.saw, self.sees.offset, Cell::default());
        self.window.push(at, key, bytes, Facts { database, requests, stamp, seen, silent, weak, sees, behind });
    }

    /// The key of a command that names only one.
    pub(super) fn only_key(&self, command: &Command<'_>, spec: &Spec, database: u32) -> Option<Key> {
        let mut keys = spec.keys(command);
        let used = keys.next().filter(|_| spec.class == Class::Write)?;
        keys.next().is_none().then(|| self.window.key(used.database.unwrap_or(database), used.key))
    }

    /// The marker of the other link was read: an echo begins, or is all there.
    pub(super) fn echo_begins(&mut self, marker: Marker, note: Note) {
        if marker.phase != Phase::Streaming {
            // A copy onto this region, of what the other one held when it had executed everything of this one up to there.
            self.cut(marker.saw, marker.high);
            self.copies = self.window.is_suspended();
            return;
        }
        let seen = Stamp { time_us: marker.stamp_us, rank: self.ranks[1 - self.region] };
        if note == Note::Writes {
            self.clock.has_seen(seen);
            // What is written from now on had seen more than what is in the batch.
            self.must_close |= self.stamp.is_some_and(|stamp| stamp <= seen || self.follows);
        }
        self.echo = Some(Echo {
            marker,
            note,
            shown: Vec::new(),
            requests: Vec::new(),
            names: Vec::new(),
            deleted: Vec::new(),
        });
    }

    /// The marker again, at the end of a long transaction.
    pub(super) fn echo_goes_on(&mut self, marker: Marker) {
        if let Some(echo) = &mut self.echo {
            echo.marker = marker;
        }
    }

    /// A request in the midst of an echo is read. A key whose time was over has been deleted by the server when our write came
    /// to it, so that this met nothing: where it does not replace the value, the other region decides what the key is, and what the
    /// write made of it elsewhere.
    pub(super) fn echo_meets(&mut self, command: &Command<'_>, spec: &Spec, database: u32, by_the_server: bool) {
        // While a value or a whole copy is put there, our own deletions look like that.
        if by_the_server && self.echo.is_some() {
            return self.expired.push((database, command.arg(1).to_vec()));
        }
        for name in std::mem::take(&mut self.expired) {
            let of_it: Vec<_> = spec.keys(command).filter(|used| used.key == name.1).collect();
            if of_it.iter().any(|used| replaces(command, spec, used)) {
                continue;
            }
            if !of_it.is_empty() {
                self.met_nothing(command, spec, database);
            }
            hold(&self.exchange).refused(self.region, name);
        }
    }

    /// A request of the other link has read less here than in the other region, which decides what became of it.
    pub(super) fn met_nothing(&self, command: &Command<'_>, spec: &Spec, database: u32) {
        for (database, name) in spec.written(command, database) {
            hold(&self.exchange).refused(self.region, (database, name.to_vec()));
        }
    }

    /// A request that is not only about our own keys was read in the midst of a copy of an earlier session.
    pub(super) fn copied(&mut self, command: &Command<'_>, spec: &Spec, database: u32, prefix: &[u8]) {
        if self.copies {
            let written = spec.written(command, database).filter(|(_, name)| !name.starts_with(prefix));
            self.copied.extend(written.map(|(database, name)| (self.at, (database, name.to_vec()))));
        }
    }

    /// A request of the other link was read.
    pub(super) fn echoed(
        &mut self,
        command: &Command<'_>,
        spec: &Spec,
        place: Range<usize>,
        buffer: &[u8],
        database: u32,
    ) {
        let Some(echo) = &mut self.echo else { return };
        if echo.note == Note::Writes {
            // Each write by itself, as it is kept.
            if is_joined(command.name()) {
                let keys = command.args().skip(1).step_by(2);
                echo.shown.extend(keys.map(|key| shown(database, key)));
            } else {
                echo.shown.push(shown_as(database, command, spec));
            }
            if self.window.is_suspended() {
                let written = spec.written(command, database);
                echo.names.extend(written.map(|(database, name)| (database, name.to_vec())));
                // In capitals it is the server's own.
                if matches!(command.name(), b"del" | b"unlink") && command.len() == 2 {
                    echo.deleted.push((database, command.arg(1).to_vec()));
                }
            }
        } else {
            echo.requests.push((database, Bytes::copy_from_slice(buffer.get(place).unwrap_or_default())));
        }
    }

    /// A place outside of any transaction was reached.
    pub(super) fn boundary(&mut self, place: Position) {
        for name in self.expired.drain(..) {
            hold(&self.exchange).refused(self.region, name);
        }
        self.at = place.offset;
        self.copies = false;
        if self.is_outdated() {
            self.echo = None;
        }
        if let Some(mut echo) = self.echo.take() {
            let Marker { high, stamp_us, since, saw, .. } = echo.marker;
            let stamp = Stamp { time_us: stamp_us, rank: self.ranks[1 - self.region] };
            let deleted = echo.deleted.iter().map(|(database, name)| shown(*database, name)).collect();
            if !echo.names.is_empty() {
                let (part, names) = (since..high.offset, std::mem::take(&mut echo.names));
                self.read_again.push(ReadAgain { part, at: place.offset, names });
            }
            if echo.note == Note::Writes {
                let shown = Some(std::mem::take(&mut echo.shown));
                let deleted = std::mem::take(&mut echo.deleted);
                let part = Part { since, high, saw, stamp, shown, deleted };
                self.window.push_writes(place.offset, part, &hold(&self.exchange));
            } else {
                self.mail_came(&echo, place.offset);
            }
            let mut exchange = hold(&self.exchange);
            // What was executed of a history that has ended says nothing of the one that is read now.
            if exchange.is_of(1 - self.region, high) {
                self.sees = if exchange.is_of(1 - self.region, self.sees) && self.sees.offset > high.offset {
                    self.sees
                } else {
                    high
                };
                exchange.executed(1 - self.region, (since, high), place, Made { stamp, seen: saw }, deleted);
                exchange.has_seen(self.region, high.offset);
            }
        }
        if let Some(id) = self.placing.take() {
            self.must_close |= self.stamp.is_some();
            self.unplaced.push((id, place.offset, self.sees.offset));
        }
    }

    /// A transaction with mail was executed. All of its requests were, also those that changed nothing and are not in the
    /// stream for that; which they are is known, unless an earlier daemon sent it.
    fn mail_came(&mut self, echo: &Echo, at: u64) {
        let exchange = Arc::clone(&self.exchange);
        let mut exchange = hold(&exchange);
        let Some(mail) = exchange.came(self.region, echo.marker.id, at) else {
            return self.mail_of_an_earlier_daemon(echo, at);
        };
        for mail in mail {
            match mail {
                Mail::Again(redos) => redos.into_iter().for_each(|redo| self.redone(redo, at)),
                Mail::Value(value) => {
                    let Value { name, payload, expires_at_ms, at: taken_at, covered, floor } = *value;
                    // Its time was over when it was put here. Where it came from it may have lived on a moment longer, and
                    // may have been prolonged in that.
                    if payload.is_some() && expires_at_ms.is_some() && !leaves_a_value(echo) {
                        exchange.refused(self.region, name.clone());
                    }
                    let what = What::Value { name, at: taken_at, covered, floor, ours: true };
                    self.window.push_ours(Ours { at, what });
                }
                Mail::Held(changes) => exchange.kept_held(self.region, &changes),
            }
        }
    }

    fn mail_of_an_earlier_daemon(&mut self, echo: &Echo, place: u64) {
        match &echo.note {
            Note::Value { at, covered, floor, again } => {
                let Some(((database, request), rest)) = echo.requests.split_first() else { return };
                let name = (*database, key_of(request));
                let what = What::Value { name, at: *at, covered: *covered, floor: *floor, ours: false };
                self.window.push_ours(Ours { at: place, what });
                self.again_of_an_earlier_daemon(again, rest, place);
            }
            Note::Again(items) => self.again_of_an_earlier_daemon(items, &echo.requests, place),
            Note::Writes | Note::Held => {}
        }
    }

    fn again_of_an_earlier_daemon(&mut self, items: &[Again], requests: &[(u32, Bytes)], place: u64) {
        if items.len() == requests.len() {
            for (&(stamp, id, seen), (database, request)) in items.iter().zip(requests) {
                let request = request.clone();
                self.redone(Redo { stamp, id, seen, behind: None, database: *database, request }, place);
            }
        } else {
            // Which of them changed nothing can't be told: the values decide.
            let is_local = |stamp: &Stamp| stamp.rank == self.ranks[self.region];
            let executed = items.iter().map(|(stamp, id, _)| (*id, is_local(stamp))).collect();
            let changed = requests.iter().map(|(database, request)| (*database, key_of(request))).collect();
            let what = What::Unknown { executed, changed };
            self.window.push_ours(Ours { at: place, what });
        }
    }

    fn redone(&mut self, redo: Redo, at: u64) {
        let local = redo.stamp.rank == self.ranks[self.region];
        self.window.push_ours(Ours { at, what: What::Again { redo, local } });
    }

    /// What the source keeps of held keys may be gone. Tells whether there is something to write again.
    pub(super) fn lost_held(&self) -> bool {
        let mut exchange = hold(&self.exchange);
        exchange.generation() == self.generation && exchange.lost_held(self.region)
    }

    /// The nonce of a value that is being read was found.
    pub(super) fn nonce(&mut self, value: &[u8]) {
        self.placing = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    }

    /// When the open batch was made, Unix milliseconds, where it has a stamp: all of its writes share that.
    pub(super) fn made_ms(&self) -> Option<i64> {
        self.stamp.map(|stamp| stamp.time_us / 1000)
    }

    /// A heartbeat was read. The batch that was open before it goes: what is behind it was written later.
    pub(super) fn heartbeat(&mut self, written_ms: i64) {
        self.must_close |= self.stamp.is_some();
        if matches!(self.fence, Fence::Armed(since) if written_ms > since) {
            let mut exchange = hold(&self.exchange);
            if exchange.epoch() == self.epoch {
                self.fence = Fence::Passed;
                exchange.set_ready(self.region);
            }
        }
    }

    /// What was read so far, the last of it in the midst of a transaction of the other link's, is taken in. It is judged where
    /// nothing more follows at once, which may undo what it brings.
    pub(super) fn take_in(&mut self) {
        let mut exchange = hold(&self.exchange);
        if exchange.generation() == self.generation && exchange.epoch() == self.epoch {
            self.window.hand_over(self.at, &mut exchange);
            let found = &mut self.found;
            self.window.take_in(&mut exchange, &mut |what| found.push(what));
        }
    }

    /// What was read so far is judged; it ends outside of any transaction.
    pub(super) fn settle(&mut self, now: Now) {
        let mut exchange = hold(&self.exchange);
        if exchange.generation() != self.generation {
            return;
        }
        self.window.hand_over(self.at, &mut exchange);
        self.window.copied(&mut self.copied, &mut exchange);
        if exchange.epoch() != self.epoch {
            self.epoch = exchange.epoch();
            self.fence = Fence::Waiting;
            self.window.suspend();
        }
        if self.fence == Fence::Waiting && exchange.is_answered(self.region) {
            self.fence = Fence::Armed(now.source_ms);
        }
        if self.window.is_suspended() && self.fence == Fence::Passed && exchange.is_ready() {
            self.window.resume(&mut exchange);
            if !self.window.is_suspended() {
                self.window.lacks(&self.read_again, &exchange);
                exchange.lacks(1 - self.region, &mut self.read_again);
            }
        }
        for (id, at, covered) in self.unplaced.drain(..) {
            let placed = |exchange: &Exchange, (database, name): &Name| {
                self.window.placed(exchange, (*database, name), at, covered)
            };
            exchange.nonce(self.region, id, placed, |what| self.found.push(what));
        }
        let found = &mut self.found;
        self.window.settle(self.at, &mut exchange, &mut |what| found.push(what));
    }

    /// Whether something is left to be judged: before more is read, [`Self::settle`] is to be called again.
    pub(super) fn has_to_judge(&self) -> bool {
        self.window.is_behind()
    }

    /// From where a restart has to read, everything before `high` having been sent.
    pub(super) fn low(&self, high: Position) -> Position {
        hold(&self.exchange).low(self.region, high)
    }

    /// When the writes of the open batch were made, behind which place, and what their region had seen then.
    pub(super) fn stamp(&mut self, now_ms: i64) -> (Stamp, u64, u64) {
        match self.stamp {
            Some(stamp) => (stamp, self.since, self.saw),
            None => (self.clock.stamp(now_ms), self.since, self.sees.offset),
        }
    }

    /// The open batch was sent as the transaction `id`; it holds everything before `high`.
    pub(super) fn closed(&mut self, high: Position) {
        if let Some(stamp) = self.stamp.take() {
            let made = Made { stamp, seen: self.saw };
            let mut exchange = hold(&self.exchange);
            if exchange.generation() == self.generation {
                exchange.sent(self.region, self.since..high.offset, made);
            }
        }
        self.since = high.offset;
        self.must_close = false;
    }

    /// The exchange with the other link.
    pub(super) fn exchange(&self) -> &SharedExchange {
        &self.exchange
    }

    /// The region that is written.
    pub(super) fn target(&self) -> usize {
        1 - self.region
    }

    /// Something that was sent from this part of the stream failed at the target, and it is not known what.
    pub(super) fn some_refused(&mut self, part: Range<u64>) {
        let exchange = Arc::clone(&self.exchange);
        let mut exchange = hold(&exchange);
        let names = exchange
            .writes(self.region)
            .part(part.start, part.end)
            .into_iter()
            .flatten()
            .flat_map(|write| write.written());
        for name in names.collect::<Vec<_>>() {
            exchange.refused(1 - self.region, name);
        }
    }

    /// A value is about to be put at the target: it, and what it is known to lack there. Of one that expires that is left
    /// for later: only by what it leaves is it told whether its time was over.
    pub(super) fn put(&self, value: &Value) -> (Put, Vec<Redo>) {
        let (database, name) = &value.name;
        let put = Put::new(value, self.window.key(*database, name), self.since);
        let lacks = value.expires_at_ms.is_none().then(|| put.lacks(self.target(), &hold(&self.exchange))).flatten();
        (put, lacks.unwrap_or_default())
    }

    /// The transaction `id` carries this mail, with a value where that is `put`.
    pub(super) fn mailed(&mut self, id: u64, mail: Vec<Mail>, put: Option<Put>) {
        self.mailed.push_back(id);
        hold(&self.exchange).mailed(self.target(), id, mail, put);
    }

    /// The target has executed the transaction `id`, and all before.
    pub(super) fn answered(&mut self, id: u64) {
        while self.mailed.front().is_some_and(|sent| *sent <= id) {
            self.mailed.pop_front();
            hold(&self.exchange).answered(self.target());
        }
    }

    /// Nothing more comes from the source.
    pub(super) fn breaks_off(&self) {
        let mut exchange = hold(&self.exchange);
        if exchange.generation() == self.generation {
            exchange.breaks_off(self.region);
        }
    }

    /// How many executions are kept.
    pub(super) fn kept(&self) -> usize {
        self.window.kept()
    }
}

/// A client's write as the window keeps it.
#[derive(Debug)]
pub(super) struct Written<'a> {
    /// The only key that it names, where that is known.
    pub(super) key: Option<Key>,
    /// The request; more than one where `requests` says so.
    pub(super) bytes: &'a [u8],
    pub(super) requests: u32,
    /// A deletion by the server itself that the other region is not told.
    pub(super) silent: bool,
    /// What any concurrent update beats: a deletion by the server itself, or what may be one.
    pub(super) weak: bool,
}

/// Whether the last request of an echo does not remove its key.
fn leaves_a_value(echo: &Echo) -> bool {
    let last = echo.requests.last().and_then(|(_, request)| spec_of(request));
    last.is_some_and(|spec| !spec.is_deletion())
}
