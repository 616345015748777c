//! The start of a link's session: fence the target, look at both servers, plan, attach.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attach::{self, Attached};
use super::client::{Client, Reply, bytes, elements, integer, text};
use super::heartbeat::learn;
use super::shared::{Held, Pair};
use super::socket::Socket;
use super::{fence, names};
use crate::command::Capabilities;
use crate::config::{ExistingKeys, PositionLost};
use crate::engine::apply::{Bounds, Identity};
use crate::engine::checkpoint::Checkpoint;
use crate::engine::conflict;
use crate::engine::copy::CopyRules;
use crate::engine::copy::onto::hold;
use crate::engine::decode::rebuild::TargetFeatures;
use crate::engine::guard::{Guard, went_back};
use crate::engine::origin::{Marker, last_marker};
use crate::engine::plan::{CopyReason, End, Plan, View, plan, reads_from};
use crate::engine::position::{Position, ReplicationId};
use crate::engine::source::{Info, Replication, Server};
use crate::engine::stream::Rules;
use crate::error::{Fault, Kind};
use crate::observe::{Reason, State};
use crate::remedy::advice;
use crate::wire::rdb::{Dialect, Restorable};

/// How often a link that waits for the other one looks again.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a link waits for the source's events before it begins without them.
const EVENTS_WITHIN: Duration = Duration::from_secs(1);

/// How long a link waits for the other one before it says so.
const SHOW_AFTER: Duration = Duration::from_secs(1);

/// For how long both markers have to be gone before a link holds. One that a client removes is written again as soon as the link
/// that it belongs to has read that.
const LOST_WITHIN: Duration = Duration::from_secs(2);

/// More databases than any server is given.
const MAX_DATABASES: u32 = 1 << 20;

/// How much of a server's backlog is searched for a marker that is gone, bytes.
const MOST_SEARCHED: u64 = 64 * 1024 * 1024;

/// What a link remembers from one session to the next; all else is at the servers.
#[derive(Debug, Default)]
pub struct Memory {
    /// What an earlier run was ordered is known.
    pub recalled: bool,
    /// The daemon's epoch at the target.
    pub epoch: Option<u64>,
    /// Names that the target keeps from the source.
    pub keep: Option<Arc<HashSet<Vec<u8>>>>,
}

/// A link that is attached at both ends.
#[derive(Debug)]
pub struct Started {
    /// The source's stream.
    pub source: Attached,
    /// The target's connection, fenced.
    pub target: Socket,
    /// Who writes there.
    pub identity: Identity,
    /// How much may be on its way.
    pub bounds: Bounds,
    /// What is copied of the increments.
    pub rules: Rules,
    /// The marker that was found, if it said where to go on.
    pub resumed: Option<Marker>,
    /// The probe behind which the position lies.
    pub probe: Option<Vec<u8>>,
    /// What a copy needs to know, and why it is made.
    pub copy: Option<(CopyRules, CopyReason)>,
    /// The source's offset and clock when the link attached.
    pub attached: (u64, i64),
    /// Asks before a disaster is spread.
    pub guard: Guard,
}

/// Connections and facts of a start.
struct Starting<'a> {
    pair: &'a Pair,
    index: usize,
    target: Client,
    source_control: Client,
    target_control: Client,
    source_server: Server,
    target_server: Server,
    databases: u32,
    epoch: u64,
    /// What was found of markers that are gone, by the region that held them.
    searched: [Option<Option<Marker>>; 2],
    /// The target's history and how many keys it holds, as they were seen last.
    target_seen: (ReplicationId, u64),
}

