//! The precheck: what of two servers would be in the way of a pair, before it is.
//!
//! Takes [`Facts`], what `runtime::check` saw at both servers, and what the configuration wants; gives a [`Row`] for each
//! item: its result, what was seen, and the remedy. Asks nobody and changes nothing.
//!
//! * [`item`]: what is looked at; [`row`]: what came out, and how a whole precheck ends; [`facts`]: what was seen.
//! * [`rights`]: the commands that the user of a region needs.
//! * `server`: one server by itself; `capacity`: sizes and rates; `pair`: both servers together.

mod capacity;
pub mod facts;
pub mod item;
mod pair;
pub mod rights;
pub mod row;
mod server;

pub use facts::{Facts, ServerFacts, Wanted};
pub use item::Item;
pub use row::{Outcome, Precheck, Row};

/// A row for each item and region (or link, or pair), in the order of [`Item`].
pub fn rows(facts: &Facts) -> Vec<Row> {
    let mut rows = Vec::new();
    for region in 0..facts.regions.len() {
        server::rows(facts, region, &mut rows);
    }
    if let Some(both) = facts.both() {
        pair::rows(facts, both, &mut rows);
    }
    rows.sort_by_key(|row| row.item);
    for row in &mut rows {
        row.ignored = row.result != Outcome::Ok && facts.wanted.ignored.contains(&row.item);
    }
    rows
}

#[cfg(test)]
mod tests;
