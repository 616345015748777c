//! The start of a session, as `runtime::start` and `runtime::fence` do it: claim, look, plan, attach.

use std::sync::Arc;

use duet::command::{Capabilities, Version};
use duet::engine::apply::Identity;
use duet::engine::checkpoint::Checkpoint;
use duet::engine::conflict;
use duet::engine::copy::CopyRules;
use duet::engine::copy::onto::hold;
use duet::engine::decode::rebuild::TargetFeatures;
use duet::engine::origin::{Marker, Phase, last_marker};
use duet::engine::plan::{CopyReason, End, Plan, View, plan, reads_from};
use duet::engine::position::Position;
use duet::engine::source::Info;
use duet::engine::stream::Rules;
use duet::error::{Fault, Kind};
use duet::wire::rdb::{Dialect, Restorable};

use super::attach::{self, Attached};
use super::client::{Client, bytes, elements, integer, sleep, text};
use super::heartbeat::EXPIRE_MS;
use super::sweep::names;
use super::{Held, Pair, REGIONS};
use crate::server::{DATABASES, known};

/// What a link remembers from one session to the next.
#[derive(Debug, Default)]
pub struct Memory {
    pub epoch: Option<u64>,
}

/// A link that is attached at both ends.
pub struct Started {
    pub source: Attached,
    pub target: Client,
    pub identity: Identity,
    pub rules: Rules,
    pub resumed: Option<Marker>,
    pub probe: Option<Vec<u8>>,
    pub copy: Option<(CopyRules, CopyReason)>,
    /// The source's offset and clock.
    pub attached: (u64, i64),
}

struct Starting<'a> {
    pair: &'a Pair,
    index: usize,
    target: Client,
    source_control: Client,
    target_control: Client,
    epoch: u64,
    /// What was found of markers that are gone, by the region that held them.
    searched: [Option<Option<Marker>>; 2],
}

/// Starts a session of the link `index`.
pub async fn start(pair: &Pair, index: usize, memory: &mut Memory) -> Result<Started, Fault> {
    let world = &pair.world;
    let mut target = Client::connect(world, 1 - index).await?;
    let source_control = Client::connect(world, index).await?;
    let target_control = Client::connect(world, 1 - index).await?;
    let epoch = claim(&mut target, pair, index, memory.epoch).await?;
    memory.epoch = Some(epoch);
    let mut starting = Starting { pair, index, target, source_control, target_control, epoch, searched: [None; 2] };
    loop {
        let view = starting.look().await?;
        let own = view.target.marker;
        if own.is_none() {
            pair.watched[index].tried(pair).await;
        }
        for (region, end) in [(index, &view.source), (1 - index, &view.target)] {
            if conflict::hold(&pair.exchange).finds(region, &end.replication) {
                crate::trace(|| format!("{region} lacks what was read of it"));
            }
        }
        starting.recall_held().await?;
        for marker in [own, view.source.marker].into_iter().flatten() {
            conflict::hold(&pair.exchange).has_stamp(marker.stamp_us);
        }
        let planned = plan(&view);
        crate::trace(|| format!("link {index} epoch {epoch} plans {planned:?}"));
        match planned {
            Plan::Resume(position) => {
                hold(&pair.onto[1 - index]).end();
                let flaws = &pair.settings.flaws;
                let low = if flaws.unresolved.recovery { position } else { reads_from(&view, position) };
                let noted = pair.notes.borrow()[index].filter(|_| flaws.own_memory);
                let from = noted.filter(|noted| noted.offset < low.offset).unwrap_or(low);
                let attached = attach::resume(world, index, from, view.source.replication.offset).await?;
                let own = own.map(|marker| Marker { high: noted.unwrap_or(marker.high), ..marker });
                return starting.finish(attached, own, None, None).await;
            }
            Plan::Fix => {
                if !matches!(plan(&starting.look().await?), Plan::Fix) {
                    continue;
                }
                let attached = attach::end_of_stream(world, index, &mut starting.source_control).await?;
                hold(&pair.onto[index]).skip();
                let probe = starting.probe().await?;
                return starting.finish(attached, own, Some(probe), None).await;
            }
            Plan::Copy(reason) => {
                starting.prepare_copy(reason, own).await?;
                let held = Held::hold(&pair.links[1 - index], world).await;
                let attached = attach::copy(world, index).await?;
                hold(&pair.onto[index]).skip();
                let covered = conflict::hold(&pair.exchange).dumped(index, attached.position);
                hold(&pair.onto[1 - index]).begin(covered);
                drop(held);
                let rules = starting.copy_rules(reason, covered);
                let own = starting.marker().await?;
                return starting.finish(attached, own, None, Some((rules, reason))).await;
            }
            Plan::Wait => sleep(world, 10).await,
            Plan::Hold(fault) => return Err(fault),
        }
    }
}

