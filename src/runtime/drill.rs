//! The failover drill: does what [`crate::drill`] decides, and keeps the fence.
//!
//! Where a drill stands is kept at the region that takes over, under a reserved key: that server is there when the other one
//! is not, and a daemon that is started anywhere finds it. A fence ends by itself when nobody renews it, so a daemon that is
//! gone for good stops nobody's writers.

mod compare;
mod fence;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::time::{sleep, timeout};

use super::attach::replication;
use super::client::{Client, bytes};
use super::shared::Pair;
use crate::admin::{Done, Refused};
use crate::drill::{Action, Drill, Effect, Fence, Proof, Seen, Step, next};
use crate::error::Fault;
use crate::observe::{Duty, State};
use fence::{PAUSE, RENEW_EVERY, keep, renew, set_fencing, unpause};

/// How long a region may take to answer before it counts as one that does not.
const ANSWER: Duration = Duration::from_secs(3);
/// How long it is waited for what is on its way.
const ACROSS: Duration = Duration::from_secs(12);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Who speaks where nobody has ordered anything.
const DUET: &str = "duet";

/// What was ordered.
#[derive(Debug)]
pub struct Ordered {
    /// Which step.
    pub action: Action,
    /// The region that is left.
    pub region: Option<String>,
    /// The region is lost.
    pub lost: bool,
    /// Go on without a proof.
    pub accept: bool,
    /// Tell what would be done.
    pub dry_run: bool,
}

/// Does a step of a drill, or tells what it would do.
///
/// # Errors
/// Why it is not done, or not to its end.
pub async fn obey(pair: &Pair, order: &Ordered, by: &str) -> Result<Done, Refused> {
    let mut slot = pair.drill.lock().await;
    let running = slot.as_ref().filter(|drill| !drill.is_over());
    let from = from(pair, running, order.region.as_deref())?;
    let seen = look(pair, from, order).await;
    let (step, effects) = next(slot.as_ref(), order.action, seen)
        .map_err(|refusal| Refused::new("drill", refusal.why, refusal.remedy))?;
    if order.dry_run || order.action == Action::Plan {
        return Ok(Done::new(told(pair, from, order.action, &effects)));
    }
    let [name, other] = [from, 1 - from].map(|region| pair.regions[region].board.name.clone());
    if order.action == Action::Start {
        *slot = Some(Drill::new(&name, &other, step, seen.lost, Timestamp::now()));
    }
    let Some(drill) = slot.as_mut() else { return Err(Refused::new("drill", "no drill is under way", "Begin one")) };
    drill.lost |= order.action == Action::Promote && seen.lost;
    let before = drill.step;
    let mut texts = Vec::new();
    let mut failed = None;
    for effect in effects {
        match perform(pair, from, drill, effect).await {
            Ok(text) => texts.push(text),
            Err(fault) => {
                failed = Some(fault);
                break;
            }
        }
    }
    // A region whose writers were stopped stays fenced, whatever came of the proof.
    drill.step = match (&failed, order.action) {
        (None, _) => step,
        (Some(_), Action::Fence) if drill.is_fenced() => Step::Fenced,
        (Some(_), Action::Abort) => Step::Aborted,
        (Some(_), _) => before,
    };
    let text = texts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ");
    let text = match &failed {
        None => text,
        Some(fault) => format!("{text}; then: {fault}").trim_start_matches("; ").to_owned(),
    };
    drill.happened(Timestamp::now(), Some(order.action), by, &*text);
    pair.drill_board.set(Some(drill.clone()));
    let saved = save(pair, drill).await;
    let is = drill.step;
    match (failed, saved) {
        (None, Ok(())) => Ok(Done { text: format!("{name} is {is}: {text}"), details: serde_json::json!(drill) }),
        (Some(_), _) => Err(Refused::new("drill", text, "Say it again, or `duet drill abort`")),
        (None, Err(fault)) => {
            let error = format!("{name} is {is}: {text}; but that could not be kept at {other}: {fault}");
            Err(Refused::new("drill", error, "When it answers, say it again"))
        }
    }
}

