//! The steps of a drill, and what leads from one to the next.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Drill;

/// Where a drill stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Health sends clients away from the region.
    Drained,
    /// Its writers are stopped, or it is lost.
    Fenced,
    /// Everything was there when both regions were compared.
    Verified,
    /// The other region is the primary for the time being.
    Promoted,
    /// Both regions serve again, and are equal.
    Done,
    /// Everything was undone.
    Aborted,
}

/// What can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Tell whether a drill could begin, and what each step would do
    Plan,
    /// Send clients away from the region: its health answers 503
    Start,
    /// Stop its writers, and prove that everything before is applied in the other region
    Fence,
    /// Compare both regions
    Verify,
    /// Declare the other region the primary for the time being
    Promote,
    /// Let the region serve again, and prove that both are equal
    Failback,
    /// Undo everything that was done
    Abort,
}

/// What is seen of the pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Both links stream and move.
    pub in_step: bool,
    /// The region that is left answers.
    pub from_answers: bool,
    /// The other region answers.
    pub to_answers: bool,
    /// The operator says that the region is lost.
    pub lost: bool,
    /// The operator goes on without a proof.
    pub accept: bool,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Health answers 503 for the region that is left.
    Drain,
    /// The link that writes to the region that is left pauses: a paused server would let it wait.
    PauseReturn,
    /// `CLIENT PAUSE WRITE` at the region that is left, renewed until it is lifted.
    Fence,
    /// Wait until everything before the fence is applied in the other region.
    Prove,
    /// Compare both regions.
    Compare,
    /// The other region is the primary.
    Promote,
    /// `CLIENT UNPAUSE`.
    Unfence,
    /// The link that writes to the region goes on.
    ResumeReturn,
    /// Wait until both links have applied everything.
    Catch,
    /// Health answers for the region as for any other.
    Serve,
}

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

/// What is to be done, in order, and where the drill stands then.
///
/// # Errors
/// A [`Refusal`] when it is not the time for that.
pub fn next(drill: Option<&Drill>, action: Action, seen: Seen) -> Result<(Step, Vec<Effect>), Refusal> {
    let running = drill.filter(|drill| !drill.is_over());
    match action {
        Action::Plan | Action::Start => start(running, seen),
        Action::Fence => {
            let drill = running.ok_or_else(none)?;
            match (drill.step, drill.lost) {
                (_, true) => refuse("the region is lost: there is nobody to stop", "Go on with `duet drill promote`"),
                (Step::Drained | Step::Fenced, false) if seen.from_answers => {
                    Ok((Step::Fenced, vec![Effect::PauseReturn, Effect::Fence, Effect::Prove]))
                }
                (Step::Drained | Step::Fenced, false) => refuse(
                    "the region does not answer, so its writers cannot be stopped",
                    "When it is lost: `duet drill promote --lost`. Else wait, or `duet drill abort`",
                ),
                _ => wrong(drill, "fence"),
            }
        }
        Action::Verify => {
            let drill = running.ok_or_else(none)?;
            match drill.step {
                Step::Fenced | Step::Verified if !drill.is_proven() => {
                    refuse("it is not proven that everything is across", "`duet drill fence` again")
                }
                Step::Fenced | Step::Verified => Ok((Step::Verified, vec![Effect::Compare])),
                _ => wrong(drill, "verify"),
            }
        }
        Action::Promote => promote(running.ok_or_else(none)?, seen),
        Action::Failback => {
            let drill = running.ok_or_else(none)?;
            match drill.step {
                Step::Promoted if !seen.from_answers => refuse(
                    "the region does not answer",
                    "Bring it back: it is filled from the other one; then say it again",
                ),
                Step::Promoted => Ok((
                    Step::Done,
                    vec![Effect::Unfence, Effect::ResumeReturn, Effect::Catch, Effect::Compare, Effect::Serve],
                )),
                _ => wrong(drill, "failback"),
            }
        }
        Action::Abort => match running {
            None => Err(none()),
            Some(_) => Ok((Step::Aborted, vec![Effect::Unfence, Effect::ResumeReturn, Effect::Serve])),
        },
    }
}

fn start(running: Option<&Drill>, seen: Seen) -> Result<(Step, Vec<Effect>), Refusal> {
    if let Some(drill) = running {
        return wrong(drill, "start");
    }
    if !seen.to_answers {
        return refuse("the other region does not answer: nobody could take over", "Bring it back first");
    }
    match (seen.lost, seen.from_answers) {
        (true, true) => refuse("the region answers, so it is not lost", "Say it without --lost"),
        (true, false) => Ok((Step::Fenced, vec![Effect::Drain])),
        (false, false) => refuse("the region does not answer", "When it is lost: `duet drill start REGION --lost`"),
        (false, true) if !seen.in_step => {
            refuse("not both links are in step", "Look at `duet status`; begin when both stream and move")
        }
        (false, true) => Ok((Step::Drained, vec![Effect::Drain])),
    }
}

fn promote(drill: &Drill, seen: Seen) -> Result<(Step, Vec<Effect>), Refusal> {
    let lost = drill.lost || (seen.lost && !seen.from_answers);
    match drill.step {
        _ if seen.lost && seen.from_answers => refuse("the region answers, so it is not lost", "Say it without --lost"),
        Step::Drained | Step::Fenced | Step::Verified if lost => Ok((Step::Promoted, vec![Effect::Promote])),
        Step::Verified if drill.differs() && !seen.accept => refuse(
            "the comparison found differences",
            "Look at them (`duet drill report`); `duet verify` tells more. --accept goes on all the same",
        ),
        Step::Verified => Ok((Step::Promoted, vec![Effect::Promote])),
        Step::Fenced if seen.accept => Ok((Step::Promoted, vec![Effect::Promote])),
        Step::Fenced => {
            refuse("the regions have not been compared", "`duet drill verify`; or --accept goes on without")
        }
        _ => wrong(drill, "promote"),
    }
}

fn none() -> Refusal {
    Refusal { why: "no drill is under way".to_owned(), remedy: "`duet drill start REGION` begins one".to_owned() }
}

fn wrong<T>(drill: &Drill, action: &str) -> Result<T, Refusal> {
    let (step, from) = (drill.step, &drill.from);
    let next = match step {
        Step::Drained => "`duet drill fence`",
        Step::Fenced => "`duet drill verify`",
        Step::Verified => "`duet drill promote`",
        Step::Promoted => "`duet drill failback`",
        Step::Done | Step::Aborted => "`duet drill start`",
    };
    refuse(
        format!("the drill of {from} is {step}: it is not the time to {action}"),
        format!("Next is {next}, or `duet drill abort`"),
    )
}

fn refuse<T>(why: impl Into<String>, remedy: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { why: why.into(), remedy: remedy.into() })
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drained => "drained",
            Self::Fenced => "fenced",
            Self::Verified => "verified",
            Self::Promoted => "promoted",
            Self::Done => "done",
            Self::Aborted => "aborted",
        })
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drain => "health answers 503 for the region: load balancers send its clients away",
            Self::PauseReturn => "the link that writes to the region pauses",
            Self::Fence => "CLIENT PAUSE WRITE at the region, renewed: its writers wait",
            Self::Prove => "wait until everything before that is applied in the other region",
            Self::Compare => "compare both regions",
            Self::Promote => "the other region is the primary for the time being",
            Self::Unfence => "CLIENT UNPAUSE at the region",
            Self::ResumeReturn => "the link that writes to the region goes on",
            Self::Catch => "wait until both links have applied everything",
            Self::Serve => "health answers for the region again",
        })
    }
}