/// Starts a session of the link `index`.
///
/// # Errors
/// The [`Fault`] that keeps it from starting.
pub async fn start(pair: &Pair, index: usize, memory: &mut Memory) -> Result<Started, Fault> {
    let (source, target) = (pair.source(index), pair.target(index));
    // A start does together what it can: what is written before it has attached is dated from what stands around it.
    let (mut writer, mut source_control, mut target_control) = tokio::try_join!(
        Client::connect(&target, target.primary()),
        Client::connect(&source, source.primary()),
        Client::connect(&target, target.primary()),
    )?;
    let (source_server, target_server, databases) = distinct(&mut source_control, &mut target_control).await?;
    let epoch = fence::claim(&mut writer, pair, index, memory.epoch).await?;
    memory.epoch = Some(epoch);
    let began = Instant::now();
    let mut starting = Starting {
        pair,
        index,
        target: writer,
        source_control,
        target_control,
        source_server,
        target_server,
        databases,
        epoch,
        searched: [None; 2],
        target_seen: (ReplicationId::NONE, 0),
    };
    loop {
        let view = starting.look().await?;
        let own = view.target.marker;
        if own.is_none() {
            // What is read before events come can't be told apart. A link that goes on has no time to lose: what was written
            // before it attaches is dated badly.
            let _ = tokio::time::timeout(EVENTS_WITHIN, pair.fences[index].tried()).await;
        }
        for (region, end) in [(index, &view.source), (1 - index, &view.target)] {
            if conflict::hold(&pair.exchange).finds(region, &end.replication) {
                tracing::warn!(region = %end.region, "the server lacks what was read of it: it was replaced by a replica that lagged");
            }
        }
        starting.recall_held().await?;
        for marker in [own, view.source.marker].into_iter().flatten() {
            conflict::hold(&pair.exchange).has_stamp(marker.stamp_us);
        }
        match plan(&view) {
            Plan::Resume(high) => {
                let back_ms = i64::try_from(pair.config().guards.marker_back.as_millis()).unwrap_or(i64::MAX);
                went_back(pair.links[index].known_ms(), own.map_or(0, |marker| marker.time_ms), back_ms)?;
                hold(&pair.onto[1 - index]).end();
                let from = reads_from(&view, high);
                if from.offset > own.map_or(0, |marker| marker.low.offset) {
                    tracing::warn!(%high, "the source no longer has what was unfinished: concurrent writes of then may differ");
                }
                let attaching = attach::resume(&source, from, view.source.replication.offset);
                let (attached, ()) = tokio::try_join!(attaching, starting.forget_kept(memory))?;
                return starting.finish(attached, own, None, None).await;
            }
            Plan::Fix => {
                // The markers are read one after the other, and a copy may end in between: what one look found counts when
                // a second one finds it too.
                if !matches!(plan(&starting.look().await?), Plan::Fix) {
                    continue;
                }
                let attached = attach::end_of_stream(&source, &mut starting.source_control).await?;
                hold(&pair.onto[index]).skip();
                let probe = starting.probe().await?;
                return starting.finish(attached, own, Some(probe), None).await;
            }
            Plan::Copy(reason) => {
                let keep = starting.prepare_copy(reason, own, memory).await?;
                // Between the last write that reached the source and the dump nothing may slip in.
                let held = Held::hold(&pair.links[1 - index]).await;
                let attached = attach::copy(&source).await?;
                hold(&pair.onto[index]).skip();
                let covered = conflict::hold(&pair.exchange).dumped(index, attached.position);
                hold(&pair.onto[1 - index]).begin(covered);
                drop(held);
                let rules = starting.copy_rules(keep, reason, covered);
                let own = starting.marker().await?;
                return starting.finish(attached, own, None, Some((rules, reason))).await;
            }
            Plan::Wait => {
                waiting(pair, index, began, "the forward link has not begun its copy");
                pair.links[1 - index].changes(LOOK_EVERY).await;
            }
            Plan::Hold(fault) if fault.kind == Kind::BothPositionsLost && began.elapsed() < LOST_WITHIN => {
                pair.links[1 - index].changes(LOOK_EVERY).await;
            }
            Plan::Hold(fault) => return Err(fault),
        }
    }
}

/// The programs of source and target, once it is certain that they are not one, and how many databases the target has.
async fn distinct(source: &mut Client, target: &mut Client) -> Result<(Server, Server, u32), Fault> {
    let asked = [["INFO", "server"].as_slice(), &["CONFIG", "GET", "databases"]];
    let (ours, theirs) = tokio::try_join!(source.call(asked[0]), target.calls(&asked))?;
    let told = theirs.get(1).map(elements).unwrap_or_default();
    let theirs = target.accepted("INFO", theirs.first())?;
    let (ours, theirs) = (Info::parse(&text(&ours)), Info::parse(&text(theirs)));
    if ours.run_id()? == theirs.run_id()? {
        let text = format!("{} and {} are one server", source.place(), target.place());
        return Err(Fault::new(Kind::SameServer, text));
    }
    let databases = match told {
        [_, count] => u32::try_from(integer(count)).unwrap_or(1).max(1),
        _ => databases_tried(target).await?,
    };
    Ok((ours.server()?, theirs.server()?, databases))
}