/// The index of the region that is left.
fn from(pair: &Pair, running: Option<&Drill>, named: Option<&str>) -> Result<usize, Refused> {
    let name = named.or(running.map(|drill| drill.from.as_str()));
    let Some(name) = name else { return Ok(0) };
    let index = pair.regions.iter().position(|region| region.board.name == name);
    let index = index.ok_or_else(|| {
        let [one, other] = [0, 1].map(|region: usize| &pair.regions[region].board.name);
        Refused::new("drill", format!("{name} is no region of this pair"), format!("It is {one} or {other}"))
    })?;
    match running {
        Some(drill) if drill.from != name => Err(Refused::new(
            "drill",
            format!("a drill of {} is under way", drill.from),
            "End it first: `duet drill abort`",
        )),
        _ => Ok(index),
    }
}

async fn look(pair: &Pair, from: usize, order: &Ordered) -> Seen {
    let now = Instant::now();
    let in_step = pair.links.iter().all(|link| link.board.state() == State::Streaming && !link.board.stalled(now));
    let (from_answers, to_answers) = tokio::join!(answers(pair, from), answers(pair, 1 - from));
    Seen { in_step, from_answers, to_answers, lost: order.lost, accept: order.accept }
}

async fn answers(pair: &Pair, region: usize) -> bool {
    let region = pair.source(region);
    matches!(timeout(ANSWER, Client::connect(&region, region.primary())).await, Ok(Ok(_)))
}

fn told(pair: &Pair, from: usize, action: Action, effects: &[Effect]) -> String {
    let name = &pair.regions[from].board.name;
    let list = |effects: &[Effect]| effects.iter().map(|effect| format!("\n  - {effect}")).collect::<String>();
    if action != Action::Plan {
        return format!("it would do this with {name}, and does nothing now:{}", list(effects));
    }
    let steps = [
        ("start", vec![Effect::Drain]),
        ("fence", vec![Effect::PauseReturn, Effect::Fence, Effect::Prove]),
        ("verify", vec![Effect::Compare]),
        ("promote", vec![Effect::Promote]),
        ("failback", vec![Effect::Unfence, Effect::ResumeReturn, Effect::Catch, Effect::Compare, Effect::Serve]),
        ("abort, at every step", vec![Effect::Unfence, Effect::ResumeReturn, Effect::Serve]),
    ];
    let steps: String = steps.iter().map(|(step, effects)| format!("\n{step}{}", list(effects))).collect();
    format!("a drill of {name} can begin. The steps:{steps}")
}

