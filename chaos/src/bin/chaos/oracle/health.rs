//! The probe log against the nemesis's: pure.

use crate::fault::{Holds, Kind, Sign};
use crate::nemesis::Played;
use crate::probe::Sample;
use std::time::{Duration, Instant};

/// A strike's window ends so much before it is healed: what is asked in the last moment may be answered after it.
const MARGIN: Duration = Duration::from_millis(300);
/// Answers about one moment that come from several requests may differ for so long.
const APART: Duration = Duration::from_millis(1_500);

/// What the daemon said that was not true. Times are told in seconds since `start`.
pub fn judge(played: &[Played], samples: &[Sample], start: Instant) -> Vec<String> {
    let seconds = |at: Instant| format!("{:.1} s", at.duration_since(start).as_secs_f64());
    let mut wrong = Vec::new();
    for strike in played {
        let Some((from, to)) = window(strike) else { continue };
        let name = format!("{} {}", strike.strike.fault.kind().name, strike.strike.side);
        let seen = samples.iter().filter(|sample| sample.at >= from && sample.until <= to);
        let seen: Vec<&Sample> = seen.filter(|sample| !is_slow(played, sample)).collect();
        if let Some(sample) = seen.iter().find(|sample| must_be_out(strike) && sample.is_ready()) {
            wrong.push(format!("{name}: /readyz said 200 at {}", seconds(sample.at)));
        }
        let serves = |sample: &&&Sample| sample.serves(strike.strike.side) && !may_serve(strike, played);
        if let Some(sample) = seen.iter().find(|sample| must_be_out(strike) && serves(sample)) {
            wrong.push(format!("{name}: /syncz let clients in at {}", seconds(sample.at)));
        }
        let alone = played.iter().all(|other| std::ptr::eq(other, strike) || !overlap(other, strike));
        if alone && let Some(missing) = sign_is_missing(strike, &seen) {
            wrong.push(format!("{name}: {missing}"));
        }
    }
    wrong.extend(contradictions(samples).into_iter().map(|at| {
        format!("/readyz said 200 at {}, while /status said before and after that a link does not stream", seconds(at))
    }));
    wrong
}

/// From when to when the sign must be there.
fn window(strike: &Played) -> Option<(Instant, Instant)> {
    let from = strike.begun? + Duration::from_secs(Kind::seen_after());
    let to = strike.healed? - MARGIN;
    (from < to && strike.strike.fault.kind().sign != Sign::None).then_some((from, to))
}

/// Whether something is being done to the daemon's process, or was just now: it needs its time to see what has become of
/// the servers.
fn is_slow(played: &[Played], sample: &Sample) -> bool {
    played.iter().filter(|other| other.strike.fault.kind().holds.contains(&Holds::Daemon)).any(|other| {
        let end = other.healed.map(|at| at + Duration::from_secs(Kind::seen_after()));
        other.begun.is_some_and(|begun| begun <= sample.until) && end.is_none_or(|end| sample.at <= end)
    })
}

fn must_be_out(strike: &Played) -> bool {
    matches!(strike.strike.fault.kind().sign, Sign::RegionOut | Sign::Codes(_))
}

/// A region whose server answers serves alone while the other one is away, and goes on with it until one of both is in step.
fn may_serve(strike: &Played, played: &[Played]) -> bool {
    let answers = matches!(strike.strike.fault.kind().sign, Sign::Codes(_));
    answers && played.iter().any(|other| other.strike.side == strike.strike.side.other() && overlap(other, strike))
}

fn overlap(one: &Played, other: &Played) -> bool {
    // What is healed has its consequences for a while.
    let end = |played: &Played| played.healed.map(|at| at + Duration::from_secs(3));
    match (one.begun, end(one), other.begun, end(other)) {
        (Some(a), Some(b), Some(c), Some(d)) => a < d && c < b,
        _ => true,
    }
}

fn sign_is_missing(strike: &Played, seen: &[&Sample]) -> Option<String> {
    if seen.is_empty() {
        return None;
    }
    match strike.strike.fault.kind().sign {
        Sign::None | Sign::RegionOut => None,
        Sign::Skewed => (!seen.iter().any(|sample| sample.skewed == Some(true)))
            .then(|| "/status never said that the clocks are apart".to_owned()),
        Sign::Codes(codes) => {
            let into = strike.strike.side.link_into();
            let links = || seen.iter().filter_map(|sample| sample.links.as_ref()).flatten();
            let said: Vec<&str> =
                links().filter(|link| link.direction == into).filter_map(|link| link.code.as_deref()).collect();
            (!said.iter().any(|code| codes.contains(code)))
                .then(|| format!("the {into} link never said {codes:?}, but {:?}", said.first()))
        }
    }
}