/// How many databases a server lets one select, where it does not tell how many it has.
async fn databases_tried(client: &mut Client) -> Result<u32, Fault> {
    let (mut has, mut lacks) = (0u32, MAX_DATABASES);
    while has + 1 < lacks {
        let middle = has + (lacks - has) / 2;
        match client.calls(&[["SELECT", &middle.to_string()]]).await?.first() {
            Some(Reply::Error(_)) | None => lacks = middle,
            Some(_) => has = middle,
        }
    }
    client.call(&["SELECT", "0"]).await?;
    Ok(has + 1)
}

impl Starting<'_> {
    /// What both servers say now.
    async fn look(&mut self) -> Result<View, Fault> {
        let (pair, index) = (self.pair, self.index);
        let source = self.end(index).await?;
        let target = self.end(1 - index).await?;
        self.target_seen = (target.replication.id, target.keys);
        let ordered = pair.links[index].ordered.lock().map_or(None, |ordered| *ordered);
        let marker_broken = target.marker.is_some_and(|marker| pair.links[index].has_broken(marker));
        let other_broken = source.marker.is_some_and(|marker| pair.links[1 - index].has_broken(marker));
        Ok(View {
            source,
            target,
            copies_first: index == 0,
            ordered,
            copy_when_lost: pair.config().forward.position_lost == PositionLost::FullSync,
            marker_broken,
            other_broken,
            disordered: conflict::hold(&pair.exchange).is_disordered(index),
        })
    }

    /// What the server of a region says. Where clients have emptied database 0, the marker is gone until it is written
    /// anew: then the stream tells.
    async fn end(&mut self, region: usize) -> Result<End, Fault> {
        let pair = self.pair;
        let client = if region == self.index { &mut self.source_control } else { &mut self.target_control };
        let key = pair.reserved.marker(pair.target(region).name.as_str());
        let mut end = end(pair, region, client).await?;
        if end.marker.is_none() {
            let found = match self.searched[region] {
                Some(found) => found,
                None => last_marker(&attach::tail(&pair.source(region), &end.replication, MOST_SEARCHED).await?, &key),
            };
            self.searched[region] = Some(found);
            if let Some(marker) = found {
                tracing::info!(region = %end.region, high = %marker.high, "the marker was found in the stream");
            }
            end.marker = found.map(|marker| pair.links[1 - region].settled(marker));
        }
        Ok(end)
    }

    async fn marker(&mut self) -> Result<Option<Marker>, Fault> {
        let key = self.pair.reserved.marker(self.pair.source(self.index).name.as_str());
        let reply = self.target_control.call(&[b"GET".as_slice(), &key]).await?;
        Ok(Marker::believed(bytes(&reply)))
    }

    /// Says at the target that a copy is coming, and waits until the other link misses nothing and has brought over all
    /// that was written there before.
    async fn prepare_copy(
        &mut self,
        reason: CopyReason,
        own: Option<Marker>,
        memory: &mut Memory,
    ) -> Result<Arc<HashSet<Vec<u8>>>, Fault> {
        let keep = self.keep(reason, memory).await?;
        if reason == CopyReason::Disordered {
            // What is announced is not read on from any more: not before the other link is seen to go on.
            drained(self.pair, self.index, &mut self.target_control).await?;
        }
        hold(&self.pair.onto[1 - self.index]).announce();
        conflict::hold(&self.pair.exchange).copies(self.index);
        let id = own.filter(|marker| marker.epoch == self.epoch).map_or(0, |marker| marker.id + 1);
        let marker = Checkpoint::copying(reason.phase(), Position::NONE, 0, 0).marker(self.epoch, id);
        let key = self.pair.reserved.marker(self.pair.source(self.index).name.as_str());
        self.target.call(&[b"SET".as_slice(), &key, marker.to_string().as_bytes()]).await?;
        self.pair.links[self.index].changed.notify_waiters();
        self.forget_unfinished().await?;
        drained(self.pair, self.index, &mut self.target_control).await?;
        if reason == CopyReason::Refill {
            // What clients have written since the target was found empty, until the other link began to read, nobody has seen.
            let found = names::all(&mut self.target_control, self.pair.reserved.prefix()).await?;
            if !found.is_empty() {
                tracing::warn!(
                    keys = found.len(),
                    "clients wrote to the empty region before it was read: what of that the other region lacks is deleted, or left for duet verify to find"
                );
            }
            hold(&self.pair.onto[1 - self.index]).finds(found.into_iter());
        }
        made_good(self.pair, self.index).await;
        Ok(keep)
    }

    /// Reads which keys are held at the source since an earlier daemon.
    async fn recall_held(&mut self) -> Result<(), Fault> {
        let (pair, region) = (self.pair, self.index);
        if !conflict::hold(&pair.exchange).wants_held(region) {
            return Ok(());
        }
        let key = pair.reserved.held(pair.source(region).name.as_str());
        let reply = self.source_control.call(&[b"HGETALL".as_slice(), &key]).await?;
        let fields = elements(&reply).chunks_exact(2);
        let held = fields.filter_map(|pair| conflict::parse_held(bytes(&pair[0]), bytes(&pair[1])));
        conflict::hold(&pair.exchange).keeps_held(region, held);
        Ok(())
    }

    /// The names that the target keeps; with `existing_keys = "fail"` any such name is a fault.
    async fn keep(&mut self, reason: CopyReason, memory: &mut Memory) -> Result<Arc<HashSet<Vec<u8>>>, Fault> {
        let policy = self.pair.config().forward.existing_keys;
        let key = self.pair.reserved.kept(self.pair.source(self.index).name.as_str());
        if policy == ExistingKeys::Overwrite {
            return Ok(Arc::default());
        }
        match reason {
            CopyReason::Initial { .. } => {
                let shared = self.shared_names().await?;
                if policy == ExistingKeys::Fail {
                    let target = &self.pair.target(self.index).name;
                    return if shared.is_empty() {
                        Ok(Arc::default())
                    } else {
                        Err(names::describe(&shared, target.as_str()))
                    };
                }
                let shared = Arc::new(shared);
                names::remember(&mut self.target_control, &key, &shared).await?;
                memory.keep = Some(Arc::clone(&shared));
                Ok(shared)
            }
            CopyReason::Interrupted { sweeps: false, .. } if policy == ExistingKeys::Keep => match &memory.keep {
                Some(keep) => Ok(Arc::clone(keep)),
                None => names::recall(&mut self.target_control, &key).await,
            },
            CopyReason::Interrupted { .. }
            | CopyReason::PositionLost
            | CopyReason::Disordered
            | CopyReason::Refill
            | CopyReason::Ordered => Ok(Arc::default()),
        }
    }

    /// A big value that an earlier copy left half built.
    async fn forget_unfinished(&mut self) -> Result<(), Fault> {
        let building = self.pair.reserved.building(self.pair.source(self.index).name.as_str());
        let reply = self.target_control.call(&["INFO", "keyspace"]).await?;
        for (database, _) in Info::parse(&text(&reply)).keyspace() {
            self.target_control.call(&["SELECT", &database.to_string()]).await?;
            self.target_control.call(&[b"UNLINK".as_slice(), &building]).await?;
        }
        self.target_control.call(&["SELECT", "0"]).await.map(|_| ())
    }

    /// The first copy is done: what the target kept from it is of no interest any more.
    async fn forget_kept(&mut self, memory: &mut Memory) -> Result<(), Fault> {
        memory.keep = None;
        let key = self.pair.reserved.kept(self.pair.source(self.index).name.as_str());
        self.target_control.call(&[b"DEL".as_slice(), &key]).await.map(|_| ())
    }

    async fn shared_names(&mut self) -> Result<HashSet<Vec<u8>>, Fault> {
        let sizes = [&mut self.source_control, &mut self.target_control];
        let [source, target] = sizes;
        let count = |reply: String| Info::parse(&reply).keyspace().iter().map(|(_, keys)| keys).sum::<u64>();
        let ours = count(text(&source.call(&["INFO", "keyspace"]).await?));
        let theirs = count(text(&target.call(&["INFO", "keyspace"]).await?));
        let prefix = self.pair.reserved.prefix();
        if ours < theirs {
            names::shared(source, target, prefix).await
        } else {
            names::shared(target, source, prefix).await
        }
    }

    /// Writes the probe at the source, behind which the link's position lies.
    async fn probe(&mut self) -> Result<Vec<u8>, Fault> {
        let key = self.pair.reserved.probe(self.pair.source(self.index).name.as_str());
        let value = format!("{:016x}", fastrand::u64(..)).into_bytes();
        self.source_control.call(&[b"SET".as_slice(), &key, &value, b"PX", b"60000"]).await?;
        Ok(value)
    }

    fn copy_rules(&self, keep: Arc<HashSet<Vec<u8>>>, reason: CopyReason, covered: u64) -> CopyRules {
        let Server { dialect, version } = self.target_server;
        let (major, minor, patch) = (u32::from(version.0), u32::from(version.1), u32::from(version.2));
        CopyRules {
            restorable: Restorable::of_server(dialect, (major, minor, patch)),
            features: TargetFeatures::of_server(dialect, (major, minor, patch)),
            functions: major >= 7,
            set_pxat: dialect == Dialect::Valkey || (major, minor) >= (6, 2),
            databases: self.databases,
            value_bytes: self.pair.config().full_sync.value_bytes,
            prefix: self.pair.reserved.prefix().to_vec(),
            onto: Arc::clone(&self.pair.onto[1 - self.index]),
            covered,
            building: self.pair.reserved.building(self.pair.source(self.index).name.as_str()),
            keep,
            sweep_seed: reason.sweeps().then(|| fastrand::u64(..)),
        }
    }

    async fn finish(
        mut self,
        source: Attached,
        own: Option<Marker>,
        probe: Option<Vec<u8>>,
        copy: Option<(CopyRules, CopyReason)>,
    ) -> Result<Started, Fault> {
        let (pair, index) = (self.pair, self.index);
        let region = pair.source(index);
        let origin = region.name.as_str();
        let end = attach::replication(&mut self.source_control);
        let (reply, Replication { offset, .. }) = tokio::try_join!(self.target_control.call(&["COMMAND"]), end)?;
        let attached = (offset, self.source_ms().await?);
        let commands = elements(&reply).iter().filter_map(|entry| elements(entry).first()).map(bytes);
        let Server { dialect, version } = self.target_server;
        let rules = Rules {
            publish: pair.config().increments.publish,
            flush: pair.config().increments.flush == crate::config::WholeDatabase::Copy,
            swapdb: pair.config().increments.swapdb == crate::config::WholeDatabase::Copy,
            target: Capabilities::new(commands, dialect, version),
            databases: self.databases,
            heartbeat_expire_ms: u64::try_from(pair.config().heartbeat.expire.as_millis()).unwrap_or(u64::MAX),
            reserved: pair.reserved.clone(),
            exchange: Arc::clone(&pair.exchange),
            departed: Arc::clone(&pair.departed[index]),
            deletes: pair.deletes(),
            fields_expire: expires_fields(&self.source_server),
            linger_ms: pair.linger_ms(),
            region: index,
            seed: pair.seed,
            causal: true,
            source_onto: Arc::clone(&pair.onto[index]),
            target_onto: Arc::clone(&pair.onto[1 - index]),
            origin: origin.to_owned(),
            peer: pair.target(index).name.to_string(),
        };
        let identity = Identity {
            marker: pair.reserved.marker(origin),
            gate: pair.reserved.gate(origin),
            epoch: self.epoch,
            first_id: own.map_or(1, |marker| marker.id + 1),
        };
        pair.links[index].refused(None);
        let apply = &pair.config().apply;
        let bounds = Bounds {
            batch_commands: u32::try_from(apply.batch_commands).unwrap_or(u32::MAX),
            batch_bytes: apply.batch_bytes,
            in_flight: apply.in_flight,
        };
        tracing::debug!(link = index, source = ?self.source_server, target = ?self.target_server, "attached");
        let resumed = own.filter(|_| probe.is_none() && copy.is_none());
        let guard = self.guard(resumed, attached.1);
        let (target, _) = self.target.into_parts();
        Ok(Started { source, target, identity, bounds, rules, resumed, probe, copy, attached, guard })
    }
}

