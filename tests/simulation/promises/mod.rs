//! What is promised, a file for each promise.

pub mod bounded;
pub mod checkpoint;
pub mod exactly_once;
pub mod held;
pub mod items;
pub mod last_update_wins;
pub mod no_echo;
pub mod nothing_lost;
pub mod one_conflict_one_record;
pub mod region_wins;
pub mod regions_equal;
pub mod reserved;
pub mod sums;