/// Moments at which `/readyz` was 200 while `/status` said no for long before and long after.
fn contradictions(samples: &[Sample]) -> Vec<Instant> {
    let says_no = |sample: &Sample| sample.streams() == Some(false);
    let mut found = Vec::new();
    for (number, sample) in samples.iter().enumerate().filter(|(_, sample)| sample.is_ready()) {
        let around = |sample: &&Sample, at: Instant| sample.until + APART >= at && sample.at <= at + APART;
        let near: Vec<&Sample> =
            samples.iter().skip(number.saturating_sub(40)).take(80).filter(|it| around(it, sample.at)).collect();
        let before = near.iter().any(|near| near.until < sample.at && says_no(near));
        let after = near.iter().any(|near| near.at > sample.until && says_no(near));
        if before && after && near.iter().all(|near| says_no(near)) {
            found.push(sample.at);
        }
    }
    found
}

/// What was said each time a balancer was told to take a region out although nothing had happened. `/readyz` is about this
/// very moment, and may say no for one: `/syncz` may not.
pub fn flaps(samples: &[Sample]) -> Vec<&str> {
    let looks = samples.iter().map(|sample| sample.syncz.iter().flatten().find(|(code, _)| *code != 200));
    looks.flatten().map(|(_, said)| said.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;
    use crate::plan::Strike;
    use crate::probe::LinkSaid;
    use crate::side::Side;

    fn sample(start: Instant, at_ms: u64, ready: u16, east: u16, state: &str, code: Option<&str>) -> Sample {
        let at = start + Duration::from_millis(at_ms);
        let link = |direction: &str| LinkSaid {
            direction: direction.to_owned(),
            state: state.to_owned(),
            code: code.map(str::to_owned),
            stalled: false,
        };
        Sample {
            at,
            until: at + Duration::from_millis(5),
            live: Some(200),
            ready: Some(ready),
            syncz: [Some((200, "alone".to_owned())), Some((east, String::new()))],
            links: Some(vec![link("forward"), link("reverse")]),
            skewed: Some(false),
        }
    }

    fn struck(start: Instant, fault: Fault) -> Played {
        let strike = Strike { fault, side: Side::East, at: Duration::ZERO, lasts: Duration::from_secs(10), dice: 0 };
        let (begun, healed) = (Some(start), Some(start + Duration::from_secs(10)));
        Played { strike, begun, healed, notes: Vec::new(), error: None }
    }

    fn lasting(start: Instant, ready: u16, east: u16, state: &str, code: Option<&str>) -> Vec<Sample> {
        (0..100).map(|number| sample(start, number * 100, ready, east, state, code)).collect()
    }

    #[test]
    fn who_is_ready_while_a_server_is_dead_is_found_out() {
        let start = Instant::now();
        let dead = [struck(start, Fault::ServerKill)];
        assert!(judge(&dead, &lasting(start, 503, 503, "connecting", None), start).is_empty());
        assert_eq!(judge(&dead, &lasting(start, 200, 503, "streaming", None), start).len(), 1);
        assert_eq!(judge(&dead, &lasting(start, 503, 200, "connecting", None), start).len(), 1);
        let soon = &lasting(start, 200, 200, "streaming", None)[..30];
        assert!(judge(&dead, soon, start).is_empty(), "it takes a moment to be seen");
    }

    #[test]
    fn a_region_that_refuses_may_serve_alone_while_the_other_one_is_away() {
        let start = Instant::now();
        let mut samples = lasting(start, 503, 200, "halted", Some("out_of_memory"));
        for sample in &mut samples {
            sample.syncz[1] = Some((200, "alone".to_owned()));
        }
        let (refuses, mut away) = (struck(start, Fault::OutOfMemory), struck(start, Fault::ServerStop));
        away.strike.side = Side::West;
        samples.iter_mut().for_each(|sample| sample.syncz[0] = Some((503, "unreachable".to_owned())));
        assert_eq!(judge(std::slice::from_ref(&refuses), &samples, start).len(), 1);
        assert!(judge(&[refuses, away], &samples, start).is_empty());
    }

    #[test]
    fn the_code_of_a_refusal_is_missed_only_where_nothing_else_happens() {
        let start = Instant::now();
        let alone = [struck(start, Fault::OutOfMemory)];
        assert!(judge(&alone, &lasting(start, 503, 503, "halted", Some("out_of_memory")), start).is_empty());
        let other = lasting(start, 503, 503, "halted", Some("refused"));
        assert_eq!(judge(&alone, &other, start).len(), 1);
        let two = [struck(start, Fault::OutOfMemory), struck(start, Fault::NetReset)];
        assert!(judge(&two, &other, start).is_empty());
    }

    #[test]
    fn ready_while_the_status_says_no_all_the_time_is_a_contradiction() {
        let start = Instant::now();
        assert!(!judge(&[], &lasting(start, 200, 200, "halted", None), start).is_empty());
        assert!(judge(&[], &lasting(start, 200, 200, "streaming", None), start).is_empty());
    }
}