/// Makes `client` the only connection that writes for the link.
async fn claim(client: &mut Client, pair: &Pair, index: usize, epoch: Option<u64>) -> Result<u64, Fault> {
    let name = format!("duet/sim/{}>{}", REGIONS[index], REGIONS[1 - index]);
    client.call(&["CLIENT", "SETNAME", &name]).await?;
    let epoch = settle_epoch(client, pair, index, epoch).await?;
    if pair.settings.flaws.no_fence {
        return Ok(epoch);
    }
    let own = integer(&client.call(&["CLIENT", "ID"]).await?);
    for _ in 0..100 {
        let listed = text(&client.call(&["CLIENT", "LIST"]).await?);
        let others = listed.lines().filter_map(|line| line.strip_prefix("id=")?.split_once(" name="));
        let others: Vec<&str> =
            others.filter(|(id, held)| *held == name && *id != own.to_string()).map(|o| o.0).collect();
        if others.is_empty() {
            return Ok(epoch);
        }
        for id in others {
            client.call(&["CLIENT", "KILL", "ID", id]).await?;
        }
    }
    Err(Fault::new(Kind::NotFenced, "connections of an earlier run don't end"))
}

async fn settle_epoch(client: &mut Client, pair: &Pair, index: usize, epoch: Option<u64>) -> Result<u64, Fault> {
    let reserved = &pair.settings.reserved;
    let (key, marker) = (reserved.epoch(REGIONS[index]), reserved.marker(REGIONS[index]));
    let held = integer(&client.call(&[b"GET".as_slice(), &key]).await?) as u64;
    let marked = Marker::parse(bytes(&client.call(&[b"GET".as_slice(), &marker]).await?)).map_or(0, |m| m.epoch);
    match epoch {
        Some(epoch) if held.max(marked) > epoch => Err(Fault::new(Kind::Superseded, format!("{held} {marked}"))),
        Some(epoch) => {
            if held < epoch {
                client.call(&[b"SET".as_slice(), &key, epoch.to_string().as_bytes()]).await?;
            }
            Ok(epoch)
        }
        None => {
            if held < marked {
                client.call(&[b"SET".as_slice(), &key, marked.to_string().as_bytes()]).await?;
            }
            Ok(integer(&client.call(&[b"INCR".as_slice(), &key]).await?) as u64)
        }
    }
}

