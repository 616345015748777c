//! The plan: worlds, rounds and strikes, all from one seed. Drawn before anything is started, and printed.

use crate::fault::{Fault, Holds, Needs, TABLE};
use crate::side::Side;
use duet_chaos::flavor::Flavor;
use fastrand::Rng;
use std::fmt;
use std::time::Duration;

/// What a round takes beside its strikes: becoming equal, and looking.
const REST_S: u64 = 8;
/// Strikes begin within so many seconds of a round.
const WITHIN_S: u64 = 4;
/// Strikes of a round at most.
const MOST: usize = 4;
/// A run that is this long or longer has the long form.
const LONG_S: u64 = 600;
/// How long a pair of servers and a daemon are kept, in seconds.
const WORLD_S: u64 = 240;

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Wishes {
    pub seed: u64,
    pub seconds: u64,
    /// Only these; all when empty.
    pub only: Vec<Fault>,
    /// What this machine can do.
    pub able: Vec<Needs>,
}

/// Everything that is going to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub worlds: Vec<World>,
}

/// A pair of servers and a daemon, and what is done to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    pub flavors: [Flavor; 2],
    /// Whether the daemon runs on a host of its own.
    pub apart: bool,
    pub rounds: Vec<Round>,
}

/// Some strikes, then rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    pub number: usize,
    pub seed: u64,
    pub strikes: Vec<Strike>,
}

/// One fault at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strike {
    pub fault: Fault,
    pub side: Side,
    /// From the beginning of the round.
    pub at: Duration,
    pub lasts: Duration,
    /// What is drawn within the fault follows from it.
    pub dice: u64,
}

impl Plan {
    /// Draws a plan: the same for the same wishes.
    pub fn draw(wishes: &Wishes) -> Self {
        let mut rng = Rng::with_seed(wishes.seed);
        let long = wishes.seconds >= LONG_S;
        let wanted = |fault: &Fault| wishes.only.is_empty() || wishes.only.contains(fault);
        let able = |fault: &Fault| fault.kind().needs == Needs::Nothing || wishes.able.contains(&fault.kind().needs);
        let faults: Vec<Fault> =
            TABLE.iter().map(|kind| kind.fault).filter(|fault| wanted(fault) && able(fault)).collect();
        let mut left = Bag::new(faults);
        let (mut worlds, mut spent, mut number) = (Vec::new(), 0, 0);
        while spent < wishes.seconds {
            let share = WORLD_S.min(wishes.seconds / 2).max(1);
            let mut world = World { flavors: flavors(&mut rng), apart: false, rounds: Vec::new() };
            let until = spent + share;
            while spent < until {
                number += 1;
                let round = Round::draw(number, &mut rng, &mut left, long);
                spent += round.seconds() + REST_S;
                world.rounds.push(round);
            }
            world.apart = wishes.able.contains(&Needs::Namespaces);
            worlds.push(world);
        }
        Self { worlds }
    }
}

/// Both servers: the same version more often than not.
fn flavors(rng: &mut Rng) -> [Flavor; 2] {
    let any = |rng: &mut Rng| Flavor::ALL[rng.usize(..Flavor::ALL.len())];
    let west = any(rng);
    [west, if rng.bool() { west } else { any(rng) }]
}

impl Round {
    fn draw(number: usize, rng: &mut Rng, left: &mut Bag, long: bool) -> Self {
        let wanted = rng.usize(1..=MOST);
        let mut round = Self { number, seed: rng.u64(..), strikes: Vec::new() };
        for _ in 0..wanted {
            let strike = Strike::draw(left.take(rng), rng, long);
            if round.strikes.iter().all(|other| !other.excludes(&strike)) {
                round.strikes.push(strike);
            } else {
                left.put_back(strike.fault);
            }
        }
        round.strikes.sort_by_key(|strike| strike.at);
        round
    }

    /// How long its strikes take.
    pub fn seconds(&self) -> u64 {
        self.strikes.iter().map(|strike| (strike.at + strike.lasts).as_secs() + 1).max().unwrap_or(0)
    }
}

