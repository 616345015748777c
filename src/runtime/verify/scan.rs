//! The names of one side, in batches.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::batch::Batch;
use super::end::End;
use super::lane::Lane;
use super::pipe::Pipe;
use super::run::{Database, Position, Run};
use crate::error::{Fault, Kind};
use crate::runtime::client::{Reply, bytes, elements, text};
use crate::verify::{STEP, Stretch, TextHash, hash_of};

/// Keys of a batch.
const BATCH: usize = 2_000;
/// Bytes of their names, about.
const BATCH_BYTES: usize = 128 * 1024;
/// Names that one step goes through, and keys of a batch, where little of a server's time is to be taken.
const GENTLE: u64 = 250;

/// A batch to be compared.
#[derive(Debug)]
pub(super) struct Work {
    pub side: usize,
    pub number: u64,
    pub batch: Batch,
}

/// Goes through the databases of one side, from `from` on.
///
/// # Errors
/// A [`Fault`] when the server can't be reached, or refuses.
pub(super) async fn run(
    run: &Run,
    lane: Lane,
    side: usize,
    from: Option<Position>,
    work: mpsc::Sender<Work>,
) -> Result<(), Fault> {
    let mut number = 0;
    for database in &run.databases {
        let (rest, first) = match &from {
            Some(from) if from.database > database.index => continue,
            Some(from) if from.database == database.index => (from.rest.clone(), BTreeMap::new()),
            _ => {
                let parts = parts(run, &lane, side, database);
                let first = parts.iter().skip(1).map(|part| (part.cursor(), HashSet::new()));
                (parts.clone(), first.collect())
            }
        };
        let (names, bytes, database) = (Vec::new(), 0, database.index);
        let scan = Scan { run, side, database, work: &work, number, first, rest, names, bytes };
        match scan.run(lane.ends[side].again()).await? {
            Some(next) => number = next,
            None => return Ok(()),
        }
    }
    Ok(())
}

/// A database, as it is begun with.
fn parts(run: &Run, lane: &Lane, side: usize, database: &Database) -> Vec<Stretch> {
    let end = &lane.ends[side];
    let in_parts = end.scans_in_parts && !run.is_gentle;
    Stretch::parts(if in_parts { Stretch::worth(database.keys[side], end.round_trip) } else { 1 })
}

/// One database of one side.
struct Scan<'a> {
    run: &'a Run,
    side: usize,
    database: u32,
    work: &'a mpsc::Sender<Work>,
    number: u64,
    /// What the first step of each part has given, by the cursor that it began with.
    first: BTreeMap<u64, HashSet<TextHash>>,
    /// What is left, those parts first that are answered first.
    rest: Vec<Stretch>,
    /// Names that make the next batch.
    names: Vec<Vec<u8>>,
    bytes: usize,
}

impl Scan<'_> {
    /// Gives the number of the next batch; nothing where nobody takes them any more.
    async fn run(mut self, end: End) -> Result<Option<u64>, Fault> {
        if self.rest.is_empty() {
            return Ok(Some(self.number));
        }
        // Steps of several parts come one after the other, so that the server does something else between any two.
        let apart = end.round_trip / u32::try_from(self.rest.len()).unwrap_or(u32::MAX);
        let server_type = end.scanned_type(&self.run.plan);
        let mut pipe = Pipe::open(end, self.database).await?;
        let mut asked = VecDeque::with_capacity(self.rest.len());
        for (at, stretch) in self.rest.clone().into_iter().enumerate() {
            if at > 0 {
                tokio::time::sleep(apart).await;
            }
            pipe.send(self.request(stretch, server_type)).await;
            asked.push_back(stretch);
        }
        while let Some(stretch) = asked.pop_front() {
            let reply = pipe.receive().await?;
            let [next, names] = elements(&reply) else {
                return Err(Fault::new(Kind::Protocol, "SCAN was answered in another form"));
            };
            let Ok(cursor) = text(next).parse() else {
                return Err(Fault::new(Kind::Protocol, "SCAN was answered with a cursor that is no number"));
            };
            self.take(stretch, cursor, elements(names));
            let left = stretch.after(cursor);
            self.rest = asked.iter().copied().chain(left).collect();
            if !self.send(asked.is_empty() && left.is_none()).await {
                return Ok(None);
            }
            if let Some(left) = left {
                pipe.send(self.request(left, server_type)).await;
                asked.push_back(left);
            }
        }
        Ok(Some(self.number))
    }

    fn request(&self, stretch: Stretch, server_type: Option<&str>) -> Vec<Vec<u8>> {
        let (cursor, count) = (stretch.cursor().to_string(), self.step().to_string());
        let mut request: Vec<Vec<u8>> = vec![b"SCAN".to_vec(), cursor.into(), b"COUNT".to_vec(), count.into()];
        request.extend(self.run.pattern.iter().flat_map(|pattern| [b"MATCH".to_vec(), pattern.clone()]));
        request.extend(server_type.iter().flat_map(|kind| [b"TYPE".to_vec(), kind.as_bytes().to_vec()]));
        request
    }

    fn step(&self) -> u64 {
        if self.run.is_gentle { GENTLE } else { STEP }
    }

    /// Takes what a step of a part has given, but for what the next part has given before.
    fn take(&mut self, stretch: Stretch, cursor: u64, names: &[Reply]) {
        let before = stretch.reached(cursor).and_then(|begins| self.first.remove(&begins));
        if let Some(first) = self.first.get_mut(&stretch.cursor()) {
            first.extend(names.iter().map(|name| hash_of(bytes(name))));
        }
        let is_new = |name: &&[u8]| before.as_ref().is_none_or(|before| !before.contains(&hash_of(name)));
        let mut seen = 0;
        for name in names.iter().map(bytes).filter(is_new) {
            seen += 1;
            if self.run.plan.has(name, self.run.reserved.prefix()) {
                self.bytes += name.len();
                self.names.push(name.to_vec());
            }
        }
        self.run.progress.scanned[self.side].fetch_add(seen, Ordering::Relaxed);
    }

    /// Sends what there is on to be compared, if it is enough or the last. False where nobody takes it any more.
    async fn send(&mut self, is_last: bool) -> bool {
        let most = if self.run.is_gentle { GENTLE as usize } else { BATCH };
        if !is_last && self.names.len() < most && self.bytes < BATCH_BYTES {
            return true;
        }
        self.bytes = 0;
        let mut names = std::mem::take(&mut self.names).into_iter().peekable();
        // In parts, so that all lanes have something to do; the place is reached with the last one.
        loop {
            let mut bytes = 0;
            let mut fits = |name: &Vec<u8>| {
                bytes += name.len();
                bytes <= BATCH_BYTES
            };
            let mut some: Vec<Vec<u8>> = names.next().into_iter().collect();
            some.extend(std::iter::from_fn(|| names.next_if(&mut fits)).take(most - 1));
            let is_end = names.peek().is_none();
            let reached = is_end.then(|| Position { database: self.database, rest: self.rest.clone() });
            self.run.shared.begin(self.side, self.number, reached);
            let batch = Batch { database: self.database, names: some };
            if self.work.send(Work { side: self.side, number: self.number, batch }).await.is_err() {
                return false;
            }
            self.number += 1;
            if is_end {
                return true;
            }
        }
    }
}