impl Starting<'_> {
    /// The source's clock now, Unix milliseconds. The heartbeats' connection may come later than this one: without a time all
    /// that is read would be of 1970, and what expires, over.
    async fn source_ms(&mut self) -> Result<i64, Fault> {
        let pulse = &self.pair.regions[self.index];
        if pulse.clock.measured(Instant::now()).is_none() {
            learn(&mut self.source_control, pulse).await?;
        }
        let now = Instant::now();
        if pulse.clock.measured(now).is_none() {
            let text = format!("{} does not tell its time", self.source_control.place());
            return Err(Fault::new(Kind::Protocol, text));
        }
        Ok(pulse.clock.at_ms(now))
    }

    /// The guard of this session, which goes on from `resumed` at `now_ms` of the source's clock.
    fn guard(&self, resumed: Option<Marker>, now_ms: i64) -> Guard {
        let (pair, (history, keys)) = (self.pair, self.target_seen);
        let (source, target) = (pair.source(self.index), pair.target(self.index));
        let names = [source.name.as_str(), target.name.as_str()];
        let away_ms = resumed.map_or(0, |marker| now_ms.saturating_sub(marker.time_ms));
        let mut guard = Guard::new(pair.config().guards.limits, &pair.reserved, names, history, away_ms);
        guard.set_keys(keys);
        guard.accept(pair.links[self.index].accepted());
        guard
    }
}

