//! Doing what is ordered of the running daemon: one order after the other, each in bounded time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::mend;
use super::shared::Pair;
use crate::admin::{Desk, Done, Links, Order, Refused};
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
        Order::Resume { link } => Ok(resume(pair, link)),
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
    links.directions().iter().for_each(|direction| pair.links[index(*direction)].pause(by));
    let paused = || links.directions().iter().all(|link| pair.links[index(*link)].board.state() == State::Paused);
    let drained = async {
        while !paused() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let drained = timeout(DRAIN_PATIENCE, drained).await.is_ok();
    let (what, is) = spoken(links);
    let copying = if copying { ". Its full copy begins anew when it is resumed" } else { "" };
    Ok(Done::new(if drained {
        format!(
            "{what} {is} paused{copying}. What clients write waits in the source's backlog, as long as that reaches"
        )
    } else {
        format!("{what} {is} to pause{copying}, and what is on its way is still being finished: look at `duet status`")
    }))
}

fn resume(pair: &Pair, links: Links) -> Done {
    let resumed = links.directions().iter().filter(|direction| pair.links[index(**direction)].resume()).count();
    let (what, is) = spoken(links);
    Done::new(if resumed == 0 { format!("{what} {is} not paused") } else { format!("{what} {is} resumed") })
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
