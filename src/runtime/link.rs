//! One link for as long as the daemon runs: session after session, with what to show and how long to wait in between.

use std::sync::Arc;
use std::time::Duration;

use super::shared::Pair;
use super::start::Memory;
use super::{fence, session};
use crate::config::Retry;
use crate::error::{Fault, Kind};
use crate::observe::{Reason, State};
use crate::remedy::{Stance, advice};

/// Runs the link `index` until the daemon stops or another one takes over.
pub async fn run(pair: Arc<Pair>, index: usize) {
    sessions(&pair, index).await;
    pair.links[index].board.rounds.end();
}

async fn sessions(pair: &Arc<Pair>, index: usize) {
    let mut memory = Memory::default();
    let mut tries = 0u32;
    let state = &pair.links[index];
    loop {
        state.board.rounds.during(paused(pair, index)).await;
        state.board.rounds.during(held(pair, index)).await;
        let renewals = pair.settings.renewals();
        let ended = tokio::select! {
            ended = session::run(pair, index, &mut memory) => ended,
            () = pair.superseded.cancelled() => Err(Fault::new(Kind::Superseded, "another daemon has taken over this pair")),
        };
        let Err(mut fault) = ended else {
            if pair.shutdown.is_cancelled() {
                state.board.enter(State::Stopped, None);
                return;
            }
            continue;
        };
        if fault.kind == Kind::Superseded && !fence::yields(pair, index) {
            memory.epoch = None;
            fault = Fault::new(
                Kind::Waiting,
                "another daemon writes for this link too: the forward link decides which one stays",
            );
        }
        state.set_in_step(false);
        if fault.kind.waits_for_word() {
            state.hold_for_word(fault, pair.links[1 - index].applied());
            continue;
        }
        let streamed = state.board.state() == State::Streaming;
        let stance = show(pair, index, &fault);
        if stance == Stance::Stop {
            pair.superseded.cancel();
            return;
        }
        tries = if streamed { 0 } else { tries.saturating_add(1) };
        tokio::select! {
            () = state.board.rounds.during(tokio::time::sleep(pause(&pair.config().retry, tries))) => {}
            () = pair.shutdown.cancelled() => {}
            () = state.pausing(true) => {}
            () = pair.settings.renewed(renewals) => {}
        }
        if streamed && !pair.shutdown.is_cancelled() {
            state.board.reconnects.add(1);
        }
    }
}

/// Waits for as long as the link is to pause.
async fn paused(pair: &Pair, index: usize) {
    let state = &pair.links[index];
    let Some(by) = state.paused_by().filter(|_| !pair.shutdown.is_cancelled()) else { return };
    let remedy = format!("`duet resume {}` when it may go on.", state.board.direction);
    let text = format!("paused on the word of {by}");
    state.board.enter(State::Paused, Some(Reason { code: "paused", text, remedy }));
    tokio::select! {
        () = state.pausing(false) => state.board.enter(State::Connecting, None),
        () = pair.shutdown.cancelled() => {}
        () = pair.superseded.cancelled() => {}
    }
}

/// Waits for as long as the link is to hold until somebody decides.
async fn held(pair: &Pair, index: usize) {
    let state = &pair.links[index];
    let Some(held) = state.held().filter(|_| !pair.shutdown.is_cancelled()) else { return };
    show(pair, index, &held.fault);
    tokio::select! {
        () = state.holding_for_word(false) => state.board.enter(State::Connecting, None),
        () = pair.shutdown.cancelled() => {}
        () = pair.superseded.cancelled() => {}
    }
}

/// Puts the fault on the board; gives what it asks for.
fn show(pair: &Pair, index: usize, fault: &Fault) -> Stance {
    let advice = advice(fault.kind);
    let state = match advice.stance {
        Stance::Connect => State::Connecting,
        Stance::Halt => State::Halted,
        Stance::Hold => State::Held,
        Stance::Stop => State::Stopped,
    };
    let reason = Reason { code: advice.code, text: fault.text.clone(), remedy: advice.remedy.to_owned() };
    pair.links[index].board.enter(state, Some(reason));
    advice.stance
}

/// How long to wait before the next try: twice as long as before, less a random part of up to a half, so that daemons
/// do not come together.
pub(super) fn pause(retry: &Retry, tries: u32) -> Duration {
    let longest = retry.first.saturating_mul(1u32.checked_shl(tries.min(20)).unwrap_or(u32::MAX)).min(retry.most);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}
