//! What is left: a key that differs, in which way, and why as far as that is known.

use std::collections::HashMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Difference, Name, Plan, Sight};
use crate::observe::{HeldKey, Status, escaped};

/// In which way a key differs; of several that hold, the first. Names are those of redis-full-check where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Only in the forward link's target.
    LackSource,
    /// Only in the forward link's source.
    LackTarget,
    /// Two types.
    Type,
    /// Another value.
    Value,
    /// The same value, which ends at another time.
    Ttl,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::LackSource, Self::LackTarget, Self::Type, Self::Value, Self::Ttl];

    /// As results name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LackSource => "lack_source",
            Self::LackTarget => "lack_target",
            Self::Type => "type",
            Self::Value => "value",
            Self::Ttl => "ttl",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a key differs, where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It has expired by the clock of the region that lacks it, and not by the other one's.
    Expired,
    /// Something of it was set aside.
    SetAside,
    /// It is held, or being made equal just now.
    InConflict,
}

impl Cause {
    /// As results name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::SetAside => "set_aside",
            Self::InConflict => "in_conflict",
        }
    }
}

/// A key that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The key.
    pub name: Name,
    /// In which way.
    pub class: Class,
    /// Why.
    pub cause: Option<Cause>,
    /// The same for a person; empty where it is not known.
    pub reason: String,
    /// What was seen of it last, at the forward link's source and at its target.
    pub sights: [Sight; 2],
    /// All that differs.
    pub differences: Vec<Difference>,
    /// How often it was seen so.
    pub looks: u32,
    /// When it was seen so last.
    pub seen_at: Timestamp,
}

/// What the daemon knows of keys.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Keys of which something was set aside, by their names as the daemon shows them, and why.
    pub set_aside: HashMap<(u32, String), String>,
    /// Keys that are held.
    pub held: Vec<(u32, String)>,
    /// Keys that are being made equal.
    pub unresolved: Vec<(u32, String)>,
}

impl Known {
    /// What a status tells of single keys.
    pub fn of(status: &Status) -> Self {
        let names = |keys: &[HeldKey]| keys.iter().map(|key| (key.database, key.key.clone())).collect();
        let set_aside = status.links.iter().flat_map(|link| &link.set_aside_recent);
        Self {
            set_aside: set_aside
                .map(|item| ((item.database, item.key.clone()), format!("set aside: {}, {}", item.what, item.why)))
                .collect(),
            held: names(&status.conflicts.held_keys),
            unresolved: names(&status.conflicts.unresolved_keys),
        }
    }
}

impl Finding {
    /// What a suspect turned out to be. `now_ms` are the servers' clocks.
    pub fn new(
        name: Name,
        sights: [Sight; 2],
        differences: Vec<Difference>,
        looks: u32,
        (now_ms, plan): ([i64; 2], &Plan),
    ) -> Self {
        let class = differences.iter().map(class_of).min().unwrap_or(Class::Value);
        let tolerance = i64::try_from(plan.ttl_tolerance.as_millis()).unwrap_or(i64::MAX);
        let lacking = match class {
            Class::LackSource => Some(0),
            Class::LackTarget => Some(1),
            Class::Type | Class::Value | Class::Ttl => None,
        };
        let expired = lacking.is_some_and(|side| {
            sights[1 - side].expires_at_ms.is_some_and(|at| at <= now_ms[side].saturating_add(tolerance))
        });
        let (cause, reason) = match expired {
            true => (Some(Cause::Expired), "its time is over by the clock of the region that lacks it".to_owned()),
            false => (None, String::new()),
        };
        Self { name, class, cause, reason, sights, differences, looks, seen_at: Timestamp::now() }
    }

    /// Adds what the daemon knows.
    pub fn explain(&mut self, known: &Known) {
        let shown = (self.name.0, escaped(&self.name.1));
        if known.held.contains(&shown) {
            self.cause = Some(Cause::InConflict);
            self.reason = "held: decide with `duet resolve`".to_owned();
        } else if known.unresolved.contains(&shown) {
            self.cause = Some(Cause::InConflict);
            self.reason = "it is being made equal".to_owned();
        } else if let Some(why) = known.set_aside.get(&shown) {
            self.cause = Some(Cause::SetAside);
            self.reason.clone_from(why);
        }
    }
}

fn class_of(difference: &Difference) -> Class {
    match difference {
        Difference::Missing { side: 0, .. } => Class::LackSource,
        Difference::Missing { .. } => Class::LackTarget,
        Difference::Type(_) => Class::Type,
        Difference::Length(_) | Difference::Digest(_) | Difference::Part(_) => Class::Value,
        Difference::Ttl(_) => Class::Ttl,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(differences: Vec<Difference>, expires_at_ms: Option<i64>) -> Finding {
        let there = Sight { kind: "string".into(), expires_at_ms, ..Sight::default() };
        Finding::new((0, b"k\n".to_vec()), [there, Sight::none()], differences, 2, ([0, 10_000], &Plan::default()))
    }

    #[test]
    fn the_weightiest_difference_gives_the_class() {
        let differences = vec![Difference::Ttl([None, Some(1)]), Difference::Length([1, 2])];
        assert_eq!(finding(differences, None).class, Class::Value);
    }

    #[test]
    fn a_key_whose_time_is_over_at_the_other_side_has_expired() {
        let lacking = || vec![Difference::Missing { side: 1, other: 0 }];
        assert_eq!(finding(lacking(), Some(9_999)).cause, Some(Cause::Expired));
        assert_eq!(finding(lacking(), Some(60_000)).cause, None);
        assert_eq!(finding(lacking(), None).cause, None);
    }

    #[test]
    fn what_the_daemon_knows_of_a_key_is_its_reason() {
        let mut found = finding(vec![Difference::Missing { side: 1, other: 0 }], None);
        let mut known = Known::default();
        known.set_aside.insert((0, "k\\n".into()), "unknown command".into());
        found.explain(&known);
        assert_eq!((found.cause, found.reason.as_str()), (Some(Cause::SetAside), "unknown command"));
        known.held.push((0, "k\\n".into()));
        found.explain(&known);
        assert_eq!(found.cause, Some(Cause::InConflict));
    }
}
