//! Whether two regions hold the same: every decision about it, and the file that a result is kept in.
//!
//! In the order in which a key goes: `plan` (which keys are compared, and how exactly), `part` (a value as parts that do not
//! depend on encoding or server version), `sight` (what a region holds of a key), `difference` (what two sights differ in),
//! `suspect` (a difference is looked at again until it is known), `finding` (what is left, and why), `summary` (a whole run).
//! `stretch` says how names are asked for, `pace` bounds what a run costs; `file` keeps results, `page` shows them.
//!
//! What talks to servers is in `runtime/verify`.

pub mod backup;
mod difference;
pub mod file;
mod finding;
mod pace;
pub mod page;
mod part;
mod plan;
mod sight;
mod stretch;
mod summary;
mod suspect;

pub use difference::{Difference, MOST_PARTS, PartDifference, differences, of_parts};
pub use finding::{Cause, Class, Finding, Known};
pub use pace::{Pace, Share};
pub use part::{Features, PartKind, Parts, parts_of};
pub(crate) use part::{fields_text, score_text};
pub use plan::{Filter, Mode, Plan, Sample};
pub use sight::{Content, Sight, TextHash, hash_of};
pub use stretch::{STEP, Stretch};
pub use summary::{Summary, Verdict};
pub use suspect::{Look, Name, Next, Suspect};