impl Starting<'_> {
    async fn look(&mut self) -> Result<View, Fault> {
        let (pair, index) = (self.pair, self.index);
        let source = self.end(index).await?;
        let target = self.end(1 - index).await?;
        let broken = target.marker.is_some_and(|marker| pair.links[index].has_broken(marker));
        let other_broken = source.marker.is_some_and(|marker| pair.links[1 - index].has_broken(marker));
        // A marker that a start has set to announce a copy has an id of its own, and is not read on from anyway.
        let reads_on = target.marker.is_some_and(|marker| marker.phase == Phase::Streaming);
        if broken && reads_on {
            pair.world.borrow_mut().oracle.fail("gate: the target ran transactions behind a refused one".to_owned());
        }
        Ok(View {
            source,
            target,
            copies_first: index == 0,
            ordered: None,
            copy_when_lost: true,
            marker_broken: broken,
            other_broken,
            disordered: conflict::hold(&pair.exchange).is_disordered(index),
        })
    }

    /// What the server of a region says; a marker that clients have taken away is found in the stream.
    async fn end(&mut self, region: usize) -> Result<End, Fault> {
        let pair = self.pair;
        let client = if region == self.index { &mut self.source_control } else { &mut self.target_control };
        let key = pair.settings.reserved.marker(REGIONS[1 - region]);
        let mut end = end(pair, region, client).await?;
        if end.marker.is_none() && !pair.settings.flaws.unresolved.searching {
            let found = match self.searched[region] {
                Some(found) => found,
                None => last_marker(&attach::tail(&pair.world, region, &end.replication, u64::MAX).await?, &key),
            };
            self.searched[region] = Some(found);
            end.marker = found.map(|marker| pair.links[1 - region].settled(marker));
        }
        Ok(end)
    }

    async fn marker(&mut self) -> Result<Option<Marker>, Fault> {
        let key = self.pair.settings.reserved.marker(REGIONS[self.index]);
        Ok(Marker::parse(bytes(&self.target_control.call(&[b"GET".as_slice(), &key]).await?)))
    }

    async fn prepare_copy(&mut self, reason: CopyReason, own: Option<Marker>) -> Result<(), Fault> {
        if reason == CopyReason::Disordered {
            drained(self.pair, self.index, &mut self.target_control).await?;
        }
        hold(&self.pair.onto[1 - self.index]).announce();
        conflict::hold(&self.pair.exchange).copies(self.index);
        let id = own.filter(|marker| marker.epoch == self.epoch).map_or(0, |marker| marker.id + 1);
        let marker = Checkpoint::copying(reason.phase(), Position::NONE, 0, 0).marker(self.epoch, id);
        let key = self.pair.settings.reserved.marker(REGIONS[self.index]);
        self.target.call(&[b"SET".as_slice(), &key, marker.to_string().as_bytes()]).await?;
        self.forget_unfinished().await?;
        drained(self.pair, self.index, &mut self.target_control).await?;
        if reason == CopyReason::Refill {
            for database in (0..DATABASES as u32).rev() {
                let found = names(self.pair, &mut self.target_control, database).await?;
                hold(&self.pair.onto[1 - self.index]).finds(found.into_iter().map(|name| (database, name)));
            }
        }
        if !self.pair.settings.flaws.unresolved.making_good && conflict::hold(&self.pair.exchange).make_good(self.index)
        {
            while !conflict::hold(&self.pair.exchange).is_executed(self.index) {
                sleep(&self.pair.world, 3).await;
            }
        }
        Ok(())
    }

    /// A big value that an earlier copy left half built.
    async fn forget_unfinished(&mut self) -> Result<(), Fault> {
        let building = self.pair.settings.reserved.building(REGIONS[self.index]);
        for database in (0..DATABASES).rev() {
            self.target_control.call(&["SELECT", &database.to_string()]).await?;
            self.target_control.call(&[b"UNLINK".as_slice(), &building]).await?;
        }
        Ok(())
    }

    async fn recall_held(&mut self) -> Result<(), Fault> {
        let (pair, region) = (self.pair, self.index);
        if !conflict::hold(&pair.exchange).wants_held(region) {
            return Ok(());
        }
        let key = pair.settings.reserved.held(REGIONS[region]);
        let reply = self.source_control.call(&[b"HGETALL".as_slice(), &key]).await?;
        let fields = elements(&reply).chunks_exact(2);
        let held = fields.filter_map(|pair| conflict::parse_held(bytes(&pair[0]), bytes(&pair[1])));
        let held: Vec<_> = held.filter(|_| !pair.settings.flaws.unresolved.holding).collect();
        crate::trace(|| format!("held at {region} since before: {held:?}"));
        conflict::hold(&pair.exchange).keeps_held(region, held.into_iter());
        Ok(())
    }

    async fn probe(&mut self) -> Result<Vec<u8>, Fault> {
        let key = self.pair.settings.reserved.probe(REGIONS[self.index]);
        let value = format!("{:016x}", self.pair.world.borrow_mut().rng.u64(..)).into_bytes();
        self.source_control.call(&[b"SET".as_slice(), &key, &value, b"PX", b"60000"]).await?;
        Ok(value)
    }

    fn version(&self) -> (u32, u32, u32) {
        match self.pair.world.borrow().servers[1 - self.index].flavour {
            crate::server::Flavour::Redis62 => (6, 2, 14),
            crate::server::Flavour::Redis70 => (7, 0, 15),
        }
    }

    fn copy_rules(&self, reason: CopyReason, covered: u64) -> CopyRules {
        let version = self.version();
        let settings = &self.pair.settings;
        let reserved = settings.reserved.prefix();
        CopyRules {
            restorable: Restorable::of_server(Dialect::Redis, version),
            features: TargetFeatures::of_server(Dialect::Redis, version),
            functions: version.0 >= 7,
            set_pxat: true,
            databases: DATABASES as u32,
            value_bytes: settings.value_bytes,
            prefix: if settings.flaws.reserved_copied { b"none:".to_vec() } else { reserved.to_vec() },
            onto: Arc::clone(&self.pair.onto[1 - self.index]),
            covered,
            building: settings.reserved.building(REGIONS[self.index]),
            keep: Arc::default(),
            sweep_seed: (reason.sweeps() && !settings.flaws.no_sweep).then(|| self.pair.world.borrow_mut().rng.u64(..)),
        }
    }

    async fn finish(
        mut self,
        source: Attached,
        own: Option<Marker>,
        probe: Option<Vec<u8>>,
        copy: Option<(CopyRules, CopyReason)>,
    ) -> Result<Started, Fault> {
        let (origin, peer) = (REGIONS[self.index], REGIONS[1 - self.index]);
        let (major, minor, patch) = self.version();
        let version = Version(major as u16, minor as u16, patch as u16);
        let reserved = &self.pair.settings.reserved;
        let names = known(major >= 7);
        let rules = Rules {
            publish: false,
            flush: true,
            swapdb: true,
            databases: DATABASES as u32,
            target: Capabilities::new(names, Dialect::Redis, version),
            heartbeat_expire_ms: EXPIRE_MS,
            reserved: reserved.clone(),
            exchange: Arc::clone(&self.pair.exchange),
            departed: Arc::clone(&self.pair.watched[self.index].departed),
            deletes: self.pair.settings.deletes,
            fields_expire: false,
            linger_ms: self.pair.settings.linger_ms,
            region: self.index,
            seed: 1,
            causal: !self.pair.settings.flaws.unresolved.pushing,
            source_onto: Arc::clone(&self.pair.onto[self.index]),
            target_onto: Arc::clone(&self.pair.onto[1 - self.index]),
            origin: origin.to_owned(),
            peer: peer.to_owned(),
        };
        let identity = Identity {
            marker: reserved.marker(origin),
            gate: reserved.gate(origin),
            epoch: self.epoch,
            first_id: own.map_or(1, |marker| marker.id + 1),
        };
        self.pair.links[self.index].refused.set(None);
        let offset = attach::replication(&mut self.source_control).await?.offset;
        let attached = (offset, self.pair.world.borrow().believed_ms(self.index));
        let resumed = own.filter(|_| probe.is_none() && copy.is_none());
        Ok(Started { source, target: self.target, identity, rules, resumed, probe, copy, attached })
    }
}

