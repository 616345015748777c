//! Doing what is ordered of the running daemon: one order after the other, each in bounded time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::attach::replication;
use super::client::Client;
use super::drill;
use super::mend;
use super::outlook::outlook;
use super::shared::{HeldLink, Pair};
use crate::admin::{Desk, Done, Links, Order, Refused};
use crate::engine::plan::Ordered;
use crate::error::{Fault, Kind};
use crate::observe::{Direction, State};

/// How long a pause waits for what is on its way; it ends later by itself.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Obeys until the daemon stops.
pub async fn run(pair: Arc<Pair>, mut desk: Desk) {
    loop {
        let task = tokio::select! {
            task = desk.next() => task,
            () = pair.shutdown.cancelled() => return,
        };
        let Some(task) = task else { return pair.shutdown.cancelled().await };
        let answered = obey(&pair, task.order, &task.by).await;
        // Who asked may have gone; the record has the answer all the same.
        let _ = task.answer.send(answered);
    }
}

async fn obey(pair: &Pair, order: Order, by: &str) -> Result<Done, Refused> {
    match order {
        Order::Pause { link } => pause(pair, link, by).await,
        Order::Mend { winner, keys } => mend::order(pair, &winner, &keys),
        Order::Resume { link, accept } => release(pair, link, accept).await,
        Order::Drill { step, region, lost, accept, dry_run } => {
            let order = drill::Ordered { action: step, region, lost, accept, dry_run };
            drill::obey(pair, &order, by).await
        }
        Order::Hold { link } => hold(pair, link, by),
        Order::Reload {} => pair.settings.reload().await,
    }
}

async fn pause(pair: &Pair, links: Links, by: &str) -> Result<Done, Refused> {
    for direction in links.directions() {
        let link = &pair.links[index(*direction)];
        if link.board.state() == State::Stopped {
            let error = format!("{direction} is stopped: another daemon has taken over");
            return Err(Refused::new("superseded", error, "Pause it there"));
        }
    }
    let copying = links.directions().iter().any(|direction| pair.links[index(*direction)].board.full_sync().is_some());
    for direction in links.directions() {
        let link = &pair.links[index(*direction)];
        link.pause(by);
        link.pause_order.give(Some(by));
    }
    let paused = || links.directions().iter().all(|link| pair.links[index(*link)].board.state() == State::Paused);
    let drained = async {
        while !paused() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let drained = timeout(DRAIN_PATIENCE, drained).await.is_ok();
    let (what, is) = spoken(links);
    let copying = if copying { ". Its full copy begins anew when it is resumed" } else { "" };
    let kept = kept(pair, links, "ends the pause").await;
    Ok(Done::new(if drained {
        format!(
            "{what} {is} paused{copying}. What clients write waits in the source's backlog, as long as that reaches{kept}"
        )
    } else {
        format!(
            "{what} {is} to pause{copying}, and what is on its way is still being finished: look at `duet status`{kept}"
        )
    }))
}

/// What is to be said where a target does not keep an order yet.
async fn kept(pair: &Pair, links: Links, restart: &str) -> String {
    let mut away = Vec::new();
    for direction in links.directions() {
        let at = index(*direction);
        if !pair.links[at].pause_order.kept().await {
            away.push(pair.target(at).name.to_string());
        }
    }
    match away.as_slice() {
        [] => String::new(),
        names => format!(". A restart of Duet before {} answers {restart}", names.join(" or ")),
    }
}

async fn resume(pair: &Pair, links: Links) -> Done {
    for direction in links.directions() {
        pair.links[index(*direction)].pause_order.give(None);
    }
    let resumed = links.directions().iter().filter(|direction| pair.links[index(**direction)].resume()).count();
    let (what, is) = spoken(links);
    let kept = kept(pair, links, "brings an earlier pause back").await;
    Done::new(if resumed == 0 { format!("{what} {is} not paused{kept}") } else { format!("{what} {is} resumed{kept}") })
}

fn hold(pair: &Pair, links: Links, by: &str) -> Result<Done, Refused> {
    for direction in links.directions() {
        let fault = Fault::new(Kind::HoldOrdered, format!("held on the word of {by}"));
        pair.links[index(*direction)].hold_for_word(fault, pair.links[1 - index(*direction)].applied());
    }
    let (what, is) = spoken(links);
    Ok(Done::new(format!(
        "{what} {is} held. What clients write waits in the source's backlog, as long as that reaches"
    )))
}

/// Lets links go on that are paused or held. For one that is held on account of what was found it is told what would happen,
/// unless that is accepted.
async fn release(pair: &Pair, links: Links, accept: bool) -> Result<Done, Refused> {
    let mut told = Vec::new();
    for direction in links.directions() {
        let at = index(*direction);
        let link = &pair.links[at];
        if let Some(HeldLink { fault, .. }) = link.held() {
            let shown = shown(pair, at).await;
            if fault.kind != Kind::HoldOrdered && !accept {
                let error = format!("{direction} is held: {fault}. If it went on: {shown}");
                let remedy = format!("`duet resume {direction} --accept` lets that happen");
                return Err(Refused::new("held", error, remedy));
            }
            let accepted = if accept { Some(source_offset(pair, at).await?) } else { None };
            link.release(accepted);
            told.push(format!("{direction}: {shown}"));
        } else if let Some(code) = link.board.held_for_copy() {
            if !accept {
                let shown = shown(pair, at).await;
                let error = format!(
                    "{direction} is held ({code}). A full copy would make its target equal to its source: {shown}"
                );
                let remedy = format!("`duet resume {direction} --accept` makes that copy, with deletions");
                return Err(Refused::new("held", error, remedy));
            }
            order_copy(pair, at);
            told.push(format!("{direction}: a full copy is ordered"));
        }
    }
    let done = resume(pair, links).await;
    Ok(if told.is_empty() { done } else { Done::new(format!("{} resumed. {}", spoken(links).0, told.join("; "))) })
}

/// What would happen if the link went on, in words.
async fn shown(pair: &Pair, at: usize) -> String {
    match outlook(pair, at).await {
        Ok(outlook) => outlook.to_string(),
        Err(fault) => format!("what would happen cannot be told: {fault}"),
    }
}

/// The operator's word that a copy waits for, as `--full-sync` at a start.
fn order_copy(pair: &Pair, at: usize) {
    for (link, ordered) in [(at, Ordered::This), (1 - at, Ordered::Other)] {
        if let Ok(mut order) = pair.links[link].ordered.lock() {
            *order = Some(ordered);
        }
    }
}

/// Where the source's history stands: what is before it is what the operator was told about.
async fn source_offset(pair: &Pair, at: usize) -> Result<u64, Refused> {
    let source = pair.source(at);
    let offset = async {
        let mut client = Client::connect(&source, source.primary()).await?;
        Ok::<u64, Fault>(replication(&mut client).await?.offset)
    };
    offset.await.map_err(|fault| Refused::new("unreachable", fault.to_string(), "Try again when the source answers"))
}

fn spoken(links: Links) -> (&'static str, &'static str) {
    match links {
        Links::Forward => ("forward", "is"),
        Links::Reverse => ("reverse", "is"),
        Links::Both => ("forward and reverse", "are"),
    }
}

fn index(direction: Direction) -> usize {
    match direction {
        Direction::Forward => 0,
        Direction::Reverse => 1,
    }
}