/// Whether this program lets fields of hashes expire.
fn expires_fields(server: &Server) -> bool {
    let since = if server.dialect == Dialect::Valkey { (9, 0) } else { (7, 4) };
    (server.version.0, server.version.1) >= since
}

/// What the server of region `index` says; the marker there is that of the link that writes to it.
async fn end(pair: &Pair, index: usize, client: &mut Client) -> Result<End, Fault> {
    let region = pair.source(index).name.to_string();
    let writer = pair.target(index).name.to_string();
    let marker = pair.reserved.marker(&writer);
    let mut exists = vec![b"EXISTS".to_vec()];
    exists.extend(pair.reserved.all([&region, &writer]));
    let told = client.calls(&[vec![b"INFO".to_vec()], vec![b"GET".to_vec(), marker], exists]).await?;
    let info = Info::parse(&text(client.accepted("INFO", told.first())?));
    let replication = info.replication()?;
    if !replication.is_primary {
        return Err(Fault::new(Kind::ReadOnly, format!("{} is a replica", client.place())));
    }
    if info.get::<u8>("cluster_enabled") == Some(1) {
        return Err(Fault::new(Kind::Cluster, format!("{} is part of a cluster", client.place())));
    }
    let marker = Marker::believed(bytes(client.accepted("GET", told.get(1))?));
    let marker = marker.map(|marker| pair.links[1 - index].settled(marker));
    let ours = u64::try_from(integer(client.accepted("EXISTS", told.get(2))?)).unwrap_or(0);
    let keys: u64 = info.keyspace().iter().map(|(_, keys)| keys).sum();
    Ok(End { region, replication, keys: keys.saturating_sub(ours), marker })
}