/// Does one thing; tells what came of it.
async fn perform(pair: &Pair, from: usize, drill: &mut Drill, effect: Effect) -> Result<String, Fault> {
    let (out, back) = (&pair.links[from], &pair.links[1 - from]);
    let region = &pair.regions[from].board;
    match effect {
        Effect::Drain => {
            region.set_duty(Duty::Drained, "drill", "a failover drill");
            Ok(format!("clients are sent away from {}", drill.from))
        }
        Effect::PauseReturn => {
            back.pause("a failover drill");
            let paused = timeout(ACROSS, async {
                while back.board.state() != State::Paused {
                    sleep(LOOK_EVERY).await;
                }
            });
            let paused = if paused.await.is_ok() { "paused" } else { "to pause" };
            Ok(format!("{} is {paused}", back.board.direction))
        }
        Effect::Fence => {
            let now = Timestamp::now();
            let run = renew(pair, from).await?;
            set_fencing(pair, Some(from)).await;
            let fence = drill.fence.take().filter(|fence| fence.lifted.is_none());
            let since = fence.as_ref().map_or(now, |fence| fence.since);
            let gaps = fence.map_or(0, |fence| fence.gaps);
            drill.fence = Some(Fence { since, renewed: now, run, lifted: None, gaps, other_offset: back.applied() });
            region.set_duty(Duty::Fenced, "drill", "a failover drill");
            Ok(format!("writers of {} are stopped", drill.from))
        }
        Effect::Prove => prove(pair, from, drill).await,
        Effect::Compare => {
            let since = drill.fence.as_ref().filter(|fence| fence.lifted.is_none()).map(|fence| fence.other_offset);
            let found = compare::compare(pair, from, since).await?;
            let text = found.to_string();
            let (different, examples) = (found.different, found.examples.join(", "));
            drill.comparison = Some(found);
            if different > 0 && since.is_none() {
                let text = format!("{text} ({examples}): `duet verify` tells more");
                return Err(Fault::new(crate::error::Kind::Waiting, text));
            }
            Ok(text)
        }
        Effect::Promote => {
            drill.promote(Timestamp::now());
            if drill.lost {
                // When it comes back by itself it must not take writes before somebody lets it.
                let now = Timestamp::now();
                back.pause("a failover drill");
                let none = Fence {
                    since: now,
                    renewed: now,
                    run: String::new(),
                    lifted: None,
                    gaps: 0,
                    other_offset: back.applied(),
                };
                drill.fence.get_or_insert(none);
                set_fencing(pair, Some(from)).await;
                region.set_duty(Duty::Fenced, "drill", "a failover drill");
            }
            let rto = drill.rto_ms.unwrap_or(0);
            Ok(format!("{} is the primary for the time being, {rto} ms after writers were stopped", drill.to))
        }
        Effect::Unfence => {
            set_fencing(pair, None).await;
            if let Some(fence) = drill.fence.as_mut().filter(|fence| fence.lifted.is_none()) {
                fence.lifted = Some(Timestamp::now());
            } else {
                return Ok(String::new());
            }
            match unpause(pair, from).await {
                Ok(()) => Ok(format!("writers of {} go on", drill.from)),
                // Nobody renews it: it ends by itself.
                Err(fault) => Ok(format!("the fence ends by itself within {} s ({fault})", PAUSE.as_secs())),
            }
        }
        Effect::ResumeReturn => {
            Ok(if back.resume() { format!("{} goes on", back.board.direction) } else { String::new() })
        }
        Effect::Catch => {
            region.set_duty(Duty::Drained, "drill", "a failover drill: it is being brought back");
            catch(pair).await?;
            Ok(format!("{} and {} have applied everything", out.board.direction, back.board.direction))
        }
        Effect::Serve => {
            region.set_duty(Duty::Serving, "drill", "the drill is over");
            Ok(format!("{} serves again", drill.from))
        }
    }
}

/// Everything before the fence is applied in the other region: the region's stream does not grow any more, and the link
/// has applied it to its end.
async fn prove(pair: &Pair, from: usize, drill: &mut Drill) -> Result<String, Fault> {
    let (link, region) = (&pair.links[from], pair.source(from));
    let mut client = Client::connect(&region, region.primary()).await?;
    let offset = replication(&mut client).await?.offset;
    let (began, behind) = (Instant::now(), offset.saturating_sub(link.applied()));
    let across = timeout(ACROSS, async {
        while link.applied() < offset || !link.is_in_step() {
            sleep(LOOK_EVERY).await;
        }
    });
    let across = across.await.is_ok();
    let applied = if across { link.applied().max(offset) } else { link.applied().min(offset) };
    let waited_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    drill.proof = Some(Proof { offset, behind, applied, waited_ms });
    drill.rpo_bytes = Some(offset.saturating_sub(applied));
    match across {
        true => Ok(format!("everything is across: {behind} bytes were on their way, for {waited_ms} ms")),
        false => {
            let text = format!("{} bytes are not across after {} s", offset.saturating_sub(applied), ACROSS.as_secs());
            Err(Fault::new(crate::error::Kind::Waiting, text))
        }
    }
}