async fn end(pair: &Pair, index: usize, client: &mut Client) -> Result<End, Fault> {
    let reserved = &pair.settings.reserved;
    let info = Info::parse(&text(&client.call(&["INFO"]).await?));
    let replication = info.replication()?;
    let marker = reserved.marker(REGIONS[1 - index]);
    let marker = Marker::parse(bytes(&client.call(&[b"GET".as_slice(), &marker]).await?));
    let marker = marker.map(|marker| pair.links[1 - index].settled(marker));
    let mut exists = vec![b"EXISTS".to_vec()];
    exists.extend(reserved.all(REGIONS));
    let ours = integer(&client.call(&exists).await?) as u64;
    let keys: u64 = info.keyspace().iter().map(|(_, keys)| keys).sum();
    Ok(End { region: REGIONS[index].to_owned(), replication, keys: keys.saturating_sub(ours), marker })
}

/// Waits until the other link is in step and has applied all that the target of this one had written by now.
pub async fn drained(pair: &Pair, index: usize, target_control: &mut Client) -> Result<(), Fault> {
    let other = &pair.links[1 - index];
    if pair.settings.flaws.no_drain {
        return Ok(());
    }
    let mut fence = None;
    loop {
        if conflict::hold(&pair.exchange).is_copied(1 - index) {
            return Err(Fault::new(Kind::Disconnected, "the other link copies first"));
        }
        if other.in_step.get() {
            let offset = match fence {
                Some(offset) => offset,
                None => *fence.insert(attach::replication(target_control).await?.offset),
            };
            if other.applied.get() >= offset {
                return Ok(());
            }
        } else {
            fence = None;
        }
        sleep(&pair.world, 3).await;
    }
}
