//! `/conflicts` and `/why`: what the journal has in memory.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answers::{Known, answer};
use crate::engine::conflict::Done;
use crate::journal::{Entry, MOST_RECENT, Query, SideEntry, since};
use crate::observe::ConflictCounts;

/// Conflicts in an answer, unless more are asked for.
const LIMIT: usize = 100;
/// Conflicts of one key in an answer about it.
const LIMIT_WHY: usize = 10;

/// What `/conflicts` answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Conflicts {
    /// The newest that were asked for, the newest last.
    pub conflicts: Vec<Arc<Entry>>,
    /// How many in memory fit what was asked for, those that are not shown among them.
    pub matching: usize,
    /// How many there have been.
    pub total: u64,
    /// Records that are no longer kept, or never were.
    pub dropped: u64,
    /// How they ended, and what they were about.
    pub counts: ConflictCounts,
}

/// What `/why` answers about a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Why {
    /// The key, as it was asked for.
    pub key: String,
    /// Its database.
    pub database: u32,
    /// The region and time of the write that stayed in the last conflict; absent when none is in memory.
    pub last_origin: Option<SideEntry>,
    /// The last conflicts, the newest last.
    pub conflicts: Vec<Arc<Entry>>,
}

/// What may be asked for: everything as text, so that a mistake gets a sentence.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    key: Option<String>,
    db: Option<String>,
    since: Option<String>,
    after: Option<String>,
    id: Option<String>,
    done: Option<String>,
    limit: Option<String>,
}

type Given = Result<Parameters<Asked>, QueryRejection>;

/// The conflicts that fit the parameters.
pub(super) async fn conflicts(State(known): State<Known>, asked: Given) -> Response {
    let query = match asked.map_err(|error| error.body_text()).and_then(|Parameters(asked)| asked.query(LIMIT)) {
        Ok(query) => query,
        Err(error) => return mistaken(&error),
    };
    let found = known.journal.find(&query);
    let counts = known.board.conflicts.counts();
    let (total, dropped) = (counts.total(), known.board.journal.status().dropped);
    let (conflicts, matching) = (found.conflicts, found.matching);
    answer(StatusCode::OK, &Conflicts { conflicts, matching, total, dropped, counts })
}

/// What is known of one key.
pub(super) async fn why(State(known): State<Known>, asked: Given) -> Response {
    let query = asked.map_err(|error| error.body_text()).and_then(|Parameters(asked)| asked.query(LIMIT_WHY));
    let mut query = match query {
        Ok(query) => query,
        Err(error) => return mistaken(&error),
    };
    let Some(key) = query.key.clone() else { return mistaken(&"key is missing: /why?key=K&db=N") };
    let database = *query.database.get_or_insert(0);
    let conflicts = known.journal.find(&query).conflicts;
    let last_origin = conflicts.last().map(|last| last.winner.clone());
    answer(StatusCode::OK, &Why { key, database, last_origin, conflicts })
}

impl Asked {
    fn query(self, limit: usize) -> Result<Query, String> {
        let done = |text: &str| serde_json::from_value(json!(text)).map_err(|_| done_rule());
        Ok(Query {
            id: self.id.map(|text| parsed("id", &text)).transpose()?,
            after: self.after.map(|text| parsed("after", &text)).transpose()?,
            database: self.db.map(|text| parsed("db", &text)).transpose()?,
            since: self.since.map(|text| moment(&text)).transpose()?,
            done: self.done.as_deref().map(done).transpose()?,
            limit: self.limit.map(|text| parsed("limit", &text)).transpose()?.unwrap_or(limit).min(MOST_RECENT),
            key: self.key,
        })
    }
}

fn done_rule() -> String {
    let all = [Done::Replayed, Done::Dropped, Done::Reconciled, Done::Held].map(|done| done.to_string());
    format!("done takes {}", all.join(", "))
}

fn moment(text: &str) -> Result<Timestamp, String> {
    since(text, Timestamp::now()).map_err(|rule| format!("since: {rule}"))
}

fn parsed<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{name}: {error}"))
}

fn mistaken(error: &(impl Display + ?Sized)) -> Response {
    answer(StatusCode::BAD_REQUEST, &json!({ "error": error.to_string() }))
}
