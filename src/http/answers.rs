//! `/livez`, `/readyz`, `/syncz`, `/status`, `/conflicts`, `/why`: GET and HEAD, always JSON.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::conflicts::{conflicts, why};
use super::console;
use super::syncz::sync;
use crate::health::Health;
use crate::journal::Journal;
use crate::metrics::{CONTENT_TYPE, prometheus_text};
use crate::observe::{Board, History, News};

/// What answers are made from.
#[derive(Debug, Clone)]
pub struct Known {
    /// Both links, both regions.
    pub board: Arc<Board>,
    /// The record of conflicts.
    pub journal: Journal,
    /// The last minutes.
    pub history: Arc<History>,
    /// The last lines of the log.
    pub news: News,
    /// What load balancers are told.
    pub health: Arc<Health>,
}

/// The routes over what is known.
pub fn routes(known: Known) -> Router {
    console::routes()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/syncz", get(sync))
        .route("/metrics", get(metrics))
        .route("/history", get(history))
        .route("/events", get(events))
        .route("/status", get(status))
        .route("/conflicts", get(conflicts))
        .route("/why", get(why))
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .with_state(known)
}

/// The process answers: that is all it says.
async fn live() -> Response {
    answer(StatusCode::OK, &json!({ "alive": true }))
}

/// 200 when both links stream and move, else 503 and why.
async fn ready(State(Known { board, .. }): State<Known>) -> Response {
    let readiness = board.readiness(Instant::now());
    let code = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(code, &readiness)
}

/// For Prometheus.
async fn metrics(State(Known { board, .. }): State<Known>) -> Response {
    match prometheus_text(&board) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")], text).into_response(),
        Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "error": error.to_string() })),
    }
}

async fn status(State(Known { board, .. }): State<Known>) -> Response {
    answer(StatusCode::OK, &board.status(Instant::now()))
}

/// What was known before, so that it is not sent again.
#[derive(Debug, Deserialize)]
struct Since<T> {
    since: Option<T>,
}

/// The last minutes, second by second.
async fn history(State(Known { history, .. }): State<Known>, Query(known): Query<Since<i64>>) -> Response {
    answer(StatusCode::OK, &json!({ "points": history.since(known.since.unwrap_or(0)) }))
}

/// The last lines of the log.
async fn events(State(Known { news, .. }): State<Known>, Query(known): Query<Since<u64>>) -> Response {
    answer(StatusCode::OK, &json!({ "events": news.since(known.since.unwrap_or(0)) }))
}

async fn unknown_path() -> Response {
    let paths =
        ["/", "/livez", "/readyz", "/syncz", "/metrics", "/history", "/events", "/status", "/conflicts", "/why"];
    answer(StatusCode::NOT_FOUND, &json!({ "error": "no such path", "paths": paths }))
}

async fn wrong_method() -> Response {
    answer(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "method not allowed", "methods": ["GET", "HEAD"] }))
}

/// An answer is true for a moment only: nobody may keep it.
pub(super) fn answer(code: StatusCode, body: &impl Serialize) -> Response {
    (code, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