impl Strike {
    fn draw(fault: Fault, rng: &mut Rng, long: bool) -> Self {
        let kind = fault.kind();
        // A minute is for some only: an hour has to see each fault often.
        let lasts = if long && rng.u8(..6) == 0 { kind.lasts_long } else { kind.lasts };
        Self {
            fault,
            side: if rng.bool() { Side::West } else { Side::East },
            at: Duration::from_millis(rng.u64(..WITHIN_S * 1_000)),
            lasts: Duration::from_millis(rng.u64(lasts.0 * 1_000..=lasts.1 * 1_000)),
            dice: rng.u64(..),
        }
    }

    /// Whether both may not be in one round.
    pub fn excludes(&self, other: &Self) -> bool {
        let theirs = other.fault.kind().holds;
        // One of them strikes both regions.
        let meets = self.side == other.side || [self, other].iter().any(|it| it.fault == Fault::BothBacklogsSmall);
        self.fault.kind().holds.iter().filter(|held| theirs.contains(held)).any(|held| match held {
            Holds::Daemon | Holds::History => true,
            Holds::Server | Holds::Way | Holds::Rights => meets,
        })
    }
}

/// Faults in random order, each once before any comes again.
struct Bag {
    all: Vec<Fault>,
    left: Vec<Fault>,
}

impl Bag {
    fn new(all: Vec<Fault>) -> Self {
        Self { left: Vec::new(), all }
    }

    fn take(&mut self, rng: &mut Rng) -> Fault {
        if self.left.is_empty() {
            self.left.clone_from(&self.all);
            rng.shuffle(&mut self.left);
        }
        self.left.pop().unwrap_or(Fault::DaemonKill)
    }

    fn put_back(&mut self, fault: Fault) {
        self.left.insert(0, fault);
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for world in &self.worlds {
            let host = if world.apart { ", the daemon on a host of its own" } else { "" };
            writeln!(out, "{:?} in the west, {:?} in the east{host}", world.flavors[0], world.flavors[1])?;
            for round in &world.rounds {
                let strikes: Vec<String> = round.strikes.iter().map(Strike::to_string).collect();
                writeln!(out, "  round {:>3}: {}", round.number, strikes.join("; "))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (self.at.as_secs_f64(), self.lasts.as_secs_f64());
        write!(out, "{} {} at {at:.1} s for {lasts:.1} s", self.fault.kind().name, self.side)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn wishes(seed: u64) -> Wishes {
        let able = vec![Needs::Namespaces, Needs::Mounts, Needs::Compiler];
        Wishes { seed, seconds: 1_800, only: Vec::new(), able }
    }

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_one_another() {
        assert_eq!(Plan::draw(&wishes(1)), Plan::draw(&wishes(1)));
        assert_ne!(Plan::draw(&wishes(1)), Plan::draw(&wishes(2)));
    }

    #[test]
    fn half_an_hour_has_every_fault_and_every_version() {
        let plan = Plan::draw(&wishes(7));
        let rounds = plan.worlds.iter().flat_map(|world| &world.rounds);
        let faults: BTreeSet<_> = rounds.flat_map(|round| &round.strikes).map(|strike| strike.fault).collect();
        assert_eq!(faults.len(), TABLE.len());
        for flavor in Flavor::ALL {
            assert!(plan.worlds.iter().any(|world| world.flavors.contains(&flavor)), "{flavor:?}");
        }
    }

    #[test]
    fn what_excludes_each_other_is_never_in_one_round() {
        for seed in 0..50 {
            for round in Plan::draw(&wishes(seed)).worlds.into_iter().flat_map(|world| world.rounds) {
                let histories =
                    round.strikes.iter().filter(|strike| strike.fault.kind().holds.contains(&Holds::History));
                assert!(histories.count() <= 1);
                assert!(!round.strikes.is_empty());
                for (number, strike) in round.strikes.iter().enumerate() {
                    assert!(round.strikes[..number].iter().all(|other| !strike.excludes(other)), "{round:?}");
                }
            }
        }
    }

    #[test]
    fn what_the_machine_cannot_do_and_what_nobody_asked_for_is_left_out() {
        let only = Wishes { only: vec![Fault::DaemonKill, Fault::LinkDown], able: Vec::new(), ..wishes(3) };
        let plan = Plan::draw(&only);
        let strikes: Vec<_> =
            plan.worlds.iter().flat_map(|world| &world.rounds).flat_map(|round| &round.strikes).collect();
        assert!(strikes.iter().all(|strike| strike.fault == Fault::DaemonKill));
        assert!(plan.worlds.iter().all(|world| !world.apart));
    }
}
