//! `/livez`, `/readyz`, `/syncz`, `/status`, `/conflicts`, `/why`: GET and HEAD, always JSON.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;

use super::conflicts::{conflicts, why};
use super::syncz::sync;
use crate::health::Health;
use crate::journal::Journal;
use crate::observe::Board;

/// What answers are made from.
#[derive(Debug, Clone)]
pub struct Known {
    /// Both links, both regions.
    pub board: Arc<Board>,
    /// The record of conflicts.
    pub journal: Journal,
    /// What load balancers are told.
    pub health: Arc<Health>,
}

/// The routes over what is known.
pub(super) fn routes(known: Known) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/syncz", get(sync))
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

async fn status(State(Known { board, .. }): State<Known>) -> Response {
    answer(StatusCode::OK, &board.status(Instant::now()))
}

async fn unknown_path() -> Response {
    let paths = ["/livez", "/readyz", "/syncz", "/status", "/conflicts", "/why"];
    answer(StatusCode::NOT_FOUND, &json!({ "error": "no such path", "paths": paths }))
}

async fn wrong_method() -> Response {
    answer(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "method not allowed", "methods": ["GET", "HEAD"] }))
}

/// An answer is true for a moment only: nobody may keep it.
pub(super) fn answer(code: StatusCode, body: &impl Serialize) -> Response {
    (code, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
