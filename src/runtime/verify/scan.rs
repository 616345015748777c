//! The names of one side, in batches.

use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::batch::Batch;
use super::end::no_refusal;
use super::lane::Lane;
use super::run::{Position, Run};
use crate::error::{Fault, Kind};
use crate::runtime::client::{bytes, elements};

/// Names that one SCAN goes through where the way is short.
const FEWEST: u64 = 1_000;
/// The most of them: about the time in milliseconds that the server does nothing else, in thousands.
const MOST: u64 = 16_000;
/// So many names a second are to come however long the way is, as far as [`MOST`] allows.
const PER_SECOND: f64 = 200_000.0;

/// A batch to be compared.
#[derive(Debug)]
pub(super) struct Work {
    pub side: usize,
    pub number: u64,
    pub batch: Batch,
}

/// How many names one SCAN goes through.
fn count(lane: &Lane, side: usize) -> u64 {
    let within_a_round_trip = lane.ends[side].round_trip.as_secs_f64() * PER_SECOND;
    (within_a_round_trip as u64).clamp(FEWEST, MOST)
}

/// Goes through the databases of one side, from `from` on.
///
/// # Errors
/// A [`Fault`] when the server can't be reached, or refuses.
pub(super) async fn run(
    run: &Run,
    mut lane: Lane,
    side: usize,
    from: Option<Position>,
    work: mpsc::Sender<Work>,
) -> Result<(), Fault> {
    let count = run.scan_count.unwrap_or_else(|| count(&lane, side)).to_string();
    let pattern = run.plan.filter.server_pattern();
    let server_type = match run.plan.filter.types.as_slice() {
        [one] if lane.ends[side].server.version.0 >= 6 => Some(one.clone()),
        _ => None,
    };
    let mut number = 0;
    for &database in &run.databases {
        let mut cursor = match &from {
            Some(from) if from.database > database => continue,
            Some(from) if from.database == database => match &from.cursor {
                Some(cursor) => cursor.clone(),
                None => continue,
            },
            _ => b"0".to_vec(),
        };
        loop {
            let mut request: Vec<&[u8]> = vec![b"SCAN", &cursor, b"COUNT", count.as_bytes()];
            request.extend(pattern.iter().flat_map(|pattern| [b"MATCH".as_slice(), pattern]));
            request.extend(server_type.iter().flat_map(|kind| [b"TYPE".as_slice(), kind.as_bytes()]));
            let replies = lane.ask_one(side, database, &[request]).await?;
            no_refusal(&replies, lane.ends[side].name())?;
            let [next, names] = replies.first().map(elements).unwrap_or_default() else {
                return Err(Fault::new(Kind::Protocol, "SCAN was answered in another form"));
            };
            run.progress.scanned[side].fetch_add(elements(names).len() as u64, Ordering::Relaxed);
            let ended = bytes(next) == b"0";
            let wanted = elements(names).iter().map(bytes).filter(|name| run.plan.has(name, run.reserved.prefix()));
            let names: Vec<Vec<u8>> = wanted.map(<[u8]>::to_vec).collect();
            let position = Position { database, cursor: (!ended).then(|| bytes(next).to_vec()) };
            // In parts, so that all lanes have something to do; the place is reached with the last one.
            let parts = names.len().div_ceil(PART).max(1);
            for part in 0..parts {
                let names = names.iter().skip(part * PART).take(PART).cloned().collect();
                let reached = if part + 1 == parts { Some(position.clone()) } else { None };
                run.shared.begin(side, number, reached);
                let work_to_do = Work { side, number, batch: Batch { database, names } };
                if work.send(work_to_do).await.is_err() {
                    return Ok(());
                }
                number += 1;
            }
            if ended {
                break;
            }
            cursor = bytes(next).to_vec();
        }
    }
    Ok(())
}

/// Keys of a batch.
const PART: usize = 2_000;
