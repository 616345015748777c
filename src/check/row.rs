//! What came out.

use serde::{Deserialize, Serialize};

use super::Item;

/// How an item came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing to do.
    Ok,
    /// It works, but will not always.
    Warning,
    /// It will not work.
    Failed,
}

/// One item at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Which item.
    pub item: Item,
    /// The region, the link (`eu-west > us-east`) or the pair that it is about.
    pub of: String,
    /// How it came out.
    pub result: Outcome,
    /// What was seen.
    pub seen: String,
    /// What to do; absent where nothing is to be done.
    pub remedy: Option<String>,
    /// The operator takes no notice of it: it is shown, and does not count.
    #[serde(default)]
    pub ignored: bool,
    /// While it is so, a start holds both links: going on would do harm that nothing else stops.
    #[serde(default)]
    pub holds: bool,
}

impl Row {
    /// An item in order.
    pub fn ok(item: Item, of: &str, seen: impl Into<String>) -> Self {
        let (of, seen) = (of.to_owned(), seen.into());
        Self { item, of, result: Outcome::Ok, seen, remedy: None, ignored: false, holds: false }
    }

    /// An item that works for now.
    pub fn warning(item: Item, of: &str, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { result: Outcome::Warning, remedy: Some(remedy.into()), ..Self::ok(item, of, seen) }
    }

    /// An item that does not work.
    pub fn failed(item: Item, of: &str, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { result: Outcome::Failed, ..Self::warning(item, of, seen, remedy) }
    }

    /// The same, and both links are held while it is so.
    pub fn holding(self) -> Self {
        Self { holds: true, ..self }
    }

    /// How it counts.
    pub fn counts_as(&self) -> Outcome {
        if self.ignored { Outcome::Ok } else { self.result }
    }
}

/// A whole precheck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Precheck {
    /// The worst result that counts.
    pub result: Outcome,
    /// A row for each item and place.
    pub rows: Vec<Row>,
    /// For each region, the command that makes a user with the rights that Duet needs there and no others.
    pub acl: Vec<String>,
}

impl Precheck {
    /// From its rows.
    pub fn new(rows: Vec<Row>, acl: Vec<String>) -> Self {
        let result = rows.iter().map(Row::counts_as).max().unwrap_or(Outcome::Ok);
        Self { result, rows, acl }
    }

    /// The first row on account of which a start holds the links.
    pub fn holds(&self) -> Option<&Row> {
        self.rows.iter().find(|row| row.holds && row.counts_as() == Outcome::Failed)
    }

    /// How many rows came out like this, ignored ones left out.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.rows.iter().filter(|row| row.counts_as() == outcome && !row.ignored).count()
    }
}