/// Waits until both links stream and have applied what both servers had written by now.
async fn catch(pair: &Pair) -> Result<(), Fault> {
    let caught = async {
        for (index, link) in pair.links.iter().enumerate() {
            while link.board.state() != State::Streaming {
                sleep(LOOK_EVERY).await;
            }
            let region = pair.source(index);
            let offset = replication(&mut Client::connect(&region, region.primary()).await?).await?.offset;
            while link.applied() < offset {
                sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    };
    match timeout(ACROSS, caught).await {
        Ok(caught) => caught,
        Err(_) => {
            let text = "not both links are in step yet; writers of the region may write, and its health answers 503";
            Err(Fault::new(crate::error::Kind::Waiting, text))
        }
    }
}

/// Keeps where the drill stands at the region that takes over.
async fn save(pair: &Pair, drill: &Drill) -> Result<(), Fault> {
    let Some(to) = pair.regions.iter().position(|region| region.board.name == drill.to) else { return Ok(()) };
    let region = pair.source(to);
    let value =
        serde_json::to_vec(drill).map_err(|error| Fault::new(crate::error::Kind::Refused, error.to_string()))?;
    let mut client = Client::connect(&region, region.primary()).await?;
    client.call(&[b"SET".as_slice(), &pair.reserved.drill(&drill.to), &value]).await.map(|_| ())
}

/// Finds a drill that an earlier run has left, and keeps the fence, until the daemon stops.
pub async fn run(pair: &Pair) {
    let work = async {
        tokio::join!(take_up(pair), keep(pair));
    };
    tokio::select! {
        () = work => {}
        () = pair.shutdown.cancelled() => {}
        () = pair.superseded.cancelled() => {}
    }
}

/// Takes up the drill that an earlier run has left, where there is one.
async fn take_up(pair: &Pair) {
    let mut asked = [false; 2];
    while asked != [true; 2] {
        for region in [0, 1] {
            if asked[region] {
                continue;
            }
            match left(pair, region).await {
                Ok(found) => {
                    asked[region] = true;
                    if let Some(drill) = found {
                        go_on(pair, drill).await;
                    }
                }
                Err(fault) => tracing::debug!(%fault, "it is not known yet whether a drill is under way"),
            }
        }
        sleep(RENEW_EVERY).await;
    }
}

async fn left(pair: &Pair, region: usize) -> Result<Option<Drill>, Fault> {
    let region = pair.source(region);
    let mut client = Client::connect(&region, region.primary()).await?;
    let kept = client.call(&[b"GET".as_slice(), &pair.reserved.drill(region.name.as_str())]).await?;
    Ok(serde_json::from_slice(bytes(&kept)).ok())
}

/// Goes on with a drill; of two the later one counts.
async fn go_on(pair: &Pair, mut drill: Drill) {
    let mut slot = pair.drill.lock().await;
    let Some(from) = pair.regions.iter().position(|region| region.board.name == drill.from) else { return };
    if slot.as_ref().is_some_and(|known| known.started >= drill.started) {
        return;
    }
    if !drill.is_over() {
        let (why, duty) = ("a failover drill", if drill.is_fenced() { Duty::Fenced } else { Duty::Drained });
        pair.regions[from].board.set_duty(duty, "drill", why);
        if drill.is_fenced() {
            pair.links[1 - from].pause(why);
            drill.fence_gap(Timestamp::now(), "the daemon began anew");
            set_fencing(pair, Some(from)).await;
        } else {
            drill.happened(Timestamp::now(), None, DUET, "the daemon began anew, and goes on with the drill");
        }
        if let Err(fault) = save(pair, &drill).await {
            tracing::warn!(%fault, "where the drill stands cannot be kept");
        }
        tracing::warn!(from = drill.from, to = drill.to, step = %drill.step, "a failover drill is under way");
    }
    pair.drill_board.set(Some(drill.clone()));
    *slot = Some(drill);
}
