//! `/syncz`: may a load balancer send traffic to a region?

use std::time::Instant;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::answers::{Known, answer};

/// Everything as text, so that a mistake gets a sentence.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    region: String,
    max_lag_ms: Option<String>,
}

/// 200 when traffic may be sent to the region, else 503 and why; 400 when the question makes no sense.
pub(super) async fn sync(State(known): State<Known>, asked: Result<Parameters<Asked>, QueryRejection>) -> Response {
    let asked = match asked {
        Ok(Parameters(asked)) => asked,
        Err(error) => return mistaken(&known, &error.body_text()),
    };
    let max_lag_ms = match asked.max_lag_ms.as_deref().map(str::parse).transpose() {
        Ok(max_lag_ms) => max_lag_ms,
        Err(error) => return mistaken(&known, &format!("max_lag_ms: {error}")),
    };
    match known.health.answer(&asked.region, max_lag_ms, Instant::now()) {
        Ok(told) => answer(if told.serve { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &told),
        Err(error) => mistaken(&known, &error.to_string()),
    }
}

fn mistaken(known: &Known, error: &str) -> Response {
    let regions: Vec<_> = known.board.regions.iter().map(|region| &region.name).collect();
    let usage = "/syncz?region=NAME&max_lag_ms=500";
    answer(StatusCode::BAD_REQUEST, &json!({ "error": error, "usage": usage, "regions": regions }))
}