/// Shows that the link waits for the other one, once it has done so for a while.
fn waiting(pair: &Pair, index: usize, began: Instant, text: &str) {
    let board = &pair.links[index].board;
    if began.elapsed() > SHOW_AFTER && board.state() == State::Connecting {
        let advice = advice(Kind::Waiting);
        let reason = Reason { code: advice.code, text: text.to_owned(), remedy: advice.remedy.to_owned() };
        board.enter(State::Connecting, Some(reason));
    }
}

/// Waits until the other link is in step and has applied all that the target of this one had written by now.
///
/// # Errors
/// A [`Fault`] when the target does not answer.
pub async fn drained(pair: &Pair, index: usize, target_control: &mut Client) -> Result<(), Fault> {
    let began = Instant::now();
    let other = &pair.links[1 - index];
    let mut fence = None;
    loop {
        if conflict::hold(&pair.exchange).is_copied(1 - index) {
            return Err(Fault::new(Kind::Disconnected, "the other link is about to copy everything: that comes first"));
        }
        if other.is_in_step() {
            let offset = match fence {
                Some(offset) => offset,
                None => *fence.insert(attach::replication(target_control).await?.offset),
            };
            if other.applied() >= offset {
                return Ok(());
            }
        } else {
            fence = None;
        }
        waiting(pair, index, began, "the other link is not in step yet");
        other.changes(LOOK_EVERY / 20).await;
    }
}

/// Has executed at the source what values are known to lack that were put there: its stream can't tell any more that they
/// arrived.
async fn made_good(pair: &Pair, region: usize) {
    if !conflict::hold(&pair.exchange).make_good(region) {
        return;
    }
    tracing::info!(region = %pair.source(region).name, "writes that were put aside by a value are executed again before the copy");
    let (began, other) = (Instant::now(), &pair.links[1 - region]);
    other.mail.notify_one();
    while !conflict::hold(&pair.exchange).is_executed(region) {
        waiting(pair, region, began, "the other link has something to execute before the copy");
        other.changes(LOOK_EVERY / 20).await;
    }
}
