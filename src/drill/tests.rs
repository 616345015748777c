use jiff::Timestamp;

use super::page::page;
use super::{Action, Comparison, Drill, Effect, Fence, Proof, Seen, Step, next};

const SEEN: Seen = Seen { in_step: true, from_answers: true, to_answers: true, lost: false, accept: false };

fn at(step: Step) -> Drill {
    let now = Timestamp::from_second(1_000).expect("a time");
    let mut drill = Drill::new("eu", "us", step, false, now);
    if step != Step::Drained {
        drill.fence =
            Some(Fence { since: now, renewed: now, run: "r".to_owned(), lifted: None, gaps: 0, other_offset: 0 });
        drill.proof = Some(Proof { offset: 500, behind: 20, applied: 500, waited_ms: 3 });
    }
    drill
}

fn step(drill: Option<&Drill>, action: Action, seen: Seen) -> Result<Step, String> {
    next(drill, action, seen).map(|(step, _)| step).map_err(|refusal| format!("{}. {}", refusal.why, refusal.remedy))
}

#[test]
fn each_step_leads_to_the_next_and_to_no_other() {
    use Action::{Abort, Failback, Fence, Promote, Start, Verify};
    let order = [
        (Start, None),
        (Fence, Some(Step::Drained)),
        (Verify, Some(Step::Fenced)),
        (Promote, Some(Step::Verified)),
        (Failback, Some(Step::Promoted)),
    ];
    let reached = [Step::Drained, Step::Fenced, Step::Verified, Step::Promoted, Step::Done];
    for ((action, before), after) in order.iter().zip(reached) {
        let drill = before.map(at);
        assert_eq!(step(drill.as_ref(), *action, SEEN), Ok(after), "{action:?}");
    }
    for (action, wrong) in [
        (Verify, Step::Drained),
        (Failback, Step::Verified),
        (Start, Step::Fenced),
        (Fence, Step::Promoted),
        (Promote, Step::Drained),
    ] {
        let why = step(Some(&at(wrong)), action, SEEN).unwrap_err();
        assert!(why.contains("it is not the time") && why.contains("Next is"), "{why}");
    }
    for running in [Step::Drained, Step::Fenced, Step::Verified, Step::Promoted] {
        let (after, effects) = next(Some(&at(running)), Abort, SEEN).expect("at every step");
        assert_eq!((after, effects), (Step::Aborted, vec![Effect::Unfence, Effect::ResumeReturn, Effect::Serve]));
    }
    assert!(step(Some(&at(Step::Done)), Abort, SEEN).is_err() && step(None, Fence, SEEN).is_err());
    assert_eq!(step(Some(&at(Step::Aborted)), Start, SEEN), Ok(Step::Drained), "another drill");
}

#[test]
fn a_drill_begins_only_when_all_is_in_step() {
    assert!(step(None, Action::Start, Seen { in_step: false, ..SEEN }).unwrap_err().contains("in step"));
    assert!(step(None, Action::Start, Seen { to_answers: false, ..SEEN }).unwrap_err().contains("take over"));
    assert!(step(None, Action::Start, Seen { lost: true, ..SEEN }).unwrap_err().contains("not lost"));
    let lost = Seen { lost: true, from_answers: false, in_step: false, ..SEEN };
    assert_eq!(step(None, Action::Start, lost), Ok(Step::Fenced));
    assert!(step(None, Action::Start, Seen { lost: false, ..lost }).unwrap_err().contains("--lost"));
}

#[test]
fn nothing_is_promoted_without_a_proof_unless_that_is_accepted() {
    let promote = |drill: &Drill, seen| step(Some(drill), Action::Promote, seen);
    assert!(promote(&at(Step::Fenced), SEEN).unwrap_err().contains("not been compared"));
    assert_eq!(promote(&at(Step::Fenced), Seen { accept: true, ..SEEN }), Ok(Step::Promoted));
    let mut differs = at(Step::Verified);
    differs.comparison = Some(Comparison { different: 1, ..Comparison::default() });
    assert!(promote(&differs, SEEN).unwrap_err().contains("differences"));
    let mut unproven = at(Step::Fenced);
    unproven.proof = None;
    assert!(step(Some(&unproven), Action::Verify, SEEN).unwrap_err().contains("not proven"));
    let gone = Seen { from_answers: false, in_step: false, ..SEEN };
    assert!(step(Some(&at(Step::Drained)), Action::Fence, gone).unwrap_err().contains("promote --lost"));
    assert_eq!(promote(&at(Step::Drained), Seen { lost: true, ..gone }), Ok(Step::Promoted));
}

#[test]
fn a_fence_that_was_not_there_for_a_while_proves_nothing() {
    let now = Timestamp::from_second(2_000).expect("a time");
    let mut drill = at(Step::Verified);
    drill.fence_gap(now, "the server began anew");
    assert_eq!(
        (drill.step, drill.is_proven(), drill.fence.as_ref().map(|fence| fence.gaps)),
        (Step::Fenced, false, Some(1))
    );
    let mut promoted = at(Step::Promoted);
    promoted.fence_gap(now, "the daemon began anew");
    assert_eq!((promoted.step, promoted.is_proven()), (Step::Promoted, true), "that was before");
}

#[test]
fn the_report_tells_what_was_measured_and_what_could_not_be_proven() {
    let mut drill = at(Step::Verified);
    drill.comparison = Some(Comparison { compared: 20, all: true, keys: [10, 10], ..Comparison::default() });
    let mut part = drill.clone();
    drill.promote(Timestamp::from_millisecond(1_004_200).expect("a time"));
    assert_eq!((drill.rto_ms, drill.unproven.len()), (Some(4_200), 0));
    part.comparison = Some(Comparison { compared: 5, keys: [10, 20], seen: [9, 6], ..Comparison::default() });
    part.promote(Timestamp::from_millisecond(1_004_200).expect("a time"));
    assert_eq!(part.unproven, ["that all keys were equal at the promotion: 30 % of them were compared"]);
    let mut lost = Drill::new("eu", "us", Step::Fenced, true, Timestamp::from_second(1_000).expect("a time"));
    lost.promote(Timestamp::from_second(1_001).expect("a time"));
    lost.happened(lost.started, Some(Action::Promote), "alice <a>", "done & told");
    let page = page("orders", &lost);
    assert!(
        page.contains("NOT proven") && page.contains("alice &lt;a&gt;") && page.contains("done &amp; told"),
        "{page}"
    );
    let again: Drill = serde_json::from_str(&serde_json::to_string(&lost).expect("JSON")).expect("the same");
    assert_eq!(again, lost, "it is read as it was written");
}
